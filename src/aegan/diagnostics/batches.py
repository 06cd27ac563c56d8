"""The latest batches of a training, of real data and of samples, and how far the two are apart."""

from __future__ import annotations

from collections import deque

import torch
from torch import Tensor

from aegan.diagnostics import measure
from aegan.diagnostics.collapse import flattened

KEPT_WHOLE = 2**14
"""Values of a sample up to which batches are kept as they are."""


class Batches:
    """As many of the latest batches as a comparison needs."""

    def __init__(self) -> None:
        self.real: deque[Tensor] = deque()
        self.fake: deque[Tensor] = deque()
        self.before: Tensor | None = None

    def keep(self, real: Tensor | None, fake: Tensor | None) -> None:
        """Add a batch ``(B, ...)`` of each, and drop those that are no longer needed."""
        for kept, batch, rows in ((self.real, real, 2 * measure.ROWS), (self.fake, fake, measure.ROWS)):
            if batch is None or not len(batch):
                continue
            # Of long samples what they are compared by, so that hundreds of them take no room. Copies, for loops that
            # fill one tensor again and again.
            part = batch.detach() if len(batch) <= rows else batch.detach()[:rows]
            kept.append(flattened(batch) if batch.numel() > KEPT_WHOLE * len(batch) else part.clone())
            # Batches are of one size as a rule; a few too many do no harm.
            while (len(kept) - 1) * len(batch) >= rows:
                kept.popleft()

    def spacing(self, rows: int) -> float | None:
        """Distance of two of the latest ``rows`` real samples; None with fewer than two different ones."""
        latest, count = [], 0
        for batch in reversed(self.real):
            if count < rows:
                latest.append(flattened(batch))
                count += len(batch)
        return measure.spacing(torch.cat(latest)) if latest else None

    def compared(self, step: int) -> dict[str, float]:
        """Statistics of the samples beside the data, and beside the samples of the time before; none without both."""
        if not self.real or not self.fake:
            return {}
        real = measure.different(torch.cat([flattened(b) for b in self.real]))[: 2 * measure.ROWS]
        fake = torch.cat([flattened(b) for b in self.fake])[-measure.ROWS :]
        values = measure.sample_values(real, fake, self.before, step)
        self.before = fake
        return values

"""Fréchet distance of series in the features of an encoder.

Reference: Jeha et al., *PSA-GAN*, ICLR 2022 (arXiv 2108.00981), who take the features of a self-supervised encoder
(TS2Vec) and call it Context-FID. Any encoder serves; only distances in the features of the same one can be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from aegan.errors import DataError
from aegan.metrics._series import SeriesSample, series_pair
from aegan.metrics.frechet import frechet_distance

Encoder = Callable[[Tensor], Tensor]
"""Series float32 ``(B, T, C)`` to features ``(B, D)``."""


def context_frechet(real: Any, fake: Any, encoder: Encoder, *, block: int = 512) -> float:
    """Fréchet distance between the encoder's features of real and of synthetic series.

    Args:
        real: Series ``(N, T, C)`` as the encoder wants them, or a TensorData with ``x``.
        fake: Series alike.
        encoder: Series ``(B, T, C)`` to features ``(B, D)``.
        block: Series encoded at once.

    Raises:
        DataError: Fewer than two series, sets that do not fit each other, or features that are not ``(B, D)``.

    >>> context_frechet(torch.zeros(4, 3, 1), torch.ones(4, 3, 1), lambda x: x.mean(dim=1))
    1.0
    """
    a, b = series_pair(real, fake, where="context_frechet")
    return frechet_distance(features(a, encoder, block), features(b, encoder, block))


def features(sample: SeriesSample, encoder: Encoder, block: int = 512) -> Tensor:
    """Features ``(N, D)`` of a set, block by block, without gradients.

    Raises:
        DataError: The encoder returns another shape.
    """
    parts = []
    with torch.no_grad():
        for x in sample.x.split(block):
            found = encoder(x)
            if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(x):
                shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise DataError(
                    f"context_frechet: the encoder returned {shape} for series {tuple(x.shape)}; expected a tensor "
                    "(B, D). Flatten its output, or pool it over time."
                )
            parts.append(found.cpu())
    return torch.cat(parts)

"""A discriminator for any trunk: logits with a class projection, and what helps against collapse.

References: class projection, Miyato & Koyama 2018 (arXiv 1802.05637); auxiliary classifier, Odena et al. 2017
(arXiv 1610.09585). What it sees of samples together is in :mod:`aegan.nn.together`.
"""

from __future__ import annotations

from torch import Tensor, nn

from aegan.nn.init import LEAKY_GAIN, activation, class_embedding, linear
from aegan.nn.together import minibatch_stddev, packed


class Discriminator(nn.Module):
    """Data ``(B, *shape)`` and classes ``(B,)`` to float32 logits ``(B / pack,)``.

    Args:
        trunk: Data to a feature map or vector of ``features`` values, for ``pack`` samples joined at ``pack_axis``.
        features: Values of the trunk's output a sample.
        classes: Number of classes; 0 for none.
        hidden: Units between the features and the logit.
        stddev: Add the batch's mean standard deviation of the features as one more feature.
        pack: Samples judged together.
        pack_axis: Where they are joined.
        auxiliary: Have class logits too (:meth:`both`), instead of the projection.
    """

    def __init__(
        self,
        trunk: nn.Module,
        features: int,
        classes: int,
        *,
        hidden: int = 128,
        stddev: bool = False,
        pack: int = 1,
        pack_axis: int = 1,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.trunk, self.stddev, self.pack, self.pack_axis = trunk, stddev, pack, pack_axis
        self.hidden = linear(features + stddev, hidden, gain=LEAKY_GAIN)
        self.logit = linear(hidden, 1)
        self.embedding = class_embedding(classes, hidden) if classes and not auxiliary else None
        self.classifier = linear(hidden, classes) if classes and auxiliary else None

    def forward(self, x: Tensor, y: Tensor | None) -> Tensor:
        return project(self.logit, self.embedding, self._hidden(x), y)

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B,)`` and class logits ``(B, K)``, of a discriminator with an auxiliary classifier."""
        h = self._hidden(x)
        return project(self.logit, None, h, None), self.classifier(h).float()  # type: ignore[misc]

    def _hidden(self, x: Tensor) -> Tensor:
        h = activation(self.trunk(packed(x, self.pack, axis=self.pack_axis))).flatten(1)
        return activation(self.hidden(minibatch_stddev(h) if self.stddev else h))


def project(logit: nn.Linear, embedding: nn.Embedding | None, h: Tensor, y: Tensor | None) -> Tensor:
    """Logits ``(B,)`` float32 of features ``h`` ``(B, D)``, with the class projection where there is one."""
    out = logit(h).squeeze(1).float()
    if embedding is not None and y is not None:
        out = out + (h.float() * embedding(y).float()).sum(1)
    return out

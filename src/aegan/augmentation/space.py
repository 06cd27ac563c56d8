"""What augmentation needs of a fitted model: codes and back, a discriminator, samples, completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aegan.augment.latent.strength import apart
from aegan.data.base import TensorData
from aegan.errors import ConfigError
from aegan.losses.jacobian import jacobian
from aegan.models.base import Model, in_blocks
from aegan.nn.fields import FieldEmbedding
from aegan.types import Spec

if TYPE_CHECKING:
    from aegan.estimator import Estimator

JACOBIANS = 64
"""Samples whose Jacobians are taken at once."""


class Space:
    """A model and how data of its kind go through it.

    Args:
        model: Trained networks.
        spec: What its data are.
        name: The model's, for messages.
        device: Where to compute.
        encode: Data to codes on the CPU; by default ``model.encode`` in blocks.
        decode: Codes to data on the CPU; by default ``model.decode`` in blocks.
    """

    def __init__(
        self,
        model: Model,
        spec: Spec,
        *,
        name: str,
        device: torch.device | str = "cpu",
        encode: Callable[[TensorData], Tensor] | None = None,
        decode: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.model, self.spec, self.name, self.device = model, spec, name, torch.device(device)
        self._encode, self._decode = encode, decode

    @classmethod
    def of(cls, estimator: Estimator) -> Space:
        """That of a fitted model."""
        return cls(
            estimator.model,
            estimator.adapter.spec,
            name=str(estimator.run.config["model"]),
            device=estimator.device,
            encode=estimator.encode_tensors,
            decode=estimator.decode_tensors,
        )

    @property
    def coded(self) -> bool:
        """Whether there are codes."""
        return self.model.code_dim > 0

    @property
    def completes(self) -> bool:
        """Whether the model draws rows given some of their values."""
        return type(self.model).complete is not Model.complete

    @property
    def judges(self) -> bool:
        """Whether there is a discriminator of data to ask."""
        x = torch.zeros(2, *self.spec.shape, device=self.device)
        y = torch.zeros(2, dtype=torch.int64, device=self.device) if self.spec.classes else None
        try:
            with torch.no_grad():
                self.model.judge(x, y)
        except ConfigError:
            return False
        return True

    def encode(self, data: TensorData) -> Tensor:
        """Codes ``(N, D)``."""
        if self._encode is not None:
            return self._encode(data)
        return in_blocks(self.model.encode, data.batch(torch.arange(len(data)))["x"], device=self.device)

    def decode(self, z: Tensor) -> Tensor:
        """Data ``(N, *shape)``."""
        return self._decode(z) if self._decode is not None else in_blocks(self.model.decode, z, device=self.device)

    def judge(self, x: Tensor, y: Tensor | None) -> Tensor:
        """Logits ``(N,)`` of the discriminator."""
        return in_blocks(self.model.judge, x, y if self.model.conditional else None, device=self.device)

    def sample_codes(self, noise: Tensor, y: Tensor | None) -> Tensor:
        """Codes ``(N, D)`` of samples of noise and classes."""
        return in_blocks(self.model.generate_codes, noise, y, device=self.device)

    def apart(self, a: Tensor, b: Tensor, *, steps: Tensor | None = None) -> Tensor:
        """Distance of each pair of samples, ``(N,)``; see :func:`aegan.augment.latent.strength.apart`."""
        return apart(a, b, differing=self.spec.discrete, steps=steps)

    def responses(self, x: Tensor) -> Tensor:
        """JJᵀ of the encoder's Jacobian J at data ``(B, *shape)``: ``(B, D, D)``, how codes answer to small noise.

        Values that are names do not move; the vectors that stand for them in the encoder do, each field's in units of
        its deviation.

        Raises:
            ConfigError: The encoder knows values of names by no vectors.
        """
        parts = []
        for part in x.split(JACOBIANS):
            with torch.enable_grad():
                z, given = self._named(part.to(self.device)) if self.spec.discrete else self._plain(part)
                j = jacobian(z.float(), given).detach().float()
            parts.append((j @ j.transpose(1, 2)).cpu())
        return torch.cat(parts)

    def _plain(self, x: Tensor) -> tuple[Tensor, Tensor]:
        given = x.to(self.device).float().requires_grad_(True)
        return self.model.encode(given), given

    def _named(self, x: Tensor) -> tuple[Tensor, Tensor]:
        leaves: list[Tensor] = []

        def held(module: torch.nn.Module, args: object, out: Tensor) -> Tensor:
            deviation = (out - out.mean(0)).square().mean((0, 2), keepdim=True).clamp_min(1e-12).sqrt()
            leaves.append((out / deviation).detach().requires_grad_(True))
            return leaves[-1] * deviation

        hooks = [m.register_forward_hook(held) for m in self.model.modules() if isinstance(m, FieldEmbedding)]
        try:
            z = self.model.encode(x)
        finally:
            for hook in hooks:
                hook.remove()
        if len(leaves) != 1:
            raise ConfigError(
                f"tangent: {self.name!r} has no one layer of vectors for the values of {self.spec.kind} data, along "
                "which its codes could move. Use gaussian."
            )
        return z, leaves[0]

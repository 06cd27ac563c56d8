"""The check of reconstruction where the autoencoder has learnt its samples by heart."""

from __future__ import annotations

import torch
from torch import Tensor

from aegan.augmentation.engine import Augmenter, Settings
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.models.registry import build
from aegan.types import Spec

SPEC = Spec(kind="vector", shape=(2,))
X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))


def pulled(data: TensorData) -> Tensor:
    """Codes that are the data: of known samples exactly, of others a fifth of the way to the nearest known one."""
    x = data.batch(torch.arange(len(data)))["x"]
    near = X[torch.cdist(x, X, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)]
    return near + 0.8 * (x - near)


def test_new_samples_are_kept_though_known_ones_are_reconstructed_without_error() -> None:
    network = build("contractive", SPEC, {"latent_dim": 2, "width": 4})
    space = Space(network, SPEC, name="contractive", encode=pulled, decode=lambda z: z)
    settings = Settings(num=200, strength=0.5, operations="gaussian", checks=("reconstruction",))
    made = Augmenter(space, TensorData(x=X), settings)
    known = TensorData(x=X)
    assert float((space.decode(space.encode(known)) - X).abs().max()) < 1e-6
    done = made.make()
    assert len(done.x) == 200 and done.report["drawn"] < 250
    lost = X + 20 * torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    assert float(made.checks.failed(lost, torch.arange(40))["reconstruction"].float().mean()) > 0.9

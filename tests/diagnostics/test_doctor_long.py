"""The doctor where a generator's input is long: an image, as of image-to-image networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from aegan.diagnostics.jacobian import generator_spectrum


class Largest(TorchDispatchMode):
    """The largest tensor that is made meanwhile, in values."""

    values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            self.values = max(self.values, out.numel())
        return out


def test_the_jacobian_by_an_image_needs_no_square_matrix_of_it() -> None:
    with Largest() as made:
        found = generator_spectrum(lambda z: 2.0 * z, torch.zeros(2, 3, 16, 16))
    assert found is not None and len(found.values) == 128 and abs(found.values[0] - 2.0) < 1e-4
    assert made.values <= 128 * 2 * 768  # the directions' Jacobians; the square has 768 times 768

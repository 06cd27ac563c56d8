"""The networks of ``doctor.py``: plain ones, as anybody would write them, with all that a setup says of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from doctor_cases import Setup

SMALLEST = 4
"""Side of the smallest map of a convolutional network."""


def network(
    setup: Setup, inputs: int | torch.Size, outputs: int | torch.Size, *, norm: bool = False, bounded: bool = False
) -> nn.Module:
    """A network from samples of a shape (without the batch) to numbers, or from numbers to samples.

    Args:
        setup: Its kind and size.
        inputs: How many numbers, or the shape of a sample.
        outputs: The same.
        norm: Whether it has BatchNorm.
        bounded: Whether it ends in a tanh.
    """
    if setup.net == "convolutional":
        made = (
            _towards(setup, outputs, inputs)
            if isinstance(inputs, torch.Size)
            else _images(setup, inputs, outputs, norm)
        )
    elif setup.net == "recurrent":
        made = Reader(setup, inputs, outputs) if isinstance(inputs, torch.Size) else Writer(setup, inputs, outputs)
    else:
        made = perceptron(setup, _flat(inputs), _flat(outputs), norm=norm, residual=setup.net == "residual")
    initialise(setup, made)
    return nn.Sequential(made, nn.Tanh()) if bounded else made


def perceptron(setup: Setup, inputs: int, outputs: int, *, norm: bool = False, residual: bool = False) -> nn.Sequential:
    """Layers of one width; ``residual`` adds each but the first to what came before."""
    parts: list[nn.Module] = []
    for i in range(setup.depth):
        layer = [nn.Linear(inputs if i == 0 else setup.width, setup.width)]
        layer += [nn.BatchNorm1d(setup.width, momentum=setup.momentum)] if norm else []
        layer.append(activation(setup))
        parts += [Added(nn.Sequential(*layer))] if residual and i else layer
    return nn.Sequential(*parts, nn.Linear(setup.width, outputs))


class Added(nn.Module):
    """x + f(x)."""

    def __init__(self, f: nn.Module) -> None:
        super().__init__()
        self.f = f

    def forward(self, x: Tensor) -> Tensor:
        """``(B, D)`` to ``(B, D)``."""
        return x + self.f(x)


def _towards(setup: Setup, outputs: int, shape: torch.Size) -> nn.Sequential:
    """From images ``(B, C, S, S)`` to numbers."""
    channels, side, parts = shape[0], shape[1], []
    for _ in range(setup.depth):
        halved = side > SMALLEST
        parts += [nn.Conv2d(channels, setup.width, 3, 2 if halved else 1, 1), activation(setup)]
        channels, side = setup.width, side // 2 if halved else side
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * side * side, outputs))


def _images(setup: Setup, inputs: int, shape: torch.Size, norm: bool) -> nn.Sequential:
    """From numbers to images ``(B, C, S, S)``."""
    side = SMALLEST
    parts: list[nn.Module] = [nn.Linear(inputs, setup.width * side * side), nn.Unflatten(1, (setup.width, side, side))]
    for _ in range(setup.depth):
        if side < shape[1]:
            parts.append(nn.Upsample(scale_factor=2))
            side *= 2
        parts.append(nn.Conv2d(setup.width, setup.width, 3, 1, 1))
        parts += [nn.BatchNorm2d(setup.width, momentum=setup.momentum)] if norm else []
        parts.append(activation(setup))
    return nn.Sequential(*parts, nn.Conv2d(setup.width, shape[0], 3, 1, 1))


class Reader(nn.Module):
    """From series ``(B, T, C)`` to numbers: a GRU, and a perceptron on where it ends."""

    def __init__(self, setup: Setup, shape: torch.Size, outputs: int) -> None:
        super().__init__()
        self.steps = nn.GRU(shape[1], setup.width, batch_first=True)
        self.head = perceptron(setup, setup.width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers ``(B, D)``."""
        return self.head(self.steps(x)[0][:, -1])


class Writer(nn.Module):
    """From numbers to series ``(B, T, C)``: a GRU that sees them and the time at each step, and a perceptron on it."""

    def __init__(self, setup: Setup, inputs: int, shape: torch.Size) -> None:
        super().__init__()
        self.shape = shape
        self.steps = nn.GRU(inputs + 1, setup.width, batch_first=True)
        self.head = perceptron(setup, setup.width, shape[1])

    def forward(self, z: Tensor) -> Tensor:
        """Series ``(B, T, C)``."""
        time = torch.linspace(-1, 1, self.shape[0]).view(1, -1, 1).expand(len(z), -1, -1)
        hidden = self.steps(torch.cat([z[:, None].expand(-1, self.shape[0], -1), time], 2))[0]
        return self.head(hidden.flatten(0, 1)).view(len(z), *self.shape)


def activation(setup: Setup) -> nn.Module:
    """A new one."""
    return {"leaky": lambda: nn.LeakyReLU(0.2), "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[
        setup.activation
    ]()


def initialise(setup: Setup, made: nn.Module) -> None:
    """Weights of He's deviation times the setup's gain; the hidden layers' bias as it says."""
    rectified = setup.activation in ("leaky", "relu")
    layers = [m for m in made.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    with torch.no_grad():
        for layer in layers:
            hidden = rectified and layer is not layers[-1]
            he = ((2.0 if hidden else 1.0) / layer.weight[0].numel()) ** 0.5
            nn.init.normal_(layer.weight, std=setup.gain * he)
            nn.init.constant_(layer.bias, setup.bias if hidden else 0.0)
        for part in made.modules():
            if isinstance(part, nn.GRU):
                for name, weight in part.named_parameters():
                    bound = setup.gain / math.sqrt(part.hidden_size)
                    nn.init.uniform_(weight, -bound, bound) if name.startswith("weight") else nn.init.zeros_(weight)


def _flat(size: int | torch.Size) -> int:
    return size if isinstance(size, int) else size.numel()

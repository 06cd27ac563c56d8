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
    if setup.net in JUDGES:
        judge, maker = JUDGES[setup.net], MAKERS[setup.net]
        made = judge(setup, inputs, outputs) if isinstance(inputs, torch.Size) else maker(setup, inputs, outputs, norm)
    else:
        made = perceptron(setup, _flat(inputs), _flat(outputs), norm=norm, residual=setup.net != "perceptron")
    initialise(setup, made)
    return nn.Sequential(made, nn.Tanh()) if bounded else made


def perceptron(setup: Setup, inputs: int, outputs: int, *, norm: bool = False, residual: bool = False) -> nn.Sequential:
    """Layers of one width; ``residual`` adds each but the first to what came before."""
    parts: list[nn.Module] = []
    for i in range(setup.depth):
        layer: list[nn.Module] = [nn.LayerNorm(setup.width)] if i and setup.net == "normalised" else []
        layer.append(nn.Linear(inputs if i == 0 else setup.width, setup.width))
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


def _towards(setup: Setup, shape: torch.Size, outputs: int) -> nn.Sequential:
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


def _heard(setup: Setup, shape: torch.Size, outputs: int) -> nn.Sequential:
    """From waves ``(B, C, T)`` to numbers: convolutions that halve the time, then more of them."""
    channels, time, parts = shape[0], shape[1], []
    for _ in range(setup.depth):
        halved = time > 2 * SMALLEST
        parts += [nn.Conv1d(channels, setup.width, 5, 2 if halved else 1, 2), activation(setup)]
        channels, time = setup.width, time // 2 if halved else time
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(channels * time, outputs))


def _played(setup: Setup, inputs: int, shape: torch.Size, norm: bool) -> nn.Sequential:
    """From numbers to waves ``(B, C, T)``, by transposed convolutions."""
    time = 2 * SMALLEST
    parts: list[nn.Module] = [nn.Linear(inputs, setup.width * time), nn.Unflatten(1, (setup.width, time))]
    for _ in range(setup.depth):
        doubled = time < shape[1]
        parts.append(
            nn.ConvTranspose1d(setup.width, setup.width, 4, 2, 1)
            if doubled
            else nn.Conv1d(setup.width, setup.width, 5, 1, 2)
        )
        time = 2 * time if doubled else time
        parts += [nn.BatchNorm1d(setup.width, momentum=setup.momentum)] if norm else []
        parts.append(activation(setup))
    return nn.Sequential(*parts, nn.Conv1d(setup.width, shape[0], 5, 1, 2))


class Attention(nn.Module):
    """Attention with four heads, of steps to one another; in plain products, which can be differentiated twice."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.asks, self.leaves = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, D)`` to the same."""
        query, key, value = self.asks(self.norm(x)).unflatten(2, (3, 4, -1)).permute(2, 0, 3, 1, 4)
        weights = (query @ key.transpose(2, 3) / math.sqrt(query.shape[3])).softmax(3)
        return self.leaves((weights @ value).transpose(1, 2).flatten(2))


class Attended(nn.Module):
    """Attention of the steps of a series to one another, and a perceptron on each; both normalised before.

    Args:
        setup: Its size.
        channels: Of each step.
        outputs: Of each step.
    """

    def __init__(self, setup: Setup, channels: int, outputs: int) -> None:
        super().__init__()
        self.enter = nn.Linear(channels + 2, setup.width)
        self.mixes = nn.ModuleList(Attention(setup.width) for _ in range(setup.depth))
        self.steps = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(setup.width),
                nn.Linear(setup.width, setup.width),
                activation(setup),
                nn.Linear(setup.width, setup.width),
            )
            for _ in range(setup.depth)
        )
        self.leave = nn.Linear(setup.width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, T, C)`` to ``(B, T, D)``."""
        angle = math.pi * torch.linspace(0, 1, x.shape[1])
        time = torch.stack([angle.cos(), angle.sin()], 1).expand(len(x), -1, -1)
        hidden = self.enter(torch.cat([x, time], 2))
        for mix, step in zip(self.mixes, self.steps, strict=True):
            hidden = hidden + mix(hidden)
            hidden = hidden + step(hidden)
        return self.leave(hidden)


class AttendedReader(nn.Module):
    """From series ``(B, T, C)`` to numbers."""

    def __init__(self, setup: Setup, shape: torch.Size, outputs: int) -> None:
        super().__init__()
        self.body = Attended(setup, shape[1], outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Numbers ``(B, D)``, a mean over the steps."""
        return self.body(x).mean(1)


class AttendedWriter(nn.Module):
    """From numbers to series ``(B, T, C)``: each step begins as the numbers and its time."""

    def __init__(self, setup: Setup, inputs: int, shape: torch.Size, norm: bool) -> None:
        super().__init__()
        if norm:
            raise ValueError("norm: attention has no BatchNorm here")
        self.shape = shape
        self.body = Attended(setup, inputs, shape[1])

    def forward(self, z: Tensor) -> Tensor:
        """Series ``(B, T, C)``."""
        return self.body(z[:, None].expand(-1, self.shape[0], -1))


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

    def __init__(self, setup: Setup, inputs: int, shape: torch.Size, norm: bool) -> None:
        super().__init__()
        if norm:
            raise ValueError("norm: recurrent networks have no BatchNorm here")
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
    if setup.activation == "leaky":
        return nn.LeakyReLU(0.2)
    kinds = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
    return kinds[setup.activation]()


def initialise(setup: Setup, made: nn.Module) -> None:
    """Weights of He's deviation times the setup's gain; the hidden layers' bias as it says."""
    rectified = setup.activation in ("leaky", "relu", "silu", "gelu")
    layers = [m for m in made.modules() if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d))]
    with torch.no_grad():
        for layer in layers:
            hidden = rectified and layer is not layers[-1]
            fan = layer.weight[:, 0].numel() / 2 if isinstance(layer, nn.ConvTranspose1d) else layer.weight[0].numel()
            he = ((2.0 if hidden else 1.0) / fan) ** 0.5
            nn.init.normal_(layer.weight, std=setup.gain * he)
            nn.init.constant_(layer.bias, setup.bias if hidden else 0.0)
        for part in made.modules():
            if isinstance(part, nn.GRU):
                for name, weight in part.named_parameters():
                    bound = setup.gain / math.sqrt(part.hidden_size)
                    nn.init.uniform_(weight, -bound, bound) if name.startswith("weight") else nn.init.zeros_(weight)


JUDGES = {"convolutional": _towards, "recurrent": Reader, "wave": _heard, "attention": AttendedReader}
"""From samples of a shape to numbers, by the kind of network."""
MAKERS = {"convolutional": _images, "recurrent": Writer, "wave": _played, "attention": AttendedWriter}
"""From numbers to samples."""


def _flat(size: int | torch.Size) -> int:
    return size if isinstance(size, int) else size.numel()

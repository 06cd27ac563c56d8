"""A recurrent network that gives a vector at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from aegan.nn.gru import run


class Stepwise(nn.Module):
    """Layers of gated recurrent units, then one dense layer: ``(B, T, inputs)`` to ``(B, T, outputs)``.

    Weights are uniform by Glorot & Bengio 2010 over a gate's inputs and units together, biases zero but those of the
    gates, which are one: at first a unit keeps much of what it holds.

    Args:
        inputs: Numbers a step.
        hidden: Units of each layer.
        layers: Layers, at least 1.
        outputs: Numbers that come out a step.
    """

    def __init__(self, inputs: int, hidden: int, layers: int, outputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(inputs, hidden, layers, batch_first=True)
        self.read = nn.Linear(hidden, outputs)
        with torch.no_grad():
            for layer in range(layers):
                seen = inputs if layer == 0 else hidden
                gates, candidate = math.sqrt(6 / (seen + 3 * hidden)), math.sqrt(6 / (seen + 2 * hidden))
                for name in (f"weight_ih_l{layer}", f"weight_hh_l{layer}"):
                    weight = getattr(self.gru, name)
                    weight[: 2 * hidden].uniform_(-gates, gates)
                    weight[2 * hidden :].uniform_(-candidate, candidate)
                getattr(self.gru, f"bias_hh_l{layer}").zero_()
                bias = getattr(self.gru, f"bias_ih_l{layer}").zero_()
                bias[: 2 * hidden] = 1.0
        nn.init.xavier_uniform_(self.read.weight)
        nn.init.zeros_(self.read.bias)

    def forward(self, x: Tensor) -> Tensor:
        # Contiguous: what PyTorch does else depends on whether the weights are frozen, and so do the last bits.
        return self.read(run(self.gru, x).contiguous())

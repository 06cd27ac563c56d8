"""A small network for each field of a row that predicts it from whichever fields come before it, in any order.

References: Uria et al. 2014, "A deep and tractable density estimator" (arXiv 1310.1757) for one network that serves
every order of the variables; Tiwald et al. 2025, "TabularARGN" (arXiv 2501.12012) for such networks on a table's
discretised columns. What differs here: the fields' networks are one batched product, each pair of fields has its own
weights, and the layers after it are residual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, dropout, leaky_relu_

from aegan.nn.drawing import Product, Step, draw_alike, steady
from aegan.nn.fields import FieldEmbedding
from aegan.nn.init import LEAK, LEAKY_GAIN, activation
from aegan.nn.rows import from_chances
from aegan.types import Field

Tap = tuple[Tensor, Tensor]
"""Outputs ``(F, B, n)`` or ``(B, n)`` of products, and the squared norms of what their weights were multiplied with."""


class FieldNetworks(nn.Module):
    """Distributions of a row's fields, each given those before it.

    A column's fields stay together, coarse before fine; the columns may come in any order. Fields that come before are
    *visible* to those after them.

    Args:
        fields: Of the Spec, a column's own beside each other.
        embedding: Length of a value's vector.
        hidden: Width of a field's network.
        layers: Residual layers in it.
        dropped: Share of hidden units that are zero in a training step.
    """

    def __init__(self, fields: Sequence[Field], *, embedding: int, hidden: int, layers: int, dropped: float) -> None:
        super().__init__()
        count, names = len(fields), list(dict.fromkeys(field.column for field in fields))
        self.count, self.hidden, self.dropped = count, hidden, dropped
        self.fields = tuple(fields)
        self.column_count = len(names)
        # No buffers: the host orders the fields, and on a device it would have to wait for these.
        self.columns = torch.tensor([names.index(f.column) for f in fields])
        self.levels = torch.tensor([f.level for f in fields])
        self.surest_first = torch.tensor(sorted(range(len(names)), key=lambda c: _choice(fields, names[c])))
        self.embedding = FieldEmbedding(fields, embedding)
        # From field i to field j; half of the fields are visible to one on average.
        scale = 1.0 / math.sqrt(embedding * max(1.0, count / 2))
        self.mix = nn.Parameter(scale * torch.randn(count, count, embedding, hidden))
        self.seen = nn.Parameter(torch.zeros(count, count, hidden))
        self.bias = nn.Parameter(torch.zeros(count, hidden))
        self.first = nn.ParameterList(_weights(count, hidden, LEAKY_GAIN) for _ in range(layers))
        self.second = nn.ParameterList(_weights(count, hidden, 0.0) for _ in range(layers))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(2, count, 1, hidden)) for _ in range(layers))
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(hidden, field.size)) for field in fields)
        self.head_biases = nn.ParameterList(nn.Parameter(torch.zeros(field.size)) for field in fields)

    def order(self, columns: Tensor | None = None) -> Tensor:
        """Positions of the fields ``(F,)`` when the columns come in the order ``columns``.

        None is the order that rows are drawn in: columns that leave least choice first, so that many rows are alike
        for long.
        """
        columns = self.surest_first if columns is None else columns
        rank = torch.arange(self.column_count)
        rank = torch.empty_like(rank).scatter_(0, columns.cpu(), rank)
        return torch.argsort(rank[self.columns] * (int(self.levels.max()) + 1) + self.levels)

    def forward(
        self, x: Tensor, order: Tensor, shift: Tensor | None = None, *, taps: list[Tap] | None = None
    ) -> Tensor:
        """Negative log-likelihood in nats of each value of ``x`` ``(B, F)`` given those before it, ``(B, F)``.

        ``shift`` ``(B, F, hidden)`` is added to what a field's network sees, as a code is. ``taps`` is filled with
        what :func:`gradient_norms` needs.
        """
        index = self.embedding.index(x)
        h = self._context(x, order, taps)
        if shift is not None:
            h = h + shift.transpose(0, 1)
        h = self._layers(h, taps).unbind(0)  # one tensor each: the gradient of an index is as large as the whole
        logits = [torch.addmm(bias, h[j], head) for j, (head, bias) in enumerate(self._heads())]
        if taps is not None:
            taps += [(out, _squares(h[j]) + 1.0) for j, out in enumerate(logits)]
        values = [cross_entropy(out.float(), index[:, j], reduction="none") for j, out in enumerate(logits)]
        return torch.stack(values, 1)

    def _heads(self) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.heads, self.head_biases, strict=True)

    def _context(self, x: Tensor, order: Tensor, taps: list[Tap] | None = None) -> Tensor:
        """Sums over the visible fields ``(F, B, hidden)``."""
        place = torch.argsort(order).to(x.device)
        visible = (place[:, None] < place[None, :]).to(self.mix.dtype)
        weights = (self.mix * visible[:, :, None, None]).permute(0, 2, 1, 3).flatten(2).flatten(0, 1)
        vectors = self.embedding(x).transpose(0, 1)
        context = (vectors.transpose(0, 1).flatten(1) @ weights).view(-1, self.count, self.hidden)
        context = (context + (self.seen * visible[:, :, None]).sum(0) + self.bias).transpose(0, 1)
        if taps is not None:
            # Each value has a vector of its own; a context has mix, seen and bias in front of it.
            taps.append((vectors, torch.ones(self.count, len(x), device=x.device)))
            taps.append((context, visible.T @ (_squares(vectors) + 1.0) + 1.0))
        return context

    def _layers(self, h: Tensor, taps: list[Tap] | None = None) -> Tensor:
        for first, second, bias in zip(self.first, self.second, self.biases, strict=True):
            outer = activation(h)
            inner = product = torch.baddbmm(bias[0], outer, first)
            if self.dropped and self.training:
                # The same units for every field of a row: drawing sixteen times as many takes longer than using them.
                inner = inner * dropout(torch.ones_like(inner[:1]), self.dropped)
            inner = activation(inner)
            change = torch.baddbmm(bias[1], inner, second)
            h = h + change
            if taps is not None:
                taps += [(product, _squares(outer) + 1.0), (change, _squares(inner) + 1.0)]
        return activation(h)

    def draw(self, uniform: Tensor | None, order: Tensor, *, shift: Tensor | None = None) -> Tensor:
        """Rows ``(B, F)``, field by field.

        Args:
            uniform: One number of [0, 1] for each value ``(B, F)``; None takes the likeliest value and its middle.
            order: Positions of the fields; see :meth:`order`.
            shift: As in :meth:`forward`; says how many rows there are where ``uniform`` is None.
        """
        like = uniform if uniform is not None else shift
        if like is None:
            raise ValueError("draw: uniform numbers or a shift expected, got neither.")
        if uniform is not None and shift is None and len(uniform) and (product := steady(uniform.device.type)):
            return draw_alike(uniform, self._steps(order, product))
        rows = torch.zeros(len(like), self.count, device=like.device)
        dim = self.embedding.dim
        vectors = torch.empty(len(rows), self.count * dim, device=like.device)
        for position, j in enumerate(order.tolist()):
            bias, weights = self._weights_before(order[:position], j)
            start = position * dim
            h = torch.addmm(bias, vectors[:, :start], weights.flatten(0, 1))
            logits = self._logits(j, h if shift is None else h.add_(shift[:, j]))
            rows[:, j] = logits.argmax(1) + 0.5 if uniform is None else from_chances(logits, uniform[:, j])
            vectors[:, start : start + dim] = self._vectors(rows, j)
        return rows

    def fill(
        self,
        uniform: Tensor,
        x: Tensor,
        known: Tensor,
        order: Sequence[int],
        allowed: Mapping[int, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Draw the fields ``order`` of rows, given what is known of each; every row may know other fields.

        Args:
            uniform: One number of [0, 1] for each value ``(B, F)``.
            x: Rows ``(B, F)``; the unknown values are not read.
            known: Bool ``(B, F)``.
            order: Positions of the fields to draw, in this order; values that a row knows already stay.
            allowed: By position of a field, which of its values may come, bool ``(size,)``.

        Returns:
            Rows ``(B, F)``, values that are neither known nor drawn being 0; and the logarithm of the probability of
            what was allowed, ``(B,)``.
        """
        rows, seen = x.masked_fill(~known, 0.0), known.to(x.dtype)
        vectors = self.embedding(rows).mul_(seen[:, :, None])
        weight = torch.zeros(len(x), device=x.device)
        for j in order:
            given = known[:, j]
            if bool(given.all()):
                continue
            h = vectors.flatten(1) @ self.mix[:, j].flatten(0, 1)
            logits = self._logits(j, h.addmm_(seen, self.seen[:, j]).add_(self.bias[j]))
            if j in allowed:
                logits, share = _restricted(logits, allowed[j].to(logits.device))
                weight += share.masked_fill(given, 0.0)
            rows[:, j] = torch.where(given, rows[:, j], from_chances(logits, uniform[:, j]))
            vectors[:, j], seen[:, j] = self._vectors(rows, j), 1.0
        return rows, weight

    def _vectors(self, rows: Tensor, j: int) -> Tensor:
        """Vectors ``(B, dim)`` of the values of field ``j``."""
        return self.embedding.values.weight[rows[:, j].long() + self.embedding.offsets[j]]

    def _weights_before(self, before: Tensor, j: int) -> tuple[Tensor, Tensor]:
        """Bias ``(hidden,)`` of field ``j`` when it comes after those at ``before``, and these weights."""
        before = before.to(self.mix.device)
        return self.bias[j] + self.seen[before, j].sum(0), self.mix[before, j]

    def _steps(self, order: Tensor, product: Product) -> list[Step]:
        """What drawing the fields in this order takes."""
        places, steps = order.tolist(), []
        values = self.embedding.values.weight.split([field.size for field in self.fields])
        for position, j in enumerate(places):
            bias, weights = self._weights_before(order[:position], j)
            parts = [values[i] @ weight for i, weight in zip(places[:position], weights, strict=True)]
            parts[:1] = [parts[0] + bias] if parts else [bias[None]]
            field = self.fields[j]
            finest = field.ordered and not any(f.column == field.column for f in self.fields[j + 1 :])
            steps.append(Step(j, field.size, torch.cat(parts), self._network(j, product), finest))
        return steps

    def _logits(self, j: int, h: Tensor) -> Tensor:
        """Logits ``(B, V)`` of one field; ``h`` is used up, for copies take as long as the products."""
        return self._network(j)(h)

    def _network(self, j: int, product: Product = torch.addmm) -> Callable[[Tensor], Tensor]:
        """What :meth:`_logits` does for one field, its weights cut out once."""
        layers = [
            (bias[0, j], first[j], second[j], bias[1, j])
            for first, second, bias in zip(self.first, self.second, self.biases, strict=True)
        ]
        head, head_bias = self.heads[j], self.head_biases[j]

        def logits(h: Tensor) -> Tensor:
            for bias, first, second, end in layers:
                inner = product(bias, activation(h), first)
                h = h.add_(product(end, leaky_relu_(inner, LEAK), second))
            return product(head_bias, leaky_relu_(h, LEAK), head)

        return logits


def gradient_norms(nll: Tensor, taps: Sequence[Tap]) -> Tensor:
    """Norms ``(B,)`` of the gradient of each row's ``nll`` ``(B,)`` in all weights, which none of them is made for.

    The gradient of one row in the weights of a product is the outer product of its inputs and of the gradient in its
    outputs, so its squared norm is that of the inputs times that of the outputs (Goodfellow 2015, arXiv 1510.01799).
    The graph is kept, for what comes of the norms.
    """
    gradients = torch.autograd.grad(nll.sum(), [output for output, _ in taps], retain_graph=True)
    parts = [torch.atleast_2d(scale * _squares(g)) for g, (_, scale) in zip(gradients, taps, strict=True)]
    return torch.cat(parts).sum(0).sqrt()


def _choice(fields: Sequence[Field], column: str) -> float:
    """How much choice a column leaves: its entropy, or the number of its values where that is not known."""
    own = [field for field in fields if field.column == column]
    entropy = own[0].entropy
    return float(math.prod(field.size for field in own)) if entropy is None else entropy


def _squares(x: Tensor) -> Tensor:
    return x.detach().float().square().sum(-1)


def _weights(count: int, hidden: int, gain: float) -> nn.Parameter:
    return nn.Parameter(gain / math.sqrt(hidden) * torch.randn(count, hidden, hidden))


def _restricted(logits: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the allowed values alone, and the logarithm of their probability ``(B,)``."""
    kept = logits.masked_fill(~allowed, -torch.inf)
    return kept, kept.logsumexp(1) - logits.logsumexp(1)

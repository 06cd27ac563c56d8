"""Networks over tokens: encoders of texts, and decoders that predict each token from the code and those before it.

References: Cho et al. 2014 (arXiv 1406.1078) for the gated recurrent unit; Vaswani et al. 2017 (arXiv 1706.03762) for
attention, here with the normalisation first (Xiong et al. 2020, arXiv 2002.04745); Press & Wolf 2017 (arXiv 1608.05859)
for outputs that share the weights of the inputs; Dieng et al. 2019 (arXiv 1807.04863) for a code that reaches the
output without passing through the recurrence, so that it is not ignored.

Token 0 ends a text and fills what follows; token 1 is never written. A decoder's *state* is a list
of tensors whose first axis is the batch, so that a search can reorder it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, scaled_dot_product_attention

from aegan.nn.choice import Decoding
from aegan.nn.init import activation, linear

State = list[Tensor]
UNKNOWN = 1
"""Stands for what there is no token for; never written."""
NETWORKS = ("recurrent", "transformer")
HEAD = 32
"""Width of an attention head, at least."""


def lengths_of(x: Tensor) -> Tensor:
    """Tokens before the end ``(B,)`` of texts ``(B, T)``."""
    return (x != 0).long().cumprod(1).sum(1)


def in_use(x: Tensor) -> Tensor:
    """Bool ``(B, T)``: the tokens of a text and its end."""
    return torch.arange(x.shape[1], device=x.device) <= lengths_of(x)[:, None]


def trimmed(x: Tensor) -> Tensor:
    """Texts ``(B, T)`` as int64, without the columns in which none of them has anything."""
    x = x.long()
    return x[:, : min(x.shape[1], int(lengths_of(x).max()) + 1)]


class RecurrentTrunk(nn.Module):
    """Vectors of tokens ``(B, T, E)`` to features ``(B, hidden)``: a recurrence each way, the largest of each unit."""

    def __init__(self, embedding: int, *, hidden: int, layers: int) -> None:
        super().__init__()
        self.ahead = nn.GRU(embedding, hidden // 2, layers, batch_first=True)
        self.back = nn.GRU(embedding, hidden - hidden // 2, layers, batch_first=True)
        self.features = hidden

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        place = torch.arange(vectors.shape[1], device=vectors.device)
        used = place < lengths.clamp(min=1)[:, None]
        # Each text backwards by itself: what fills it stays at its end, where a recurrence that is read by its largest
        # values over the text never meets it.
        turned = torch.where(used, lengths.clamp(min=1)[:, None] - 1 - place, place)
        ahead = self.ahead(vectors)[0]
        back = self.back(vectors.gather(1, turned[..., None].expand_as(vectors)))[0]
        both = torch.cat([ahead, back], 2).masked_fill(~used[..., None], -torch.inf)
        return both.amax(1)


class Attention(nn.Module):
    """Attention of several heads among the vectors of a text ``(B, T, H)``."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        most = max(1, min(8, hidden // HEAD))
        self.heads = next(heads for heads in range(most, 0, -1) if hidden % heads == 0)
        self.inputs = linear(hidden, 3 * hidden)
        self.output = linear(hidden, hidden, gain=0.0)

    def split(self, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values ``(B, heads, T, head)``."""
        shape = (*h.shape[:2], self.heads, -1)
        q, k, v = (part.view(shape).transpose(1, 2) for part in self.inputs(h).chunk(3, dim=2))
        return q, k, v

    def joined(self, h: Tensor) -> Tensor:
        """Heads ``(B, heads, T, head)`` to ``(B, T, H)``."""
        return self.output(h.transpose(1, 2).flatten(2))


class TransformerLayer(nn.Module):
    """Attention and a perceptron, each on a normalised residual branch that starts at zero."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(2))
        self.attention = Attention(hidden)
        self.first, self.second = linear(hidden, 4 * hidden), linear(4 * hidden, hidden, gain=0.0)

    def forward(self, h: Tensor, *, mask: Tensor | None, causal: bool, dropped: float) -> Tensor:
        q, k, v = self.attention.split(self.norms[0](h))
        seen = scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
        h = h + dropout(self.attention.joined(seen), dropped)
        return h + dropout(self.perceptron(h), dropped)

    def perceptron(self, h: Tensor) -> Tensor:
        """The second branch."""
        return self.second(activation(self.first(self.norms[1](h))))

    def step(self, h: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One token ``(B, 1, H)`` more after those whose keys and values ``(B, heads, t, head)`` are kept."""
        q, k, v = self.attention.split(self.norms[0](h))
        keys, values = torch.cat([keys, k], 2), torch.cat([values, v], 2)
        h = h + self.attention.joined(scaled_dot_product_attention(q, keys, values))
        return h + self.perceptron(h), keys, values


class TransformerTrunk(nn.Module):
    """Vectors of tokens ``(B, T, E)`` to features ``(B, features)``: attention all ways, mean and largest."""

    def __init__(self, embedding: int, longest: int, *, hidden: int, layers: int) -> None:
        super().__init__()
        self.stem = linear(embedding, hidden)
        self.places = nn.Parameter(0.02 * torch.randn(longest, hidden))
        self.layers = nn.ModuleList(TransformerLayer(hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden)
        self.features = 2 * hidden

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        used = torch.arange(vectors.shape[1], device=vectors.device) < lengths.clamp(min=1)[:, None]
        h = self.stem(vectors) + self.places[: vectors.shape[1]]
        for layer in self.layers:
            h = layer(h, mask=used[:, None, None, :], causal=False, dropped=0.0)
        h, used = self.norm(h), used[..., None]
        mean = (h * used).sum(1) / used.sum(1)
        return torch.cat([mean, h.masked_fill(~used, -torch.inf).amax(1)], 1)


class TokenEncoder(nn.Module):
    """Texts ``(B, T)`` to codes ``(B, D)``; the token after the vocabulary's last stands for one that is hidden."""

    def __init__(
        self, vocabulary: int, longest: int, outputs: int, *, network: str, embedding: int, hidden: int, layers: int
    ) -> None:
        super().__init__()
        self.hidden_token = vocabulary
        self.embedding = nn.Embedding(vocabulary + 1, embedding)
        if network == "transformer":
            self.trunk: nn.Module = TransformerTrunk(embedding, longest, hidden=hidden, layers=layers)
        else:
            self.trunk = RecurrentTrunk(embedding, hidden=hidden, layers=layers)
        self.head = linear(int(self.trunk.features), outputs)

    def features(self, x: Tensor) -> Tensor:
        """Features ``(B, F)`` of texts."""
        x = trimmed(x)
        # What there is no token for was never seen; a hidden token was.
        return self.trunk(self.embedding(x.masked_fill(x == UNKNOWN, self.hidden_token)), lengths_of(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class TokenDecoder(nn.Module):
    """Codes ``(B, D)`` and texts ``(B, T)`` to the logits of each token given the code and the tokens before it.

    Args:
        vocabulary: Number of tokens.
        longest: T.
        latent_dim: D; 0 for a language model without a code.
        network: ``"recurrent"`` or ``"transformer"``.
        embedding: Length of a token's vector.
        hidden: Width.
        layers: Recurrent or attention layers.
        dropped: Share of the vectors, between layers and before the output, that is zero in a training step.

    Attributes:
        decoding: How the tokens of samples are chosen; not a part of what is learnt.
    """

    def __init__(
        self,
        vocabulary: int,
        longest: int,
        latent_dim: int,
        *,
        network: str,
        embedding: int,
        hidden: int,
        layers: int,
        dropped: float,
    ) -> None:
        super().__init__()
        self.vocabulary, self.longest, self.latent_dim = vocabulary, longest, latent_dim
        self.layers, self.hidden, self.dropped = layers, hidden, dropped
        self.decoding = Decoding()
        self.recurrent = network == "recurrent"
        self.embedding = nn.Embedding(vocabulary, embedding)
        nn.init.normal_(self.embedding.weight, 0.0, 1.0 / math.sqrt(embedding))
        self.scale = math.sqrt(embedding)
        self.start_vector = nn.Parameter(torch.zeros(embedding))
        if self.recurrent:
            self.start_state = linear(latent_dim, layers * hidden) if latent_dim else None
            between = dropped if layers > 1 else 0.0
            self.core: nn.Module = nn.GRU(embedding + latent_dim, hidden, layers, batch_first=True, dropout=between)
        else:
            self.context = linear(latent_dim, hidden) if latent_dim else None
            self.stem = linear(embedding, hidden)
            self.places = nn.Parameter(0.02 * torch.randn(longest, hidden))
            self.core = nn.ModuleList(TransformerLayer(hidden) for _ in range(layers))
            self.norm = nn.LayerNorm(hidden)
        self.skip = linear(latent_dim, embedding, gain=0.5) if latent_dim else None
        self.head = linear(hidden, embedding)
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, z: Tensor | None, x: Tensor, shown: Tensor | None = None) -> Tensor:
        """What each token is predicted from, ``(B, T, E)``; :meth:`logits` turns it into logits.

        Args:
            z: Codes ``(B, D)``; None without a code.
            x: Texts ``(B, T)``.
            shown: Bool ``(B, T)``: the tokens that those after them see; the others' vectors are zero. None: all.
        """
        vectors = self.embedding(x[:, :-1]) * self.scale
        if shown is not None:
            vectors = vectors * shown[:, :-1, None]
        vectors = torch.cat([self.start_vector.expand(len(x), 1, -1), vectors], 1)
        vectors = dropout(vectors, self.dropped, self.training)
        if self.recurrent:
            h = self.core(self._with(vectors, z), self._start(z, len(x)))[0]
        else:
            h = self.stem(vectors) + self.places[: x.shape[1]]
            if self.context is not None:
                h = h + self.context(z)[:, None]
            for layer in self.core:  # type: ignore[attr-defined]
                h = layer(h, mask=None, causal=True, dropped=self.dropped if self.training else 0.0)
            h = self.norm(h)
        return dropout(self._output(h, z), self.dropped, self.training)

    def logits(self, h: Tensor) -> Tensor:
        """Logits ``(..., V)`` of ``(..., E)``."""
        return (h @ self.embedding.weight.T + self.bias).float()

    def begin(self, z: Tensor | None, count: int) -> State:
        """The state before the first token of ``count`` texts."""
        if self.recurrent:
            return list(self._start(z, count).unbind(0))
        heads = self.core[0].attention.heads  # type: ignore[index]
        empty = self.bias.new_zeros(count, heads, 0, self.hidden // heads)
        return [empty] * (2 * self.layers)

    def step(self, state: State, token: Tensor | None, z: Tensor | None) -> tuple[Tensor, State]:
        """Logits ``(B, V)`` after ``token`` ``(B,)``, and the state; None begins the texts.

        Args:
            state: As of :meth:`begin` or the step before.
            token: The last token of each text.
            z: Codes ``(B, D)``.
        """
        count = len(state[0])
        vector = self.start_vector.expand(count, -1) if token is None else self.embedding(token) * self.scale
        if self.recurrent:
            h, last = self.core(self._with(vector[:, None], z), torch.stack(state))
            return self.logits(self._output(h, z)[:, 0]), list(last.unbind(0))
        h = self.stem(vector)[:, None] + self.places[state[0].shape[2]]
        if self.context is not None:
            h = h + self.context(z)[:, None]
        after: State = []
        for i, layer in enumerate(self.core):  # type: ignore[arg-type]
            h, keys, values = layer.step(h, state[2 * i], state[2 * i + 1])
            after += [keys, values]
        return self.logits(self._output(self.norm(h), z)[:, 0]), after

    def _with(self, vectors: Tensor, z: Tensor | None) -> Tensor:
        if z is None or not self.latent_dim:
            return vectors
        return torch.cat([vectors, z[:, None].expand(-1, vectors.shape[1], -1)], 2)

    def _start(self, z: Tensor | None, count: int) -> Tensor:
        if self.start_state is None or z is None:
            return self.bias.new_zeros(self.layers, count, self.hidden)
        return torch.tanh(self.start_state(z)).view(count, self.layers, self.hidden).transpose(0, 1).contiguous()

    def _output(self, h: Tensor, z: Tensor | None) -> Tensor:
        out = self.head(h)
        return out if self.skip is None or z is None else out + self.skip(z)[:, None]

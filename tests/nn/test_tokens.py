"""Networks of tokens, and how texts are written with them."""

from __future__ import annotations

import math

import pytest
import torch

from aegan.errors import ConfigError
from aegan.nn.decoding import Decoding, choose, fill, log_likelihoods, write
from aegan.nn.tokens import NETWORKS, TokenDecoder, TokenEncoder, in_use, lengths_of, trimmed

V, T, D = 7, 6, 3


def decoder(network: str = "recurrent", dim: int = D, layers: int = 2) -> TokenDecoder:
    torch.manual_seed(0)
    made = TokenDecoder(V, T, dim, network=network, embedding=8, hidden=16, layers=layers, dropped=0.0).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return made


def texts(n: int = 8) -> torch.Tensor:
    x = torch.randint(2, V, (n, T), generator=torch.Generator().manual_seed(1))
    return torch.where(torch.arange(T) < 1 + torch.arange(n)[:, None] % (T - 1), x, 0)


def test_lengths_and_what_is_in_use() -> None:
    x = torch.tensor([[3, 0, 5, 0], [1, 2, 3, 0], [0, 0, 0, 0]])
    assert lengths_of(x).tolist() == [1, 3, 0]
    assert in_use(x).sum(1).tolist() == [2, 4, 1]
    assert trimmed(x[[0, 2]]).shape == (2, 2)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dim", [0, D])
def test_a_step_at_a_time_is_the_same_as_all_at_once(network: str, dim: int) -> None:
    made, x = decoder(network, dim), texts()
    z = torch.randn(len(x), dim) if dim else None
    with torch.no_grad():
        whole = made.logits(made(z, x))
        state, token = made.begin(z, len(x)), None
        for t in range(T):
            logits, state = made.step(state, token, z)
            torch.testing.assert_close(logits, whole[:, t], atol=1e-4, rtol=1e-4)
            token = x[:, t]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_token_depends_on_those_before_it_alone(network: str) -> None:
    made, x, z = decoder(network), texts(), torch.randn(8, D)
    other = x.clone()
    other[:, 3:] = (x[:, 3:] + 1) % V
    with torch.no_grad():
        torch.testing.assert_close(made(z, x)[:, :4], made(z, other)[:, :4])
        assert not torch.allclose(made(z, x)[:, 4], made(z, other)[:, 4])
        assert not torch.allclose(made(z, x), made(z + 1, x))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_code_does_not_depend_on_what_fills_the_batch(network: str) -> None:
    torch.manual_seed(0)
    encoder = TokenEncoder(V, T, 4, network=network, embedding=8, hidden=16, layers=1)
    x = texts()
    with torch.no_grad():
        whole = encoder(x)
        for i in range(len(x)):
            torch.testing.assert_close(encoder(x[i : i + 1])[0], whole[i], atol=1e-5, rtol=1e-4)
        turned = x.clone()
        turned[4, :2] = x[4, :2].flip(0)
        assert not torch.allclose(encoder(turned)[4], whole[4])


def test_draws_follow_temperature_and_top_p() -> None:
    logits, u = torch.tensor([[0.1, 0.2, 0.7]]).log().expand(10_000, -1), torch.rand(10_000)
    share = lambda d: torch.bincount(choose(logits, u, d), minlength=3) / 10_000  # noqa: E731
    torch.testing.assert_close(share(Decoding()), torch.tensor([0.1, 0.2, 0.7]), atol=0.02, rtol=0)
    cold = torch.tensor([0.1, 0.2, 0.7]) ** 2
    torch.testing.assert_close(share(Decoding(temperature=0.5)), cold / cold.sum(), atol=0.02, rtol=0)
    torch.testing.assert_close(share(Decoding(top_p=0.8)), torch.tensor([0.0, 2 / 9, 7 / 9]), atol=0.02, rtol=0)
    assert choose(logits[:5], u[:5], Decoding(method="greedy")).tolist() == [2] * 5
    assert choose(logits[:1], torch.ones(1), Decoding(top_p=0.5)).tolist() == [2]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_wide_search_finds_the_likeliest_text(network: str) -> None:
    small = TokenDecoder(4, 4, D, network=network, embedding=8, hidden=16, layers=1, dropped=0.0).eval()
    with torch.no_grad():
        for p in small.parameters():
            p.add_(0.5 * torch.randn_like(p))
        z = torch.randn(2, D)
        every = torch.cartesian_prod(*[torch.tensor([0, 2, 3])] * 3)
        every = torch.cat([torch.where(every.eq(0).cummax(1).values, 0, every).unique(dim=0)], 0)
        every = torch.cat([every, torch.zeros(len(every), 1, dtype=torch.int64)], 1)
        # The last end is certain: it is not predicted.
        best = [every[(log_likelihoods(small, row.expand(len(every), -1), every)[:, :3]).sum(1).argmax()] for row in z]
        assert write(small, z, None, Decoding(method="beam", beams=27)).tolist() == torch.stack(best).tolist()
        one = write(small, z, None, Decoding(method="beam", beams=1))
        assert one.tolist() == write(small, z, None, Decoding(method="greedy")).tolist()


def test_what_is_given_begins_every_text() -> None:
    made, z = decoder(), torch.randn(4, D)
    given = torch.tensor([[5, 2]]).expand(4, -1)
    for decoding in (Decoding(), Decoding(method="beam", beams=3)):
        x = write(made, z, torch.rand(4, T), decoding, given=given)
        assert x[:, :2].tolist() == [[5, 2]] * 4 and (x[:, -1] == 0).all()


def test_a_gap_is_filled_by_what_the_right_side_asks_for() -> None:
    """A decoder that repeats the token before the last one: the right side decides what is in the gap."""
    made = decoder(dim=0, layers=1)
    x = torch.tensor([[a, b, a, b, 0, 0] for a in range(2, V) for b in range(2, V)])
    optimizer = torch.optim.Adam(made.parameters(), lr=0.02)
    for _ in range(150):
        optimizer.zero_grad()
        (-log_likelihoods(made, None, x).sum(1).mean()).backward()
        optimizer.step()
    generator, options = torch.Generator().manual_seed(0), {"most": 2, "candidates": 64, "decoding": Decoding()}
    with torch.no_grad():
        found = [fill(made, None, [3], [3, b], generator=generator, **options) for b in (2, 4, 6)]  # type: ignore[arg-type]
    assert found == [[2], [4], [6]]


@pytest.mark.parametrize(
    "options", [{"method": "dice"}, {"temperature": 0.0}, {"temperature": math.nan}, {"top_p": 0.0}, {"beams": 0}]
)
def test_decodings_that_cannot_work(options: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        Decoding(**options)

"""Relevance against a Jacobian known by hand."""

from __future__ import annotations

import torch

from aegan.metrics.relevance import reconstruction_relevance


def test_a_linear_autoencoder_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    encoder = torch.randn(2, 5, generator=generator)
    decoder = 0.3 * encoder.T + 0.1 * torch.randn(5, 2, generator=generator)
    x = torch.randn(120, 2, generator=generator) @ encoder + 0.5 * torch.randn(120, 5, generator=generator)
    encoder[:, 4] = 0.0  # looked at by no code
    found = reconstruction_relevance(lambda v: v @ encoder.T, lambda z: z @ decoder.T, x, splits=400)
    std = x.std(0, correction=0)
    jacobian = decoder @ encoder * std / std[:, None]
    expected = (jacobian * torch.corrcoef(x.T)).fill_diagonal_(0.0).sum(0).clamp(min=0).double()
    assert float(found[4]) == 0.0 and (expected > 0.1).sum() >= 2
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


def test_a_copy_makes_no_column_relevant_and_neither_is_a_constant_one() -> None:
    x = torch.randn(50, 1, generator=torch.Generator().manual_seed(0)).repeat(1, 4)
    assert reconstruction_relevance(lambda v: v, lambda z: z, x).tolist() == [0.0] * 4
    x[:, 1] = 3.0
    mixed = torch.ones(4, 4)
    found = reconstruction_relevance(lambda v: v @ mixed, lambda z: z, x)
    assert found[1] == 0.0 and (found[[0, 2, 3]] > 0.5).all()


def test_a_seed_decides_the_probes_and_images_are_flattened() -> None:
    x = torch.randn(30, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    mixed = torch.randn(6, 6, generator=torch.Generator().manual_seed(1))
    function = [lambda v: v.flatten(1) @ mixed, lambda z: z.view(-1, 1, 2, 3)]
    first, again, other = (reconstruction_relevance(*function, x, seed=seed) for seed in (0, 0, 1))
    assert first.shape == (6,) and torch.equal(first, again) and not torch.equal(first, other)

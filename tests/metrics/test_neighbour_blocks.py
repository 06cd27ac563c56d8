"""Nearest neighbours in a reference that is looked through block by block."""

from __future__ import annotations

import pytest
import torch

from aegan.metrics.neighbours import nearest_neighbours, neighbours_within


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_blocks_find_what_the_whole_does(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    query, reference = (torch.randn(n, 3, generator=generator) for n in (20, 50))
    usual = nearest_neighbours(query, reference, 4), neighbours_within(reference, 4)
    exact = torch.cdist(query.double(), reference.double()).sort(1)
    assert torch.equal(usual[0].index, exact.indices[:, :4])
    monkeypatch.setattr("aegan.metrics.neighbours.BLOCK_ROWS", rows)
    monkeypatch.setattr("aegan.metrics.neighbours.CHUNK_VALUES", 100)
    for found, expected in zip(
        (nearest_neighbours(query, reference, 4), neighbours_within(reference, 4)), usual, strict=True
    ):
        assert torch.equal(found.index, expected.index) and torch.equal(found.distance, expected.distance)

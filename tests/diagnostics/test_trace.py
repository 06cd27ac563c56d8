"""The doctor beside loops of all sorts: it changes nothing in them, and is not misled by them."""

from __future__ import annotations

import io
import random

import pytest
import torch
from torch import Tensor, nn

from aegan.diagnostics import Doctor


class Flipping(nn.Module):
    """A discriminator that draws from Python's random numbers, and has a buffer in its graph."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
        self.register_buffer("scale", torch.full((8,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.body((x if random.random() < 0.5 else -x) * self.scale)


def pair(*, norm: bool = False) -> tuple[nn.Sequential, nn.Module]:
    torch.manual_seed(0)
    random.seed(0)
    middle = [nn.BatchNorm1d(16)] if norm else []
    return nn.Sequential(nn.Linear(4, 16), *middle, nn.LeakyReLU(0.2), nn.Linear(16, 8)), Flipping()


def train(
    G: nn.Module, D: nn.Module, doctor: Doctor | None, *, steps: int = 20, critics: int = 1, apart: bool = False
) -> None:
    """Looks before the backward pass of the generator; ``apart``: an optimiser for each of its parameters."""
    ways = [[p] for p in G.parameters()] if apart else [list(G.parameters())]
    opts = [torch.optim.SGD(way, lr=0.01) for way in ways]
    opt_d = torch.optim.SGD(D.parameters(), lr=0.01)
    stream = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for _ in range(critics):
            real = torch.randn(32, 8, generator=stream)
            fake = G(torch.randn(32, 4)).detach()
            loss = nn.functional.softplus(-D(real)).mean() + nn.functional.softplus(D(fake)).mean()
            opt_d.zero_grad()
            loss.backward()
            opt_d.step()
        fake = G(torch.randn(32, 4))
        loss = nn.functional.softplus(-D(fake)).mean()
        if doctor is not None:
            doctor.observe(real=real, fake=fake, losses={"generator": loss})
        for opt in opts:
            opt.zero_grad()
        loss.backward()
        for opt in opts:
            opt.step()


def test_pythons_random_numbers_and_buffers_in_an_open_graph_are_left_alone() -> None:
    told = []
    for watched in (False, True):
        G, D = pair(norm=True)
        doctor = Doctor(generator=G, discriminator=D, every=1) if watched else None
        train(G, D, doctor)
        told.append([*G.state_dict().values(), *D.state_dict().values()])
        assert doctor is None or not doctor.errors
    assert all(torch.equal(a, b) for a, b in zip(*told, strict=True))


def test_watched_networks_can_be_copied_and_written() -> None:
    G, D = pair()
    doctor = Doctor(generator=G, discriminator=D, every=1)
    with doctor:
        torch.save(G, io.BytesIO())
        average = torch.optim.swa_utils.AveragedModel(G)
        average(torch.randn(4, 4))
        train(G, D, doctor, steps=3)
    torch.save(average, io.BytesIO())
    assert not G._forward_pre_hooks and any("generator/condition" in look.values for look in doctor.history.looks)


def test_a_wrapper_for_several_devices_is_looked_into() -> None:
    G, D = pair()
    wrapped = nn.DataParallel(G)
    doctor = Doctor(generator=wrapped, discriminator=D, every=1)
    train(wrapped, D, doctor, steps=3)
    assert doctor.networks["generator"] is G and not doctor.errors


@pytest.mark.parametrize("loop", [{"critics": 60, "steps": 12}, {"apart": True, "steps": 40}])
def test_steps_of_networks_are_counted_by_themselves(loop: dict[str, int]) -> None:
    G, D = pair()
    doctor = Doctor(generator=G, discriminator=D, every=1)
    with doctor:
        train(G, D, doctor, **loop)  # type: ignore[arg-type]
    assert "no-gradient" not in {v.name for v in doctor.verdicts()}
    assert doctor.history.recent("generator/pace") == pytest.approx(1.0, abs=0.2)


def test_batchnorm_that_is_frozen_on_purpose_is_not_misused() -> None:
    for frozen in (True, False):
        G, D = pair(norm=True)
        G[1].running_var.fill_(30.0)
        G[1].momentum = 1e-6
        if frozen:
            G[1].eval()
        doctor = Doctor(generator=G, discriminator=D, every=1)
        train(G, D, doctor)
        assert ("batchnorm" in {v.name for v in doctor.verdicts()}) is not frozen
        assert frozen is not any("generator/mode_gap" in look.values for look in doctor.history.looks)


def test_batches_in_tensors_that_are_filled_again_are_kept_apart() -> None:
    G, D = pair()
    doctor = Doctor(generator=G, discriminator=D, every=1)
    real, fake = torch.empty(32, 8), torch.empty(32, 8)
    for _ in range(12):
        real.copy_(torch.randn(32, 8))
        fake.copy_(G(torch.randn(32, 4)).detach())
        doctor.observe(real=real, fake=fake)
    assert doctor.history.points("samples/excess")


def test_a_discriminator_whose_answer_cannot_be_read_is_told_in_words() -> None:
    for answer, words in ((lambda x: x.mean().view(1), "a logit a sample"), (lambda x: (x, x), "judge=")):
        doctor = Doctor(generator=nn.Linear(4, 8), every=1, judge=answer)
        for _ in range(3):
            doctor.observe(real=torch.randn(32, 8), fake=torch.randn(32, 8))
        assert words in doctor.errors[0]

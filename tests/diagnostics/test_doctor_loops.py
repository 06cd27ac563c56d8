"""Loops as users write them: what the doctor reads of each is what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import softplus
from torch.optim.optimizer import _global_optimizer_pre_hooks  # pyright: ignore[reportPrivateUsage]

from aegan.diagnostics import Doctor
from aegan.diagnostics.balance import spectral_norms
from aegan.diagnostics.history import Look

ANGLES = 6.28 * torch.rand(500, generator=torch.Generator().manual_seed(0))
POINTS = torch.stack([ANGLES.cos(), ANGLES.sin()], 1)


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    torch.manual_seed(inputs)
    return nn.Sequential(nn.Linear(inputs, 16), nn.LeakyReLU(0.2), nn.Linear(16, 16), nn.Linear(16, outputs))


class Pair:
    """A small GAN, one step at a time."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.G, self.D = mlp(8, 2).to(dtype), mlp(2, 1).to(dtype)
        self.o_g, self.o_d = (torch.optim.Adam(n.parameters(), 1e-3, betas=(0.5, 0.99)) for n in (self.G, self.D))
        self.doctor = Doctor(generator=self.G, discriminator=self.D, every=1)
        self.dtype = dtype

    def step(self, before: Callable[[], None] = lambda: None) -> None:
        """One step of each."""
        x = POINTS[torch.randint(500, (32,))].to(self.dtype)
        fake = self.G(torch.randn(32, 8, dtype=self.dtype))
        loss = softplus(-self.D(x)).mean() + softplus(self.D(fake.detach())).mean()
        self.o_d.zero_grad()
        loss.backward()
        before()
        self.o_d.step()
        loss_g = softplus(-self.D(fake)).mean()
        self.o_g.zero_grad()
        loss_g.backward()
        self.o_g.step()
        self.doctor.observe(real=x, fake=fake, losses={"d": loss, "g": loss_g})


def spoil(network: nn.Sequential) -> None:
    """An infinite gradient."""
    layer: Any = network[0]
    layer.weight.grad[1, 1] = float("inf")


def test_the_first_place_in_time_is_told() -> None:
    pair = Pair()
    with pair.doctor:
        for i in range(8):
            pair.step((lambda: spoil(pair.D)) if i == 5 else lambda: None)
    verdict = pair.doctor.verdicts()[0]
    assert verdict.name == "non-finite" and "discriminator: gradient of 0.weight[1, 1] is inf" in verdict.why


def test_parameters_that_come_to_an_optimiser_later_are_seen() -> None:
    pair = Pair()
    pair.o_g = torch.optim.Adam([torch.zeros(1, requires_grad=True)], 1e-3)
    with pair.doctor:
        for i in range(25):
            if i == 1:
                pair.o_g.add_param_group({"params": list(pair.G.parameters())})
            pair.step()
    assert not any(v.name == "no-gradient" for v in pair.doctor.verdicts())


@pytest.mark.parametrize("inside", [True, False])
def test_gradients_of_a_closure_are_those_of_the_step(inside: bool) -> None:
    encoder, decoder = mlp(2, 1), mlp(1, 2)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 1e-3)
    norms: list[float] = []

    def closure() -> Tensor:
        if inside:
            optimizer.zero_grad()
        loss = (decoder(encoder(POINTS)) - POINTS).square().mean()
        loss.backward()
        norms.append(float(nn.utils.get_total_norm([p.grad for p in decoder.parameters() if p.grad is not None])))
        return loss

    doctor = Doctor(encoder=encoder, decoder=decoder, every=1)
    with doctor:
        for _ in range(12):
            loss = optimizer.step(closure)  # pyright: ignore[reportCallIssue, reportArgumentType]
            if not inside:
                optimizer.zero_grad()
            doctor.observe(real=POINTS, losses={"loss": loss})
    assert [v for _, v in doctor.history.points("decoder/gradient")] == pytest.approx(norms, rel=1e-4)
    assert [v.name for v in doctor.verdicts()] == ["healthy"] and doctor.errors == []


def test_two_optimisers_of_one_network_make_one_step() -> None:
    def updates(split: bool) -> list[float]:
        net = mlp(2, 2)
        parts = [[p for p in net.parameters() if (p.ndim > 1) == matrix] for matrix in (True, False)]
        optimizers = [torch.optim.SGD(part, 0.1) for part in (parts if split else [list(net.parameters())])]
        doctor = Doctor(generator=net, every=1)
        with doctor:
            for _ in range(20):
                for optimizer in optimizers:
                    optimizer.zero_grad()
                (net(POINTS) - POINTS).square().mean().backward()
                for optimizer in optimizers:
                    optimizer.step()
                doctor.observe()
        return [v for name in ("update", "turn", "signal") for _, v in doctor.history.points(f"generator/{name}")]

    assert updates(split=True) == pytest.approx(updates(split=False), rel=1e-4)


def test_a_frozen_network_is_not_judged() -> None:
    pair = Pair()
    with pair.doctor:
        for i in range(60):
            if i == 20:
                pair.D.requires_grad_(False)
            if i < 20:
                pair.step()
            else:
                fake = pair.G(torch.randn(32, 8))
                pair.o_g.zero_grad()
                softplus(-pair.D(fake)).mean().backward()
                pair.o_g.step()
                pair.o_d.step()
                pair.doctor.observe(fake=fake)
    assert not any(v.where.startswith("discriminator") for v in pair.doctor.verdicts())


def test_one_with_after_another_goes_on_and_none_leaves_hooks() -> None:
    whole, parts = Pair(), Pair()
    for pair, blocks in ((whole, 1), (parts, 5)):
        torch.manual_seed(1)
        for _ in range(blocks):
            with pair.doctor:
                for _ in range(25 // blocks):
                    pair.step()
    names = ("generator/signal", "generator/travel", "discriminator/weight")
    for name in names:
        assert parts.doctor.history.points(name) == whole.doctor.history.points(name) != []
    parts.doctor.observe(real=POINTS)
    assert not _global_optimizer_pre_hooks and not parts.G._forward_pre_hooks


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_networks_of_other_precisions_are_asked_in_their_own(dtype: torch.dtype) -> None:
    pair = Pair(dtype)
    with pair.doctor:
        for _ in range(6):
            pair.step()
    found = set(pair.doctor.history.names)
    assert {"discriminator/separation", "discriminator/slope"} <= found and pair.doctor.errors == []
    assert dtype == torch.bfloat16 or "generator/condition" in found


def test_gradients_that_explode_are_seen_in_fp16() -> None:
    net = mlp(8, 2).half()
    optimizer = torch.optim.SGD(net.parameters(), 1e-9)
    with Doctor(generator=net, every=1) as doctor:
        for _ in range(12):
            for p in net.parameters():
                p.grad = torch.full_like(p, 2e4)  # finite, but its squares are not
            optimizer.step()
            doctor.observe()
    assert [v.name for v in doctor.verdicts()] == ["exploding-gradients"] and doctor.errors == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_looks_within_autocast_are_those_outside(dtype: torch.dtype) -> None:
    looks = []
    for inside in (False, True):
        torch.manual_seed(0)
        G, D = mlp(4, 80), mlp(80, 1)
        doctor = Doctor(generator=G, discriminator=D, every=1)
        with doctor:
            z, real = torch.randn(64, 4), torch.randn(128, 80)
            fake = G(z).detach()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=inside):
                doctor.observe(real=real if not inside else real.to(dtype), fake=fake)
        assert doctor.errors == []
        looks.append(doctor.history.looks[0].values)
    assert {"samples/coverage", "discriminator/slope", "generator/condition"} <= set(looks[1])
    assert looks[1] == (looks[0] if dtype == torch.float32 else pytest.approx(looks[0], rel=0.1, abs=0.01))


@pytest.mark.parametrize("batch", [1, 3])
def test_small_batches_are_judged_as_large_ones(batch: int) -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(6000, 2) + torch.tensor([1.0, 0.0]), torch.randn(6000, 2)
    found = []
    for rows, looks in ((batch, 300), (64, 60)):
        doctor = Doctor(decoder=mlp(2, 2), judge=lambda x: 3 * x[:, 0], every=1)
        for i in range(looks):
            doctor.observe(real=real[i * rows : (i + 1) * rows], fake=fake[i * rows : (i + 1) * rows])
        assert not {v.name for v in doctor.verdicts()} & {"discriminator-weak", "discriminator-strong"}
        names = ("separation", "accuracy", "gap", "slope", "slope_fake")
        found.append([doctor.history.recent(f"discriminator/{name}") for name in names])
        assert doctor.errors == [] and len(doctor.history.points("discriminator/separation")) > looks - 32
    assert found[0] == pytest.approx(found[1], rel=0.2)


def test_a_judge_of_small_batches_is_asked_about_the_batch_at_hand() -> None:
    labels = torch.zeros(0)
    doctor = Doctor(decoder=mlp(2, 2), judge=lambda x: 3.0 - (x[:, 0] - labels).abs(), every=1)
    for i in range(60):
        labels = torch.full((2,), float(i))
        doctor.observe(real=torch.randn(2, 2) * 0.1 + i, fake=torch.randn(2, 2) + i)
    assert 0.8 < (doctor.history.recent("discriminator/separation") or 0.0) < 1.0 and doctor.errors == []


def test_one_sample_again_and_again_has_no_slope() -> None:
    doctor = Doctor(decoder=mlp(2, 2), judge=lambda x: x[:, 0], every=1)
    for rows in (1, 40):
        for _ in range(40):
            doctor.observe(real=torch.ones(rows, 2), fake=torch.randn(rows, 2))
    assert "discriminator/separation" in doctor.history.names and "discriminator/slope" not in doctor.history.names


@pytest.mark.parametrize("side", ["real", "fake"])
def test_logits_that_are_not_finite_are_named_and_not_compared(side: str) -> None:
    bad = 1.0 if side == "real" else 0.0
    doctor = Doctor(generator=mlp(2, 2), judge=lambda x: torch.where(x[:, 0] == bad, torch.nan, x[:, 1]), every=1)
    for _ in range(20):
        doctor.observe(real=2.0 + torch.rand(64, 2), fake=-1.0 - torch.rand(64, 2))
    assert doctor.history.first_note("non-finite") is None and "discriminator/separation" in doctor.history.names
    real, fake = torch.randn(64, 2), torch.randn(64, 2) + 3.0
    (real if side == "real" else fake)[5, 0] = bad
    seen = len(doctor.history.points("discriminator/separation"))
    doctor.observe(real=real, fake=fake)
    assert doctor.history.first_note("non-finite") == (21, f"logits of {side}[5] is nan")
    assert doctor.verdicts()[0].name == "non-finite" and doctor.errors == []
    assert len(doctor.history.points("discriminator/separation")) == seen


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm])
def test_spectral_norms_are_those_of_the_weights_in_use(norm: Callable[[nn.Module], nn.Module]) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(norm(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 2))
    for _ in range(50):
        net(torch.randn(4, 6))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    found = spectral_norms(net)
    assert found["0"] == pytest.approx(1.0, abs=0.02) and set(found) == {"0", "2"}
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


@pytest.mark.parametrize("data", [{"step": "abc"}, {"step": 1e999}, {"step": 3, "spectrum": 5}, {"values": [1]}])
def test_a_damaged_look_is_read_as_far_as_it_goes(data: dict[str, Any]) -> None:
    assert Look.from_json(data).spectrum == ()


class _Once(torch.autograd.Function):
    """As what ``torch.compile`` makes: without a second derivative."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0]


class Compiled(nn.Module):
    """A stand-in for ``torch.compile(network)``, whose own takes seconds."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._orig_mod = network

    def forward(self, x: Tensor) -> Tensor:
        return _Once.apply(self._orig_mod(x))  # pyright: ignore[reportReturnType]


def watched(generator: nn.Module) -> Doctor:
    """A doctor that saw some steps of a generator of two numbers."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(generator.parameters(), 0.1)
    with Doctor(generator=generator, every=1) as doctor:
        for _ in range(3):
            optimizer.zero_grad()
            generator(torch.randn(16, 2)).square().mean().backward()
            optimizer.step()
            doctor.observe()
    return doctor


def test_a_compiled_generator_is_seen_as_itself() -> None:
    plain, compiled = watched(mlp(2, 6)), watched(Compiled(mlp(2, 6)))
    assert plain.errors == compiled.errors == [] and plain.history.looks == compiled.history.looks
    assert "generator/condition" in compiled.history.names


def test_a_module_compiled_in_place_runs_as_written_in_looks() -> None:
    net: Any = mlp(2, 6)
    net[0]._compiled_call_impl = made = lambda x: _Once.apply(net[0]._call_impl(x))
    doctor = watched(net)
    assert doctor.errors == [] and "generator/condition" in doctor.history.names
    assert net[0]._compiled_call_impl is made


def test_a_generator_without_a_second_derivative_is_told_of() -> None:
    doctor = watched(nn.Sequential(Compiled(mlp(2, 6))))
    assert len(doctor.errors) == 1 and "differentiated twice" in doctor.report()
    assert "generator/gradient" in doctor.history.names and "generator/condition" not in doctor.history.names


@pytest.mark.parametrize(
    ("steps", "looks"),
    [
        (range(40), [1, 11, 21, 31]),
        (range(0, 40, 5), [1, 11, 21, 31]),
        (range(3, 40, 4), [4, 12, 24, 32]),  # gradients accumulated over four batches
        (range(4, 40, 5), [5, 15, 25, 35]),
        (range(2, 40, 3), [3, 12, 21, 33]),
    ],
)
def test_a_network_that_learns_at_some_steps_only_is_looked_at(steps: range, looks: list[int]) -> None:
    net = mlp(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    doctor = Doctor(generator=net, every=10)
    with doctor:
        for i in range(40):
            (net(POINTS) - POINTS).square().mean().backward()
            if i in steps:
                optimizer.step()
                optimizer.zero_grad()
            doctor.observe()
    for name in ("gradient", "update", "travel"):
        assert [step for step, _ in doctor.history.points(f"generator/{name}")] == looks

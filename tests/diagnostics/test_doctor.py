"""The doctor in a plain loop: what it sees, and that it leaves no trace."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from aegan.diagnostics import Doctor
from aegan.diagnostics.schedule import Schedule
from aegan.diagnostics.writers import tensorboard, wandb
from aegan.errors import ConfigError
from aegan.losses import ADVERSARIAL, zero_centred_gradient


class Pair:
    """A GAN on eight normal values, by hand; ``spoil`` is called on the fakes of the generator's step."""

    def __init__(self, *, lr: float = 1e-3, norm: bool = False) -> None:
        torch.manual_seed(0)
        middle = [nn.BatchNorm1d(16)] if norm else []
        self.G = nn.Sequential(nn.Linear(4, 16), *middle, nn.LeakyReLU(0.2), nn.Linear(16, 8))
        self.D = nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(8, 16)), nn.LeakyReLU(0.2), nn.Linear(16, 1)
        )
        self.opt_G = torch.optim.Adam(self.G.parameters(), lr=lr)
        self.opt_D = torch.optim.Adam(self.D.parameters(), lr=lr)
        self.data = torch.randn(512, 8)

    def steps(self, count: int, doctor: Doctor | None = None, *, detach: bool = False, spoil: bool = False) -> None:
        loss = ADVERSARIAL["relativistic"]
        for _ in range(count):
            real = self.data[torch.randint(0, 512, (64,))].clone()
            if spoil:
                real[3, 2] = float("nan")
            real.requires_grad_(True)
            high, low = self.D(real), self.D(self.G(torch.randn(64, 4)).detach())
            self.opt_D.zero_grad()
            loss.discriminator(high, low).backward(retain_graph=True)
            zero_centred_gradient(high, real).backward()  # a second backward in the same step
            self.opt_D.step()
            fake = self.G(torch.randn(64, 4))
            if detach:
                fake = fake.detach().requires_grad_(True)
            self.opt_G.zero_grad()
            value = loss.generator(high.detach(), self.D(fake))
            value.backward()
            self.opt_G.step()
            if doctor is not None:
                doctor.observe(real=real, fake=fake, losses={"generator": value})

    def weights(self) -> list[Tensor]:
        return [*self.G.state_dict().values(), *self.D.state_dict().values()]


@pytest.mark.parametrize("norm", [False, True])
def test_watching_changes_nothing_to_the_bit(norm: bool) -> None:
    plain, watched = Pair(norm=norm), Pair(norm=norm)
    torch.manual_seed(1)
    plain.steps(6)
    after = torch.get_rng_state()
    torch.manual_seed(1)
    doctor = Doctor(generator=watched.G, discriminator=watched.D, every=1)
    with doctor:
        watched.steps(6, doctor)
    assert torch.equal(torch.get_rng_state(), after) and not doctor.errors
    assert all(torch.equal(a, b) for a, b in zip(plain.weights(), watched.weights(), strict=True))
    values = doctor.history.looks[-1].values
    assert {"generator/gradient", "generator/update", "discriminator/separation", "samples/coverage",
            "generator/condition", "discriminator/sigma", "discriminator/slope"} <= set(values)  # fmt: skip
    assert ("generator/mode_gap" in values) is norm


def test_hooks_are_removed() -> None:
    from torch.optim import optimizer

    pair = Pair()
    before = len(optimizer._global_optimizer_pre_hooks), len(optimizer._global_optimizer_post_hooks)
    with Doctor(generator=pair.G, every=1) as doctor:
        pair.steps(2, doctor)
        assert len(optimizer._global_optimizer_pre_hooks) == before[0] + 1 and pair.G._forward_pre_hooks
    assert (len(optimizer._global_optimizer_pre_hooks), len(optimizer._global_optimizer_post_hooks)) == before
    assert not pair.G._forward_pre_hooks
    forgotten = Doctor(generator=pair.G, every=1)
    pair.steps(1, forgotten)
    del forgotten
    assert len(optimizer._global_optimizer_pre_hooks) == before[0]


def test_gradients_are_those_of_the_step_and_not_of_a_later_backward() -> None:
    pair = Pair()
    seen: list[float] = []
    pair.opt_D.register_step_pre_hook(
        lambda *_: seen.append(float(torch.nn.utils.get_total_norm([p.grad for p in pair.D.parameters()])))
    )
    doctor = Doctor(generator=pair.G, discriminator=pair.D, every=1)
    with doctor.watch(pair.opt_G, pair.opt_D):
        pair.steps(5, doctor)
    assert [v for _, v in doctor.history.points("discriminator/gradient")] == pytest.approx(seen, rel=1e-5)
    updates = [v for _, v in doctor.history.points("generator/update")]
    assert len(updates) == 5 and all(v > 0 for v in updates)


def test_only_the_named_optimisers_are_watched() -> None:
    pair = Pair()
    doctor = Doctor(generator=pair.G, discriminator=pair.D, every=1)
    with doctor.watch(pair.opt_G):
        pair.steps(3, doctor)
    names = doctor.history.names
    assert "generator/gradient" in names and "discriminator/gradient" not in names


def test_a_detached_graph_is_named() -> None:
    pair = Pair()
    with Doctor(generator=pair.G, discriminator=pair.D, every=1) as doctor:
        pair.steps(20, doctor, detach=True)
    first = doctor.verdicts()[0]
    assert first.name == "no-gradient" and first.where == "generator"
    assert "No gradient reaches" in doctor.report() and "detach()" in doctor.report()


def test_nan_in_the_data_is_named_by_its_place() -> None:
    pair = Pair()
    with Doctor(generator=pair.G, discriminator=pair.D, every=1) as doctor:
        pair.steps(3, doctor, spoil=True)
    first = doctor.verdicts()[0]
    assert first.name == "data-problem" and first.where == "real[3, 2] is nan" and first.since == 1


def test_json_and_writers(tmp_path) -> None:
    class Board:
        def __init__(self) -> None:
            self.scalars: list[tuple[str, float, int]] = []

        def add_scalar(self, name: str, value: float, step: int) -> None:
            self.scalars.append((name, value, step))

        def log(self, values: dict[str, float]) -> None:
            self.scalars += [(name, value, 0) for name, value in values.items()]

    board, run = Board(), Board()
    pair = Pair()
    with Doctor(generator=pair.G, every=1, on_look=tensorboard(writer=board)) as doctor:
        pair.steps(2, doctor)
    wandb(run)(doctor.history.looks[0])
    assert ("doctor/generator/gradient", board.scalars[0][1], 1)[2] == 1
    assert any(name == "doctor/generator/gradient" for name, _, _ in board.scalars)
    assert any(name == "doctor/step" for name, _, _ in run.scalars)
    told = doctor.to_json(tmp_path / "doctor.json")
    assert json.loads((tmp_path / "doctor.json").read_text()) == json.loads(json.dumps(told))
    assert len(told["looks"]) == 2 and told["verdicts"][0]["name"] == "healthy"


def test_a_broken_judge_or_writer_does_not_break_the_loop() -> None:
    def broken(_: object) -> Tensor:
        raise RuntimeError("broken on purpose")

    pair = Pair()
    with Doctor(generator=pair.G, judge=broken, every=1) as doctor:
        pair.steps(2, doctor)
    assert "broken on purpose" in doctor.report()


def test_a_discriminator_that_cannot_be_asked_does_not_hide_everything_else() -> None:
    class Conditional(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.inner(x) + y

    pair = Pair()
    with Doctor(generator=pair.G, discriminator=Conditional(pair.D), every=1) as doctor:
        pair.steps(6, doctor)
    assert {"discriminator/gradient", "samples/coverage", "generator/condition", "data/scale"} <= set(
        doctor.history.names
    )
    assert len(doctor.errors) == 1 and "positional argument" in doctor.report()


def test_a_doctor_that_saw_nothing_calls_nothing_healthy() -> None:
    doctor = Doctor(generator=nn.Linear(1, 1))
    assert "Nothing was seen" in doctor.report() and "Healthy" not in doctor.report()


def test_losses_of_each_sample_are_looked_at() -> None:
    net = nn.Linear(2, 2)
    doctor = Doctor(generator=net, every=1)
    doctor.observe(losses={"each": torch.ones(4)})
    assert doctor.errors == [] and not doctor.history.looks
    doctor.observe(losses={"each": torch.tensor([1.0, float("inf")])})
    assert doctor.history.first_note("non-finite") == (2, "loss 'each'")


def test_a_loss_without_a_name_is_one() -> None:
    doctor = Doctor(generator=nn.Linear(2, 2), every=1)
    for loss in (torch.ones(3), 0.0, torch.tensor(1.0), [1.0], torch.tensor([1.0, float("nan")])):
        doctor.observe(losses=loss)  # pyright: ignore[reportArgumentType] - a list is none, and breaks nothing
    assert doctor.history.first_note("non-finite") == (5, "loss 'loss'") and len(doctor.errors) == 1


def test_steps_may_be_numbers_of_numpy(tmp_path: Path) -> None:
    pair = Pair()
    doctor = Doctor(generator=pair.G, every=1)
    for step in (np.int64(7), np.int32(8), "nine", None):
        doctor.observe(real=pair.data[:128], fake=pair.data[128:192], step=step)  # pyright: ignore[reportArgumentType]
    doctor.to_json(tmp_path / "doctor.json")
    assert [s for s, _ in doctor.history.points("samples/coverage")] == [7, 8, 9, 10]
    assert len(doctor.errors) == 1 and "nine" in doctor.errors[0]


@pytest.mark.parametrize("fused", [False, True])
def test_scaled_gradients_are_read_as_they_are_stepped_with(fused: bool) -> None:
    torch.manual_seed(0)
    net, x = nn.Linear(4, 4), torch.randn(16, 4)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-9, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16, growth_interval=1000)
    with Doctor(generator=net, every=1) as doctor:
        for step in range(3):
            optimizer.zero_grad()
            loss = net(x).square().mean() * (float("inf") if step == 1 else 1.0)  # the scaler leaves this step out
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            doctor.observe()
    net.zero_grad()
    net(x).square().mean().backward()
    norm = float(torch.nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None]))
    assert [v for _, v in doctor.history.points("generator/gradient")] == pytest.approx([norm, norm], rel=1e-4)
    assert doctor.history.first_note("non-finite") is None and doctor.errors == []


def test_long_samples_take_no_room() -> None:
    doctor = Doctor(generator=nn.Linear(1, 1), every=1000)
    for _ in range(3):
        doctor.observe(real=torch.zeros(4, 3, 80, 80), fake=torch.zeros(4, 3, 80, 80))
    assert {batch.shape for batch in (*doctor._batches.real, *doctor._batches.fake)} == {(4, 64)}
    doctor.observe(real=torch.zeros(4, 8))
    assert doctor._batches.real[-1].shape == (4, 8)


def test_tokens_have_no_scale_and_may_repeat() -> None:
    tokens = torch.zeros(64, 12, dtype=torch.long)
    tokens[:, :3] = torch.randint(40, 90, (4, 3)).repeat(16, 1)  # few texts, the rest is padding
    doctor = Doctor(encoder=nn.Linear(1, 1), every=1)
    for _ in range(20):
        doctor.observe(real=tokens)
    assert [v.name for v in doctor.verdicts()] == ["healthy"] and len(doctor.history.looks) == 20


def test_codes_and_the_balance_of_two_losses() -> None:
    torch.manual_seed(0)
    decoder = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8))
    doctor = Doctor(encoder=nn.Linear(8, 8), decoder=decoder, every=1)
    with doctor:
        for _ in range(8):
            out = decoder(torch.randn(32, 4))
            doctor.compare(reconstruction=1e6 * out.square().mean(), adversarial=out.square().mean())
            doctor.observe(
                posterior=(torch.zeros(32, 4), torch.zeros(32, 4)), tokens=torch.zeros(64, dtype=torch.long), codes=32
            )
    assert {v.name for v in doctor.verdicts()} == {"imbalance", "posterior-collapse", "codebook-collapse"}
    last = dict(doctor.history.looks[-1].values)
    assert last["decoder/balance"] == pytest.approx(1e6, rel=1e-3) and last["decoder/agreement"] == pytest.approx(1.0)


def test_calls_that_cannot_work_say_so() -> None:
    with pytest.raises(ConfigError, match="Doctor: no network"):
        Doctor()
    with pytest.raises(ConfigError, match="share in"):
        Doctor(generator=nn.Linear(1, 1), share=1.5)


def test_the_schedule_keeps_to_its_share(monkeypatch) -> None:
    now = [0.0]
    monkeypatch.setattr("aegan.diagnostics.schedule.time.perf_counter", lambda: now[0])
    schedule = Schedule(0.05)
    schedule.begin()
    for _ in range(5000):
        now[0] += 0.01  # a training step
        for kind, cost in (("gradients", 0.001), ("judge", 0.02), ("samples", 0.05), ("jacobian", 0.2)):
            if schedule.due(kind):
                with schedule.measuring(kind):
                    now[0] += cost
        with schedule.working():
            now[0] += 0.0001  # what is around the looks counts too
        schedule.settle()
    assert 0.02 < schedule.share <= 0.05


def test_the_callback_of_lightning(monkeypatch) -> None:
    """With a stand-in for its base class; against PyTorch Lightning 2.6.0 it was tried by hand."""
    from aegan.diagnostics import lightning

    if lightning.DoctorCallback.__mro__[1] is object:
        with pytest.raises(ConfigError, match="pip install lightning"):
            lightning.DoctorCallback(generator="G")
    base = types.SimpleNamespace(Callback=type("Callback", (), {}))
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    monkeypatch.setitem(sys.modules, "lightning.pytorch", base)
    spec = importlib.util.find_spec("aegan.diagnostics.lightning")
    assert spec is not None and spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    pair = Pair()
    pair.doctor_real = pair.data[:64]  # type: ignore[attr-defined]
    callback = fresh.DoctorCallback(generator="G", discriminator="D", every=1)
    trainer = types.SimpleNamespace(global_step=3)
    callback.on_train_start(trainer, pair)
    pair.steps(2)
    callback.on_train_batch_end(trainer, pair, {"d": torch.tensor(float("nan")), "log": "text"}, None, 0)
    doctor = callback.doctor
    assert doctor.history.looks[0].step == 3 and "data/scale" in doctor.history.names and doctor.errors == []
    assert doctor.history.first_note("non-finite") == (3, "loss 'd'")
    callback.on_exception(trainer, pair, RuntimeError())
    assert doctor._watch is None

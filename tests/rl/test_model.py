"""Transitions as rows, learnt and drawn, judged by a simulator that is written down here."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import aegan.rl as rl
from aegan.errors import ConfigError, DataError, RunError, RunExistsError, StorageError
from aegan.rl.agents import Agent
from aegan.rl.dynamics import Fit
from aegan.rl.evaluation import fidelity
from aegan.rl.rows import Rows
from tests.rl.test_transitions import StubReplayBuffer

FAST = {"embedding": "8", "hidden": "16", "latent_dim": "4", "code_share": "0.05", "batch_size": "64"}
MOVE = np.array([-1.0, 0.0, 1.0])


class Track:
    """A point on a line pushed left, not at all or right; it ends beyond 1, and pays for where it is."""

    class space:
        n, start = 3, 0

    @property
    def unwrapped(self) -> Track:
        return self

    def reset(self, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.state = np.zeros(2)
        return self.state.astype(np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.state = moved(self.state[None], np.array([action]))[0]
        return self.state.astype(np.float32), float(-abs(self.state[0])), bool(abs(self.state[0]) > 1), False, {}


def moved(states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    speed = 0.9 * states[:, 1] + 0.2 * MOVE[actions] - 0.1 * np.sin(3 * states[:, 0])
    return np.stack([states[:, 0] + 0.2 * speed, speed], axis=1)


def put(simulator: Track, observation: np.ndarray) -> None:
    simulator.state = np.asarray(observation, dtype=float)


def steps(n: int = 600, seed: int = 0) -> rl.Transitions:
    rng = np.random.default_rng(seed)
    states = rng.uniform(-1, 1, size=(n, 2)) * (1.1, 0.8)
    actions = rng.integers(0, 3, n)
    after = moved(states.astype(np.float32).astype(float), actions)
    return rl.Transitions.of(
        {
            "observations": states.astype(np.float32),
            "actions": actions,
            "rewards": -np.abs(after[:, 0]),
            "next_observations": after.astype(np.float32),
            "terminated": np.abs(after[:, 0]) > 1,
            "truncated": rng.random(n) < 0.05,
        }
    )


@pytest.fixture(scope="module")
def model() -> rl.TransitionModel:
    return rl.fit(steps(), steps=150, settings=FAST)


def test_rows_go_there_and_back() -> None:
    one = steps()
    rows = Rows.of(one)
    frame = rows.to_frame(one)
    assert list(frame) == list(rows.types) and rows.types["a"] == "categorical" and rows.types["end"] == "boolean"
    back = rows.from_frame(frame)
    for part, values in one.arrays.items():
        # A difference that a fit tells to a thousandth has no column.
        np.testing.assert_allclose(back.arrays[part], values, atol=1e-3 if part.startswith(("next", "rew")) else 1e-6)
    assert np.array_equal(back.terminated, one.terminated)
    assert Rows.from_json(rows.to_json()).to_frame(one).equals(frame)


def test_what_is_left_of_a_step_is_little_beside_it() -> None:
    rows, unseen = Rows.of(steps()), steps(seed=1)
    change = unseen.next_observations - unseen.observations
    frame = rows.to_frame(unseen)
    for i in rows.kept:
        assert frame[f"d{i}"].std() < 0.05 * change[:, i].std()
    assert frame["r"].std() < 0.2 * unseen.rewards.std() and frame["end"].mean() < 0.02


def test_a_fit_with_few_rows_is_simple() -> None:
    x = np.random.default_rng(0).normal(size=(400, 6))
    assert [Fit.of(x[:n], x[:n, :1]).degree for n in (20, 60, 400)] == [0, 1, 2]
    constant = Fit.of(np.ones((50, 2)), np.full((50, 1), 3.0))
    assert constant(np.ones((1, 2)))[0, 0] == pytest.approx(3.0)


def test_waves_are_taken_by_what_needs_them_alone() -> None:
    x = np.random.default_rng(0).normal(size=(1500, 2))
    both = np.stack([2 * x[:, 0] - x[:, 1], np.sin(x[:, 0])], axis=1)
    fit = Fit.of(x, both)
    unseen = np.random.default_rng(1).normal(size=(200, 2))
    error = np.abs(fit(unseen) - np.stack([2 * unseen[:, 0] - unseen[:, 1], np.sin(unseen[:, 0])], axis=1))
    assert error[:, 0].max() < 1e-5 and np.median(error[:, 1]) < 0.02 and not fit.weight[6:, 0].any()


def test_drawn_transitions_have_the_form_of_real_ones(model: rl.TransitionModel) -> None:
    real, drawn = steps(), model.sample(200, seed=3)
    for part, values in real.arrays.items():
        assert drawn.arrays[part].dtype == values.dtype and drawn.arrays[part].shape[1:] == values.shape[1:], part
    assert set(drawn.actions.tolist()) <= {0, 1, 2} and drawn.terminated.any() and drawn.truncated.any()
    again = model.sample(200, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(drawn.arrays.values(), again.arrays.values(), strict=True))
    assert set(model.sample(20, where={"a": "1"}).actions.tolist()) == {1}


def test_drawn_steps_obey_the_simulator(model: rl.TransitionModel) -> None:
    judged = rl.evaluate(model, steps(300, seed=2), Track(), set_state=put)
    rows = judged.rows
    assert rows["real"].dynamics < 1e-5 and rows["real"].terminal == rows["real"].reward < 1e-5
    assert rows["codec"].dynamics < 0.02 and rows["model"].dynamics < 0.1 and rows["synthetic"].dynamics < 0.1
    assert rows["synthetic"].terminal < 0.03 and rows["synthetic"].reward < 0.2
    assert "codec" in str(judged) and set(judged.to_json()["rows"]) == set(rows)


def test_errors_by_hand() -> None:
    one = steps(100)
    wrong = rl.Transitions.of(
        one.arrays | {"next_observations": one.next_observations + np.float32([0.1, 0.0]), "rewards": one.rewards + 0.5}
        | {"terminated": np.zeros(100, bool)},
        action_space=one.space,
    )  # fmt: skip
    found = fidelity(wrong, one, Track(), set_state=put)
    unit = (one.next_observations - one.observations).std(axis=0)
    assert found.components == pytest.approx((0.1 / unit[0], 0.0), abs=1e-4)
    assert found.dynamics == pytest.approx(0.1 / unit[0] / 2**0.5, rel=1e-3)
    assert found.reward == pytest.approx(0.5 / one.rewards.std(), rel=1e-3)
    assert found.terminal == one.terminated.mean() and found.missed == 1.0


def test_a_simulator_that_is_not_known_is_refused(model: rl.TransitionModel) -> None:
    with pytest.raises(ConfigError, match="how to set the state of Track.*Give set_state"):
        rl.evaluate(model, steps(50), Track())


def test_steps_that_are_asked_for_keep_what_was_given(model: rl.TransitionModel) -> None:
    states, actions = np.array([[0.3, 0.1], [-0.5, 0.4]], np.float32), np.array([2, 0])
    told = model.step(states, actions)
    assert np.array_equal(told.observations, states) and np.array_equal(told.actions, actions)
    np.testing.assert_allclose(told.next_observations, moved(states, actions), atol=0.05)
    with pytest.raises(DataError, match="2 observations, 1 actions"):
        model.step(states, [0])
    with pytest.raises(DataError, match=r"shape \(3,\); \(2,\) expected"):
        model.step(np.zeros((2, 3)), actions)
    with pytest.raises(DataError, match="action \\[3\\] in row 1"):
        model.step(states, [0, 3])


def test_a_model_is_saved_and_loaded(model: rl.TransitionModel, tmp_path: Path) -> None:
    model.save(tmp_path / "kept")
    again = rl.load(tmp_path / "kept").sample(50, seed=1)
    one = model.sample(50, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays.values(), again.arrays.values(), strict=True))
    with pytest.raises(RunExistsError):
        model.save(tmp_path / "kept")
    model.save(tmp_path / "kept", overwrite=True)
    (tmp_path / "kept" / "transitions.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        rl.load(tmp_path / "kept")
    with pytest.raises(RunError, match="no model of transitions"):
        rl.load(tmp_path / "gone")


def test_what_an_interrupted_save_left_is_replaced(model: rl.TransitionModel, tmp_path: Path) -> None:
    kept = model.save(tmp_path / "kept")
    (kept / "transitions.json").unlink()
    with pytest.raises(RunExistsError):
        model.save(kept)
    model.save(kept, overwrite=True)
    assert len(rl.load(kept).sample(5)) == 5
    (kept / "notes.txt").write_text("mine")
    with pytest.raises(RunExistsError, match="other files"):
        model.save(kept, overwrite=True)
    assert (kept / "notes.txt").exists() and (kept / "transitions.json").exists()


@pytest.mark.parametrize("where", ["aegan.rl.model.write_json", "aegan.storage.os.rename"])
def test_a_save_that_fails_leaves_the_old_model(
    model: rl.TransitionModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    kept, rename = model.save(tmp_path / "kept"), os.rename

    def fails(source: Any, target: Any) -> None:
        if where.endswith("json") or str(source).endswith(".kept.partial"):
            raise OSError(errno.ENOSPC, "full")
        rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(where, fails)
        with pytest.raises(StorageError, match="the disk is full"):
            model.save(kept, overwrite=True)
    assert [child.name for child in tmp_path.iterdir()] == ["kept"]
    assert len(rl.load(kept).sample(5)) == 5


def test_a_buffer_is_augmented(model: rl.TransitionModel) -> None:
    real = steps(100)
    buffer = StubReplayBuffer(250, (2,), 1)
    for step in real:
        buffer.add(*step)
    for step in rl.augment(buffer, 1.5, model=model):
        buffer.add(*step)
    assert buffer.full and np.isfinite(buffer.observations).all()
    assert len(rl.augment(real, 0.5, steps=2, settings=FAST)) == 50
    for ratio in (0.0, -1.0, 1e-9, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="ratio is"):
            rl.augment(real, ratio, model=model)
    with pytest.raises(DataError, match="10 transitions; at least 20"):
        rl.fit(real[:10], steps=2)
    with pytest.raises(ConfigError, match="code=0"):
        rl.fit(real, steps=2, code=0)


def test_amounts_as_actions_stay_within_their_bounds() -> None:
    real = steps(200)
    push = np.random.default_rng(0).uniform(-1, 1, (200, 2)).astype(np.float32)
    space = rl.Actions(low=(-1.0, -1.0), high=(1.0, 1.0))
    drawn = rl.fit(rl.Transitions.of(real.arrays | {"actions": push}, action_space=space), steps=5, settings=FAST)
    actions = drawn.sample(100).actions
    assert actions.shape == (100, 2) and actions.dtype == np.float32 and bool((np.abs(actions) <= 1).all())


def test_states_that_are_names_stay_names() -> None:
    rng = np.random.default_rng(0)
    places, actions = rng.integers(0, 5, 300), rng.integers(0, 2, 300)
    after = np.clip(places + 2 * actions - 1, 0, 4)
    grid = {"s": places, "a": actions, "r": (after == 4) * 1.0, "s2": after, "done": after == 4}
    model = rl.fit(grid, steps=300, settings=FAST | {"dropout": "0.1"})
    drawn = model.sample(200)
    assert drawn.kind == "discrete" and drawn.observations.dtype == places.dtype
    told = np.clip(drawn.observations + 2 * drawn.actions - 1, 0, 4)
    assert (drawn.next_observations == told).mean() > 0.8
    assert (model.coded(rl.read(grid)).next_observations == after).all()


def test_images_go_through_codes() -> None:
    rng = np.random.default_rng(0)
    places, actions = rng.integers(0, 6, 200), rng.integers(0, 2, 200)
    after = np.clip(places + 2 * actions - 1, 0, 5)

    def shown(at: np.ndarray) -> np.ndarray:
        frames = np.zeros((len(at), 8, 8), np.uint8)
        frames[np.arange(len(at)), :, at] = frames[np.arange(len(at)), :, at + 1] = 255
        return frames

    steps = {"s": shown(places), "a": actions, "r": (after == 5) * 1.0, "s2": shown(after), "done": after == 5}
    small = {"width": "8", "batch_size": "32", "feature_weight": "0", "lr": "3e-3"}
    model = rl.fit(steps, steps=400, image_share=0.6, code=3, settings=FAST | {"dropout": "0.1"}, image_settings=small)
    drawn = model.sample(40)
    assert drawn.kind == "image" and drawn.observations.shape == (40, 8, 8) and drawn.observations.dtype == np.uint8
    told = model.step(shown(places[:60]), actions[:60])
    assert np.array_equal(told.observations, shown(places[:60]))
    still = np.abs(shown(places[:60]).astype(float) - shown(after[:60])).mean()
    assert np.abs(told.next_observations.astype(float) - shown(after[:60])).mean() < 0.6 * still
    with pytest.raises(ConfigError, match="whole state"):
        fidelity(drawn, drawn, Track(), set_state=put)
    with pytest.raises(ConfigError, match="not images"):
        rl.train(drawn, steps=1)


def test_an_agent_learns_what_transitions_hold() -> None:
    """On the track, to the left of the middle pushing right is best, and the other way round."""
    (agent,) = rl.train(steps(1500), steps=400, discount=0.9, hidden=32, seed=0)
    assert isinstance(agent, Agent)
    states = np.array([[-0.8, 0.0], [0.8, 0.0]], np.float32)
    assert agent.act(states).tolist() == [2, 0]


def test_agents_along_the_way_are_those_of_shorter_trainings() -> None:
    early, late = rl.train(steps(100), steps=20, seed=0, keep=2)
    (again,) = rl.train(steps(100), steps=15, seed=0)
    values = [one.values(torch.zeros(1, 2)) for one in (early, late, again)]
    assert torch.equal(values[0], values[2]) and not torch.equal(values[0], values[1])


def test_actions_that_a_grid_does_not_serve_are_refused() -> None:
    real = steps(50)
    for space in (rl.Actions(low=(-1.0,) * 3, high=(1.0,) * 3), rl.Actions(low=(-np.inf,), high=(np.inf,))):
        acts = np.zeros((50, space.length))
        with pytest.raises(ConfigError, match="Use an agent of your own"):
            rl.train(rl.Transitions.of(real.arrays | {"actions": acts}, action_space=space), steps=1)
    with pytest.raises(ConfigError, match="no transitions"):
        rl.compare_agents({}, "CartPole-v1")


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_known_simulators_repeat_their_own_steps(env: str) -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    real = rl.rollout(env, 80, seed=0)
    found = fidelity(real, real, env)
    # A state comes back from float32, where it was float64.
    assert found.dynamics < 1e-3 and found.reward < 1e-3 and found.terminal == 0.0


def test_agents_play_side_by_side() -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    real = rl.rollout("CartPole-v1", 200, seed=0)
    found = rl.compare_agents({"real": real}, "CartPole-v1", seeds=[0], episodes=2, keep=1, steps=5)
    assert len(found["real"]) == 1 and found["real"][0] >= 8
    pushed = rl.rollout("Pendulum-v1", 60, seed=0)
    (agent,) = rl.train(pushed, steps=2)
    assert rl.returns(agent, "Pendulum-v1", episodes=2).shape == (2,) and agent.act(pushed.observations).shape == (
        60,
        1,
    )


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool"])
def test_whole_and_true_states_come_back_from_coding(kind: str) -> None:
    rng = np.random.default_rng(0)
    before = rng.integers(0, 2 if kind == "bool" else 8, (300, 2))
    actions = rng.integers(0, 2, 300)
    after = before.copy()
    after[:, 0] = actions if kind == "bool" else before[:, 0] + actions
    zeros = np.zeros(300)
    real = rl.read({"s": before.astype(kind), "a": actions, "r": zeros, "s2": after.astype(kind), "done": zeros})
    rows = Rows.of(real)
    back = rows.from_frame(rows.to_frame(real))
    assert back.observations.dtype == np.dtype(kind)
    assert (back.observations == real.observations).all() and (back.next_observations == real.next_observations).all()

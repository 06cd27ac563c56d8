"""Reading transitions, and refusing bad ones by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aegan.rl as rl
from aegan.errors import ConfigError, DataError

GOOD: dict[str, Any] = {
    "observations": np.arange(8, dtype=np.float32).reshape(4, 2),
    "actions": np.array([0, 1, 2, 0]),
    "rewards": np.array([1.0, 0.5, 0.0, 2.0]),
    "next_observations": np.arange(2, 10, dtype=np.float32).reshape(4, 2),
    "terminated": np.array([False, True, False, False]),
    "truncated": np.array([False, False, True, False]),
}


class StubReplayBuffer:
    """The signature and the shapes of Stable-Baselines3's, without torch."""

    def __init__(self, size: int, shape: tuple[int, ...], action_dim: int, envs: int = 1) -> None:
        self.buffer_size, self.n_envs, self.action_dim = size, envs, action_dim
        self.observations = np.zeros((size, envs, *shape), np.float32)
        self.next_observations = np.zeros_like(self.observations)
        self.actions = np.zeros((size, envs, action_dim), np.int64)
        self.rewards, self.dones, self.timeouts = (np.zeros((size, envs), np.float32) for _ in range(3))
        self.pos, self.full, self.optimize_memory_usage = 0, False, False

    def add(
        self,
        obs: np.ndarray,
        next_obs: np.ndarray,
        action: np.ndarray,
        reward: np.ndarray,
        done: np.ndarray,
        infos: list[dict[str, Any]],
    ) -> None:
        assert obs.shape == next_obs.shape == self.observations.shape[1:]
        assert reward.shape == done.shape == (self.n_envs,) and len(infos) == self.n_envs
        self.observations[self.pos], self.next_observations[self.pos] = obs, next_obs
        self.actions[self.pos] = action.reshape(self.n_envs, self.action_dim)
        self.rewards[self.pos], self.dones[self.pos] = reward, done
        self.timeouts[self.pos] = [info.get("TimeLimit.truncated", False) for info in infos]
        self.pos += 1
        if self.pos == self.buffer_size:
            self.full, self.pos = True, 0


def test_a_mapping_becomes_typed_rows_under_any_usual_name() -> None:
    one = rl.read(GOOD)
    assert len(one) == 4 and one.kind == "vector" and one.space.one_of == 3
    names = {"obs": "observations", "action": "actions", "r": "rewards", "next_obs": "next_observations",
             "terminals": "terminated", "timeouts": "truncated"}  # fmt: skip
    other = rl.read({name: GOOD[part].tolist() for name, part in names.items()})
    for part, values in one.arrays.items():
        assert np.array_equal(other.arrays[part], values)
    assert rl.read(one) is one
    assert [len(one[1:3]), one[2].rewards.tolist(), len(one + one[:1])] == [2, [0.0], 5]


def test_a_replay_buffer_takes_the_tuples_and_gives_them_back() -> None:
    one = rl.read(GOOD)
    buffer = StubReplayBuffer(4, (2,), 1)
    for step in one:
        buffer.add(*step)
    assert (
        buffer.full and buffer.dones[:, 0].tolist() == [0, 1, 1, 0] and buffer.timeouts[:, 0].tolist() == [0, 0, 1, 0]
    )
    again = rl.read(buffer, action_space=one.space)
    for part, values in one.arrays.items():
        assert np.array_equal(again.arrays[part], values), part
    two = StubReplayBuffer(2, (2,), 1, envs=2)
    for step in one.tuples(envs=2):
        two.add(*step)
    assert np.array_equal(two.observations.reshape(4, 2), one.observations)
    assert len(list(one.tuples(envs=3))) == 1
    with pytest.raises(ConfigError, match="n_envs"):
        next(one.tuples(envs=0))
    with pytest.raises(DataError, match="empty"):
        rl.read(StubReplayBuffer(2, (2,), 1))
    two.optimize_memory_usage = True
    with pytest.raises(DataError, match="optimize_memory_usage"):
        rl.read(two)


def test_scaled_amounts_of_a_replay_buffer_are_not_held_to_the_unscaled_bounds() -> None:
    class Box:
        low, high, shape = np.zeros(1), np.full(1, 0.4), (1,)

    buffer = StubReplayBuffer(4, (2,), 1)
    buffer.actions = np.array([-1.0, 1.0, 0.2, 0.9], np.float32).reshape(4, 1, 1)
    buffer.full, buffer.action_space = True, Box()  # type: ignore[attr-defined]
    one = rl.read(buffer)
    assert (one.space.low, one.space.high) == ((-1.0,), (1.0,)) and one.actions[:, 0].min() == -1.0
    assert rl.read(buffer, action_space=rl.Actions(low=(-2.0,), high=(2.0,))).space.high == (2.0,)


def test_joined_transitions_have_the_actions_of_both() -> None:
    few, more = (GOOD | {"actions": np.array(a)} for a in ([0, 1, 1, 0], [2, 3, 2, 2]))
    both = rl.read(few) + rl.read(more)
    assert both.space.sizes == (4,) and both.actions.max() == 3
    low, high = (rl.read(GOOD | {"actions": np.array([[x]] * 4)}) for x in (-3.0, 5.0))
    assert (low + high).space.low[0] <= -3.0 and (low + high).space.high[0] >= 5.0


def test_stable_baselines3_itself_takes_the_tuples() -> None:
    buffers = pytest.importorskip("stable_baselines3.common.buffers", reason="stable-baselines3 is not installed")
    spaces = pytest.importorskip("gymnasium").spaces
    box = spaces.Box(-np.inf, np.inf, (2,), np.float32)
    buffer = buffers.ReplayBuffer(4, box, spaces.Discrete(3), device="cpu")
    for step in rl.read(GOOD):
        buffer.add(*step)
    again = rl.read(buffer)
    for part, values in rl.read(GOOD).arrays.items():
        assert np.array_equal(again.arrays[part], values), part


def test_an_npz_comes_back_with_its_actions(tmp_path: Path) -> None:
    amounts = GOOD | {"actions": np.array([[0.5], [-1.0], [0.0], [1.0]])}
    given = rl.read(amounts, action_space=rl.Actions(low=(-2.0,), high=(2.0,)))
    for one in (rl.read(GOOD, action_space=rl.Actions(sizes=(7,), scalar=True)), given):
        path = one.save(tmp_path / "steps")
        again = rl.read(path)
        assert path.suffix == ".npz" and again.space == one.space
        for part, values in one.arrays.items():
            assert np.array_equal(again.arrays[part], values) and again.arrays[part].dtype == values.dtype


def test_an_npz_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 not all of it")
    for path, told in (("steps.csv", "npz of named arrays"), ("gone.npz", "cannot be read"), ("torn.npz", "cannot be")):
        with pytest.raises(DataError, match=told):
            rl.read(tmp_path / path)
    np.savez(tmp_path / "objects.npz", observations=np.array([[1], [1, 2]], dtype=object))
    with pytest.raises(DataError, match="objects"):
        rl.read(tmp_path / "objects.npz")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rewards": None}, r"'rewards' is missing.*Did you mean|'rewards' is missing.*Known"),
        ({"next_observations": None}, "'next_observations' is missing"),
        ({"observations": [[1.0, 2.0], [3.0], [4.0, 5.0], [6.0, 7.0]]}, "observations: ragged"),
        ({"actions": [[0], [1, 2], [0], [0]]}, "actions: ragged"),
        ({"rewards": [1.0, 2.0]}, r"unequal length \(observations 4, actions 4, rewards 2"),
        ({"rewards": [1.0, np.nan, 2.0, np.nan]}, "rewards: NaN or infinite in 2 of 4 rows, the first at row 1"),
        ({"observations": np.full((4, 2), np.inf)}, "observations: NaN or infinite in 4 of 4"),
        ({"next_observations": np.zeros((4, 3))}, "the same expected"),
        ({"terminated": [0, 2, 0, 0]}, "only true and false"),
        ({"rewards": np.zeros((4, 2))}, "one value a step"),
        ({"actions": [0, -1, 0, 0]}, "discrete actions from 0 on"),
        ({"actions": np.zeros((4, 1, 1))}, "actions of shape"),
        ({"observations": np.zeros((4, 2, 2)), "next_observations": np.zeros((4, 2, 2))}, "images as uint8"),
        ({"observations": ["a", "b", "c", "d"]}, "no numbers"),
        ({"rewards": 1.0}, "a single number"),
        ({"observations": np.zeros((4, 2), complex)}, "real numbers expected"),
    ],
)
def test_bad_transitions_are_refused_by_part(change: dict[str, Any], told: str) -> None:
    parts = {k: v for k, v in (GOOD | change).items() if v is not None}
    with pytest.raises(DataError, match=told):
        rl.read(parts)


def test_stacked_frames_and_empty_sets_are_refused() -> None:
    frames = np.zeros((4, 8, 8, 5), np.uint8)
    with pytest.raises(DataError, match="of stacked frames give the last"):
        rl.read(GOOD | {"observations": frames, "next_observations": frames})
    with pytest.raises(DataError, match="at least one"):
        rl.read(GOOD)[:0]
    with pytest.raises(DataError, match="list holds no transitions"):
        rl.read([1, 2])


def test_a_known_space_holds_actions_to_itself() -> None:
    with pytest.raises(DataError, match=r"action \[2\] in row 2; 2 actions expected"):
        rl.read(GOOD, action_space=rl.Actions(sizes=(2,), scalar=True))
    with pytest.raises(DataError, match="actions of 1 numbers; actions of 2 amounts"):
        rl.read(GOOD, action_space=rl.Actions(low=(0.0, 0.0), high=(1.0, 1.0)))


def test_spaces_of_gymnasium_are_read_and_unknown_ones_refused() -> None:
    spaces = pytest.importorskip("gymnasium", reason="gymnasium is not installed").spaces
    known = [
        (spaces.Discrete(3, start=1), np.array([1, 3])), (spaces.MultiDiscrete([2, 3]), np.array([[0, 2], [1, 0]])),
        (spaces.MultiBinary(2), np.array([[0, 1], [1, 1]])),
        (spaces.Box(-1.0, 1.0, (2,)), np.array([[0.0, 1], [1, 0]])),
    ]  # fmt: skip
    for space, actions in known:
        found = rl.Actions.of(space, actions, "here")
        assert found.shaped(actions, "here").shape == actions.shape
        drawn = found.sample(50, np.random.default_rng(0))
        assert all(space.contains(a.astype(space.dtype)) for a in drawn)
        assert rl.Actions.from_arrays(found.to_arrays(), actions) == found
    with pytest.raises(ConfigError, match=r"action space Tuple.*Flatten it"):
        rl.read(GOOD, action_space=spaces.Tuple([spaces.Discrete(2)]))
    with pytest.raises(ConfigError, match="Discrete, MultiDiscrete"):
        rl.read(GOOD, action_space=spaces.Text(3))


def test_transitions_of_other_form_are_not_joined() -> None:
    one = rl.read(GOOD)
    other = rl.read(GOOD | {"actions": np.zeros((4, 2))})
    with pytest.raises(DataError, match="cannot be joined"):
        _ = one + other


def test_a_rollout_follows_the_environment() -> None:
    pytest.importorskip("gymnasium", reason="gymnasium is not installed")
    one, again = (rl.rollout("CartPole-v1", 60, seed=3) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays.values(), again.arrays.values(), strict=True))
    goes_on = ~(one.terminated | one.truncated)[:-1]
    assert np.array_equal(one.next_observations[:-1][goes_on], one.observations[1:][goes_on]) and one.terminated.any()
    left = rl.rollout("CartPole-v1", 20, policy=lambda state: 0)
    assert set(left.actions.tolist()) == {0} and left.observations.dtype == np.float32
    with pytest.raises(ConfigError, match="cannot make it"):
        rl.rollout("NoSuchThing-v9", 5)
    with pytest.raises(ConfigError, match="at least 1"):
        rl.rollout("CartPole-v1", 0)


@pytest.mark.parametrize(
    ("low", "high", "shape"),
    [(-np.inf, np.inf, (2,)), (3.0, np.inf, (1,)), (-np.inf, -3.0, (2,)), (-1.0, 1.0, (2, 2)), (0, 1, (2, 3))],
)
def test_a_rollout_draws_actions_of_any_bounds_and_shape(low: float, high: float, shape: tuple[int, ...]) -> None:
    spaces = pytest.importorskip("gymnasium", reason="gymnasium is not installed").spaces

    class Free:
        action_space = spaces.MultiBinary(shape) if low == 0 else spaces.Box(low, high, shape)

        def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, int]]:
            return np.zeros(2, np.float32), {}

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, int]]:
            assert self.action_space.contains(action.astype(self.action_space.dtype))
            return np.full(2, action.flat[0], np.float32), 0.0, False, False, {}

    one, again = (rl.rollout(Free(), 50, seed=1) for _ in range(2))
    assert one.actions.shape == (50, np.prod(shape)) and np.array_equal(one.actions, again.actions)
    assert len(np.unique(one.actions, axis=0)) > 25 and np.isfinite(one.actions).all()
    assert np.array_equal(one.actions[:, 0], one.next_observations[:, 0])


def test_minari_takes_transitions_and_gives_them_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("minari", reason="minari is not installed")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    one = rl.rollout("CartPole-v1", 50, seed=1)
    rl.export_minari(one, "aegan/steps-v0", env="CartPole-v1")
    again = rl.read("minari:aegan/steps-v0")
    assert again.space == one.space
    for part, values in one.arrays.items():
        if part == "truncated":
            values = values.copy()
            values[-1] |= not one.terminated[-1]  # the last episode was cut by the roll-out's end
        assert np.allclose(again.arrays[part], values), part
    drawn = rl.read(GOOD)[[2, 0]]
    rl.export_minari(drawn, "aegan/drawn-v0")
    assert rl.read("minari:aegan/drawn-v0").truncated.tolist() == [True, True]
    with pytest.raises(DataError, match="there is one already"):
        rl.export_minari(drawn, "aegan/drawn-v0")
    with pytest.raises(DataError, match="minari download aegan/gone-v0"):
        rl.read("minari:aegan/gone-v0")


def test_without_minari_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(ConfigError, match=r"pip install 'aegan\[rl\]'"):
        rl.read("minari:any/thing-v0")


def test_without_gymnasium_its_installation_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(ConfigError, match=r"pip install 'aegan\[rl\]'"):
        rl.rollout("CartPole-v1", 5)


def test_observations_of_several_parts_are_refused() -> None:
    class Parts:
        action_space = rl.Actions(sizes=(2,), scalar=True)

        def reset(self, seed: int | None = None) -> tuple[dict[str, int], dict[str, int]]:
            return {"camera": 1, "speed": 2}, {}

        def step(self, action: int) -> tuple[dict[str, int], float, bool, bool, dict[str, int]]:
            return {"camera": 1, "speed": 2}, 0.0, False, False, {}

    with pytest.raises(DataError, match=r"rollout: s: .*no numbers"):
        rl.rollout(Parts(), 3)

"""Transitions of an agent: state, action, reward, next state, and how the step ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError, nearest
from aegan.rl.spaces import Actions
from aegan.storage import write_atomically

NAMES: dict[str, tuple[str, ...]] = {
    "observations": ("observations", "obs", "states", "state", "s"),
    "actions": ("actions", "action", "a"),
    "rewards": ("rewards", "reward", "r"),
    "next_observations": ("next_observations", "next_obs", "next_states", "next_state", "s2"),
    "terminated": ("terminated", "terminations", "terminals", "terminal", "dones", "done"),
    "truncated": ("truncated", "truncations", "timeouts"),
}
"""What the parts are called here, and by others; the first found counts."""
SB3 = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]
"""Arguments of Stable-Baselines3's ``ReplayBuffer.add``."""


@dataclass(frozen=True)
class Transitions:
    """N steps of an agent, in any order; checked when made.

    Attributes:
        observations: ``(N, D)`` floats, ``(N,)`` whole numbers, or images uint8 ``(N, H, W)`` or ``(N, H, W, C)``.
        actions: Whole numbers ``(N,)``, or ``(N, A)`` floats or whole numbers.
        rewards: Float64 ``(N,)``.
        next_observations: Like ``observations``.
        terminated: Bool ``(N,)``: the task ended, so nothing comes after.
        truncated: Bool ``(N,)``: the episode was cut, as by a time limit.
        space: What actions there are.

    Raises:
        DataError: Parts of different length, NaN, ragged or of a shape that means nothing.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    space: Actions

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def of(cls, parts: Mapping[str, Any], *, action_space: Any = None, name: str = "transitions") -> Transitions:
        """From named arrays or lists; usual other names serve too, see :data:`NAMES`.

        Args:
            parts: ``truncated`` may be left out; nothing is then taken to be cut.
            action_space: A Gymnasium space or an :class:`~aegan.rl.spaces.Actions`; None: found from the actions.
            name: What the errors call it.

        Raises:
            DataError: A part is missing, ragged, of another length or shape, or holds NaN.
            ConfigError: An action space of a kind that is not known.

        >>> one = Transitions.of({"s": [[0.0], [1.0]], "a": [0, 1], "r": [1, 1], "s2": [[1.0], [2.0]], "done": [0, 1]})
        >>> len(one), one.space.describe(), one.terminated.tolist()
        (2, '2 actions', [False, True])
        """
        found: dict[str, np.ndarray] = {}
        for part, names in NAMES.items():
            key = next((n for n in names if n in parts), None)
            if key is not None:
                found[part] = _array(parts[key], f"{name}: {key}")
            elif part != "truncated":
                raise DataError(
                    f"{name}: {part!r} is missing; got {', '.join(map(str, parts)) or 'nothing'}. "
                    f"{nearest(part, names)}"
                )
        count = len(found["observations"])
        found.setdefault("truncated", np.zeros(count, dtype=bool))
        return cls._of_arrays(found, action_space, name)

    @classmethod
    def _of_arrays(cls, found: dict[str, np.ndarray], action_space: Any, name: str) -> Transitions:
        lengths = {part: len(values) for part, values in found.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{part} {n}" for part, n in lengths.items())
            raise DataError(f"{name}: parts of unequal length ({told}); a row for each step expected in all of them.")
        for part in ("rewards", "terminated", "truncated"):
            found[part] = _flat(found[part], f"{name}: {part}")
        for part in ("terminated", "truncated"):
            values = found[part]
            if not np.isin(values, (0, 1)).all():
                raise DataError(f"{name}: {part}: only true and false, or 0 and 1, expected; got {values.max()!r}.")
            found[part] = values.astype(bool)
        found["rewards"] = _numbers(found["rewards"], f"{name}: rewards").astype(np.float64)
        space = Actions.of(action_space, _numbers(found["actions"], f"{name}: actions"), name)
        found["actions"] = space.shaped(found["actions"], name)
        for part in ("observations", "next_observations"):
            found[part] = _numbers(found[part], f"{name}: {part}")
        return cls(**found, space=space)

    def __len__(self) -> int:
        return len(self.rewards)

    def __getitem__(self, index: Any) -> Transitions:
        """Those at ``index``: a slice, whole numbers or bools."""
        index = index if isinstance(index, slice) else np.atleast_1d(np.asarray(index))
        return replace(self, **{part: getattr(self, part)[index] for part in NAMES})

    def __iter__(self) -> Iterator[SB3]:
        """See :meth:`tuples`."""
        return self.tuples()

    def __add__(self, other: Transitions) -> Transitions:
        """Both, one behind the other.

        Raises:
            DataError: Observations or actions of another shape.
        """
        if self.observation_shape != other.observation_shape or not self.space.like(other.space):
            raise DataError(
                f"transitions of observations {self.observation_shape} and {self.space.describe()} cannot be joined "
                f"with those of {other.observation_shape} and {other.space.describe()}."
            )
        joined = {part: np.concatenate([getattr(self, part), getattr(other, part)]) for part in NAMES}
        # Of whole numbers and others the wider type, so that nothing is cut off.
        return replace(self, **joined, space=self.space.joined(other.space))

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return self.observations.shape[1:]

    @property
    def kind(self) -> str:
        """``"image"``, ``"discrete"`` or ``"vector"``, after the observations."""
        if self.observations.dtype == np.uint8 and self.observations.ndim >= 3:
            return "image"
        return "discrete" if self.observations.ndim == 1 and self.observations.dtype.kind in "iu" else "vector"

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The six parts by name."""
        return {part: getattr(self, part) for part in NAMES}

    def tuples(self, envs: int = 1) -> Iterator[SB3]:
        """``(obs, next_obs, actions, rewards, dones, infos)`` as ``ReplayBuffer.add`` of Stable-Baselines3 takes them.

        Args:
            envs: The buffer's ``n_envs``; so many steps come at a time, and a rest that does not fill is left out.

        Yields:
            Arrays with the leading axis ``envs``; ``infos`` tell ``TimeLimit.truncated``, so that a cut episode's last
            state keeps its value.

        Raises:
            ConfigError: ``envs`` below 1.
        """
        if envs < 1:
            raise ConfigError(f"tuples: envs is {envs}; at least 1 expected, the n_envs of the replay buffer.")
        cut = self.truncated & ~self.terminated
        done = self.terminated | self.truncated
        for start in range(0, len(self) - envs + 1, envs):
            at = slice(start, start + envs)
            infos = [{"TimeLimit.truncated": bool(c)} for c in cut[at]]
            yield (
                self.observations[at], self.next_observations[at], self.actions[at],
                self.rewards[at].astype(np.float32), done[at], infos,
            )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write a compressed ``.npz`` that :func:`aegan.rl.read` reads back, bounds of actions included.

        Raises:
            StorageError: Disk full, or not writable.
        """
        target = Path(path)
        target = target if target.suffix == ".npz" else target.with_name(target.name + ".npz")

        def write(place: Path) -> None:
            with open(place, "wb") as handle:
                np.savez_compressed(handle, **self.arrays, **self.space.to_arrays())  # type: ignore[arg-type]

        write_atomically(target, write)
        return target


def _array(values: Any, where: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: ragged; rows of one shape expected, such as (N, D).") from error
    if array.dtype == object or array.dtype.kind in "USV":
        raise DataError(f"{where}: ragged, or no numbers ({array.dtype}); numbers of one shape expected, as (N, D).")
    if array.ndim == 0:
        raise DataError(f"{where}: a single number; a row for each step expected.")
    return array


def _flat(values: np.ndarray, where: str) -> np.ndarray:
    """``(N,)`` of ``(N,)`` or ``(N, 1)``."""
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{where}: shape {values.shape}; one value a step expected, (N,).")
    return values


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where}: {values.dtype}; real numbers expected.")
    if values.dtype.kind == "f":
        bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if bad.any():
            raise DataError(
                f"{where}: NaN or infinite in {int(bad.sum())} of {len(values)} rows, the first at row "
                f"{int(np.flatnonzero(bad)[0])}. Leave these steps out."
            )
    return values


def _check(given: Transitions) -> None:
    lengths = {part: len(getattr(given, part)) for part in NAMES}
    if len(set(lengths.values())) > 1 or not lengths["rewards"]:
        told = ", ".join(f"{part} {n}" for part, n in lengths.items())
        raise DataError(f"transitions: a row for each step expected in all parts, at least one; got {told}.")
    if given.observations.shape[1:] != given.next_observations.shape[1:]:
        raise DataError(
            f"transitions: observations of shape {given.observations.shape[1:]}, next ones of "
            f"{given.next_observations.shape[1:]}; the same expected."
        )
    shape = given.observations.shape
    if given.kind == "vector" and len(shape) > 2:
        raise DataError(
            f"transitions: observations {given.observations.dtype} {shape}; floats (N, D), whole numbers (N,) or "
            "images uint8 (N, H, W) or (N, H, W, C) expected. Flatten them, or give images as uint8."
        )
    if given.kind == "image" and len(shape) == 4 and shape[3] not in (1, 3, 4):
        raise DataError(
            f"transitions: images of shape {shape[1:]}; (H, W) or (H, W, C) with C 1, 3 or 4 expected. Move the "
            "channels behind; of stacked frames give the last."
        )

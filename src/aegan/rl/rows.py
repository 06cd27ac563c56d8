"""Transitions as rows of a table and back.

The next state goes in as what a smooth fit of state and action does not tell of the difference s′ - s. Where the
dynamics are smooth this is little, so that the cells into which a table cuts amounts are fine beside a step, and what
the fit tells exactly needs no column at all. Ends likewise: a column says where a fit of the next state is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from aegan.errors import DataError
from aegan.rl.dynamics import Fit
from aegan.rl.spaces import Actions
from aegan.rl.transitions import Transitions

EXACT = 1e-3
"""What is left of a difference may be dropped where it deviates by less than this part of the difference itself."""
TOLD = 0.1
"""Below this part, a difference is told by state and action."""
FEW_REWARDS = 32
"""Rewards of no more values than this are values rather than amounts."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """How transitions become rows: columns ``s0…``, ``a`` or ``a0…``, ``r``, ``d0…``, ``end``, ``truncated``.

    Attributes:
        kind: ``"vector"`` or ``"discrete"``; images come as vectors of codes.
        dtype: Of the observations.
        shape: Of one observation.
        space: What actions there are.
        dynamics: Of the differences; None for discrete states.
        kept: Which differences have a column.
        reward: Fit of the reward; None where it has few values.
        ends: Fit of whether a state is terminal; None where all steps end alike. Column ``end`` is true where it errs.
        low: Lowest value of each component of a state, with ``high`` what is drawn is held to.
        high: The highest.
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    space: Actions
    dynamics: Fit | None
    kept: tuple[int, ...]
    reward: Fit | None
    ends: Fit | None
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, real: Transitions) -> Rows:
        """Learn the fits from real transitions."""
        space, dynamics, kept, reward, ends = real.space, None, (), None, None
        before, after = (_states(part) for part in (real.observations, real.next_observations))
        inputs = _inputs(before, real.actions, space) if real.kind != "discrete" else before
        if real.kind != "discrete":
            change = after - before
            dynamics = Fit.of(inputs, change)
            left = (change - dynamics(inputs)).std(axis=0)
            kept = tuple(np.flatnonzero(left > EXACT * change.std(axis=0)).tolist())
            if len(np.unique(real.rewards)) > FEW_REWARDS:
                # Where state and action tell the step, they tell the reward too.
                told = bool((left <= TOLD * change.std(axis=0)).all())
                reward = Fit.of(inputs if told else np.concatenate([inputs, change], axis=1), real.rewards[:, None])
            if 0 < real.terminated.sum() < len(real):
                ends = Fit.of_bools(after, real.terminated)
        both = np.concatenate([before, after])
        return cls(
            kind=real.kind,
            dtype=str(real.observations.dtype),
            shape=real.observation_shape,
            space=space,
            dynamics=dynamics,
            kept=kept,
            reward=reward,
            ends=ends,
            low=tuple(both.min(axis=0).tolist()),
            high=tuple(both.max(axis=0).tolist()),
        )

    @property
    def states(self) -> list[str]:
        """Columns of the state."""
        return [f"s{i}" for i in range(len(self.low))]

    @property
    def actions(self) -> list[str]:
        """Columns of the action."""
        return ["a"] if self.space.length == 1 else [f"a{i}" for i in range(self.space.length)]

    @property
    def types(self) -> dict[str, str]:
        """What each column is, as :class:`~aegan.data.table.TableAdapter` is told."""
        named = dict.fromkeys(self.states, "categorical" if self.kind == "discrete" else "numeric")
        named |= dict.fromkeys(self.actions, "categorical" if self.space.discrete else "numeric")
        named |= {"r": "numeric"} | {f"d{i}": "numeric" for i in self.kept}
        named |= {"n0": "categorical"} if self.kind == "discrete" else {}
        return named | {"end": "boolean", "truncated": "boolean"}

    def to_frame(self, real: Transitions) -> pd.DataFrame:
        """Rows of transitions like those that this was made of."""
        before, after = (_states(part) for part in (real.observations, real.next_observations))
        columns: dict[str, Any] = self.given(real.observations, real.actions)
        columns["r"] = real.rewards
        if self.dynamics is None:
            columns["n0"] = after[:, 0].astype(np.int64)
        else:
            change = after - before
            left = change - self.dynamics(_inputs(before, real.actions, self.space))
            columns |= {f"d{i}": left[:, i] for i in self.kept}
            if self.reward is not None:
                columns["r"] = real.rewards - self._fit_reward(before, real.actions, change)
        columns |= {"end": real.terminated ^ self._ended(after), "truncated": real.truncated}
        return pd.DataFrame({name: columns[name] for name in self.types})

    def given(self, observations: np.ndarray, actions: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of states and actions alone."""
        states, flat = _states(observations), actions.reshape(len(actions), -1)
        whole = self.kind == "discrete"
        columns = {name: states[:, i].astype(np.int64) if whole else states[:, i] for i, name in enumerate(self.states)}
        made = flat.astype(np.int64 if self.space.discrete else np.float64)
        return columns | {name: made[:, i] for i, name in enumerate(self.actions)}

    def from_frame(self, frame: pd.DataFrame) -> Transitions:
        """Transitions of drawn rows; states and actions within what was seen."""
        before = frame[self.states].to_numpy(dtype=float)
        actions = frame[self.actions].to_numpy(dtype=np.int64 if self.space.discrete else np.float32)
        if not self.space.discrete:
            actions = np.clip(actions, np.asarray(self.space.low, np.float32), np.asarray(self.space.high, np.float32))
        rewards = frame["r"].to_numpy(dtype=float)
        if self.dynamics is None:
            after = frame[["n0"]].to_numpy(dtype=float)
        else:
            change = self.dynamics(_inputs(before, actions, self.space))
            for i in self.kept:
                change[:, i] += frame[f"d{i}"].to_numpy(dtype=float)
            after = before + change
            # What was seen bounds what is drawn, but for states beyond it that were given.
            within = (before >= self.low) & (before <= self.high)
            after = self._typed(np.where(within, np.clip(after, self.low, self.high), after)).astype(np.float64)
            if self.reward is not None:
                rewards = rewards + self._fit_reward(before, actions, change)
        actions = actions[:, 0] if self.space.scalar else actions
        return Transitions(
            observations=self._typed(before).reshape(-1, *self.shape),
            actions=actions,
            rewards=rewards,
            next_observations=self._typed(after).reshape(-1, *self.shape),
            terminated=frame["end"].to_numpy().astype(bool) ^ self._ended(after),
            truncated=frame["truncated"].to_numpy().astype(bool),
            space=self.space,
        )

    def _typed(self, states: np.ndarray) -> np.ndarray:
        """States in the data's own type: whole numbers rounded, not cut off; a sum of parts is 0.9999999 for 1."""
        dtype = np.dtype(self.dtype)
        if dtype.kind == "b":
            return states >= 0.5
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            return np.rint(states).clip(limits.min, limits.max).astype(dtype)
        return states.astype(dtype)

    def _fit_reward(self, before: np.ndarray, actions: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Rewards ``(N,)`` by the fit."""
        assert self.reward is not None  # noqa: S101 - the caller looked
        seen = _inputs(before, actions, self.space)
        seen = seen if len(self.reward.mean) == seen.shape[1] else np.concatenate([seen, change], axis=1)
        return self.reward(seen)[:, 0]

    def _ended(self, after: np.ndarray) -> np.ndarray:
        """Whether the fit takes states for terminal."""
        return np.zeros(len(after), dtype=bool) if self.ends is None else self.ends(after)[:, 0] > 0

    def check(self, real: Transitions) -> None:
        """DataError unless transitions are of the same form."""
        if real.observation_shape != self.shape or real.kind != self.kind or not self.space.like(real.space):
            raise DataError(
                f"transitions of {real.kind} observations {real.observation_shape} and {real.space.describe()}; those "
                f"that were learnt are {self.kind} {self.shape} with {self.space.describe()}."
            )

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        fits: dict[str, Any] = {name: None if fit is None else fit.to_json() for name, fit in self._fits.items()}
        return asdict(self) | fits

    @property
    def _fits(self) -> dict[str, Fit | None]:
        return {"dynamics": self.dynamics, "reward": self.reward, "ends": self.ends}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rows:
        """Inverse of :meth:`to_json`."""
        space: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["space"].items()}
        fits: dict[str, Any] = {
            name: None if data[name] is None else Fit.from_json(data[name]) for name in ("dynamics", "reward", "ends")
        }
        plain: dict[str, Any] = {name: tuple(data[name]) for name in ("shape", "kept", "low", "high")}
        return cls(kind=data["kind"], dtype=data["dtype"], space=Actions(**space), **plain, **fits)


def _states(observations: np.ndarray) -> np.ndarray:
    return observations.reshape(len(observations), -1).astype(np.float64)


def _inputs(states: np.ndarray, actions: np.ndarray, space: Actions) -> np.ndarray:
    """What a fit sees: the state, and the action as amounts or as indicators of all choices but the first."""
    flat = actions.reshape(len(actions), -1)
    parts = [states]
    if space.discrete:
        parts += [flat[:, [i]] - space.start == np.arange(1, size) for i, size in enumerate(space.sizes)]
    else:
        parts.append(np.clip(flat, space.low, space.high))
    return np.concatenate([part.astype(np.float64) for part in parts], axis=1)

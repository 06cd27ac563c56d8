"""Where transitions come from: roll-outs, ``.npz``, Minari data sets, replay buffers, arrays by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError
from aegan.rl.spaces import Actions
from aegan.rl.transitions import Transitions

Policy = Callable[[np.ndarray], Any]
"""An observation to an action."""


def read(source: Any, *, action_space: Any = None) -> Transitions:
    """Transitions from anything that holds some.

    Args:
        source: Transitions (returned as they are); a ``.npz`` of named arrays; a mapping of arrays or lists (see
            :meth:`Transitions.of` for the names); a Minari data set, or ``"minari:ID"`` of one on this machine; a
            replay buffer of Stable-Baselines3.
        action_space: A Gymnasium space, where the source does not tell and the actions do not show it all.

    Raises:
        DataError: Unreadable, or with parts missing, ragged, of unequal length or with NaN.
        ConfigError: An action space of a kind that is not known, or Minari is needed and not installed.

    >>> read({"obs": [[0.0], [1.0]], "actions": [[0.5], [-0.5]], "rewards": [0, 1], "next_obs": [[1.0], [2.0]],
    ...       "terminated": [False, True]}).space.describe()
    'actions of 1 amounts'
    """
    if isinstance(source, Transitions):
        return source
    if isinstance(source, Mapping):
        return Transitions.of(source, action_space=action_space)
    if isinstance(source, str) and source.startswith("minari:"):
        from aegan.rl.minari import open_minari

        return _of_minari(open_minari(source.removeprefix("minari:")), action_space)
    if isinstance(source, (str, os.PathLike)):
        return _of_npz(Path(source), action_space)
    if hasattr(source, "iterate_episodes"):
        return _of_minari(source, action_space)
    if hasattr(source, "next_observations") and hasattr(source, "dones") and hasattr(source, "pos"):
        return _of_replay(source, action_space)
    raise DataError(
        f"read: {type(source).__name__} holds no transitions that can be read; expected a .npz file, a mapping of "
        "arrays, a Minari data set, or a replay buffer. Roll an environment out with aegan.rl.rollout."
    )


def rollout(env: Any, steps: int, *, policy: Policy | None = None, seed: int = 0) -> Transitions:
    """``steps`` transitions of a Gymnasium environment, episode after episode.

    Args:
        env: An environment, or its name for ``gymnasium.make``.
        steps: At least 1.
        policy: Observation to action; None: uniformly random actions.
        seed: Of the environment and of the random actions.

    Raises:
        ConfigError: Gymnasium is not installed, ``steps`` below 1, or an action space of a kind that is not known.
    """
    if steps < 1:
        raise ConfigError(f"rollout: steps is {steps}; at least 1 expected.")
    env, own = made(env), isinstance(env, str)
    space = Actions.of(env.action_space, np.empty((0, 1)), "rollout")
    shape = getattr(env.action_space, "shape", None)
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Any]] = {name: [] for name in ("s", "a", "r", "s2", "terminated", "truncated")}
    state, _ = env.reset(seed=seed)
    for _ in range(steps):
        if policy is None:
            action = space.sample(1, rng)[0]
            action = int(action) if space.one_of else np.reshape(action, shape) if shape else action
        else:
            action = policy(np.asarray(state))
        after, reward, terminated, truncated, _ = env.step(action)
        for name, value in zip(rows, (state, action, reward, after, terminated, truncated), strict=True):
            rows[name].append(np.asarray(value).copy() if name[0] == "s" else value)
        state = env.reset()[0] if terminated or truncated else after
    if own:
        env.close()
    return Transitions.of(rows, action_space=space, name="rollout")


def made(env: Any) -> Any:
    """An environment, made by Gymnasium where a name is given.

    Raises:
        ConfigError: A name, and Gymnasium is not installed or does not know it.
    """
    if not isinstance(env, str):
        return env
    try:
        import gymnasium
    except ImportError as error:
        raise ConfigError(f"{env}: Gymnasium is not installed. Run: pip install 'aegan[rl]'") from error
    try:
        return gymnasium.make(env)
    except gymnasium.error.Error as error:
        raise ConfigError(f"{env}: Gymnasium cannot make it ({error}).") from error


def _of_npz(path: Path, action_space: Any) -> Transitions:
    if path.suffix.lower() != ".npz":
        raise DataError(f"{path}: a .npz of named arrays expected, with observations, actions, rewards and so on.")
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as opened:
            parts = {name: opened[name] for name in opened.files}
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{path}: cannot be read as .npz ({error}). Arrays of objects are not read.") from error
    except Exception as error:  # zipfile's own, of a damaged archive
        raise DataError(f"{path}: cannot be read as .npz; the file is damaged ({error}).") from error
    if action_space is None:
        actions = next((parts[name] for name in ("actions", "action", "a") if name in parts), np.empty(0))
        action_space = Actions.from_arrays(parts, actions)
    return Transitions.of(parts, action_space=action_space, name=str(path))


def _of_minari(dataset: Any, action_space: Any) -> Transitions:
    rows: dict[str, list[np.ndarray]] = {name: [] for name in ("s", "a", "r", "s2", "terminated", "truncated")}
    for episode in dataset.iterate_episodes():
        seen = episode.observations
        if isinstance(seen, (dict, tuple)) or isinstance(episode.actions, (dict, tuple)):
            raise DataError(
                f"{dataset}: observations or actions of several parts; one array a step expected. Flatten them, and "
                "give the arrays by name."
            )
        parts = (seen[:-1], episode.actions, episode.rewards, seen[1:], episode.terminations, episode.truncations)
        for name, values in zip(rows, parts, strict=True):
            rows[name].append(np.asarray(values))
    if not rows["r"]:
        raise DataError(f"{dataset}: no episodes.")
    joined = {name: np.concatenate(values) for name, values in rows.items()}
    return Transitions.of(joined, action_space=action_space or dataset.action_space, name="Minari data set")


def _of_replay(buffer: Any, action_space: Any) -> Transitions:
    if getattr(buffer, "optimize_memory_usage", False):
        raise DataError("replay buffer: optimize_memory_usage keeps no next observations. Make it without.")
    size = buffer.buffer_size if buffer.full else buffer.pos
    if not size:
        raise DataError("replay buffer: empty. Collect some steps first.")
    cut = np.asarray(getattr(buffer, "timeouts", np.zeros_like(buffer.dones)))[:size].reshape(-1).astype(bool)
    done = np.asarray(buffer.dones)[:size].reshape(-1).astype(bool)
    parts = {name: _merged(getattr(buffer, name)[:size]) for name in ("observations", "next_observations", "actions")}
    space = action_space if action_space is not None else getattr(buffer, "action_space", None)
    made = Actions.of(space, parts["actions"], "replay buffer")
    if made.scalar:
        parts["actions"] = parts["actions"].reshape(-1)
    if action_space is None and not made.discrete:
        # Its agents keep amounts scaled to [-1, 1] whatever the space is; others fill buffers as they like.
        flat = parts["actions"].reshape(len(parts["actions"]), -1)
        low, high = np.minimum(flat.min(axis=0), -1.0), np.maximum(flat.max(axis=0), 1.0)
        space = replace(made, low=tuple(low.tolist()), high=tuple(high.tolist()))
    rows = {**parts, "rewards": np.asarray(buffer.rewards)[:size].reshape(-1), "terminated": done & ~cut}
    return Transitions.of({**rows, "truncated": cut}, action_space=space, name="replay buffer")


def _merged(values: Any) -> np.ndarray:
    """``(size, envs, …)`` to ``(size · envs, …)``."""
    array = np.asarray(values)
    return array.reshape(-1, *array.shape[2:])

"""How true transitions are to the simulator, and what they are worth to an agent."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError, nearest
from aegan.rl.agents import returns, train
from aegan.rl.model import TransitionModel
from aegan.rl.sources import made, read
from aegan.rl.transitions import Transitions

SetState = Callable[[Any, np.ndarray], None]
"""Puts an unwrapped environment into the state that an observation shows."""
JUDGED = 2_000
"""Transitions at most that the simulator repeats."""


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """What the simulator does with the same states and actions, beside what a set of transitions says.

    Attributes:
        dynamics: Root mean squared error of the next state, each component in deviations of its real change a step,
            then over all: 0 is exact, 1 as bad as to say that every step is the mean step.
        components: The same of each component.
        reward: Mean absolute error of the reward, in deviations of real ones; where those never differ, as it is.
        terminal: Share of ends that are told wrongly.
        missed: Share of the simulator's ends that are not told; NaN where there are none.
        n: Transitions.
    """

    dynamics: float
    components: tuple[float, ...]
    reward: float
    terminal: float
    missed: float
    n: int


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes:
        rows: By name: ``real`` (the simulator against itself), ``codec`` (real ones coded and decoded: the floor),
            ``model`` (drawn next states of real states and actions), ``synthetic`` (whole rows drawn).
        returns: By name of the training set: mean return of each seed's agent; empty without ``agents``.
    """

    rows: Mapping[str, Fidelity]
    returns: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {
            "rows": {name: vars(row) | {"components": list(row.components)} for name, row in self.rows.items()},
            "returns": {name: list(values) for name, values in self.returns.items()},
        }

    def __str__(self) -> str:
        lines = [f"{'':10} {'dynamics':>9} {'reward':>9} {'terminal':>9} {'missed':>7}"]
        for name, row in self.rows.items():
            lines.append(f"{name:10} {row.dynamics:9.4f} {row.reward:9.4f} {row.terminal:9.4f} {row.missed:7.3f}")
        for name, values in self.returns.items():
            lines.append(f"return, {name}: {_interval(values)}")
        return "\n".join(lines)


def evaluate(
    model: TransitionModel,
    real: Any,
    env: Any,
    *,
    set_state: SetState | None = None,
    num: int = JUDGED,
    agents: int = 0,
    ratio: float = 1.0,
    seed: int = 0,
    **training: Any,
) -> Evaluation:
    """Judge a model of transitions by the simulator, and by the agents that learn from what it makes.

    Args:
        model: From :func:`aegan.rl.fit`.
        real: Real transitions, at best others than the model learnt from.
        env: A Gymnasium environment or its name.
        set_state: Puts the unwrapped environment into the state of an observation; known for CartPole and Pendulum.
        num: Transitions at most that are compared.
        agents: Seeds of agents trained on real, and on real and synthetic transitions; 0 leaves them out.
        ratio: Synthetic transitions for each real one there.
        seed: Of all that is drawn.
        training: Of :func:`aegan.rl.train`.

    Raises:
        ConfigError: An environment whose state cannot be set, or Gymnasium is not installed.
        DataError: Real transitions of another form than those the model learnt.
    """
    steps = read(real)
    steps = steps if len(steps) <= num else steps[np.random.default_rng(seed).permutation(len(steps))[:num]]
    rows = {
        "real": fidelity(steps, steps, env, set_state=set_state),
        "codec": fidelity(model.coded(steps), steps, env, set_state=set_state),
        "model": fidelity(
            model.step(steps.observations, steps.actions, seed=seed), steps, env, set_state=set_state
        ),
        "synthetic": fidelity(model.sample(len(steps), seed=seed), steps, env, set_state=set_state),
    }  # fmt: skip
    if not agents:
        return Evaluation(rows=rows)
    whole = read(real)
    more = whole + model.sample(max(1, round(ratio * len(whole))), seed=seed)
    compared = compare_agents({"real": whole, "real + synthetic": more}, env, seeds=range(agents), **training)
    return Evaluation(rows=rows, returns=compared)


def fidelity(given: Transitions, real: Transitions, env: Any, *, set_state: SetState | None = None) -> Fidelity:
    """``given`` against what the simulator makes of its states and actions; units are those of ``real``.

    Raises:
        ConfigError: As :func:`evaluate`.
    """
    if given.kind == "image":
        raise ConfigError("evaluate: an image does not show the simulator's whole state. Compare vector observations.")
    simulator = made(env).unwrapped
    setter = set_state or known_setter(simulator)
    after, rewards, over = np.empty_like(given.next_observations), np.empty(len(given)), np.empty(len(given), bool)
    simulator.reset(seed=0)
    for i in range(len(given)):
        setter(simulator, given.observations[i])
        action = int(given.actions[i]) if given.space.one_of else given.actions[i]
        after[i], rewards[i], over[i], _, _ = simulator.step(action)
    if after.ndim == 1:
        after, told, unit = after[:, None], given.next_observations[:, None], np.ones(1)
        errors = (after != told).astype(float)
    else:
        change = (real.next_observations - real.observations).astype(float).reshape(len(real), -1)
        unit = np.where(change.std(axis=0) > 0, change.std(axis=0), 1.0)
        errors = (given.next_observations.astype(float) - after).reshape(len(given), -1) / unit
    square = (errors**2).mean(axis=0)
    spread = real.rewards.std()
    ends = int(over.sum())
    return Fidelity(
        dynamics=float(np.sqrt(square.mean())),
        components=tuple(np.sqrt(square).tolist()),
        reward=float(np.abs(given.rewards - rewards).mean() / (spread if spread > 0 else 1.0)),
        terminal=float((given.terminated != over).mean()),
        missed=float((~given.terminated[over]).mean()) if ends else math.nan,
        n=len(given),
    )


def compare_agents(
    sets: Mapping[str, Transitions],
    env: str,
    *,
    seeds: Sequence[int] | range = range(3),
    episodes: int = 10,
    keep: int = 5,
    **training: Any,
) -> dict[str, tuple[float, ...]]:
    """Mean return of an agent trained on each of ``sets``, for every seed.

    Args:
        sets: Transitions by name.
        env: Name of a Gymnasium environment.
        seeds: Of the agents' weights and batches; the starts of the episodes are the same for all.
        episodes: That each agent plays.
        keep: Agents along the last half of each training that are averaged.
        training: Of :func:`aegan.rl.train`.

    Raises:
        ConfigError: No sets, or as for :func:`aegan.rl.train`.
        DataError: An empty set.
    """
    if not sets:
        raise ConfigError("compare_agents: no transitions to train on.")
    found: dict[str, tuple[float, ...]] = {}
    for name, steps in sets.items():
        if not len(steps):
            raise DataError(f"compare_agents: {name}: empty.")
        means = []
        for seed in seeds:
            kept = train(steps, seed=seed, keep=keep, **training)
            means.append(float(np.mean([returns(a, env, episodes=episodes, seed=10_000) for a in kept])))
        found[name] = tuple(means)
    return found


def known_setter(simulator: Any) -> SetState:
    """How the state of a known environment is set.

    Raises:
        ConfigError: None is known.
    """
    name = type(simulator).__name__
    if name not in SETTERS:
        raise ConfigError(
            f"evaluate: it is not known how to set the state of {name}. {nearest(name, SETTERS)} Give set_state, a "
            "function of the unwrapped environment and an observation."
        )
    return SETTERS[name]


def _set_cart_pole(simulator: Any, observation: np.ndarray) -> None:
    simulator.state = np.asarray(observation, dtype=np.float64)
    simulator.steps_beyond_terminated = None


def _set_pendulum(simulator: Any, observation: np.ndarray) -> None:
    cos, sin, speed = (float(v) for v in observation)
    simulator.state = np.array([math.atan2(sin, cos), speed])


SETTERS: dict[str, SetState] = {"CartPoleEnv": _set_cart_pole, "PendulumEnv": _set_pendulum}
"""By class of the unwrapped environment."""


def _interval(values: Sequence[float]) -> str:
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.1f}"
    error = float(np.std(values, ddof=1) / math.sqrt(len(values)))
    return f"{mean:.1f} ± {error:.1f} (standard error, {len(values)} seeds)"

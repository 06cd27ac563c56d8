"""A small agent that learns from transitions alone, to measure what they are worth.

Fitted Q iteration with two networks and slow targets: Ernst et al. 2005 (JMLR 6); the lesser of two estimates after
Fujimoto et al. 2018 (arXiv 1802.09477). Actions that are amounts are chosen among a grid of them, which serves one or
two components. It never touches the environment while it learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from aegan.errors import ConfigError
from aegan.rl.sources import made
from aegan.rl.spaces import Actions
from aegan.rl.transitions import Transitions

GRID = 11
"""Values of an action's component that are compared; of two components, their pairs."""
MOST = 2
"""Components of an amount that a grid serves."""


@dataclass(frozen=True)
class Agent:
    """Two estimates of what each action brings, and the actions that are compared.

    Attributes:
        networks: Both, from states and actions to values.
        choices: Actions ``(M, A)``.
        space: What actions there are.
        mean: Of the states, before the networks.
        scale: Their deviations.
    """

    networks: Sequence[nn.Module]
    choices: Tensor
    space: Actions
    mean: Tensor
    scale: Tensor

    @torch.no_grad()
    def act(self, observations: np.ndarray) -> np.ndarray:
        """The best of the actions in each of ``(N, D)`` states."""
        states = (torch.as_tensor(np.asarray(observations), dtype=torch.float32) - self.mean) / self.scale
        best = self.values(states).argmax(dim=1)
        actions = self.choices[best].numpy()
        if self.space.discrete:
            actions = actions.astype(np.int64)
        return actions[:, 0] if self.space.scalar else actions

    def values(self, states: Tensor) -> Tensor:
        """The lesser estimate of every choice, ``(N, M)``."""
        return torch.minimum(*(_of_all(network, states, self.choices) for network in self.networks))


def train(
    transitions: Transitions,
    *,
    steps: int = 3000,
    batch: int = 128,
    discount: float = 0.99,
    lr: float = 1e-3,
    hidden: int = 64,
    rate: float = 0.01,
    seed: int = 0,
    keep: int = 1,
) -> list[Agent]:
    """Learn from ``transitions``.

    Args:
        transitions: Of vector states.
        steps: Of gradient descent.
        batch: Transitions a step, drawn with repetition.
        discount: Of what comes later.
        lr: Of Adam.
        hidden: Units of two layers.
        rate: At which the targets follow.
        seed: Of weights and batches; no global generator is touched.
        keep: How many agents along the last half to return; what one last step made of it is chance.

    Raises:
        ConfigError: States that are no vectors, or actions that a grid does not serve.
    """
    if transitions.kind == "image":
        raise ConfigError("train: the agent sees vectors, not images. Use an agent of your own.")
    choices = _choices(transitions.space)
    flat = [
        torch.as_tensor(part.reshape(len(part), -1), dtype=torch.float32)
        for part in (transitions.observations, transitions.next_observations, transitions.actions)
    ]
    mean, scale = flat[0].mean(0), flat[0].std(0, correction=0)
    scale = torch.where(scale > 1e-6, scale, torch.ones_like(scale))
    s, after, a = (flat[0] - mean) / scale, (flat[1] - mean) / scale, flat[2]
    # A reward's scale is the values' own; with its deviation as unit one learning rate serves all.
    r = torch.as_tensor(transitions.rewards, dtype=torch.float32)
    unit = max(float(r.abs().mean()), 1e-6)
    r, goes_on = r / unit, 1.0 - torch.as_tensor(transitions.terminated, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks, targets = (nn.ModuleList([_network(s.shape[1] + a.shape[1], hidden) for _ in "ab"]) for _ in "ab")
        targets.load_state_dict(networks.state_dict())
        optimiser = torch.optim.Adam(networks.parameters(), lr=lr)
        kept, due = [], {steps - round(i * steps / 2 / max(1, keep)) for i in range(keep)}
        generator = torch.Generator().manual_seed(seed)
        with torch.enable_grad():
            for step in range(1, steps + 1):
                at = torch.randint(0, len(s), (batch,), generator=generator)
                with torch.no_grad():
                    later = torch.minimum(*(_of_all(t, after[at], choices) for t in targets)).max(dim=1).values
                    goal = r[at] + discount * goes_on[at] * later
                seen = torch.cat([s[at], a[at]], dim=1)
                loss = sum(nn.functional.smooth_l1_loss(network(seen)[:, 0], goal) for network in networks)
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[union-attr]
                optimiser.step()
                with torch.no_grad():
                    for p, q in zip(targets.parameters(), networks.parameters(), strict=True):
                        p.lerp_(q, rate)
                if step in due:
                    copied = nn.ModuleList([_network(s.shape[1] + a.shape[1], hidden) for _ in "ab"])
                    copied.load_state_dict(networks.state_dict())
                    kept.append(Agent(list(copied), choices, transitions.space, mean, scale))
    return kept


def returns(agent: Agent, env: Any, *, episodes: int = 10, seed: int = 0, limit: int = 10_000) -> np.ndarray:
    """Sums of rewards of ``episodes`` episodes, ``(episodes,)``; all run side by side.

    Args:
        agent: From :func:`train`.
        env: Name of a Gymnasium environment.
        episodes: At least 1.
        seed: Of the first episode's start; the others' follow.
        limit: Steps after which an episode without an end of its own is cut.
    """
    running = [made(env) for _ in range(episodes)]
    states = [one.reset(seed=seed + i)[0] for i, one in enumerate(running)]
    sums, live = np.zeros(episodes), list(range(episodes))
    for _ in range(limit):
        actions = agent.act(np.stack([np.ravel(states[i]) for i in live]))
        going = []
        for i, action in zip(live, actions, strict=True):
            states[i], reward, terminated, truncated, _ = running[i].step(int(action) if agent.space.one_of else action)
            sums[i] += float(reward)
            if not (terminated or truncated):
                going.append(i)
        live = going
        if not live:
            break
    for one in running:
        one.close()
    return sums


def _choices(space: Actions) -> Tensor:
    if space.discrete:
        sides = [np.arange(size) + space.start for size in space.sizes]
    else:
        if space.length > MOST or not np.isfinite([space.low, space.high]).all():
            raise ConfigError(
                f"train: {space.describe()}; bounded ones of at most {MOST} components, or choices, expected. Use an "
                "agent of your own."
            )
        sides = [np.linspace(*ends, GRID) for ends in zip(space.low, space.high, strict=True)]
    return torch.as_tensor(
        np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, len(sides)), dtype=torch.float32
    )


def _network(inputs: int, hidden: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)
    )


def _of_all(network: nn.Module, states: Tensor, choices: Tensor) -> Tensor:
    """Values ``(N, M)`` of all choices in all states."""
    n, m = len(states), len(choices)
    seen = torch.cat([states.repeat_interleave(m, 0), choices.repeat(n, 1)], dim=1)
    return network(seen).view(n, m)

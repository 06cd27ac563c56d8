"""A replay buffer of random play in CartPole, made five times as large by synthetic transitions.

    pip install 'aegan[rl]'
    python examples/cartpole_augment.py

An agent that learns from the buffer alone, without ever playing, is compared with one that also learns from synthetic
transitions. It takes about two minutes on one core; ``--quick`` takes seconds and shows no more than that all works.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import aegan.rl as rl

ENV = "CartPole-v1"


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Run it; returns the mean return of each agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=int, default=500, help="transitions of random play")
    parser.add_argument("--ratio", type=float, default=4.0, help="synthetic transitions for each real one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args(arguments)
    fit_steps, agent_steps, keep, episodes = (20, 20, 1, 2) if given.quick else (800, 2_000, 5, 10)

    # Any replay buffer, .npz or Minari data set would do as well: rl.read("buffer.npz").
    real = rl.rollout(ENV, given.real, seed=given.seed)
    model = rl.fit(real, steps=fit_steps, seed=given.seed)
    synthetic = rl.augment(real, given.ratio, model=model, seed=given.seed)

    # Stable-Baselines3 takes them as they come: for step in synthetic: replay_buffer.add(*step)
    obs, next_obs, action, reward, done, infos = next(iter(synthetic))
    print(f"{len(real)} real, {len(synthetic)} synthetic transitions; the first: {obs[0]} {action[0]} {next_obs[0]}")

    unseen = rl.rollout(ENV, 300, seed=given.seed + 1)
    print(rl.evaluate(model, unseen, ENV))

    sets = {"real": real, "real + synthetic": real + synthetic}
    found = rl.compare_agents(sets, ENV, seeds=[given.seed], episodes=episodes, keep=keep, steps=agent_steps)
    for name, (value,) in found.items():
        print(f"trained on {name}: return {value:.1f}")
    return {name: values[0] for name, values in found.items()}


if __name__ == "__main__":
    main()

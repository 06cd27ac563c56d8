"""What synthetic transitions are worth: true to the simulator, and the returns of agents that learn from them.

    python benchmarks/transitions.py --envs CartPole-v1 Pendulum-v1 --real 500 1000 --seeds 3 --out transitions.json

For each seed: random play gives the real transitions, ``aegan.rl.fit`` learns from them, and a fitted Q agent is
trained on the real ones, on real and synthetic ones together, on synthetic ones alone, and on as many real ones as both
together. Nothing is shared between seeds. The floor of the errors is the
coding alone (``codec``); unseen real transitions are judged.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aegan.rl as rl


def run(
    env: str, real: int, *, seed: int, ratio: float, fit_steps: int, agent_steps: int, episodes: int
) -> dict[str, Any]:
    whole = rl.rollout(env, real + round(ratio * real), seed=1_000 * seed)
    mine, unseen = whole[:real], rl.rollout(env, 1_000, seed=1_000 * seed + 500)
    began = time.process_time()
    model = rl.fit(mine, steps=fit_steps, seed=seed)
    fitted = time.process_time() - began
    made = model.sample(round(ratio * real), seed=seed)
    sets = {"real": mine, "real + synthetic": mine + made, "synthetic": made, "more real": whole}
    judged = rl.evaluate(model, unseen, env, seed=seed)
    found = rl.compare_agents(sets, env, seeds=[seed], episodes=episodes, steps=agent_steps)
    seconds = {"fit": fitted, "all": time.process_time() - began}
    return {
        "seed": seed,
        "errors": judged.to_json()["rows"],
        "returns": {name: values[0] for name, values in found.items()},
        "seconds": seconds,
        "played": float(whole.rewards.sum() / max(1, (whole.terminated | whole.truncated).sum())),
    }


def table(env: str, runs: list[dict[str, Any]]) -> str:
    lines = [
        f"{env}, {len(runs)} seeds",
        "",
        "| | dynamics | reward | terminal | missed ends |",
        "|---|---|---|---|---|",
    ]
    for name in runs[0]["errors"]:
        rows = [r["errors"][name] for r in runs]
        lines.append(f"| {name} | " + " | ".join(_mean([r[k] for r in rows], 4) for k in _COLUMNS) + " |")
    lines += ["", "| trained on | return |", "|---|---|", f"| random play | {_mean([r['played'] for r in runs], 1)} |"]
    for name in runs[0]["returns"]:
        lines.append(f"| {name} | {_mean([r['returns'][name] for r in runs], 1)} |")
    return "\n".join(lines)


_COLUMNS = ("dynamics", "reward", "terminal", "missed")


def _mean(values: list[float], digits: int) -> str:
    array = np.asarray(values, dtype=float)
    array = array[np.isfinite(array)]
    if not len(array):
        return "–"
    error = f" ± {array.std(ddof=1) / len(array) ** 0.5:.{digits}f}" if len(array) > 1 else ""
    return f"{array.mean():.{digits}f}{error}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--envs", nargs="+", default=["CartPole-v1", "Pendulum-v1"])
    parser.add_argument("--real", nargs="+", type=int, default=[500, 1000], help="real transitions of each environment")
    parser.add_argument("--ratio", type=float, default=4.0, help="synthetic transitions for each real one")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fit-steps", type=int, default=800)
    parser.add_argument("--agent-steps", type=int, default=2000)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("transitions.json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    done: dict[str, list[dict[str, Any]]] = {}
    for env, real in zip(given.envs, given.real, strict=True):
        for seed in range(given.seeds):
            done.setdefault(env, []).append(
                run(
                    env,
                    real,
                    seed=seed,
                    ratio=given.ratio,
                    fit_steps=given.fit_steps,
                    agent_steps=given.agent_steps,
                    episodes=given.episodes,
                )
            )
            given.out.write_text(json.dumps(done, indent=2) + "\n", encoding="utf-8")
            print(env, seed, done[env][-1]["returns"], done[env][-1]["seconds"], flush=True)
        print(table(env, done[env]), flush=True)


if __name__ == "__main__":
    main()

"""Whether ``torch.compile`` pays on this machine: a training step of a default model's first stage, before and after.

    python benchmarks/compiled.py [--steps 6] [--cases "images, 28x28"]

Printed are the processor seconds of the first compiled step (the compiler's and its children's), of a step in either
way, and how many steps it takes until compiling has paid for itself.
"""

from __future__ import annotations

import argparse
import copy
import resource
import time

import torch

from machine import CASES, kind


def spent() -> float:
    """Processor seconds of this process and its children."""
    found = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--cases", nargs="+", choices=tuple(CASES), default=["images, 28x28", "table, 20 columns"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{time.strftime('%Y-%m-%d')}: {kind()}\n")
    print("| model's stage | compiling, s | a step, s | compiled, s | pays after |\n|---|---|---|---|---|")
    for name in options.cases:
        case = CASES[name]
        model, data = case.model(), case.data()
        stage = model.stages[0]
        batch = data.batch(torch.arange(stage.batch_size) % len(data))

        def step(loss, network, phase: str = stage.phases[0].name, batch=batch) -> None:  # noqa: ANN001
            terms = loss(phase, batch)
            sum(term.value * term.weight for term in terms.values()).backward()
            network.zero_grad(set_to_none=True)

        costs = {}
        for way in ("eager", "compiled"):
            network = copy.deepcopy(model)
            loss = network.loss if way == "eager" else torch.compile(network.loss)
            began = spent()
            step(loss, network)
            first = spent() - began
            step(loss, network)
            began = spent()
            for _ in range(options.steps):
                step(loss, network)
            costs[way] = (first, (spent() - began) / options.steps)
        gain = costs["eager"][1] - costs["compiled"][1]
        pays = f"{costs['compiled'][0] / gain:,.0f} steps" if gain > 0 else "never"
        shown = f"{costs['compiled'][0]:.1f} | {costs['eager'][1]:.4f} | {costs['compiled'][1]:.4f} | {pays}"
        print(f"| {name}: {stage.name} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

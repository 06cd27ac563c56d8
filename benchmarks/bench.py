"""The benchmark suite: what aegan costs beside its peers, part by part, in one run side by side.

    make bench [DATA=DIR PYTHAE=V/bin/python CTGAN=W/bin/python]
    python benchmarks/bench.py --out RESULTS [--data DIR] [--peer-python V/bin/python W/bin/python] [--docs docs]
                               [--repeats 3] [--parts start images ...] [--quick] [--kept]

Every part runs each side in a process of its own, with one thread, in turn, ``--repeats`` times; finished ones are
kept in RESULTS as JSON and not repeated, so that a stopped suite goes on. DIR holds ``fashion_mnist``, ``adult`` and
``timegan_stock``; parts whose data are not there, and peers without an environment (benchmarks/peers/README.md), are
left out and named. The table and the plot are written to ``--docs`` (RESULTS without) as ``bench.md`` and
``pictures/bench.svg``. Time is in processor seconds. ``--kept`` measures nothing and writes what there is. ``--quick``
tries the suite in some five minutes of processor time: its figures mean little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench_report import report
from machine import Told, child, kind

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Options:
    """What a call asks for."""

    out: Path
    data: Path | None = None
    peers: tuple[Path, ...] = ()
    repeats: int = 3
    quick: bool = False
    docs: Path | None = None
    kept: bool = False

    def peer(self, package: str) -> Path | None:
        """The Python among the peers' that has a package."""
        for python in self.peers:
            if subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode == 0:
                return python
        return None

    def set(self, name: str) -> Path | None:
        """Folder of a data set, where it is there."""
        found = None if self.data is None else self.data / name
        return found if found is not None and found.exists() else None


Side = Callable[[Options, int], Told]
"""Measures one side; the second argument is the repeat, which serves as a seed."""


def own(part: str, *arguments: str) -> Side:
    """A function of ``bench_parts`` in a process of its own."""
    return lambda options, repeat: child(
        HERE / "bench_parts.py", part, *arguments, "--seed", repeat, *(["--quick"] if options.quick else [])
    )


def speed(network: str, side: str) -> Side:
    """A side of ``speed.py``."""

    def measure(options: Options, repeat: int) -> Told:
        seconds = 2 if options.quick else 15
        given = ["--data", options.set("fashion_mnist"), "--network", network, "--seconds", seconds, "--threads", 1]
        if side == "pythae":
            return child(HERE / "peers" / "pythae_speed.py", *given, python=options.peer("pythae") or sys.executable)
        return child(HERE / "speed.py", "--side", side, *given)

    return measure


def imports(name: str) -> Side:
    """Imports of a package."""

    def measure(options: Options, repeat: int) -> Told:
        more = [] if name == "aegan" else ["--peer-python", str(options.peer(name))]
        return own("start", name, *more)(options, repeat)

    return measure


def with_data(part: str, name: str, *arguments: str, peer: str = "") -> Side:
    """A function of ``bench_parts`` that is told where a data set is, and which Python has the peer."""

    def measure(options: Options, repeat: int) -> Told:
        more = ["--data", options.set(name), *(["--peer-python", options.peer(peer)] if peer else [])]
        return own(part, *arguments, *map(str, more))(options, repeat)

    return measure


def loop(options: Options, repeat: int) -> Told:
    """TimeGAN's scheme as a plain loop."""
    return child(HERE / "peers" / "timegan_loop.py", "--count", 5 if options.quick else 40)


@dataclass(frozen=True)
class Part:
    """A part of the suite.

    Attributes:
        title: Heading in the table.
        metrics: By key of what is measured: its name, and whether more is better.
        sides: By name; the first is aegan's.
        needs: Data set that must be there.
        packages: By side, the package that a peer's environment must have.
    """

    title: str
    metrics: Mapping[str, tuple[str, bool]]
    sides: Mapping[str, Side]
    needs: str = ""
    packages: Mapping[str, str] | None = None


PEAK = {"peak": ("peak memory, MiB", False)}
TRAINED = {
    "cpu_rate": ("training, pictures a s", True),
    "encode": ("encoding, pictures a s", True),
    "decode": ("decoding, pictures a s", True),
    **PEAK,
}
RATES = {
    "sample": ("samples a s", True),
    "encode": ("codes a s", True),
    "size": ("model file, MiB", False),
    **PEAK,
}
PARTS: dict[str, Part] = {
    "start": Part(
        "Start",
        {
            "import": ("import of the package, s", False),
            "ready": ("import of all that training needs, s", False),
            "help": ("--help, s", False),
            **PEAK,
        },
        {name: imports(name) for name in ("aegan", "pythae", "ctgan")},
        packages={"pythae": "pythae", "ctgan": "ctgan"},
    ),
    **{
        f"images-{network}": Part(
            f"Images, pythae's {words}",
            TRAINED,
            {side: speed(network, side) for side in ("aegan", "plain loop", "pythae")},
            needs="fashion_mnist",
            packages={"pythae": "pythae"},
        )
        for network, words in (("conv", "convolutional network"), ("mlp", "perceptron"))
    },
    "images-default": Part(
        "Images, aegan's default networks (28x28)",
        {"autoencoder": ("autoencoder's stage, pictures a s", True), "joint": ("joint stage, pictures a s", True)}
        | PEAK,
        {side: own("loops", side) for side in ("aegan", "plain loop")},
    ),
    "images-quality": Part(
        "Images, time to a quality: Fréchet distance of at most 10 on Fashion-MNIST",
        {"seconds": ("training, s", False), "frechet": ("distance reached", False)},
        {
            "aegan": with_data("images_quality", "fashion_mnist", "aegan"),
            "pythae AE + mixture": with_data("images_quality", "fashion_mnist", "pythae", peer="pythae"),
        },
        needs="fashion_mnist",
        packages={"pythae AE + mixture": "pythae"},
    ),
    "tables-quality": Part(
        "Tables, time to a quality: shapes off by at most 3 %, trends by at most 5 %, on Adult",
        {
            "seconds": ("fitting, s", False),
            "shapes": ("shapes off by, %", False),
            "trends": ("trends off by, %", False),
            "sample": ("rows drawn a s", True),
            **PEAK,
        },
        {
            "aegan": with_data("tables_quality", "adult", "aegan"),
            "TVAE": with_data("tables_quality", "adult", "tvae", peer="ctgan"),
            "CTGAN": with_data("tables_quality", "adult", "ctgan", peer="ctgan"),
        },
        needs="adult",
        packages={"TVAE": "ctgan", "CTGAN": "ctgan"},
    ),
    "series-quality": Part(
        "Series, time to a quality: TimeGAN's published scores on Stocks, discriminative .102 and predictive .038",
        {
            "seconds": ("fitting, s", False),
            "discriminative": ("discriminative score", False),
            "predictive": ("predictive score", False),
            "sample": ("windows drawn a s", True),
            **PEAK,
        },
        {
            "aegan": with_data("series_quality", "timegan_stock", "recurrent"),
            "aegan's timegan": with_data("series_quality", "timegan_stock", "timegan"),
            "TimeGAN's scheme": with_data("series_quality", "timegan_stock", "loop"),
        },
        needs="timegan_stock",
    ),
    "series": Part(
        "Series, TimeGAN's scheme (24 steps of 6 channels)",
        {name: (f"{name} stage, s a step", False) for name in ("autoencoder", "supervisor", "joint")} | PEAK,
        {"aegan": own("timegan"), "plain loop": loop},
    ),
    "modes": Part(
        "Modes: time to all 8 of the ring with 90 % good samples",
        {"seconds": ("training, s", False), "modes": ("modes", True), "quality": ("good samples", True)},
        {
            "aegan": own("modes", "falling, octaves and signs"),
            "plain GAN": own("modes", "non-saturating"),
            "relativistic GAN": own("modes", "relativistic + R1 + R2"),
        },
    ),
    **{
        f"rates-{name}": Part(f"Rates of the default model: {name}", RATES, {"aegan": own("rates", name)})
        for name in ("images", "table", "series", "text", "sound")
    },
}


def stamp() -> str:
    """When, from which sources and on what a figure was measured."""
    said = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return f"{time.strftime('%Y-%m-%d')}, {said.stdout.strip() or 'sources without a commit'}, {kind()}"


def measured(name: str, options: Options) -> tuple[dict[str, list[Told]], list[str]]:
    """What each side of a part was measured to cost, with the ``stamp`` of when, and which could not be."""
    part, found, missing = PARTS[name], {}, []
    if part.needs and options.set(part.needs) is None:
        return {}, [f"{part.title}: no {part.needs} in --data"]
    sides: dict[str, Side] = {}
    for side, measure in part.sides.items():
        package = (part.packages or {}).get(side)
        kept = options.out / f"{name}-{side.replace(' ', '_')}-0.json"
        if package and not kept.exists() and options.peer(package) is None:
            missing.append(f"{part.title}: {side} (no --peer-python with {package})")
        else:
            sides[side] = measure
    for repeat in range(1 if options.quick else options.repeats):
        for side, measure in sides.items():
            kept = options.out / f"{name}-{side.replace(' ', '_')}-{repeat}.json"
            if not kept.exists() and options.kept:
                if not repeat:
                    missing.append(f"{part.title}: {side}")
                continue
            if not kept.exists():
                began = time.perf_counter()
                try:
                    told = measure(options, repeat)
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    missing.append(f"{part.title}: {side} ({str(error).strip().splitlines()[-1]})")
                    continue
                kept.write_text(json.dumps(told | {"wall": time.perf_counter() - began, "stamp": stamp()}, indent=1))
            found.setdefault(side, []).append(json.loads(kept.read_text()))
    for side, told in found.items():
        numbers = {key: statistics.median(one[key] for one in told if key in one) for key in told[0] if key != "stamp"}
        print(f"{name}, {side}: { {key: round(value, 3) for key, value in numbers.items()} }", flush=True)
    return found, missing


def main() -> None:
    """Measure what is missing and write the table and the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer-python", type=Path, nargs="*", default=[])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=list(PARTS))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--kept", action="store_true")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    peers = tuple(given.peer_python)
    options = Options(given.out, given.data, peers, given.repeats, given.quick, given.docs, given.kept)
    options.out.mkdir(parents=True, exist_ok=True)
    results, missing = {}, []
    for name in given.parts:
        results[name], left_out = measured(name, options)
        missing += left_out
    kept = options.out / "arithmetic.json"
    if not kept.exists():
        found = child(HERE / "bench_parts.py", "arithmetic", *(["--quick"] if given.quick else []))
        kept.write_text(json.dumps(found | {"stamp": stamp()}))
    text = report({PARTS[n].title: (PARTS[n].metrics, found) for n, found in results.items()}, missing,
                  json.loads(kept.read_text()), options.docs or options.out, quick=given.quick)  # fmt: skip
    print(f"\n{text}")


if __name__ == "__main__":
    main()

"""The benchmarks of speed and scale work through their functions; what they measure is no test."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the benchmarks, from which they import each other."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_ratios_say_who_is_ahead(tmp_path: Path) -> None:
    from bench_report import report

    metrics = {"rate": ("training, pictures a s", True), "seconds": ("fitting, s", False), "shapes": ("off", False)}
    ours = [{"rate": 10.0, "seconds": 4.0, "shapes": 1.0}, {"rate": 20.0, "seconds": 4.0, "shapes": 1.0}]
    theirs = [{"rate": 5.0, "seconds": 1.0, "shapes": 9.0, "reached": 0.0}] * 2
    found = {"Images": (metrics, {"aegan": ours, "peer": theirs}), "Tables": (metrics, {})}
    text = report(found, ["Tables: no data"], {}, tmp_path)
    assert "| training, pictures a s | peer | 5.00 (5.00–5.00) | 3.00 (2.00–4.00) | aegan |" in text
    assert "| fitting, s | peer | not reached: stopped after 1.00 (1.00–1.00) |  | aegan |" in text
    assert "| off | peer | 9.00 (9.00–9.00) |  |  |" in text and "* Tables: no data" in text
    assert (tmp_path / "bench.md").read_text() == text
    assert "3×" in (tmp_path / "pictures" / "bench.svg").read_text()


def test_a_suite_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import bench

    asked: list[tuple[str, int]] = []

    def side(name: str, told: dict[str, float]) -> Any:
        return lambda options, repeat: asked.append((name, repeat)) or told

    def broken(options: Any, repeat: int) -> dict[str, float]:
        raise RuntimeError("first line\nno room")

    part = bench.Part("A part", {"rate": ("rate", True)}, {"aegan": side("aegan", {"rate": 1.0}), "broken": broken})
    monkeypatch.setitem(bench.PARTS, "a", part)
    options = bench.Options(tmp_path, repeats=2)
    for _ in range(2):
        found, missing = bench.measured("a", options)
        assert [told["rate"] for told in found["aegan"]] == [1.0, 1.0] and "broken" not in found
        assert missing == ["A part: broken (no room)"] * 2
    assert asked == [("aegan", 0), ("aegan", 1)]
    monkeypatch.setitem(bench.PARTS, "b", bench.Part("B", {}, {}, needs="adult"))
    assert bench.measured("b", options) == ({}, ["B: no adult in --data"])


def test_a_ladder_doubles_until_it_is_good_or_too_dear() -> None:
    from argparse import Namespace

    from bench_parts import ladder

    def attempt(budget: float) -> dict[str, float]:
        return {"seconds": budget, "quality": budget}

    options = Namespace(quick=False, limit=100.0)
    assert ladder(attempt, 10, lambda told: told["quality"] >= 40, options)["budget"] == 40
    assert ladder(attempt, 10, lambda told: False, options) == {
        **attempt(80),
        "reached": 0.0,
        "budget": 80,
    }


def walks(folder: Path, steps: int = 60) -> Path:
    """A folder of the set's name with a few random walks in it."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(steps, 3, generator=generator).cumsum(0) * torch.tensor([1.0, 10.0, 100.0]) + 50
    lines = [",".join(f"{value:.4f}" for value in row) for row in x.tolist()]
    (folder / "timegan_stock").mkdir()
    (folder / "timegan_stock" / "stock_data.csv").write_text("\n".join(["a,b,c", *lines]))
    return folder / "timegan_stock"


def test_a_plain_loop_of_timegan_learns_and_draws_in_the_units_of_its_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS / "peers"))
    from argparse import Namespace

    import timegan_loop

    from series import units_of

    windows = units_of(walks(tmp_path).parent, "stocks", None, 0)
    assert windows.shape == (60 - 24 + 1, 24, 3)
    torch.save(windows, tmp_path / "windows.pt")
    torch.manual_seed(0)
    given = Namespace(windows=tmp_path / "windows.pt", made=tmp_path / "made.pt", iterations=2)
    told = timegan_loop.trained(given)
    assert told["seconds"] > 0 and told["sample"] > 0
    made = torch.load(tmp_path / "made.pt", weights_only=True)
    assert made.shape == windows.shape
    low, high = windows.amin((0, 1)), windows.amax((0, 1))
    assert (made >= low).all() and (made <= high).all() and (made.mean((0, 1)) - low > 0.2 * (high - low)).all()
    loop = timegan_loop.Loop(torch.rand(20, 24, 3))
    for work, moved in (
        (loop.autoencoder, {"embedder", "recovery"}),
        (loop.supervise, {"supervisor"}),
        (loop.joint, {"embedder", "recovery", "generator", "supervisor", "discriminator"}),
    ):
        parts = {name: part for name, part in vars(loop).items() if isinstance(part, torch.nn.Module)}
        before = {name: [p.clone() for p in part.parameters()] for name, part in parts.items()}
        work()
        changed = {
            name
            for name, part in parts.items()
            if any(not torch.equal(a, b) for a, b in zip(before[name], part.parameters(), strict=True))
        }
        assert changed == moved


def test_series_are_trained_until_both_published_scores_are_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from argparse import Namespace

    import bench_parts
    import series

    asked: list[float] = []

    def drawn(data: Path, name: str, model: str, seed: int, options: Namespace) -> dict[str, Any]:
        asked.append(options.budget)
        return {"took": {"cpu": options.budget, "cpu_draw": 2.0}, "train": torch.ones(4), "fake": torch.ones(4)}

    def scores(train: Any, fake: Any, held: Any, options: Namespace) -> dict[str, list[float]]:
        far = {10.0: (0.3, 0.037), 20.0: (0.05, 0.039), 40.0: (0.05, 0.037)}[asked[-1]]
        return {"discriminative": [far[0]], "predictive": [far[1], far[1]]}

    monkeypatch.setattr(series, "drawn", drawn)
    monkeypatch.setattr(series, "scores", scores)
    given = Namespace(side="recurrent", seed=3, data=tmp_path, quick=False, limit=600.0)
    told = bench_parts.series_quality(given)
    assert asked == [10.0, 20.0, 40.0] and told["seconds"] == 40.0 and told["reached"] == 1.0
    assert told["sample"] == 2.0 and told["predictive"] == 0.037


def test_operations_are_counted_through_second_derivatives() -> None:
    from machine import Flops

    w, x = torch.ones(3, 5, requires_grad=True), torch.ones(2, 3, requires_grad=True)
    with Flops() as counter:
        (gradient,) = torch.autograd.grad((x @ w).sum(), x, create_graph=True)
        gradient.square().sum().backward()
    # Forward, the gradient by x, and that of its own two inputs of which one is needed: 2·2·3·5 each.
    assert counter.total == 3 * 60


def test_costs_of_a_default_model() -> None:
    from machine import CASES, arithmetic_table, matrix_rate, steps

    case = CASES["series, 24 steps of 6"]
    model = case.model("timegan", {"batch_size": "4", "hidden": "4", "layers": "1"})
    told = steps(model, case.data(), model.stages[0].name, least=2, seconds=0.0, count_flops=True)
    assert told["step"] > 0 and told["flops"] > 0 and told["batch"] == 4 and told["convolutions"] == 0
    rate = matrix_rate(size=64, seconds=0.01)
    told |= {"samples": 1.0, "rate": rate / 2, "matrix": rate, "share": 0.5}
    assert "50%" in arithmetic_table({"series": told})


def test_a_script_that_fails_is_quoted(tmp_path: Path) -> None:
    from machine import child

    script = tmp_path / "script.py"
    script.write_text("import json; print('noise'); print(json.dumps({'a': 1}))")
    assert child(script, python=sys.executable) == json.loads('{"a": 1}')
    script.write_text("raise SystemExit('no room')")
    with pytest.raises(RuntimeError, match="no room"):
        child(script)


def test_growth_is_a_slope_of_logarithms(tmp_path: Path) -> None:
    import growth
    import machine

    assert growth.exponents([10, 20, 40], [1.0, 2.0, 8.0]) == (1.5, 2.0)
    found = {"rows": {10: {"encode": 1.0, "peak": 5.0}, 20: {"encode": 4.0, "peak": 5.0}}}
    text = growth.table(found)
    assert "| rows of a table | encode | 10 to 20 | 1 · 4 | 2.00 | **2.00** |" in text and "| memory |" in text
    page = tmp_path / "scale.md"
    page.write_text(f"before\n{growth.BEGIN}\nold\n{growth.END}\nafter\n")
    machine.write_between(page, growth.BEGIN, growth.END, text)
    assert "old" not in page.read_text() and text in page.read_text() and "after" in page.read_text()
    with pytest.raises(ValueError, match="marks"):
        machine.write_between(page, "<!-- no -->", growth.END, text)


def test_rates_and_memory_are_no_costs_that_grow() -> None:
    import growth

    small = {"m: s, steps a s": 1.0, "m: s, memory of each": 1.0, growth.LOAD: 1.0}
    text = growth.table({"ranks": {1: small, 2: {key: 4 * value for key, value in small.items()}}})
    assert "steps a s | 1 to 2 | 1 · 4 | 2.00 | 2.00 |" in text and "memory of each" in text and "load" not in text


def test_a_pass_trains_each_stage_on_every_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    import growth
    from machine import Case, columns

    asked: list[int] = []

    class Watched(growth.Trainer):
        def fit(self, *, resume: bool = False) -> None:
            asked.append(self.config.steps or 0)

    monkeypatch.setattr(growth, "Trainer", Watched)
    monkeypatch.setattr(growth, "typical", lambda work: float(work() or 1.0))
    case = Case("table", columns(2, 3), samples=70)
    told = growth._passes(case.model("autoregressive", {"batch_size": "32"}), case.data())
    assert list(told) == ["train, a pass of fields", "train, a pass of code"]
    assert asked == [2, 3, 2, 3]  # what is set up once, and 70 samples in batches of 32


def test_short_work_is_measured_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    import machine

    for took, expected in (([0.02, 0.9, 0.01, 0.03, 0.01], 0.02), ([0.6], 0.6)):
        left = list(took)
        monkeypatch.setattr(machine, "cost", lambda work, left=left: left.pop(0))
        assert machine.typical(lambda: None) == expected and not left


def test_rows_of_compiled_stages_say_what_pays_and_what_fails() -> None:
    import compiled

    row = {"case": "a", "stage": "b", "precision": "bf16", "way": "network", "what": "judge", "graphs": 2, "breaks": 1}
    row |= {"compiling": 30.0, "eager": 0.3, "compiled": 0.2}
    failed = {"case": "a", "stage": "c", "precision": "fp32", "way": "loss", "failed": "no second derivative"}
    text = compiled.table([row, failed])
    assert "| a: b, bf16 | `judge` | 2, 1 | 30 | 0.3000 | 0.2000 | 1.50 times | 300 steps |" in text
    assert "| a: c, fp32 | loss | cannot be compiled: no second derivative |" in text
    assert {line.count("|") for line in text.splitlines()} == {9}
    assert compiled.pays(row | {"compiled": 0.4}) == "never"
    assert compiled.reason(ValueError("C++ failed\n\nx.cpp:3: error: no member a | b. More")) == "no member a / b"
    assert compiled.reason(ValueError()) == "ValueError"


def test_networks_to_compile_are_those_that_the_loss_calls_the_largest_first() -> None:
    import compiled

    class Layers(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.small, self.large, self.around = (torch.nn.Linear(1, n) for n in (2, 3, 9))

        def loss(self, x: torch.Tensor) -> torch.Tensor:
            return self.small(x).sum() + self.large(x).sum()

    layers, x = Layers(), torch.ones(1, 1)
    assert compiled.called(layers, lambda: (layers.around(x), layers.loss(x))) == ["large", "small"]
    assert "loss" not in vars(layers)


def test_ways_of_updates_on_a_gpu_are_measured_where_there_is_none() -> None:
    import gpu

    case = machine_case("series, 24 steps of 6")
    stage = next(s for s in case.model().stages if s.name == "code")
    found = gpu.measured(case, None, stage, "cpu", "fp32", 0.01, 1)
    assert set(found) == {"waited", "call by call", "flops"} and min(map(min, found.values())) > 0
    assert gpu.backend_of("waited", "cpu", "fp32").waits and not gpu.backend_of("replayed", "cpu", "fp32").waits
    assert gpu.matrix_rate(torch.device("cpu"), 16) > 0


def machine_case(name: str) -> Any:
    from machine import CASES

    return CASES[name]


def test_projection_says_where_it_stops_paying_within_what_is_allowed() -> None:
    import ranks

    assert ranks.pays_to(1e9, 1e6, 1, 512) == 1  # all of it is starting kernels
    assert ranks.pays_to(1e16, 1e6, 1, 512) == 64
    assert ranks.pays_to(1e16, 1e6, 1, 32) == 16  # two samples each at least
    size, phases = ranks.sent(ranks.CASES["table, 20 columns"].model(), "fields")
    assert size > 1e5 and phases == 1
    text = ranks.over_gpus(4.5e12, 1.06e8, 1, 512)
    end = ranks.pays_to(4.5e12, 1.06e8, 1, 512)
    assert 1 < end < 64 and f"\n| {end} |" in text and text.count("pays to here") == 1
    assert ranks.projected(4.5e12, 1.06e8, 1, 1) / ranks.projected(8e12, 1e8, 1, end) > 2


def test_two_processes_are_timed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    import processes

    asked = []

    def group(processes: int, *arguments: Any) -> dict[str, float]:
        asked.append((processes, *arguments))
        return {"rate": float(processes)}

    monkeypatch.setattr(processes, "group", group)
    assert processes.together("a case", "a stage", count=7, repeats=2) == {1: [1.0, 1.0], 2: [2.0, 2.0]}
    assert asked == [(p, "--train", "a case", "a stage", 7) for p in (1, 2, 1, 2)]


def test_data_on_disk_are_compared_by_processor_time_and_by_the_clock() -> None:
    from larger_than_memory import row

    told = {"n": 9.0, "read": 1.0, "peak": 1.0, "cpu_rate": 4.0, "rate": 3.0, "later": 5.4}
    assert row("a", told).endswith("| 4.00 |  | 3.00 |  | 5.40 |  |")
    beside = {"cpu_rate_beside": 5.0, "rate_beside": 6.0, "later_beside": 6.0}
    assert row("a", told | beside).endswith("| 4.00 | 80% | 3.00 | 50% | 5.40 | 90% |")


def test_quality_over_the_autoencoders_error_and_over_seconds(tmp_path: Path) -> None:
    from claims import draw_quality

    arms: dict[str, dict[str, Any]] = {"codes": {"error": 0.1}, "copies": {"made": 20}, "plain": {}}
    results = [
        {"model": name, "seconds": 5.0 + seed, "metrics": {"frechet": 2.0 + seed}} | ({"augment": a} if a else {})
        for name, a in arms.items()
        for seed in range(3)
    ]
    draw_quality(results, list(arms), tmp_path / "study-d", "d")
    assert {p.name for p in tmp_path.iterdir()} == {"study-d-frechet-error.svg", "study-d-frechet-seconds.svg"}
    error, seconds = ((tmp_path / f"study-d-frechet-{name}.svg").read_text() for name in ("error", "seconds"))
    assert error.count("<circle") == 3 + 1 and ">codes<" in error and ">copies<" not in error  # one for the legend
    assert seconds.count("<circle") == 2 * (3 + 1) and ">plain<" not in seconds

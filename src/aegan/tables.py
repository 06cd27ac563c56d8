"""What a fitted model does with tables: rows under conditions, balanced rows, completed rows, their evaluation."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.data.table import TableAdapter
from aegan.data.table_columns import Coded, Column, Constant, Identifier
from aegan.data.table_detect import Context, detect
from aegan.data.table_frames import column_of
from aegan.data.table_looks import Look
from aegan.data.table_source import TableSource, open_table
from aegan.data.table_write import write_table
from aegan.errors import ConfigError, DataError, nearest
from aegan.metrics.table import AUTO, evaluate_table
from aegan.metrics.table_evaluation import TableEvaluation
from aegan.models.base import Model, in_blocks, noise_at, noise_for
from aegan.nn.drawing import steady
from aegan.storage import write_json
from aegan.train.memory import keep_freed_memory

if TYPE_CHECKING:
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator

TRIES = 50
"""A model that cannot draw under conditions draws this many times the rows asked for; those that meet them are kept."""
JUDGED = 50_000
"""Rows at most of each side of an evaluation."""
SHOWN = 1_000
"""Rows of the file of samples in a run's folder."""
LARGE = 65_536
"""Rows of a block at most, where blocks may have any size: many rows are alike in it, and it needs little memory."""
REDRAWN = 8
"""Times that a model that draws within masks draws the rows again that a condition cuts off."""
_AGAIN = 1_000_000_007


def sample_rows(
    estimator: Estimator,
    num: int,
    *,
    seed: int,
    where: Mapping[str, Any] | None = None,
    balance: str | None = None,
    start: int = 0,
) -> Any:
    """``num`` rows, each meeting ``where``, the values of the column ``balance`` equally often.

    ``start`` is the number of the first row: rows drawn part by part are those of a single draw.

    Raises:
        ConfigError: A condition that no row can meet, a column that cannot be balanced, or a model whose rows do not
            come to meet the conditions.
    """
    adapter, where = table_adapter(estimator), dict(where or {})
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise ConfigError(f"first: a whole number of at least 0 expected, got {start!r}.")
    draw = _drawer(estimator, num, where, balance)
    if balance is not None and not completes(estimator.model):
        name = estimator.run.config["model"]
        raise ConfigError(f"--balance: {name!r} cannot draw under conditions. Fit autoregressive.")
    drawn = draw(torch.arange(start, start + num), seed)
    if where:
        drawn = _until_met(estimator, draw, drawn, where, seed, start)
    rows = adapter.from_tensors(drawn, where=where or None, start=start)
    for columns in adapter.rules.unique:
        drawn, rows = _distinct(adapter, draw, drawn, rows, list(columns), where, seed, start)
    return rows


Draw = Callable[[Tensor, int], Tensor]
"""Rows ``(n, F)`` of the given numbers of the whole, from a seed."""


def _drawer(estimator: Estimator, num: int, where: Mapping[str, Any], balance: str | None) -> Draw:
    """How rows are drawn: within what the conditions allow, where the model can."""
    adapter, model = table_adapter(estimator), estimator.model
    allowed = adapter.condition(where) if where else {}
    width = len(adapter.spec.fields)
    place, values = _to_balance(adapter, balance, allowed) if balance is not None else (-1, torch.empty(0))

    def draw(index: Tensor, seed: int) -> Tensor:
        # The noise of a row depends on its number, whichever others are drawn again.
        def generate(part: Tensor) -> Tensor:
            return model.generate(noise_at(seed, part, model.noise_dim).to(estimator.device), None)

        if place < 0 and (not allowed or not completes(model)):
            return in_blocks(generate, index, **_blocks(model, estimator, len(index)))
        noise = noise_at(seed, index, model.noise_dim)
        known, x = torch.zeros(len(index), width, dtype=torch.bool), torch.zeros(len(index), width)
        if place >= 0:
            x[:, place], known[:, place] = values[_turn(index, len(values))] + 0.5, True
        return completed(estimator, noise, x, known, allowed)

    return draw


def _blocks(model: Model, estimator: Estimator, count: int) -> dict[str, Any]:
    """How ``count`` rows are cut into blocks, and by how many threads these are made."""
    if not model.apart or not steady(estimator.device.type):
        return {"block": model.block}
    keep_freed_memory()
    threads = torch.get_num_threads()
    # Blocks of nearly one size, so that no thread waits long for another.
    turns = math.ceil(count / (threads * LARGE))
    return {"block": max(1, math.ceil(count / (threads * turns))), "fill": False, "threads": threads}


def _turn(index: Tensor, count: int) -> Tensor:
    """Which of ``count`` values row number ``index`` takes: each once in every ``count`` rows, in a mixed order."""
    block, within = index // count, index % count
    orders = {int(b): torch.randperm(count, generator=torch.Generator().manual_seed(int(b))) for b in block.unique()}
    return torch.stack([orders[int(b)][w] for b, w in zip(block, within, strict=True)])


def _until_met(
    estimator: Estimator, draw: Draw, drawn: Tensor, where: Mapping[str, Any], seed: int, start: int
) -> Tensor:
    """Draw rows again that do not meet the conditions as drawn.

    What the fields' masks allow is wider than a range that cuts a cell, or that goes through a rule. Rows that are left
    after all tries are moved into the conditions when decoded; a model that cannot draw within masks has to meet them.
    """
    adapter, able = table_adapter(estimator), completes(estimator.model)
    for turn in range(1, TRIES + 1):
        missed = torch.from_numpy(~adapter.satisfies(adapter.from_tensors(drawn), where)).nonzero().squeeze(1)
        if not len(missed):
            return drawn
        drawn[missed] = draw(start + missed, seed + turn * _AGAIN)
        if able and turn >= REDRAWN:
            return drawn
    missed = torch.from_numpy(~adapter.satisfies(adapter.from_tensors(drawn), where))
    if bool(missed.any()):
        raise ConfigError(
            f"--where: {int(missed.sum())} of {len(drawn)} rows did not come to meet the conditions in {TRIES} tries. "
            f"{estimator.run.config['model']!r} cannot draw under conditions; fit autoregressive, which can."
        )
    return drawn


def _distinct(
    adapter: TableAdapter,
    draw: Draw,
    drawn: Tensor,
    rows: Any,
    columns: list[str],
    where: Mapping[str, Any],
    seed: int,
    start: int,
) -> tuple[Tensor, Any]:
    """Draw rows again whose values in ``columns`` came before."""
    for turn in range(1, TRIES + 1):
        twice = torch.from_numpy(open_table(rows).frame().duplicated(columns).to_numpy()).nonzero().squeeze(1)
        if not len(twice):
            return drawn, rows
        drawn[twice] = draw(start + twice, seed + turn * _AGAIN + 1)
        rows = adapter.from_tensors(drawn, where=where or None, start=start)
    twice = open_table(rows).frame().duplicated(columns)
    if twice.any():
        raise ConfigError(
            f"unique({', '.join(columns)}): {int(twice.sum())} of {len(drawn)} rows repeat others after {TRIES} tries. "
            "Ask for fewer rows."
        )
    return drawn, rows


def completed(estimator: Estimator, noise: Tensor, x: Tensor, known: Tensor, allowed: Mapping[int, Tensor]) -> Tensor:
    """Rows ``(N, F)`` with the known values kept and the others drawn; see ``Model.complete``."""
    model = estimator.model
    return in_blocks(
        lambda n, rows, k: model.complete(n, rows, k, allowed),
        noise,
        x,
        known,
        device=estimator.device,
        block=model.block,
    )


def complete_rows(estimator: Estimator, source: Any, *, seed: int = 0) -> Any:
    """``source`` with its missing cells filled by draws given the rest of their row; every other cell as it was."""
    adapter = table_adapter(estimator)
    if not completes(estimator.model):
        raise ConfigError(
            f"{estimator.run.config['model']!r} cannot complete rows. Fit the default model of tables, autoregressive."
        )
    opened = open_table(source)
    x, known = adapter.to_partial(opened)
    noise = noise_for(seed, len(x), estimator.model.noise_dim)
    return adapter.complete(opened, completed(estimator, noise, x, known, adapter.present()))


def completes(model: Model) -> bool:
    """Whether the model draws rows given some of their values."""
    return type(model).complete is not Model.complete


def table_adapter(estimator: Estimator) -> TableAdapter:
    """The run's adapter; ConfigError where the run is not of tables."""
    adapter = estimator.adapter
    if not isinstance(adapter, TableAdapter):
        raise ConfigError(f"{estimator.run.path}: a run of {adapter.spec.kind} data; this is for tables alone.")
    return adapter


def write_table_results(estimator: Estimator, *, target: str | None = AUTO, console: bool = False) -> None:
    """Judge a fitted model of tables; ``metrics.json`` and ``samples/rows.csv`` into its folder."""
    folder = estimator.run.path
    if not estimator.model.noise_dim:
        return
    rows = sample_rows(estimator, SHOWN, seed=0)
    write_table(rows, folder / "samples" / "rows.csv", form=table_adapter(estimator).form, overwrite=True)
    if estimator.train is None or len(estimator.train) < 20:
        return
    evaluation = evaluate_rows(estimator, target=target)
    write_json(folder / "metrics.json", evaluation.to_json())
    if console:
        print(evaluation)


def evaluate_rows(
    estimator: Estimator, real: Any = None, *, num: int | None = None, seed: int = 0, target: str | None = AUTO
) -> TableEvaluation:
    """Judge a run's rows against its training rows and the holdout, or against ``real`` on a loaded run."""
    adapter = table_adapter(estimator)
    train, holdout = (_frame(adapter, data) for data in (estimator.train, estimator.holdout))
    if real is not None:
        given = open_table(real).frame()
        if train is None:
            half = np.random.default_rng(seed).permutation(len(given))
            train, holdout = given.iloc[half[: len(half) // 2]], given.iloc[half[len(half) // 2 :]]
        else:
            holdout = given
    if train is None:
        raise ConfigError("evaluate: a loaded run does not hold its training data. Give real data: evaluate(real).")
    made = open_table(sample_rows(estimator, num or min(len(train), JUDGED), seed=seed)).frame()
    few = holdout is None or len(holdout) < 20
    left = [name for name, column in adapter.columns.items() if isinstance(column, (Constant, Identifier))]
    if target in left:
        raise ConfigError(f"--target {target}: a key, a constant or text that is not learnt; name another column.")
    return evaluate_table(
        train=_judgeable(adapter, train, left),
        synthetic=_judgeable(adapter, made, left),
        holdout=None if few or holdout is None else _judgeable(adapter, holdout, left),
        target=target,
        seed=seed,
        kinds=_kinds(adapter, left),
        unseen=estimator.train is not None,
    )


def _judgeable(adapter: TableAdapter, frame: pd.DataFrame, left: list[str]) -> pd.DataFrame:
    """Without keys and what is not learnt; dates and amounts that are written as text as numbers.

    An hour or a cent off is not another name.
    """
    looks = {name: column.look for name, column in adapter.columns.items() if column.look.kind in ("time", "written")}
    return _read(frame.drop(columns=left, errors="ignore"), looks)


def _kinds(adapter: TableAdapter, left: list[str]) -> dict[str, str]:
    """What columns were said to be."""
    known = {"categorical": "categorical", "boolean": "categorical", "numeric": "numeric"}
    return {name: known[kind] for name, kind in adapter.types.items() if kind in known and name not in left}


def evaluate_table_sources(
    real: Any, synthetic: Any, *, holdout: Any = None, target: str | None = AUTO, seed: int = 0
) -> TableEvaluation:
    """Judge any synthetic table against a real one; a tenth of ``real`` is set apart where there is no ``holdout``.

    Keys and free text of ``real`` are left out: new ones are to differ. Dates and amounts written as text are numbers.
    """
    source, made = open_table(real), open_table(synthetic).frame()
    reference, columns = source.frame(), _columns(source)
    left = [name for name, column in columns.items() if _is_key(column)]
    if target in left:
        raise ConfigError(f"--target {target}: a key or free text; name another column.")
    if len(left) == len(reference.columns):
        left = []
    if holdout is not None:
        held = open_table(holdout).frame()
    else:
        order = np.random.default_rng(seed).permutation(len(reference))
        cut = max(1, len(order) // 10)
        held, reference = reference.iloc[order[:cut]], reference.iloc[order[cut:]]
    if len(held) < 20 and holdout is None:
        held = None
    looks = {name: column.look for name, column in columns.items() if column.look.kind in ("time", "written")}

    def judged(frame: pd.DataFrame) -> pd.DataFrame:
        return _read(frame.drop(columns=left, errors="ignore"), looks)

    found = evaluate_table(
        train=judged(reference),
        synthetic=judged(made),
        holdout=None if held is None else judged(held),
        target=target,
        seed=seed,
        unseen=holdout is not None,
    )
    note = f"Keys and free text were not judged: {', '.join(left)}."
    return replace(found, notes=(*found.notes, note)) if left else found


def _columns(source: TableSource) -> dict[str, Column]:
    """What the columns of a real table are; none for those of which that cannot be told."""
    frame, found = source.sample(), {}
    context = Context(
        table=source.name, rows=len(source), bins=100, inf="missing", row_name=source.row_name, counts={}, missing={}
    )
    for name in map(str, frame.columns):
        with warnings.catch_warnings(), contextlib.suppress(DataError):
            warnings.simplefilter("ignore")
            found[name] = detect(name, column_of(frame, name), None, context)
    return found


def _is_key(column: Column) -> bool:
    return isinstance(column, Identifier) or (isinstance(column, Constant) and column.why == "text")


def _read(frame: pd.DataFrame, looks: Mapping[str, Look]) -> pd.DataFrame:
    """With text that looks so as numbers; what does not is missing."""
    out = frame.reset_index(drop=True)
    for name, look in looks.items():
        if name in out and (out[name].dtype == object or isinstance(out[name].dtype, pd.StringDtype)):
            values, missing = look.read(out.loc[:, name])
            out[name] = pd.Series(values, dtype="float64").mask(missing)
    return out


def _frame(adapter: TableAdapter, data: TensorData | None) -> pd.DataFrame | None:
    """Rows of encoded data as a pandas frame; amounts to within their cell, at most ``JUDGED`` of them."""
    if data is None or len(data) == 0:
        return None
    index = torch.arange(min(len(data), JUDGED))
    if len(data) > JUDGED:
        if data.block:  # no list of all of them
            some = np.random.default_rng(0).choice(len(data), JUDGED, replace=False, shuffle=False)
            index = torch.from_numpy(np.sort(some))
        else:
            index = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:JUDGED]
    return open_table(adapter.from_tensors(data.batch(index)["x"])).frame()


def _to_balance(adapter: TableAdapter, name: str, allowed: Mapping[int, Tensor]) -> tuple[int, Tensor]:
    """The place of a column's one field, and the values to balance."""
    if name not in adapter.columns:
        raise ConfigError(f"--balance {name}: no such column. {nearest(name, adapter.columns)}")
    places = [i for i, field in enumerate(adapter.spec.fields) if field.column == name]
    if len(places) != 1:
        parent = adapter.columns[name].on
        hint = f" It follows from {parent!r}: balance that." if parent else ""
        raise ConfigError(f"--balance {name}: a column with few values expected; this one has not.{hint}")
    place = places[0]
    if not isinstance(adapter.columns[name], Coded):
        raise ConfigError(f"--balance {name}: it is learnt together with other columns. Balance one of those.")
    mask = adapter.present().get(place, torch.ones(adapter.spec.fields[place].size, dtype=torch.bool))
    values = (mask & allowed.get(place, mask)).nonzero().squeeze(1)
    if not len(values):
        raise ConfigError(f"--balance {name}: the conditions leave no value of it.")
    return place, values

"""What a fitted model does with tables: rows under conditions, balanced rows, completed rows, their evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.data.table import TableAdapter
from aegan.data.table_source import open_table
from aegan.data.table_write import write_table
from aegan.errors import ConfigError, nearest
from aegan.metrics.table import AUTO, evaluate_table
from aegan.metrics.table_evaluation import TableEvaluation
from aegan.models.base import Model, in_blocks, noise_for
from aegan.storage import write_json

if TYPE_CHECKING:
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator

TRIES = 50
"""A model that cannot draw under conditions draws this many times the rows asked for; those that meet them are kept."""
JUDGED = 50_000
"""Rows at most of each side of an evaluation."""
SHOWN = 1_000
"""Rows of the file of samples in a run's folder."""
_BALANCE_STREAM = 104_729


def sample_rows(
    estimator: Estimator,
    num: int,
    *,
    seed: int,
    where: Mapping[str, Any] | None = None,
    balance: str | None = None,
) -> Any:
    """``num`` rows, each meeting ``where``, the values of the column ``balance`` equally often.

    Raises:
        ConfigError: A condition that no row can meet, a column that cannot be balanced, or a model whose rows do not
            come to meet the conditions.
    """
    adapter = table_adapter(estimator)
    where = dict(where or {})
    allowed = adapter.condition(where) if where else {}
    noise = noise_for(seed, num, estimator.model.noise_dim)
    known, x = torch.zeros(num, len(adapter.spec.fields), dtype=torch.bool), torch.zeros(num, len(adapter.spec.fields))
    if balance is not None:
        place, values = _to_balance(adapter, balance, allowed)
        # Each value equally often to within one, in an order that depends on the seed alone.
        turns = torch.arange(num) % len(values)
        order = torch.randperm(num, generator=torch.Generator().manual_seed(seed + _BALANCE_STREAM))
        x[:, place], known[:, place] = values[turns[order]] + 0.5, True
        allowed = {key: mask for key, mask in allowed.items() if key != place}
    if not allowed and not bool(known.any()):
        drawn = in_blocks(estimator.model.generate, noise, None, device=estimator.device, block=estimator.model.block)
        return adapter.from_tensors(drawn, where=where or None)
    if not completes(estimator.model):
        return _kept(estimator, adapter, num, seed, where, balance)
    drawn = completed(estimator, noise, x, known, allowed)
    return adapter.from_tensors(drawn, where=where or None)


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
    frame = open_table(source).frame() if not isinstance(source, pd.DataFrame) else source
    x, known = adapter.to_partial(frame)
    noise = noise_for(seed, len(x), estimator.model.noise_dim)
    return adapter.complete(frame, completed(estimator, noise, x, known, adapter.present()))


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
    rows = sample_rows(estimator, num or min(len(train), JUDGED), seed=seed)
    made = open_table(rows).frame()
    few = holdout is not None and len(holdout) < 20
    return evaluate_table(
        train=train.reset_index(drop=True),
        synthetic=made,
        holdout=None if holdout is None or few else holdout.reset_index(drop=True),
        target=target,
        seed=seed,
    )


def evaluate_table_sources(
    real: Any, synthetic: Any, *, holdout: Any = None, target: str | None = AUTO, seed: int = 0
) -> TableEvaluation:
    """Judge any synthetic table against a real one; a tenth of ``real`` is set apart where there is no ``holdout``."""
    reference, made = open_table(real).frame(), open_table(synthetic).frame()
    if holdout is not None:
        held = open_table(holdout).frame()
    else:
        order = np.random.default_rng(seed).permutation(len(reference))
        cut = max(1, len(order) // 10)
        held, reference = reference.iloc[order[:cut]], reference.iloc[order[cut:]]
    if len(held) < 20 and holdout is None:
        held = None
    return evaluate_table(
        train=reference.reset_index(drop=True),
        synthetic=made,
        holdout=None if held is None else held.reset_index(drop=True),
        target=target,
        seed=seed,
    )


def _frame(adapter: TableAdapter, data: TensorData | None) -> pd.DataFrame | None:
    """Rows of encoded data as a pandas frame; amounts to within their cell, at most ``JUDGED`` of them."""
    if data is None or len(data) == 0:
        return None
    index = torch.arange(len(data))
    if len(data) > JUDGED:
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
    mask = adapter.present().get(place, torch.ones(adapter.spec.fields[place].size, dtype=torch.bool))
    return place, (mask & allowed.get(place, mask)).nonzero().squeeze(1)


def _kept(
    estimator: Estimator, adapter: TableAdapter, num: int, seed: int, where: Mapping[str, Any], balance: str | None
) -> Any:
    """Rows of a model that draws without conditions: those that happen to meet them."""
    if balance is not None:
        raise ConfigError(
            f"--balance: {estimator.run.config['model']!r} cannot draw under conditions. Fit autoregressive."
        )
    parts, found, size = [], 0, max(num, 1_000)
    for turn in range(TRIES):
        noise = noise_for(seed + turn * 1_000_000_007, size, estimator.model.noise_dim)
        drawn = in_blocks(estimator.model.generate, noise, None, device=estimator.device, block=estimator.model.block)
        keep = adapter.satisfies(adapter.from_tensors(drawn), where)
        parts.append(drawn[torch.from_numpy(keep)])
        found += int(keep.sum())
        if found >= num:
            return adapter.from_tensors(torch.cat(parts)[:num], where=where)
    raise ConfigError(
        f"--where: of {TRIES * size} rows {found} met the conditions, {num} were asked for. "
        f"{estimator.run.config['model']!r} cannot draw under conditions; fit autoregressive, which can."
    )

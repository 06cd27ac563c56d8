"""Specs from TOML or plain values, checked before anything runs; every message names the place."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from aegan.errors import ConfigError, nearest
from aegan.fitting import check_settings, seconds
from aegan.models.registry import entry
from aegan.study import enlarge
from aegan.study.inits import INITS
from aegan.study.metrics import METRICS, Metric
from aegan.study.sources import BUILT_IN, check_source, kind_of
from aegan.study.spec import CLOCKS, FEWEST_STEPS, Budget, Claim, DataEntry, ModelEntry, StudySpec, flat, smallest_of


def read_spec(path: str | Path) -> tuple[StudySpec, str]:
    """Read and check a TOML file.

    Returns:
        The study, and the file's text.

    Raises:
        ConfigError: Anything in it that cannot work; the message names the place and the nearest known name.
        DataError: Unknown data.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}). A TOML file expected.") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: no valid TOML: {error}. See docs/studies.md for the form.") from error
    return spec_of(values, where=str(path), folder=path.parent), text


def spec_of(values: Mapping[str, Any], *, where: str = "study", folder: Path = Path()) -> StudySpec:
    """The study that plain values describe; see docs/studies.md.

    Args:
        values: As in the TOML file.
        where: Begins every message.
        folder: Relative paths of data are looked for here, then in the working folder.
    """
    known = {f.name for f in fields(StudySpec)}
    _known(values, known, where)
    for key in ("name", "models", "data", "seeds", "budget"):
        if key not in values:
            raise ConfigError(f"{where}: {key!r} is missing. See docs/studies.md for the form.")
    data = tuple(_data(d, f"{where}: data", folder) for d in _tables(values["data"], f"{where}: data"))
    models = tuple(_model(m, f"{where}: models", data) for m in _tables(values["models"], f"{where}: models"))
    _unique([m.name for m in models], f"{where}: models")
    _unique([d.name for d in data], f"{where}: data")
    _fitting(models, data, where)
    control = str(values.get("control", models[0].name))
    _one_of(control, [m.name for m in models], f"{where}: control")
    metrics = _metrics(values.get("metrics"), data, where)
    claims = tuple(
        _claim(c, f"{where}: claims", control, models, data, metrics)
        for c in _tables(values.get("claims", []), f"{where}: claims", empty=True)
    )
    _unique([c.name for c in claims], f"{where}: claims")
    inits = tuple(map(str, _list(values.get("inits", ("default",)), f"{where}: inits")))
    for init in inits:
        _one_of(init, INITS, f"{where}: inits")
    _unique(list(inits), f"{where}: inits")
    device = str(values.get("device", "cpu"))
    _one_of(device, ("cpu", "cuda", "auto"), f"{where}: device")
    alpha = values.get("alpha", 0.05)
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise ConfigError(f"{where}: alpha {alpha!r}: a level between 0 and 1 expected, such as 0.05.")
    return StudySpec(
        name=str(values["name"]), question=str(values.get("question", "")), models=models, data=data,
        seeds=_seeds(values["seeds"], where), budget=_budget(values["budget"], where, models), control=control,
        metrics=metrics, inits=inits, claims=claims, keep_weights=_flag(values, "keep_weights", False, where),
        threads=_count(values, "threads", 1, where), look_every=_count(values, "look_every", 10, where),
        samples=_count(values, "samples", 2000, where, least=50), alpha=alpha, device=device,
    )  # fmt: skip


# --- parts ----------------------------------------------------------------------------------------------------


def _model(values: Mapping[str, Any], where: str, data: Sequence[DataEntry]) -> ModelEntry:
    kinds, names = {d.kind for d in data}, [d.name for d in data]
    name = _name(values, where)
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(ModelEntry)}, where)
    model = str(values.get("model", name))
    by_kind, by_data = (
        {str(k): flat(_table({k: v}, str(k), f"{where}: {key}")) for k, v in _table(values, key, where).items()}
        for key in ("by_kind", "by_data")
    )
    found = ModelEntry(
        name=name, model=model, settings=flat(_table(values, "settings", where)), by_kind=by_kind, by_data=by_data,
        augment=_table(values, "augment", where),
    )  # fmt: skip
    try:
        for kind in by_kind:
            _one_of(kind, kinds | set(entry(model).kinds), "by_kind")
        for kind in sorted(kinds):
            check_settings(model, found.settings_for(kind))
        for which in by_data:
            _one_of(which, names, "by_data")
        for item in data:
            check_settings(model, found.on(item).settings_for(item.kind))
    except ConfigError as error:
        raise ConfigError(f"{where}: {str(error).replace('--set ', '')}") from error
    enlarge.check(found.augment, where)
    return found


def _data(values: Mapping[str, Any], where: str, folder: Path) -> DataEntry:
    name = _name(values, where)
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(DataEntry)}, where)
    source = check_source(str(values.get("source", name)), where, folder)
    n, holdout, times = values.get("n"), values.get("holdout", 0.2), values.get("times", 1.0)
    if not isinstance(times, (int, float)) or not 0 < times < 1e6:
        raise ConfigError(f"{where}: times = {times!r}: a factor of the budget above 0 expected, such as 2.")
    if n is not None and (not isinstance(n, int) or n < 8):
        raise ConfigError(f"{where}: n = {n!r}: at least 8 training samples expected.")
    if not isinstance(holdout, (int, float)) or not 0 < holdout < 1:
        raise ConfigError(f"{where}: holdout = {holdout!r}: a part between 0 and 1 expected, such as 0.2.")
    options = _table(values, "options", where)
    if options and source in BUILT_IN:
        raise ConfigError(f"{where}: options = {options}: {source!r} comes as it is, without options. Leave them out.")
    return DataEntry(
        name=name, source=source, kind=kind_of(source, values.get("kind"), where), n=n, holdout=float(holdout),
        labels=_flag(values, "labels", True, where), options=options, times=float(times),
    )  # fmt: skip


def _fitting(models: Iterable[ModelEntry], data: Iterable[DataEntry], where: str) -> None:
    for model in models:
        found = entry(model.model)
        if "samples" not in found.gives and "classes" not in found.gives:
            raise ConfigError(f"{where}: models: {model.name}: {model.model!r} gives no samples that could be judged.")
        for item in data:
            enlarge.check_kind(model.augment, item.kind, f"{where}: {model.name} on {item.name}")
            if item.kind not in found.kinds:
                raise ConfigError(
                    f"{where}: {model.name} on {item.name}: {model.model!r} is for {', '.join(found.kinds)} data, "
                    f"{item.name} is of kind {item.kind!r}. Leave one of them out, or make two studies."
                )


def _budget(values: Any, where: str, models: Iterable[ModelEntry]) -> Budget:
    where = f"{where}: budget"
    if not isinstance(values, Mapping) or len({"steps", "seconds"} & set(values)) != 1:
        raise ConfigError(f'{where}: {{ steps = 2000 }} or {{ seconds = "60s" }} expected, got {values!r}.')
    _known(values, {f.name for f in fields(Budget)}, where)
    clock = str(values.get("clock", "processor"))
    _one_of(clock, CLOCKS, f"{where}: clock")
    if "seconds" in values:
        try:
            amount = seconds(values["seconds"])
        except ConfigError as error:
            raise ConfigError(f"{where}: {str(error).replace('--budget', 'seconds =')}") from error
        if amount < 1:
            raise ConfigError(f"{where}: {amount:g} seconds are too few to train anything. At least 1 second expected.")
        return Budget(seconds=amount, clock=clock)
    steps = values["steps"]
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < FEWEST_STEPS:
        raise ConfigError(f"{where}: steps = {steps!r}: a whole number of at least {FEWEST_STEPS} expected.")
    return Budget(steps=steps, clock=clock)


def _seeds(values: Any, where: str) -> tuple[int, ...]:
    if isinstance(values, int) and not isinstance(values, bool):
        if values < 1:
            raise ConfigError(f"{where}: seeds = {values}: a number of at least 1, or a list of seeds, expected.")
        return tuple(range(values))
    if not isinstance(values, list) or not values or not all(isinstance(s, int) and s >= 0 for s in values):
        raise ConfigError(f"{where}: seeds = {values!r}: a number such as 5, or a list such as [0, 1, 2], expected.")
    _unique([str(s) for s in values], f"{where}: seeds")
    return tuple(values)


def _metrics(values: Any, data: Iterable[DataEntry], where: str) -> tuple[Metric, ...]:
    where = f"{where}: metrics"
    kinds = {d.kind for d in data}
    if values is None:
        return tuple(m for m in METRICS.values() if m.usual and (not m.kinds or kinds & set(m.kinds)))
    found = []
    for value in _list(values, where):
        if isinstance(value, Mapping):
            if "name" not in value or value.get("better") not in ("lower", "higher"):
                raise ConfigError(f'{where}: {{ name = "...", better = "lower" or "higher" }} expected, got {value!r}.')
            known = METRICS.get(str(value["name"]), Metric(name=str(value["name"]), title=str(value["name"])))
            found.append(Metric(name=known.name, title=known.title, better=value["better"], kinds=known.kinds))
        else:
            _one_of(str(value), METRICS, where)
            found.append(METRICS[str(value)])
        if found[-1].kinds and not kinds & set(found[-1].kinds):
            raise ConfigError(
                f"{where}: {found[-1].name!r} is of {', '.join(found[-1].kinds)} data, these are of "
                f"{', '.join(sorted(kinds))} data. Leave it out."
            )
    _unique([m.name for m in found], where)
    return tuple(found)


def _claim(
    values: Mapping[str, Any],
    where: str,
    control: str,
    models: Iterable[ModelEntry],
    data: Iterable[DataEntry],
    metrics: Iterable[Metric],
) -> Claim:
    name = str(values.get("name") or "")
    if not name:
        raise ConfigError(f"{where}: every claim needs a name.")
    where = f"{where}: {name}"
    _known(values, {f.name for f in fields(Claim)}, where)
    names, smallest = [m.name for m in models], values.get("smallest")
    for key in ("model", "control"):
        _one_of(str(values.get(key, control if key == "control" else "")), names, f"{where}: {key}")
    if not isinstance(smallest, Mapping) or not smallest:
        raise ConfigError(f'{where}: smallest = {{ METRIC = difference that matters, or "10%" }} expected.')
    for metric, amount in smallest.items():
        _one_of(metric, [m.name for m in metrics], f"{where}: smallest")
        smallest_of(amount, 1.0, f"{where}: smallest.{metric}")
    on = tuple(map(str, _list(values["data"], f"{where}: data"))) if "data" in values else ()
    for item in on:
        _one_of(item, [d.name for d in data], f"{where}: data")
    if values["model"] == values.get("control", control):
        raise ConfigError(f"{where}: {values['model']!r} is compared with itself. Name another control.")
    return Claim(
        name=name, text=str(values.get("text", "")), model=str(values["model"]),
        control=str(values.get("control", control)), smallest=dict(smallest), data=on,
    )  # fmt: skip


def _tables(values: Any, where: str, *, empty: bool = False) -> list[Mapping[str, Any]]:
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, Mapping) for v in values):
        raise ConfigError(f"{where}: tables such as [[{where.rsplit(' ', 1)[-1]}]] expected, got {values!r}.")
    if not values and not empty:
        raise ConfigError(f"{where}: at least one expected.")
    return list(values)


def _list(values: Any, where: str) -> list[Any]:
    if not isinstance(values, (list, tuple)) or not values:
        raise ConfigError(f"{where}: a list of one at least expected, got {values!r}.")
    return list(values)


def _table(values: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    found = values.get(key, {})
    if not isinstance(found, Mapping):
        raise ConfigError(f"{where}: {key} = {{ name = value }} expected, got {found!r}.")
    return dict(found)


def _flag(values: Mapping[str, Any], key: str, default: bool, where: str) -> bool:
    found = values.get(key, default)
    if not isinstance(found, bool):
        raise ConfigError(f"{where}: {key} = {found!r}: true or false expected.")
    return found


def _name(values: Mapping[str, Any], where: str) -> str:
    name = values.get("name")
    if not isinstance(name, str) or not name or any(c in name for c in '/\\:*?"<>|\n') or name.startswith("."):
        raise ConfigError(f"{where}: a name without / and the like expected, got {name!r}. Every entry needs one.")
    return name


def _known(values: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    for key in values:
        if key not in set(known):
            raise ConfigError(f"{where}: unknown setting {key!r}. {nearest(str(key), known)}")


def _one_of(value: str, known: Iterable[str], where: str) -> None:
    if value not in set(known):
        raise ConfigError(f"{where}: unknown name {value!r}. {nearest(value, known)}")


def _unique(names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"{where}: {', '.join(map(repr, twice))} given more than once. Give each its own name.")


def _count(values: Mapping[str, Any], key: str, default: int, where: str, least: int = 1) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{where}: {key} = {value!r}: a whole number of at least {least} expected.")
    return value

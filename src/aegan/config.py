"""Frozen dataclass configs to JSON and back, and ``--set key=value`` overrides by field name."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from aegan.errors import ConfigError, nearest

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a run is trained, whatever the model.

    Attributes:
        steps: Total steps over all stages; None to train for ``budget`` seconds.
        budget: Training time in seconds over all stages; used when ``steps`` is None.
        seed: Seed of the weights, the batch order and the noise.
        device: ``auto``, ``cpu`` or ``cuda``.
        precision: ``auto`` (measured), ``fp32`` or ``bf16``.
        checkpoint_every: Seconds between checkpoints.
        grids: Sample grids drawn over the run.
        accumulate: Shards of a batch that a process computes one after the other, in less memory than at once.
        graphs: On CUDA, capture updates that are always the same and replay them; for small networks.
    """

    steps: int | None = None
    budget: float = 300.0
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    checkpoint_every: float = 60.0
    grids: int = 12
    accumulate: int = 1
    graphs: bool = False

    def __post_init__(self) -> None:
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps: a number of at least 1 expected, got {self.steps}.")
        if not 0 < self.budget < float("inf"):
            raise ConfigError(f"budget: a positive time expected, got {self.budget} seconds. Example: 5m.")
        if self.checkpoint_every <= 0:
            raise ConfigError(f"checkpoint_every: positive seconds expected, got {self.checkpoint_every}.")
        if self.seed < 0:
            raise ConfigError(f"seed: a whole number of at least 0 expected, got {self.seed}.")
        if self.grids < 0:
            raise ConfigError(f"grids: a number of at least 0 expected, got {self.grids}.")
        if self.accumulate < 1:
            raise ConfigError(f"accumulate: a whole number of at least 1 expected, got {self.accumulate}.")
        for name, known in (("device", ("auto", "cpu", "cuda")), ("precision", ("auto", "fp32", "bf16"))):
            if getattr(self, name) not in known:
                raise ConfigError(
                    f"{name}: unknown value {getattr(self, name)!r}. {nearest(getattr(self, name), known)}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrivateConfig:
    """What a differentially private training promises, and what that takes.

    Attributes:
        epsilon: ε of the promise.
        delta: δ of the promise.
        noise: Standard deviation of the noise on a sum of gradients, in units of ``bound``.
        rate: Probability with which a sample is in a batch.
        bound: Norm to which a sample's gradient is cut.
    """

    epsilon: float
    delta: float
    noise: float
    rate: float
    bound: float = 1.0


TAG = "model"
"""A dataclass with a class variable of this name says by it which member of a union it is."""


def to_json(config: Any) -> dict[str, Any]:
    """A (nested) dataclass as plain JSON values; members of a union carry their tag."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            tag = getattr(value, TAG, None)
            values[field.name] = ({TAG: tag} if tag else {}) | to_json(value)
        else:
            values[field.name] = value
    return values


def from_json(cls: type[T], data: Mapping[str, Any], *, where: str = "config") -> T:
    """Build dataclass ``cls`` from plain values; unknown keys and wrong types are errors.

    Raises:
        ConfigError: Names the key, what was expected, and the nearest known names.
    """
    return cls(**_values(cls, data, {f.name: _default(f) for f in dataclasses.fields(cls)}, where))  # type: ignore[arg-type]


def _values(cls: type, data: Mapping[str, Any], defaults: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fields that ``data`` sets, coerced; a nested config keeps what its default says and ``data`` does not."""
    hints, values = typing.get_type_hints(cls), {}
    for key, value in data.items():
        if key not in defaults:
            raise ConfigError(f"{where}: unknown setting {key!r}. {nearest(key, defaults)}")
        default, name = defaults[key], f"{where}.{key}"
        if isinstance(value, Mapping) and dataclasses.is_dataclass(default) and not isinstance(default, type):
            own = {k: v for k, v in value.items() if k != TAG}
            if value.get(TAG) in (None, getattr(default, TAG, None)):
                inner = {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}
                values[key] = dataclasses.replace(default, **_values(type(default), own, inner, name))
                continue
        values[key] = _coerce(hints[key], value, name)
    return values


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def dotted(config: Any) -> dict[str, Any]:
    """Every setting of a (nested) dataclass by its dotted name, in order.

    >>> @dataclasses.dataclass
    ... class Inner:
    ...     lr: float = 0.1
    >>> @dataclasses.dataclass
    ... class Outer:
    ...     stage: Inner = dataclasses.field(default_factory=Inner)
    >>> dotted(Outer())
    {'stage.lr': 0.1}
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            if tag := getattr(value, TAG, None):
                found[f"{field.name}.{TAG}"] = tag
            found |= {f"{field.name}.{key}": inner for key, inner in dotted(value).items()}
        else:
            found[field.name] = value
    return found


def override(config: T, settings: Mapping[str, str]) -> T:
    """A copy of ``config`` with ``settings`` (strings, as typed by a user) put in; dots go into nested configs.

    Raises:
        ConfigError: An unknown name (with the nearest ones) or a value of the wrong type.
    """
    # A tag decides which other settings there are, so it goes first.
    for key, text in sorted(settings.items(), key=lambda item: not item[0].endswith(f".{TAG}")):
        known = dotted(config)
        if key not in known:
            same = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
            hint = f"Did you mean {' or '.join(map(repr, same))}?" if same else nearest(key, known)
            raise ConfigError(f"--set {key}={text}: unknown setting {key!r}. {hint}")
        config = _replaced(config, key.split("."), text, f"--set {key}")
    return config


def require_non_negative(config: Any, *names: str, where: str = "") -> None:
    """ConfigError unless each field is a finite number of at least 0; ``where`` goes before its name."""
    for name in names:
        if not 0 <= getattr(config, name) < float("inf"):
            raise ConfigError(f"{where}{name}: a number of at least 0 expected, got {getattr(config, name)}.")


def require_choice(config: Any, name: str, known: Iterable[str]) -> None:
    """ConfigError with the nearest names unless the field is one of ``known``."""
    if getattr(config, name) not in known:
        value = getattr(config, name)
        raise ConfigError(f"{name}: unknown value {value!r}. {nearest(value, known)}")


def require_at_least_one(config: Any, *names: str) -> None:
    """ConfigError unless each field is at least 1."""
    for name in names:
        if getattr(config, name) < 1:
            raise ConfigError(f"{name}: a whole number of at least 1 expected, got {getattr(config, name)}.")


def _replaced(config: Any, path: list[str], text: str, where: str) -> Any:
    head, *rest = path
    if rest == [TAG]:
        member = _retagged(type(config), head, getattr(config, head), text, where)
        return dataclasses.replace(config, **{head: member})
    if rest:
        return dataclasses.replace(config, **{head: _replaced(getattr(config, head), rest, text, where)})
    hint = typing.get_type_hints(type(config))[head]
    return dataclasses.replace(config, **{head: _coerce(hint, text, where)})


def _retagged(cls: type, name: str, current: Any, tag: str, where: str) -> Any:
    """The member ``tag`` of the union field ``name``, with what was changed in ``current`` where it has the field."""
    member = _member(typing.get_type_hints(cls)[name], tag, where)
    defaults, fields = type(current)(), {f.name for f in dataclasses.fields(member)}
    changed = {f.name: getattr(current, f.name) for f in dataclasses.fields(current)}
    return member(**{k: v for k, v in changed.items() if k in fields and v != getattr(defaults, k)})


def _member(hint: Any, tag: str, where: str) -> type[Any]:
    members = {getattr(member, TAG): member for member in typing.get_args(hint) or (hint,)}
    if tag not in members:
        raise ConfigError(f"{where}: unknown value {tag!r}. {nearest(tag, members)}")
    return members[tag]


def _coerce(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType) and isinstance(value, Mapping):
        member = _member(hint, value[TAG], where) if TAG in value else args[0]
        return from_json(member, {k: v for k, v in value.items() if k != TAG}, where=where)
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        return _coerce(next(a for a in args if a is not type(None)), value, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_json(typing.cast("type[Any]", hint), value, where=where)
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        return tuple(_coerce(args[0], part, where) for part in parts)
    try:
        return _scalar(hint, value)
    except (TypeError, ValueError):
        name = getattr(hint, "__name__", str(hint))
        raise ConfigError(f"{where}: a value of type {name} expected, got {value!r}.") from None


def _scalar(hint: Any, value: Any) -> Any:
    if hint is bool:
        if isinstance(value, bool):
            return value
        lowered = str(value).lower()
        if lowered not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
            raise ValueError
        return lowered in ("true", "1", "yes", "on")
    if isinstance(value, bool):
        raise TypeError
    if hint is int:
        number = float(value)
        if not number.is_integer():
            raise ValueError
        return int(number)
    if hint is float:
        number = float(value)
        if number != number:
            raise ValueError
        return number
    if hint is str and not isinstance(value, str):
        raise TypeError
    return hint(value)

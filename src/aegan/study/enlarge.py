"""Training data enlarged before a model sees them: the operations that claims about augmentation compare.

Those without an autoencoder work in the values themselves. The others train one first, on the same samples and out of
the same budget, and then encode, move and decode (:mod:`aegan.augmentation`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from aegan.augment.latent.neighbours import class_neighbours
from aegan.augmentation.engine import TRIES, Augmenter, Labels, Settings
from aegan.augmentation.space import Space
from aegan.config import TrainConfig, from_json, override, to_json
from aegan.data.base import TensorData
from aegan.errors import ConfigError, nearest
from aegan.models.registry import MODELS, build, entry
from aegan.streams import borrowed
from aegan.study.added import error_of
from aegan.study.inits import initialise
from aegan.study.spec import flat
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

LATENT = ("gaussian", "tangent", "interpolate", "extrapolate", "mix")
"""Encode, move, decode: of :mod:`aegan.augmentation`."""
SETTINGS = ("operation", "strength", "factor", "autoencoder", "settings", "share", "checks")
ANY = ("image", "vector")
"""Kinds that every operation works on."""
REDRAWN = 3 * TRIES
"""Times that what the checks drop is drawn again, so that all arms learn from as many samples."""
SHARE = 0.3
"""Of the budget, for the autoencoder."""
NEIGHBOURS = 5
SHIFT, TURN = 0.125, 10.0
"""Of plain geometric augmentation, at most: part of the side, degrees."""


class Enlarged(NamedTuple):
    """Data, what of the budget they took, in steps and in seconds, and what became of what was asked for.

    See :func:`enlarged`. The steps are the autoencoder's, whatever the budget is counted in.
    """

    data: TensorData
    steps: int
    seconds: float
    about: dict[str, Any]


def check(values: Mapping[str, Any], where: str) -> None:
    """Refuse an ``augment`` table that cannot work.

    Raises:
        ConfigError: An unknown operation, autoencoder or setting, or a number out of its range.
    """
    if not values:
        return
    where = f"{where}: augment"
    for key in values:
        if key not in SETTINGS:
            raise ConfigError(f"{where}: unknown setting {key!r}. {nearest(str(key), SETTINGS)}")
    operation, known = str(values.get("operation", "")), (*PLAIN, *LATENT)
    if operation not in known:
        raise ConfigError(f"{where}: operation {operation!r}: unknown. {nearest(operation, known)}")
    for key, low, high in (("strength", 0.0, 1.0), ("share", 0.05, 0.9), ("factor", 0.1, 100.0)):
        value = values.get(key, high / 2)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(f"{where}: {key} = {value!r}: a number from {low:g} to {high:g} expected.")
    own = {"autoencoder", "settings", "share", "checks"} & set(values)
    if operation in PLAIN and own:
        raise ConfigError(f"{where}: {', '.join(sorted(own))}: {operation!r} needs no autoencoder. Leave it out.")
    if operation in LATENT:
        name = str(values.get("autoencoder", "autoencoder"))
        family = [n for n, e in MODELS.items() if e.family == "autoencoder"]
        if name not in family:
            raise ConfigError(f"{where}: autoencoder {name!r}: unknown. {nearest(name, family)}")
        try:
            override(entry(name).load().Config(), _texts(values))
            _how(values, strength=float(values.get("strength", 0.5)))
        except ConfigError as error:
            raise ConfigError(f"{where}: {str(error).replace('--set ', '')}") from error


def possible(kind: str) -> tuple[str, ...]:
    """The operations that data of a kind allow.

    Values of a table are places in lists of names, of which there is no mean. Of series and recordings more than the
    values would have to be made, and texts are tokens: they can be repeated alone.

    >>> possible("text")
    ('copy',)
    """
    if kind in ANY:
        return (*PLAIN, *LATENT)
    return ("copy", *LATENT) if kind == "table" else ("copy",)


def check_kind(values: Mapping[str, Any], kind: str, where: str) -> None:
    """Refuse an ``augment`` table for data of a kind that it cannot do.

    Raises:
        ConfigError: The operation, or the autoencoder, is not for such data.
    """
    operation, name = values.get("operation"), str(values.get("autoencoder", "autoencoder"))
    if values and operation not in possible(kind):
        raise ConfigError(
            f"{where}: augment: operation {operation!r} cannot be done to {kind} data; "
            f"{', '.join(possible(kind))} can. Take one of these, or make two studies."
        )
    able = [n for n, e in MODELS.items() if kind in e.kinds and e.family == "autoencoder"]
    if operation in LATENT and name not in able:
        raise ConfigError(
            f"{where}: augment: autoencoder {name!r} is not for {kind} data; {', '.join(able)} are. Take one of these."
        )


def enlarged(
    train: TensorData,
    values: Mapping[str, Any],
    spec: Spec,
    *,
    seed: int,
    steps: int | None = None,
    seconds: float | None = None,
    clock: Callable[[], float] = time.process_time,
    init: str = "default",
    held: TensorData | None = None,
) -> Enlarged:
    """The training data with ``factor`` new samples for each real one, however many the checks drop.

    What they drop is drawn again, :data:`REDRAWN` times at most; where there are too few even so, unmoved copies of
    the originals that were to be moved take the places. ``about`` of the result says how many were ``asked`` for,
    ``made`` and ``filled`` with copies, and of operations on codes also how many were ``drawn``, how many each check
    ``dropped``, the mean ``strength`` of those made, and the autoencoder's ``error``, as
    :func:`aegan.study.added.error_of` measures it.

    Args:
        train: Real samples.
        values: ``operation``, ``strength``, ``factor``; with an autoencoder also ``autoencoder``, ``settings``,
            ``share`` of the budget and ``checks``.
        spec: What one sample is.
        seed: Of everything random.
        steps: The run's whole budget, or None.
        seconds: The same in seconds.
        clock: What they are counted by.
        init: Of the autoencoder; see :data:`aegan.study.inits.INITS`.
        held: What the autoencoder's error is measured on; it is no part of the budget.

    Raises:
        ConfigError: An operation that does not go with these data.
    """
    if not values:
        return Enlarged(train, 0, 0.0, {})
    check_kind(values, spec.kind, "study")
    began, strength = clock(), float(values.get("strength", 0.5))
    count = max(1, round(float(values.get("factor", 1.0)) * len(train)))
    operation, used = str(values["operation"]), 0
    generator = torch.Generator().manual_seed(seed * 7919 + 17)
    real = train.batch(torch.arange(len(train)))
    about: dict[str, Any] = {"operation": operation, "asked": count, "made": count, "filled": 0}
    if operation == "copy":
        rows = torch.randint(0, len(train), (count,), generator=generator)
        fields = {name: torch.cat([value, value[rows]]) for name, value in real.items()}
        return Enlarged(TensorData(**fields), 0, clock() - began, about)
    x, y, space = real["x"], train.labels, None
    if operation in PLAIN:
        rows = torch.randint(0, len(x), (count,), generator=generator)
        made, classes = PLAIN[operation](x, y, rows, strength, generator)
    else:
        share = share_of(values)
        own = None if steps is None else max(1, round(share * steps))
        config = TrainConfig(
            steps=own, budget=share * (seconds or 1.0), seed=seed, precision="fp32", device="cpu", grids=0
        )
        space, used = _trained(train, values, spec, config, clock, init)
        made, classes, found = _moved(space, train, values, count, strength, seed)
        about |= found
    fields = {"x": torch.cat([x, made.clamp(-1, 1) if spec.kind == "image" else made])}
    if y is not None and classes is not None:
        fields["y"] = torch.cat([y, classes])
    took = clock() - began
    if space is not None:
        about |= error_of(space, held if held else train, held=bool(held))
    return Enlarged(TensorData(**fields), used, took, about)


Made = tuple[Tensor, Tensor | None]


def _copy(x: Tensor, y: Tensor | None, rows: Tensor, strength: float, generator: torch.Generator) -> Made:
    """Nothing new: what enlarging by itself does."""
    return x[rows], None if y is None else y[rows]


def _geometric(x: Tensor, y: Tensor | None, rows: Tensor, strength: float, generator: torch.Generator) -> Made:
    """Shifts and turns of images, at most an eighth of the side and ten degrees at strength 1; edges are repeated.

    Data without geometry are copied.
    """
    if x.ndim != 4:
        return _copy(x, y, rows, strength, generator)
    amount = strength * (2.0 * torch.rand(3, len(rows), generator=generator) - 1.0)
    angle = amount[0] * TURN * math.pi / 180
    move = torch.zeros(len(rows), 2, 3)
    move[:, 0, 0] = move[:, 1, 1] = angle.cos()
    move[:, 0, 1], move[:, 1, 0] = -angle.sin(), angle.sin()
    move[:, :, 2] = 2 * SHIFT * amount[1:].T
    grid = affine_grid(move, list(x[rows].shape), align_corners=False)
    return grid_sample(x[rows], grid, padding_mode="border", align_corners=False), None if y is None else y[rows]


def _mixup(x: Tensor, y: Tensor | None, rows: Tensor, strength: float, generator: torch.Generator) -> Made:
    """Weighted means with any other sample, the larger part keeping its class (Zhang et al. 2018, arXiv 1710.09412)."""
    other = torch.randint(0, len(x), (len(rows),), generator=generator)
    part = _wide(0.5 * strength * torch.rand(len(rows), generator=generator), x)
    return (1 - part) * x[rows] + part * x[other], None if y is None else y[rows]


def _smote(x: Tensor, y: Tensor | None, rows: Tensor, strength: float, generator: torch.Generator) -> Made:
    """Between a sample and one of its five nearest of the class (Chawla et al. 2002, arXiv 1106.1813).

    The only sample of a class stays what it is.
    """
    classes = torch.zeros(len(x), dtype=torch.int64) if y is None else y
    near = class_neighbours(x.flatten(1), classes, NEIGHBOURS)
    other = torch.where(near.count[rows] > 0, near.drawn(rows, generator), rows)
    part = _wide(strength * torch.rand(len(rows), generator=generator), x)
    return x[rows] + part * (x[other] - x[rows]), None if y is None else y[rows]


PLAIN: dict[str, Callable[..., Made]] = {"copy": _copy, "geometric": _geometric, "mixup": _mixup, "smote": _smote}
"""Without an autoencoder."""


def _wide(part: Tensor, x: Tensor) -> Tensor:
    return part.view(-1, *[1] * (x.ndim - 1))


def _trained(
    train: TensorData,
    values: Mapping[str, Any],
    spec: Spec,
    config: TrainConfig,
    clock: Callable[[], float],
    init: str,
) -> tuple[Space, int]:
    """An autoencoder trained for this alone, and its steps."""
    name = str(values.get("autoencoder", "autoencoder"))
    settings = to_json(override(from_json(entry(name).load().Config, {}), _texts(values)))
    with borrowed():
        torch.manual_seed(config.seed)
        network = build(name, spec, settings)
        initialise(network, init)
    trainer = Trainer(network, train, config, Backend("cpu", "fp32"), clock=clock)
    trainer.fit()
    network.eval().requires_grad_(False)
    return Space(network, spec, name=name), trainer.step


def _moved(
    space: Space, train: TensorData, values: Mapping[str, Any], count: int, strength: float, seed: int
) -> tuple[Tensor, Tensor | None, dict[str, Any]]:
    """``count`` samples and their classes, the last ones copies where the checks leave too few; and their numbers."""
    how = _how(values, num=count, strength=strength, seed=seed)
    labels = None if train.labels is None else Labels(y=train.labels, names=space.spec.classes)
    made = Augmenter(space, train, how, labels).make(tries=REDRAWN)
    x, y = made.x.float(), made.y
    if len(made.missing):
        x = torch.cat([x, train.batch(made.missing)["x"].float()])
        y = None if y is None or labels is None else torch.cat([y, labels.y[made.missing]])
    return x, y, {
        "made": len(made.source),
        "filled": len(made.missing),
        "drawn": made.report["drawn"],
        "dropped": made.report["dropped"],
        "strength": round(float(made.reached.mean()), 4) if len(made.reached) else None,
    }  # fmt: skip


def _how(values: Mapping[str, Any], **settings: Any) -> Settings:
    return Settings(operations=str(values["operation"]), checks=values.get("checks", "auto"), **settings)


def share_of(values: Mapping[str, Any]) -> float:
    """Part of the budget that an ``augment`` table's autoencoder takes; 0 without one."""
    return float(values.get("share", SHARE)) if values.get("operation") in LATENT else 0.0


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return flat(values.get("settings", {}))

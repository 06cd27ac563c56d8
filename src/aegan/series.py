"""What a fitted model does with time series: samples under conditions, and longer ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.data.series import SeriesAdapter
from aegan.data.series_write import write_series
from aegan.errors import ConfigError, nearest
from aegan.models.base import Model, in_blocks, noise_for
from aegan.series_places import sampled_places, seasonal

if TYPE_CHECKING:
    from aegan.estimator import Estimator

AT_ONCE = 1_024
"""Series drawn at once: the noise of one is as long as the series itself."""
_AGAIN = 1_000_000_007
_CLASS = "class"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Series of a model with all that belongs to them.

    Attributes:
        x: ``(N, T, C)`` in [-1, 1].
        static: Attributes ``(N, F)``; None where there are none.
        y: Classes ``(N,)``; None where there are none.
    """

    x: Tensor
    static: Tensor | None = None
    y: Tensor | None = None


def series_adapter(estimator: Estimator) -> SeriesAdapter:
    """The run's adapter; ConfigError where the run is not of series."""
    adapter = estimator.adapter
    if not isinstance(adapter, SeriesAdapter):
        raise ConfigError(f"{estimator.run.path}: a run of {adapter.spec.kind} data; this is for series alone.")
    return adapter


def sample_series(
    estimator: Estimator,
    num: int,
    *,
    seed: int,
    where: Mapping[str, Any] | None = None,
    spread: float = 1.0,
    steps: int | None = None,
    start: int = 0,
) -> Any:
    """``num`` series in the form that ``fit`` was given, each meeting ``where``; of ``steps`` steps if that is given.

    Raises:
        ConfigError: A condition that cannot be met, or longer series of data that are no windows of longer ones.
    """
    adapter = series_adapter(estimator)
    places = sampled_places(estimator, num, start=start, steps=steps)
    drawn = draw(estimator, num, seed=seed, where=where, spread=spread, steps=steps, start=start, places=places)
    _, attributes = _parted(estimator, where)
    return adapter.from_tensors(drawn.x, static=drawn.static, y=drawn.y, where=attributes or None, start=start)


def draw(
    estimator: Estimator,
    num: int,
    *,
    seed: int,
    where: Mapping[str, Any] | None = None,
    spread: float = 1.0,
    steps: int | None = None,
    start: int = 0,
    places: Tensor | None = None,
) -> Drawn:
    """As :func:`sample_series`, but tensors, from number ``start`` on. Series i depends on the seed and i alone.

    They begin at ``places`` ``(num,)`` in the seasons of the data, without these anywhere.
    """
    adapter, model = series_adapter(estimator), estimator.model
    drawn_at: Any = model.places if seasonal(model) else None
    wanted, attributes = _parted(estimator, where)
    allowed = adapter.condition(attributes) if attributes else {}
    _check_length(estimator, steps)
    y = estimator.draw_classes(num, seed, wanted, start=start)
    parts = []
    for begin in range(0, num, AT_ONCE):
        count = min(AT_ONCE, num - begin)
        noise = noise_for(seed, count, model.noise_dim, start=start + begin)
        noise[:, : model.noise_dim - model.draw_dim] *= spread
        own = None if y is None else y[begin : begin + count]
        # Where attributes say what comes, they say of which class too.
        given = None if attributes and wanted is None else own
        static, own = _labels(estimator, noise, given, own, allowed)
        place = None
        if drawn_at is not None:
            place = drawn_at(noise) if places is None else places[begin : begin + count]
        if draws_labels(model):
            x = in_blocks(model.generate, noise, own, static, place, device=estimator.device, block=model.block)
        else:
            x = in_blocks(model.generate, noise, own, device=estimator.device, block=model.block)
        x = x.clamp_(-1.0, 1.0)
        if steps is not None:
            x = extended(estimator, x, steps, seed=seed, start=start + begin, y=own, static=static, place=place)
        parts.append((x, static, own))
    xs, statics, classes = zip(*parts, strict=True)
    return Drawn(
        x=torch.cat(xs),
        static=None if statics[0] is None else torch.cat(statics),
        y=None if classes[0] is None else torch.cat(classes),
    )


def draws_labels(model: Model) -> bool:
    """Whether the model draws attributes, and series given them."""
    return hasattr(model, "draw_labels")


def _labels(
    estimator: Estimator, noise: Tensor, given: Tensor | None, own: Tensor | None, allowed: Mapping[int, Tensor]
) -> tuple[Tensor | None, Tensor | None]:
    """Attributes of series and their classes, as rows of one tensor so that they are drawn together."""
    model: Any = estimator.model
    if not estimator.adapter.spec.fields:
        return None, own
    if not draws_labels(model):
        raise ConfigError(
            f"{estimator.run.config['model']!r} does not draw the attributes and lengths of series. Fit recurrent."
        )

    def joint(part: Tensor, y: Tensor | None) -> Tensor:
        static, classes = model.draw_labels(part, y, allowed)
        return static if classes is None else torch.cat([static, classes[:, None].to(static.dtype)], 1)

    rows = in_blocks(joint, noise, given, device=estimator.device, block=model.block)
    if not estimator.adapter.spec.classes:
        return rows, own
    return rows[:, :-1], rows[:, -1].long()


def extended(
    estimator: Estimator,
    x: Tensor,
    steps: int,
    *,
    seed: int,
    start: int,
    y: Tensor | None,
    static: Tensor | None,
    place: Tensor | None,
) -> Tensor:
    """Series ``(B, T, C)`` cut to ``steps``, or gone on with: each stretch is drawn given the half window before it."""
    model: Any = estimator.model
    window, values = x.shape[1], x[0].numel()
    context = max(1, window // 2)
    turn = 0
    while x.shape[1] < steps:
        turn += 1
        known = torch.zeros(len(x), window, x.shape[2], dtype=torch.bool)
        known[:, :context] = True
        given = torch.zeros(len(x), window, x.shape[2])
        given[:, :context] = x[:, -context:]
        noise = noise_for(seed + turn * _AGAIN, len(x), values, start=start)
        now = None if place is None else place + (x.shape[1] - context)
        done = in_blocks(model.fill, noise, given, known, y, static, now, device=estimator.device, block=model.block)
        x = torch.cat([x, done[:, context:].clamp_(-1.0, 1.0)], 1)
    return x[:, :steps]


def _check_length(estimator: Estimator, steps: int | None) -> None:
    if steps is None:
        return
    adapter = series_adapter(estimator)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise ConfigError(f"--steps {steps!r}: a whole number of at least 1 expected.")
    if adapter.window is None:
        raise ConfigError(
            "--steps: these series were learnt as wholes, and have the lengths they have. Fit with --window to learn "
            "stretches that go on."
        )
    if not hasattr(estimator.model, "fill"):
        raise ConfigError(f"--steps: {estimator.run.config['model']!r} cannot go on with a series. Fit recurrent.")


def _parted(estimator: Estimator, where: Mapping[str, Any] | None) -> tuple[int | None, dict[str, Any]]:
    """The class that is asked for, and the conditions on attributes."""
    adapter = series_adapter(estimator)
    form = adapter.decoder.form if adapter.decoder is not None else None
    names = {_CLASS, form.label} if form is not None and form.label else {_CLASS}
    attributes = () if adapter.table is None else tuple(adapter.table.columns)
    wanted, rest = None, {}
    for key, value in (where or {}).items():
        if key in attributes:
            rest[key] = value
        elif key in names:
            wanted = estimator.class_index(value)
        else:
            raise ConfigError(f"--where {key}=…: unknown condition. {nearest(key, [*sorted(names), *attributes])}")
    return wanted, rest


def in_form(estimator: Estimator, x: Tensor, data: TensorData | None = None, *, y: Tensor | None = None) -> Any:
    """Decoded series in the form that ``fit`` was given.

    Attributes, lengths and classes are those of ``data``; without them, attributes are drawn, for a code holds none.
    """
    adapter = series_adapter(estimator)
    fields = {} if data is None else {k: v for k, v in data.batch(torch.arange(len(data))).items() if k != "x"}
    static = fields.get("static")
    y = fields.get("y") if y is None else y
    if adapter.spec.fields and static is None:
        noise = noise_for(0, len(x), estimator.model.noise_dim)
        static, drawn = _labels(estimator, noise, y, y, {})
        y = drawn if y is None else y
    return adapter.from_tensors(x, static=static, y=y)


def augmented(estimator: Estimator, x: Tensor, y: Tensor | None, sources: TensorData, *, originals: int) -> Any:
    """Series made of others, in the form that ``fit`` was given, with the length and attributes of their sources.

    Args:
        estimator: Of series.
        x: ``(M, T, C)``.
        y: Classes ``(M,)``; None where there are none.
        sources: The ``M`` series that they were made of.
        originals: How many are these themselves, at the beginning; what is missing there stays so.
    """
    fields = sources.batch(torch.arange(len(sources)))
    mask = None
    if fields.get("mask") is not None and originals:
        mask = fields["mask"].clone()
        mask[originals:] = True
    return series_adapter(estimator).from_tensors(x, static=fields.get("static"), y=y, mask=mask)


def shown_samples(estimator: Estimator) -> Any:
    """A few series for the run's folder."""
    return sample_series(estimator, 20, seed=0)


def write_samples(estimator: Estimator, series: Any, out: str, *, overwrite: bool, each: int | None = None) -> Any:
    """Series into a file, in the form of what the run was fitted on."""
    decoder = series_adapter(estimator).decoder
    return write_series(series, out, form=None if decoder is None else decoder.form, overwrite=overwrite, each=each)

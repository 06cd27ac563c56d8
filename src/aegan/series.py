"""What a fitted model does with time series: samples under conditions, longer ones, and their evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.data.series import SeriesAdapter
from aegan.data.series_attributes import lengths_of
from aegan.data.series_write import write_series
from aegan.errors import AeganError, ConfigError, nearest
from aegan.metrics.series import DISCRIMINATIVE_ITERATIONS, PREDICTIVE_ITERATIONS, evaluate_series
from aegan.metrics.series_evaluation import SeriesEvaluation
from aegan.models.base import Model, in_blocks, noise_for
from aegan.storage import write_json

if TYPE_CHECKING:
    from aegan.estimator import Estimator

JUDGED = 3_000
"""Series at most of each side of an evaluation."""
QUICK: dict[str, Any] = {"discriminative_iterations": 500, "predictive_iterations": 500}
"""Of the evaluation at a fit's end, which nobody asked to wait for."""
PUBLISHED: dict[str, Any] = {
    "discriminative_iterations": DISCRIMINATIVE_ITERATIONS,
    "predictive_iterations": PREDICTIVE_ITERATIONS,
}
"""Of the evaluation that was asked for."""
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
    drawn = draw(estimator, num, seed=seed, where=where, spread=spread, steps=steps, start=start)
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
) -> Drawn:
    """As :func:`sample_series`, but tensors, from number ``start`` on. Series i depends on the seed and i alone."""
    adapter, model = series_adapter(estimator), estimator.model
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
        if draws_labels(model):
            x = in_blocks(model.generate, noise, own, static, device=estimator.device, block=model.block)
        else:
            x = in_blocks(model.generate, noise, own, device=estimator.device, block=model.block)
        x = x.clamp_(-1.0, 1.0)
        if steps is not None:
            x = extended(estimator, x, steps, seed=seed, start=start + begin, y=own, static=static)
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
    estimator: Estimator, x: Tensor, steps: int, *, seed: int, start: int, y: Tensor | None, static: Tensor | None
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
        done = in_blocks(model.fill, noise, given, known, y, static, device=estimator.device, block=model.block)
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


# --- evaluation ---------------------------------------------------------------------------------------------


def in_units(adapter: SeriesAdapter, data: TensorData | Drawn | None) -> TensorData | None:
    """Series in the units of the data, as metrics compare them; None for none."""
    if data is None or (isinstance(data, TensorData) and len(data) == 0):
        return None
    if isinstance(data, TensorData):
        fields = data.batch(torch.arange(len(data)))
    else:
        fields = {"x": data.x, "static": data.static, "y": data.y}
    static = fields.get("static")
    out = {"x": adapter.amounts(fields["x"], static)}
    empty = ~torch.isfinite(out["x"])
    out["x"] = out["x"].masked_fill(empty, 0.0)
    for name in ("mask", "length", "y"):
        if fields.get(name) is not None:
            out[name] = fields[name]
    if adapter.decoder is not None and adapter.decoder.variable and "length" not in out and static is not None:
        out["length"] = lengths_of(adapter, static)
        steps = torch.arange(out["x"].shape[1])[None, :, None]
        out["mask"] = (steps < out["length"][:, None, None]).expand_as(out["x"]).clone()
    return TensorData(**out)


def evaluate_run(
    estimator: Estimator, real: Any = None, *, num: int | None = None, seed: int = 0, **options: Any
) -> SeriesEvaluation:
    """Judge a run's series against its training series and the holdout, or against ``real`` on a loaded run."""
    adapter = series_adapter(estimator)
    train, holdout = estimator.train, estimator.holdout
    if real is not None:
        data = adapter.to_tensors(real)
        if train is None:
            kept, held = adapter.split(data, holdout=0.5, seed=seed)
            train, holdout = data.subset(kept), data.subset(held)
        else:
            holdout = data
    if train is None:
        raise ConfigError("evaluate: a loaded run does not hold its training data. Give real data: evaluate(real).")
    made = draw(estimator, num or min(len(train), JUDGED), seed=seed)
    few = holdout is None or len(holdout) < 20
    reconstructions = None
    if estimator.model.code_dim and holdout is not None and not few:
        rebuilt = estimator.reconstruct_tensors(holdout)
        fields = {k: v for k, v in holdout.batch(torch.arange(len(holdout))).items() if k != "x"}
        reconstructions = TensorData(x=rebuilt, **fields)
    encoder, block = None, estimator.model.block
    if estimator.model.code_dim and not adapter.options["per_series"]:
        scale = _Scaled(adapter)
        encoder = lambda x: in_blocks(estimator.model.encode, scale(x), device=estimator.device, block=block)  # noqa: E731
    return evaluate_series(
        train=in_units(adapter, judged_part(train, seed)),
        synthetic=in_units(adapter, made),
        holdout=None if few else in_units(adapter, judged_part(holdout, seed)),
        reconstructions=in_units(adapter, reconstructions and judged_part(reconstructions, seed)),
        channels=_channels(adapter),
        encoder=encoder,
        encoder_name=f"the run's own autoencoder ({estimator.model.code_dim}-d codes)",
        seed=seed,
        **options,
    )


def _channels(adapter: SeriesAdapter) -> list[str]:
    return [*adapter.channels, *["time gap"] * (adapter.spec.shape[1] - len(adapter.channels))]


class _Scaled:
    """Series in the data's units to what the networks see; the range of all series is needed once."""

    def __init__(self, adapter: SeriesAdapter) -> None:
        self.adapter = adapter

    def __call__(self, x: Tensor) -> Tensor:
        scaler = self.adapter.decoder.scaler  # type: ignore[union-attr]
        return torch.from_numpy(scaler.encode(x.double().numpy()))


def judged_part(data: TensorData | None, seed: int) -> TensorData | None:
    """At most as many series as are judged, drawn by the seed; in order."""
    if data is None or len(data) <= JUDGED:
        return data
    return data.subset(torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:JUDGED].sort().values)


def evaluate_series_sources(
    real: Any, synthetic: Any, *, holdout: Any = None, seed: int = 0, **options: Any
) -> SeriesEvaluation:
    """Judge any synthetic series against real ones; a tenth of ``real`` is set apart where there is no ``holdout``.

    Args:
        real: Real series, the reference.
        synthetic: Synthetic ones.
        holdout: Further real series.
        seed: Seed of the split and of the scores' networks.
        **options: Of :class:`~aegan.data.series.SeriesAdapter`.
    """
    adapter = SeriesAdapter(**options).fit(real)
    reference, made = adapter.to_tensors(real), adapter.to_tensors(synthetic)
    made = side_by_side(adapter, made)
    if holdout is not None:
        held = adapter.to_tensors(holdout)
    else:
        try:
            kept, apart = adapter.split(reference, holdout=0.1, seed=seed)
            reference, held = reference.subset(kept), reference.subset(apart)
        except AeganError:
            held = None
    sets = [in_units(adapter, judged_part(one, seed)) for one in (reference, made, held)]
    few = sets[2] is None or len(sets[2]) < 20
    return evaluate_series(
        train=sets[0],
        synthetic=sets[1],
        holdout=None if few else sets[2],
        channels=_channels(adapter),
        seed=seed,
        **PUBLISHED,
    )


def side_by_side(adapter: SeriesAdapter, made: TensorData) -> TensorData:
    """Of one synthetic series that is a whole number of windows long, those that do not overlap.

    ``sample`` writes windows one after the other; what lies across two of them is no series that anything drew.
    """
    origin = made.fields.get("origin")
    if adapter.window is None or not isinstance(origin, Tensor) or adapter.stride != 1:
        return made
    starts = origin[:, 1]
    whole = len(origin[:, 0].unique()) == 1 and (int(starts.max()) + adapter.window) % adapter.window == 0
    return made.subset((starts % adapter.window == 0).nonzero().squeeze(1)) if whole else made


def write_series_results(estimator: Estimator, *, console: bool = False) -> None:
    """Judge a fitted model of series; ``metrics.json`` and a file of samples into its folder."""
    from aegan.series_pictures import write_pictures

    if not estimator.model.noise_dim:
        return
    folder = estimator.run.path
    write_samples(estimator, shown_samples(estimator), str(folder / "samples" / "series.csv"), overwrite=True)
    train = estimator.train
    if train is None or len(train) < 20:
        return
    write_pictures(estimator, folder / "samples" / "series.json")
    evaluation = evaluate_run(estimator, **QUICK)
    write_json(folder / "metrics.json", evaluation.to_json())
    if console:
        print(evaluation)


def shown_samples(estimator: Estimator) -> Any:
    """A few series for the run's folder."""
    return sample_series(estimator, 20, seed=0)


def write_samples(estimator: Estimator, series: Any, out: str, *, overwrite: bool, each: int | None = None) -> Any:
    """Series into a file, in the form of what the run was fitted on."""
    decoder = series_adapter(estimator).decoder
    return write_series(series, out, form=None if decoder is None else decoder.form, overwrite=overwrite, each=each)

"""Fitted models of time series, and any synthetic series, judged against real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aegan.data.base import TensorData
from aegan.data.series import SeriesAdapter
from aegan.data.series_attributes import lengths_of
from aegan.errors import AeganError, ConfigError
from aegan.metrics.series import DISCRIMINATIVE_ITERATIONS, PREDICTIVE_ITERATIONS, evaluate_series
from aegan.metrics.series_evaluation import SeriesEvaluation
from aegan.models.base import in_blocks
from aegan.nn.seasons import Seasons
from aegan.series import Drawn, draw, series_adapter, shown_samples, write_samples
from aegan.storage import write_json

if TYPE_CHECKING:
    from aegan.estimator import Estimator

FEW = 20
"""Series of either side that are judged at least."""
JUDGED = 3_000
"""Series at most of each side of an evaluation."""
QUICK: dict[str, Any] = {"discriminative_iterations": 500, "predictive_iterations": 500}
"""Of the evaluation at a fit's end, which nobody asked to wait for."""
PUBLISHED: dict[str, Any] = {
    "discriminative_iterations": DISCRIMINATIVE_ITERATIONS,
    "predictive_iterations": PREDICTIVE_ITERATIONS,
}
"""Of the evaluation that was asked for."""


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
    few = holdout is None or len(holdout) < FEW
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
    reference, held = at_like_places(adapter, reference, held, made)
    sets = [in_units(adapter, judged_part(one, seed)) for one in (reference, made, held)]
    few = sets[2] is None or len(sets[2]) < FEW
    return evaluate_series(
        train=sets[0],
        synthetic=sets[1],
        holdout=None if few else sets[2],
        channels=_channels(adapter),
        seed=seed,
        **PUBLISHED,
    )


def at_like_places(
    adapter: SeriesAdapter, reference: TensorData, held: TensorData | None, made: TensorData
) -> tuple[TensorData, TensorData | None]:
    """Real windows that begin where in the seasons synthetic ones do, which follow each other; all where these are few.

    Windows of a day that all begin at midnight would be told from others by that alone.
    """
    kept: list[TensorData] = []
    seasons = Seasons(adapter.spec.seasons)
    if adapter.clock is None or not seasons.exact or not isinstance(made.fields.get("place"), Tensor):
        return reference, held
    other = torch.as_tensor(made.fields["place"]) % seasons.cycle
    for data in (reference, held):
        if data is not None and isinstance(place := data.fields.get("place"), Tensor):
            kept.append(data.subset(torch.isin(place % seasons.cycle, other).nonzero().squeeze(1)))
    if len(kept) < 1 + (held is not None) or min(map(len, kept)) < FEW:
        return reference, held
    return kept[0], kept[1] if held is not None else None


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
    if train is None or len(train) < FEW:
        return
    write_pictures(estimator, folder / "samples" / "series.json")
    evaluation = evaluate_run(estimator, **QUICK)
    write_json(folder / "metrics.json", evaluation.to_json())
    if console:
        print(evaluation)

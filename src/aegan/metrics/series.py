"""Evaluate synthetic time series against the training series, with unseen real series beside them.

A figure says little alone. So unseen real series are measured in the same way: what they score is what even a perfect
generator would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from aegan.errors import DataError
from aegan.metrics import series_downstream, series_fidelity, series_scores
from aegan.metrics._checks import at_least
from aegan.metrics._series import SeriesSample, same_channels, series_sample
from aegan.metrics.evaluation import HOLDOUT, RECONSTRUCTIONS, SYNTHETIC
from aegan.metrics.series_context import Encoder, context_frechet
from aegan.metrics.series_downstream import SeriesDownstream
from aegan.metrics.series_evaluation import Score, SeriesEvaluation, SeriesRow
from aegan.metrics.series_fidelity import (
    SeriesError,
    autocorrelation,
    autocorrelation_error,
    cross_correlation_error,
    marginal_error,
    power_spectrum,
    spectral_error,
)
from aegan.metrics.series_scores import (
    DISCRIMINATIVE_ITERATIONS,
    PREDICTIVE_ITERATIONS,
    discriminative_score,
    predictive_score,
)

__all__ = ["Score", "SeriesEvaluation", "SeriesRow", "evaluate_series"]

_ROWS = {"synthetic": SYNTHETIC, "holdout": HOLDOUT, "reconstructions": RECONSTRUCTIONS}
LEAST = 10
"""Series that each set has to have."""
MOST, MOST_VALUES = 10_000, 20_000_000
"""Series of each set that are looked at, and their values; of larger sets a random part."""
FEW = 500
"""Below so many series a note says that figures are rough."""
DRAWN = 12
"""Channels of which autocorrelation and spectrum are kept for a report."""


def evaluate_series(
    *,
    train: Any,
    synthetic: Any,
    holdout: Any = None,
    reconstructions: Any = None,
    channels: Sequence[str] | None = None,
    encoder: Encoder | None = None,
    encoder_name: str = "an encoder",
    discriminative_iterations: int = DISCRIMINATIVE_ITERATIONS,
    predictive_iterations: int = PREDICTIVE_ITERATIONS,
    downstream_iterations: int = series_downstream.ITERATIONS,
    repeats: int = 1,
    seed: int = 0,
) -> SeriesEvaluation:
    """Measure synthetic series, and unseen real ones, against the training series.

    Each set is an array or tensor ``(N, T, C)``, NaN where missing or behind a shorter series, or a TensorData with
    ``x`` and, where there are any, ``mask``, ``length`` and ``y``. Any units serve: scores bring the training series'
    range to [0, 1]. Series that were scaled one by one have to be scaled back first; see
    :meth:`aegan.data.series.SeriesAdapter.amounts`.

    Args:
        train: The series that the model was trained on.
        synthetic: Generated ones, best as many.
        holdout: Real series that the model never saw, sharing no step with those of training.
        reconstructions: The autoencoder's reconstructions, best of holdout series.
        channels: Names of the channels.
        encoder: Series ``(B, T, C)``, in the units given, to features ``(B, D)`` for the Fréchet distance.
        encoder_name: What it is, for the stamps.
        discriminative_iterations: Steps of the classifier's training, 2000 as published; 0 leaves the score out.
        predictive_iterations: Steps of the predictor's training, 5000 as published; 0 leaves the score out.
        downstream_iterations: Steps of the training of the downstream task's network.
        repeats: Number of seeds of each score; papers take 5 or 10.
        seed: First seed; no global generator is touched.

    Raises:
        DataError: Sets that do not fit each other, or fewer than 10 series.
        ConfigError: Iterations or repeats out of range.
    """
    where = "evaluate_series"
    at_least(discriminative_iterations, 0, where=where, name="discriminative_iterations")
    at_least(predictive_iterations, 0, where=where, name="predictive_iterations")
    at_least(repeats, 1, where=where, name="repeats")
    given = {"train": train, "synthetic": synthetic, "holdout": holdout, "reconstructions": reconstructions}
    sets = _sets({name: value for name, value in given.items() if value is not None}, seed)
    reference = sets.pop("train")
    names = _names(channels, reference)
    seeds = range(seed, seed + repeats)
    counts = {"discriminative": discriminative_iterations, "predictive": predictive_iterations}
    counts["downstream"] = at_least(downstream_iterations, 0, where=where, name="downstream_iterations")
    rows, errors = [], {}
    for name, one in sets.items():
        errors[name] = _errors(reference, one)
        scores = _scores(name, reference, one, sets.get(HOLDOUT), counts, seeds)
        context = None if encoder is None else context_frechet(reference, one, encoder)
        task = _task(name, reference, one, sets, downstream_iterations, seed)
        figures: dict[str, Any] = {key: error.value for key, error in errors[name].items()} | scores
        rows.append(SeriesRow(name=name, n=len(one), context=context, downstream=task, **figures))
    return SeriesEvaluation(
        rows=tuple(rows),
        details=_details(names, reference, sets, errors),
        stamps={
            "shape": list(reference.x.shape[1:]),
            "channels": list(names),
            "reference": {"set": "train", "n": len(reference)},
            "counts": {name: len(one) for name, one in sets.items()},
            "iterations": counts,
            "repeats": repeats,
            "seed": seed,
            "encoder": None if encoder is None else encoder_name,
            "formulas": {
                "scores": series_scores.VERSION,
                "fidelity": series_fidelity.VERSION,
                "downstream": series_downstream.VERSION,
            },
        },
        notes=tuple(_notes(reference, sets, counts, encoder)),
    )


def _sets(given: Mapping[str, Any], seed: int) -> dict[str, SeriesSample]:
    sets = {}
    for name, value in given.items():
        one = series_sample(value, where="evaluate_series", name=name, least=LEAST)
        if "train" in sets:
            same_channels(sets["train"], one, where="evaluate_series", names=("train", name))
        most = min(MOST, max(LEAST, MOST_VALUES // one.x[0].numel()))
        if len(one) > most:
            one = one.take(torch.randperm(len(one), generator=torch.Generator().manual_seed(seed))[:most])
        sets[_ROWS.get(name, name)] = one
    return sets


def _names(channels: Sequence[str] | None, reference: SeriesSample) -> tuple[str, ...]:
    count = reference.x.shape[2]
    if channels is None:
        return tuple(f"channel {i}" for i in range(count))
    if len(channels) != count:
        raise DataError(f"evaluate_series: {len(channels)} names of channels for series of {count}; as many expected.")
    return tuple(map(str, channels))


def _errors(reference: SeriesSample, one: SeriesSample) -> dict[str, SeriesError]:
    return {
        "marginal": marginal_error(reference, one),
        "autocorrelation": autocorrelation_error(reference, one),
        "cross_correlation": cross_correlation_error(reference, one),
        "spectral": spectral_error(reference, one),
    }


def _scores(
    name: str,
    train: SeriesSample,
    one: SeriesSample,
    holdout: SeriesSample | None,
    iterations: Mapping[str, int],
    seeds: range,
) -> dict[str, Score | None]:
    """The four scores of a set; equally many series on either side of the discriminator."""
    found: dict[str, Score | None] = dict.fromkeys(
        ("discriminative", "discriminative_holdout", "predictive", "predictive_holdout")
    )
    n = min(len(train), len(one))
    steps = iterations["discriminative"]

    def told(seed: int, held: SeriesSample | None) -> float:
        chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n]
        some = one.take(torch.randperm(len(one), generator=torch.Generator().manual_seed(seed + 1))[:n])
        return discriminative_score(train.take(chosen), some, holdout=held, iterations=steps, seed=seed).score

    def off(seed: int, test: SeriesSample) -> float:
        source = train if name == HOLDOUT else one
        return predictive_score(test, source, iterations=iterations["predictive"], reference=train, seed=seed)

    if steps:
        found["discriminative"] = Score.of([told(seed, None) for seed in seeds])
        if holdout is not None and name != HOLDOUT:
            found["discriminative_holdout"] = Score.of([told(seed, holdout) for seed in seeds])
    if iterations["predictive"] and train.x.shape[1] > 1:
        found["predictive"] = Score.of([off(seed, train) for seed in seeds])
        if holdout is not None:
            found["predictive_holdout"] = Score.of([off(seed, holdout) for seed in seeds])
    return found


def _task(
    name: str, train: SeriesSample, one: SeriesSample, sets: Mapping[str, SeriesSample], iterations: int, seed: int
) -> SeriesDownstream | None:
    """The classes of the holdout told by what was trained on the set; on training series for the holdout's row."""
    holdout = sets.get(HOLDOUT)
    source = train if name == HOLDOUT else one
    if holdout is None or holdout.y is None or source.y is None or train.y is None:
        return None
    rows = min(len(train), len(sets[SYNTHETIC]))
    return series_downstream.series_downstream(source, holdout, iterations=iterations, max_rows=rows, seed=seed)


def _details(
    names: Sequence[str],
    train: SeriesSample,
    sets: Mapping[str, SeriesSample],
    errors: Mapping[str, Mapping[str, SeriesError]],
) -> dict[str, Any]:
    """What a report draws, as plain values."""
    every = {"train": train, **sets}
    lags = list(range(1, min(train.x.shape[1] - 1, series_fidelity.MOST_LAGS) + 1))

    def curves(table: torch.Tensor) -> list[list[float | None]]:
        return [[None if v != v else round(v, 5) for v in row] for row in table.T[:DRAWN].tolist()]

    return {
        "channels": [
            {
                "name": name,
                "errors": {
                    row: {kind: error.channels[i] for kind, error in found.items()} for row, found in errors.items()
                },
            }
            for i, name in enumerate(names)
        ],
        "lags": lags,
        "autocorrelation": {name: curves(autocorrelation(one, lags)) for name, one in every.items()} if lags else {},
        "spectrum": {name: curves(power_spectrum(one)) for name, one in every.items()},
    }


def _notes(
    train: SeriesSample, sets: Mapping[str, SeriesSample], iterations: Mapping[str, int], encoder: Encoder | None
) -> list[str]:
    """What a reader should know about the figures."""
    notes = []
    if HOLDOUT not in sets:
        notes.append("No real holdout was given, so nothing tells what a perfect generator would score.")
    published = {"discriminative": DISCRIMINATIVE_ITERATIONS, "predictive": PREDICTIVE_ITERATIONS}
    other = [f"the {name} score {iterations[name]}" for name in published if 0 < iterations[name] != published[name]]
    if other:
        notes.append(
            f"Not the published numbers of iterations (2000, 5000): {' and '.join(other)}; do not compare with papers."
        )
    sizes = {len(train), *map(len, sets.values())}
    if max(sizes) > 1.2 * min(sizes):
        listed = ", ".join(f"{len(one)} for {name}" for name, one in sets.items())
        notes.append(f"Series compared: {listed}; the discriminator tells more apart the more it sees.")
    if min(sizes) < FEW:
        notes.append(f"With fewer than {FEW} series ({min(sizes)}) every figure here is rough.")
    if train.x.shape[2] == 1 and iterations["predictive"]:
        notes.append("One channel only: the predictive score predicts it from its own past; papers have no such case.")
    if encoder is None:
        notes.append("No encoder was given, so no Fréchet distance of features was computed.")
    return notes

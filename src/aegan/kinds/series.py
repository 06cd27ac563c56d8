"""Time series: samples under conditions and of any length, gaps filled, forecasts, their evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegan import series, series_judging
from aegan.kinds.base import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.augmentation.result import Augmented
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class SeriesKind(Kind):
    """See :class:`~aegan.kinds.base.Kind`."""

    name = "series"
    bounded = True
    shard_suffix = ".parquet"
    shown = ("samples/series.csv", "some series")
    example = "series.csv"

    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Any:
        return series.sample_series(estimator, num, seed=seed, where=where, spread=spread, steps=own["steps"])

    def write_samples(
        self,
        estimator: Estimator,
        num: int,
        out: str,
        *,
        seed: int,
        where: Mapping[str, Any] | None,
        spread: float,
        overwrite: bool,
        **own: Any,
    ) -> str:
        made = estimator.sample(num, seed=seed, where=where, spread=spread, **own)
        each = own["steps"] or estimator.adapter.spec.shape[0]
        return f"{num} series in {series.write_samples(estimator, made, out, overwrite=overwrite, each=each)}"

    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        made = series.in_form(estimator, x, y=labels)
        written = series.write_samples(estimator, made, out, overwrite=overwrite, each=x.shape[1])
        return f"{len(x)} {what or 'series'} in {written}"

    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        return series_judging.evaluate_run(estimator, real, num=num, seed=seed)

    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        return series_judging.evaluate_series_sources(real, synthetic, holdout=holdout, seed=seed, **own)

    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        from aegan.report import write_series_evaluation

        return write_series_evaluation(values, path)

    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        series_judging.write_series_results(estimator, console=console)

    def in_form(self, estimator: Estimator, x: Tensor, data: TensorData | None = None) -> Any:
        return series.in_form(estimator, x, data)

    def forecast(self, estimator: Estimator, source: Any, *, steps: int, num: int, seed: int) -> Any:
        from aegan.series_filling import forecast_series

        return forecast_series(estimator, source, steps=steps, num=num, seed=seed)

    def complete(self, estimator: Estimator, source: Any, *, seed: int) -> Any:
        from aegan.series_filling import complete_series

        return complete_series(estimator, source, seed=seed)

    def write_completed(self, estimator: Estimator, source: Any, out: str, *, seed: int, overwrite: bool) -> str:
        made = self.complete(estimator, source, seed=seed)
        return f"series without gaps in {series.write_samples(estimator, made, out, overwrite=overwrite)}"

    def augmented(
        self,
        estimator: Estimator,
        source: Any,
        x: Tensor,
        y: Tensor | None,
        *,
        data: TensorData,
        index: Tensor,
        originals: int,
    ) -> Any:
        return series.augmented(estimator, x, y, data.subset(index), originals=originals)

    def write_augmented(
        self, estimator: Estimator, made: Augmented, out: str, *, overwrite: bool, source: Any = None
    ) -> str:
        each = estimator.adapter.spec.shape[0]
        return (
            f"{len(made)} series in {series.write_samples(estimator, made.data, out, overwrite=overwrite, each=each)}"
        )

    def write_shard(
        self,
        estimator: Estimator,
        num: int,
        path: Path,
        *,
        start: int,
        seed: int,
        where: Mapping[str, Any] | None,
        spread: float,
        **own: Any,
    ) -> None:
        made = series.sample_series(
            estimator, num, seed=seed, where=where, spread=spread, steps=own["steps"], start=start
        )
        series.write_samples(estimator, made, str(path), overwrite=True)

    def next_steps(self, estimator: Estimator) -> list[str]:
        run = estimator.run.path
        if not hasattr(estimator.model, "fill"):
            return super().next_steps(estimator)
        decoder = series.series_adapter(estimator).decoder
        own, variable = (decoder.own, decoder.variable) if decoder is not None else (False, False)
        steps = estimator.adapter.spec.shape[0]
        found = [] if own else [f"aegan complete {run} SERIES-WITH-GAPS --out completed.csv"]
        return found + ([] if own or variable else [f"aegan forecast {run} SOURCE --steps {steps} --out forecast.csv"])

"""Images: samples into folders of PNGs, grids and arrays, judged in a feature space."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegan.data.archive import write_archive
from aegan.data.image import ImageAdapter
from aegan.data.write import write_images
from aegan.kinds.base import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class ImageKind(Kind):
    """See :class:`~aegan.kinds.base.Kind`."""

    name = "image"
    bounded = True
    grids = True
    shard_suffix = ".tar"
    shown = ("samples/grid.png", "samples at a glance")
    example = "new-images"

    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Any:
        x, _ = estimator.sample_tensors(num, seed=seed, where=where, spread=spread)
        return estimator.adapter.from_tensors(x)

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
        x, labels = estimator.sample_tensors(num, seed=seed, where=where, spread=spread)
        path = write_images(x, Path(out), labels=labels, classes=estimator.classes, overwrite=overwrite)
        return f"{num} samples in {path}"

    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        classes = estimator.adapter.spec.classes
        path = write_images(x, Path(out), labels=labels, classes=classes, overwrite=overwrite)
        return f"{len(x)} {what or 'images'} in {path}"

    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        from aegan.evaluation import evaluate_run

        return evaluate_run(estimator, real, features=features, num=num, seed=seed)

    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        from aegan.evaluation import evaluate_sources

        adapter = ImageAdapter(size=own["size"], skip_bad=own["skip_bad"])
        return evaluate_sources(adapter, real, synthetic, holdout=holdout, features=own["features"], seed=seed)

    def classifier(self, estimator: Estimator) -> Callable[[Tensor], Tensor] | None:
        from aegan.data.base import TensorData
        from aegan.metrics.classifier import load_features

        path = estimator.run.path / "features.safetensors"
        if not path.exists():
            return None
        features = load_features(path, device=estimator.device)
        return lambda x: features.predict(TensorData(x=x))

    def raw_bytes(self, data: TensorData) -> int:
        return super().raw_bytes(data) // 4

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
        x, labels = estimator.sample_tensors(num, seed=seed, where=where, spread=spread, start=start)
        write_archive(x, path, labels=labels, classes=estimator.classes, start=start)

    def next_steps(self, estimator: Estimator) -> list[str]:
        return [f"aegan reconstruct {estimator.run.path} SOURCE --out reconstructions.png"]

    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        from aegan.report import write_evaluation

        return write_evaluation(values, path)

    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        from aegan.evaluation import write_image_results

        write_image_results(estimator, console=console)

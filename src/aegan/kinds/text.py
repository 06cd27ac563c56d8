"""Text: samples as lists and files, judged by n-grams, with other ways to decode a code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegan import texts
from aegan.data.text_write import write_texts
from aegan.kinds.base import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.augmentation.result import Augmented
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class TextKind(Kind):
    """See :class:`~aegan.kinds.base.Kind`."""

    name = "text"
    shard_suffix = ".txt.gz"
    look = ""
    shown = ("samples/texts.txt", "some texts")
    example = "made.txt"

    def finish(self, estimator: Estimator) -> None:
        if "private" not in estimator.run.config:  # who was among the data is what such a run is not to tell
            texts.write_fitted(estimator)

    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Any:
        x, y = texts.sample_texts(estimator, num, seed=seed, where=where, spread=spread, **own)
        return texts.text_adapter(estimator).from_tensors(x, y=y)

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
        x, y = texts.sample_texts(estimator, num, seed=seed, where=where, spread=spread, **own)
        return self.write_tensors(estimator, x, out, labels=y, what="texts", overwrite=overwrite)

    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        adapter = texts.text_adapter(estimator)
        names = None if labels is None else [adapter.spec.classes[i] for i in labels.tolist()]
        path = write_texts(adapter.texts(x), out, form=adapter.form, labels=names, overwrite=overwrite)
        return f"{len(x)} {what or 'texts'} in {path}"

    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        return texts.evaluate_texts(estimator, real, num=num, seed=seed)

    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        return texts.evaluate_text_sources(real, synthetic, holdout=holdout, seed=seed, column=own["column"])

    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        from aegan.report import write_text_evaluation

        return write_text_evaluation(values, path)

    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        texts.write_text_results(estimator, console=console)

    def complete(self, estimator: Estimator, source: Any, *, seed: int) -> Any:
        some = texts.text_adapter(estimator).open(source)
        gaps = [i for i, text in enumerate(some) if texts.GAP in text]
        filled = texts.infill(estimator, [some[i] for i in gaps], seed=seed)
        for i, text in zip(gaps, filled, strict=True):
            some[i] = text
        return some

    def write_completed(self, estimator: Estimator, source: Any, out: str, *, seed: int, overwrite: bool) -> str:
        some = self.complete(estimator, source, seed=seed)
        path = write_texts(some, out, form=texts.text_adapter(estimator).form, overwrite=overwrite)
        return f"{len(some)} texts in {path}"

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
        adapter = texts.text_adapter(estimator)
        own = adapter.open(source) if originals else []  # not by their tokens, which cut and replace
        return adapter.in_form([*own, *adapter.texts(x[originals:])], y=y)

    def write_augmented(
        self, estimator: Estimator, made: Augmented, out: str, *, overwrite: bool, source: Any = None
    ) -> str:
        form = texts.text_adapter(estimator).form
        some = made.data[form.column] if form.container == "table" else made.data
        path = write_texts(list(some), out, form=form, labels=made.labels, overwrite=overwrite)
        return f"{len(made)} samples in {path}"

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
        x, _ = texts.sample_texts(estimator, num, seed=seed, where=where, spread=spread, start=start, **own)
        adapter = texts.text_adapter(estimator)
        write_texts(adapter.texts(x), path, form=adapter.form, overwrite=True)

    def next_steps(self, estimator: Estimator) -> list[str]:
        path = estimator.run.path
        return [
            f"aegan sample {path} --num 1000 --out fluent.txt --temperature 0.7",
            f"aegan sample {path} --num 1000 --out new.txt --new",
            f"aegan reconstruct {path} SOURCE --out reconstructions.txt",
        ]

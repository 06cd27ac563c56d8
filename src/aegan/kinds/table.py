"""Tables: rows under conditions, completed rows, files of them, judged column by column and as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import as_tensor

from aegan import tables
from aegan.data.table_source import open_table
from aegan.data.table_write import form_among, write_table
from aegan.errors import ConfigError
from aegan.kinds.base import Kind

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.augmentation.engine import Labels
    from aegan.augmentation.result import Augmented
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class TableKind(Kind):
    """See :class:`~aegan.kinds.base.Kind`."""

    name = "table"
    shown = ("samples/rows.csv", "some rows")
    shard_suffix = ".parquet"
    example = "rows.csv"

    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Any:
        return tables.sample_rows(estimator, num, seed=seed, where=where, balance=own["balance"], start=own["first"])

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
        rows = estimator.sample(num, seed=seed, where=where, spread=spread, **own)
        return f"{num} rows in {self.write(estimator, rows, out, overwrite=overwrite)}"

    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        rows = estimator.adapter.from_tensors(x)
        return f"{len(x)} {what or 'rows'} in {self.write(estimator, rows, out, overwrite=overwrite)}"

    def write(self, estimator: Estimator, rows: Any, out: str, *, overwrite: bool) -> Any:
        """Rows into a file, in the form of the table that the run was fitted on."""
        return write_table(rows, out, form=tables.table_adapter(estimator).form, overwrite=overwrite)

    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        return tables.evaluate_rows(estimator, real, num=num, seed=seed, target=own.get("target", "auto"))

    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        return tables.evaluate_table_sources(real, synthetic, holdout=holdout, target=own["target"], seed=seed)

    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        from aegan.report import write_table_evaluation

        return write_table_evaluation(values, path)

    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        tables.write_table_results(estimator, target=target, console=console)

    def complete(self, estimator: Estimator, source: Any, *, seed: int) -> Any:
        return tables.complete_rows(estimator, source, seed=seed)

    def write_completed(self, estimator: Estimator, source: Any, out: str, *, seed: int, overwrite: bool) -> str:
        opened = open_table(source)
        rows = self.complete(estimator, opened, seed=seed)
        return f"{len(opened)} rows in {self._write_among(estimator, opened, rows, out, overwrite=overwrite)}"

    def _write_among(self, estimator: Estimator, source: Any, rows: Any, out: str, *, overwrite: bool) -> Any:
        """Rows with cells of ``source`` into a file, in the form of that: a given cell stays as it is."""
        fitted = tables.table_adapter(estimator).form
        assert fitted is not None
        return write_table(rows, out, form=form_among(open_table(source), fitted), overwrite=overwrite, exact=True)

    def labels_of(self, estimator: Estimator, source: Any, data: TensorData, name: str | None) -> Labels | None:
        from aegan.augmentation.tables import label_column

        return None if name is None else label_column(estimator, source, name, as_tensor(data.fields["x"]))

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
        from aegan.augmentation.tables import with_originals

        return with_originals(estimator, source, x, originals)

    def write_augmented(
        self, estimator: Estimator, made: Augmented, out: str, *, overwrite: bool, source: Any = None
    ) -> str:
        if source is None or not made.report["originals"]:
            return f"{len(made)} rows in {self.write(estimator, made.data, out, overwrite=overwrite)}"
        return f"{len(made)} rows in {self._write_among(estimator, source, made.data, out, overwrite=overwrite)}"

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
        adapter = tables.table_adapter(estimator)
        if adapter.rules.unique:
            raise ConfigError(
                "--shard: the table has columns whose values never come twice, which no shard can see of the others. "
                "Leave --shard out, or fit with --rule none."
            )
        start += own["first"]
        rows = tables.sample_rows(estimator, num, seed=seed, where=where, balance=own["balance"], start=start)
        write_table(rows, path, form=adapter.form, overwrite=True)

    def next_steps(self, estimator: Estimator) -> list[str]:
        return [f"aegan complete {estimator.run.path} TABLE-WITH-GAPS --out completed.csv"]

"""What every kind of data offers: samples in the user's form, files of them, their evaluation, what to try next."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from aegan.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from aegan.augmentation.engine import Labels
    from aegan.augmentation.result import Augmented
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator


class Kind(ABC):
    """The doors of one kind of data. It holds nothing: all it knows comes with the estimator.

    Attributes:
        name: As in ``Spec.kind``.
        bounded: Whether values outside [-1, 1] mean nothing, so that what is decoded is clipped.
        grids: Whether pictures of samples are drawn while training goes on.
        shard_suffix: Of the files that very many samples are written to; empty where that cannot be done.
        shown: File of samples in the run's folder, and what it is.
        example: What ``--out`` may be called, for the summary.
        look: What the summary prints of samples in Python; empty: themselves.
    """

    name: ClassVar[str]
    bounded: ClassVar[bool] = False
    grids: ClassVar[bool] = False
    shard_suffix: ClassVar[str] = ""
    shown: ClassVar[tuple[str, str]]
    example: ClassVar[str]
    look: ClassVar[str] = "shape"

    @abstractmethod
    def sample(
        self, estimator: Estimator, num: int, *, seed: int, where: Mapping[str, Any] | None, spread: float, **own: Any
    ) -> Any:
        """``num`` samples in the form that ``fit`` was given; ``own`` holds the kind's of ``SAMPLE_OPTIONS``."""

    @abstractmethod
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
        """``num`` samples into a file or folder; returns a line that says what was made."""

    @abstractmethod
    def write_tensors(
        self, estimator: Estimator, x: Tensor, out: str, *, labels: Tensor | None, what: str, overwrite: bool
    ) -> str:
        """Decoded data ``(N, *shape)`` into a file or folder; returns a line that says what was made."""

    @abstractmethod
    def evaluate(
        self, estimator: Estimator, real: Any, *, features: Any, num: int | None, seed: int, **own: Any
    ) -> Any:
        """See :meth:`aegan.Estimator.evaluate`; ``own`` holds the kind's of ``JUDGE_OPTIONS``."""

    @abstractmethod
    def evaluate_sources(self, real: Any, synthetic: Any, *, holdout: Any, seed: int, **own: Any) -> Any:
        """See :func:`aegan.evaluate`; ``own`` holds the kind's of ``EVALUATE_OPTIONS``."""

    @abstractmethod
    def write_evaluation(self, values: Mapping[str, Any], path: Any) -> Any:
        """An evaluation's JSON as a page of its own."""

    @abstractmethod
    def write_results(self, estimator: Estimator, *, console: bool, target: str | None) -> None:
        """Judge a model that was just fitted; ``metrics.json`` and samples into its folder."""

    def opened(self, estimator: Estimator) -> None:
        """Called when a run was loaded: what its folder holds besides the model is taken up here."""
        return

    def finish(self, estimator: Estimator) -> None:
        """Called when training is over, before anything is judged: what is learnt besides the model is learnt here."""
        return

    def reconstruct(
        self, estimator: Estimator, source: Any, *, where: Mapping[str, Any] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Reconstructions ``(N, *shape)`` of ``source``, with other labels where the kind can change them.

        Beside them the classes ``(N,)`` that they are to be written with, where the kind writes labels.
        """
        if where:
            raise ConfigError(f"--where: labels are changed for recordings alone, and this is {self.name} data.")
        return estimator.reconstruct_tensors(estimator.adapter.to_tensors(source)), None

    def raw_bytes(self, data: TensorData) -> int:
        """Bytes that a sample takes uncompressed, on average."""
        return 4 * math.prod(data.fields["x"].shape[1:])

    def complete(self, estimator: Estimator, source: Any, *, seed: int) -> Any:
        """``source`` with its gaps filled; see :meth:`aegan.Estimator.complete`."""
        raise ConfigError(f"{estimator.run.path}: a run of {self.name} data; this is for tables, series and text.")

    def in_form(self, estimator: Estimator, x: Tensor, data: TensorData | None = None) -> Any:
        """Decoded data ``(N, *shape)`` in the form that ``fit`` was given; ``data`` are those that were encoded."""
        return estimator.adapter.from_tensors(x)

    def forecast(self, estimator: Estimator, source: Any, *, steps: int, num: int, seed: int) -> Any:
        """See :meth:`aegan.Estimator.forecast`."""
        raise ConfigError(f"{estimator.run.path}: a run of {self.name} data; only time series go on.")

    def write_completed(self, estimator: Estimator, source: Any, out: str, *, seed: int, overwrite: bool) -> str:
        """As :meth:`complete`, into a file; returns a line that says what was made."""
        self.complete(estimator, source, seed=seed)
        raise NotImplementedError(f"{type(self).__name__} completes, but does not write what it completed.")

    def labels_of(self, estimator: Estimator, source: Any, data: TensorData, name: str | None) -> Labels | None:
        """The classes of a source that was read as ``data``; ``name`` says which column they are in, of a table."""
        from aegan.augmentation.engine import Labels

        if name is not None:
            raise ConfigError(f"--label {name}: for tables alone, this is a run of {self.name} data.")
        y = data.labels
        return None if y is None else Labels(y=y.long(), names=tuple(estimator.adapter.spec.classes))

    def classifier(self, estimator: Estimator) -> Callable[[Tensor], Tensor] | None:
        """A classifier of samples ``(B, *shape)`` that came with the run, if any did."""
        return None

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
        """Samples ``(M, *shape)`` of classes ``(M,)``, the first ``originals`` the source's, in the user's form.

        They were made of those at ``index`` ``(M,)`` of ``data``.
        """
        return estimator.adapter.from_tensors(x)

    def write_augmented(
        self, estimator: Estimator, made: Augmented, out: str, *, overwrite: bool, source: Any = None
    ) -> str:
        """Augmented data into a file or folder; returns a line that says what was made.

        They were made of ``source``, which may be None where no originals are among them.
        """
        return self.write_tensors(estimator, made.x, out, labels=made.y, what="samples", overwrite=overwrite)

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
        """The samples from number ``start`` of a draw, ``num`` of them, into one file."""
        raise ConfigError(f"--shard: {self.name} data are not written in shards by this version. Leave it out.")

    def next_steps(self, estimator: Estimator) -> list[str]:
        """Commands to try on the run, beside ``aegan sample``."""
        return [f"aegan reconstruct {estimator.run.path} SOURCE --out {self.example}"]

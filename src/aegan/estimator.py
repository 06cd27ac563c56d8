"""A fitted model: sample, encode, decode, reconstruct, evaluate, save."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aegan.conditions import classes_met, drawn_classes
from aegan.data.base import Adapter, TensorData
from aegan.data.kinds import own_options
from aegan.errors import ConfigError, DataError
from aegan.kinds import JUDGE_OPTIONS, SAMPLE_OPTIONS, handler
from aegan.models.base import Model, in_blocks, noise_at
from aegan.run import RunFolder, check_free
from aegan.storage import explained

if TYPE_CHECKING:
    from aegan.augmentation.result import Augmented
    from aegan.codec import Written
    from aegan.kinds.base import Kind
    from aegan.metrics.features import Features
    from aegan.series_filling import Forecast


class Estimator:
    """What :func:`aegan.fit` and :func:`aegan.load` return.

    Attributes:
        model: The trained networks, on ``device``, in evaluation mode, averaged weights.
        adapter: Raw data to tensors and back.
        run: The run's folder.
        train: Training data, right after ``fit`` only.
        holdout: Held-out data, right after ``fit`` only.
    """

    def __init__(
        self,
        model: Model,
        adapter: Adapter,
        run: RunFolder,
        *,
        device: torch.device | str = "cpu",
        train: TensorData | None = None,
        holdout: TensorData | None = None,
    ) -> None:
        self.model, self.adapter, self.run = model.to(device).eval(), adapter, run
        self.device = torch.device(device)
        self.train, self.holdout = train, holdout
        self._temporary: Any = None
        for p in model.parameters():
            p.requires_grad_(False)

    def __repr__(self) -> str:
        shape = "x".join(str(s) for s in self.adapter.spec.shape)
        return f"Estimator({self.run.config['model']}, {shape} {self.adapter.spec.kind}, {self.run.path})"

    def sample(
        self,
        num: int,
        *,
        seed: int = 0,
        where: Mapping[str, Any] | None = None,
        spread: float = 1.0,
        **options: Any,
    ) -> Any:
        """``num`` new samples, in the form that ``fit`` was given.

        Args:
            num: At least 1.
            seed: Sample i depends on the seed and i alone, not on ``num``.
            where: Conditions; for images ``{"class": name}``, for recordings any label, for tables any columns, as in
                ``{"age": "30..40"}``.
            spread: Scale of the generator's noise, above 0 and at most 2. Above 1 the samples vary more and look
                right less often, below 1 the other way round. Not for tables.
            **options: Of the kind of data. Tables: ``balance``, a column whose values shall come equally often;
                ``first``, the number of the first row: parts of one draw, put together, are that draw, keys included.
                Series: ``steps``, how long each shall be; windows of longer series alone. Text: ``temperature``,
                ``top_p``, and ``new=True``: no text that the model was fitted on.

        Raises:
            ConfigError: ``num`` or ``seed`` out of range, an unknown condition or option, or a model that cannot
                sample.
        """
        self._check_draw(num, seed, spread)
        own = own_options(self.kind.name, options, SAMPLE_OPTIONS, "sample")
        return self.kind.sample(self, num, seed=seed, where=where, spread=spread, **own)

    def write_samples(
        self,
        num: int,
        out: str | Path,
        *,
        seed: int = 0,
        where: Mapping[str, Any] | None = None,
        spread: float = 1.0,
        overwrite: bool = False,
        shard: int | None = None,
        tell: Callable[[str], None] = lambda line: None,
        **options: Any,
    ) -> str:
        """As :meth:`sample`, into a file or folder ``out``; returns a line that says what was made.

        With ``shard``, into a folder of files of so many samples each; see :func:`aegan.sharding.write_shards`.

        Raises:
            ConfigError: As :meth:`sample`, or a name of no form that the kind of data can be written in.
            StorageError: Something is at ``out`` already and not ``overwrite``, or the disk is full.
        """
        self._check_draw(num, seed, spread)
        own = own_options(self.kind.name, options, SAMPLE_OPTIONS, "sample")
        if shard is not None:
            from aegan.sharding import write_shards

            folder = Path(out)
            return write_shards(self, num, folder, size=shard, seed=seed, where=where, spread=spread, tell=tell, **own)
        return self.kind.write_samples(
            self, num, str(out), seed=seed, where=where, spread=spread, overwrite=overwrite, **own
        )

    def complete(self, source: Any, *, seed: int = 0) -> Any:
        """``source`` with its gaps drawn given the rest: missing cells or steps, or ``___`` in texts; all else stays.

        Raises:
            ConfigError: A run of other data, or of a model that cannot.
        """
        return self.kind.complete(self, source, seed=seed)

    def forecast(self, source: Any, *, steps: int, num: int = 100, seed: int = 0) -> Forecast:
        """How series of ``source`` may go on behind their last step: ``num`` draws of ``steps`` steps of each.

        Raises:
            ConfigError: A run of other data, or of a model that cannot.
        """
        return self.kind.forecast(self, source, steps=steps, num=num, seed=seed)

    def sample_tensors(
        self,
        num: int,
        *,
        seed: int = 0,
        where: Mapping[str, Any] | None = None,
        y: Tensor | None = None,
        spread: float = 1.0,
        start: int = 0,
    ) -> tuple[Tensor, Tensor | None]:
        """As :meth:`sample`, but tensors: data ``(num, *shape)`` in [-1, 1] and classes ``(num,)`` or None.

        ``y`` sets the class of each sample; otherwise classes are drawn as often as in the training data. ``start`` is
        the number of the first sample, a multiple of the model's ``block``.
        """
        self._check_draw(num, seed, spread)
        met = classes_met(where, self.adapter.spec, self.run.config["model"], self.classes)
        if not self.classes or y is None:
            y = None if not self.classes else drawn_classes(num, seed, self._counts, met, start=start)
        return self.sample_numbers(torch.arange(start, start + num), seed=seed, y=y, spread=spread), y

    def sample_numbers(self, numbers: Tensor, *, seed: int, y: Tensor | None, spread: float = 1.0) -> Tensor:
        """Data ``(N, *shape)`` of the samples with these ``numbers`` ``(N,)``, ascending, and classes ``(N,)``."""
        noise = noise_at(seed, numbers, self.model.noise_dim)
        noise[:, : self.model.noise_dim - self.model.draw_dim] *= spread
        return self._within(in_blocks(self.model.generate, noise, y, device=self.device, block=self.model.block))

    def encode(self, source: Any) -> np.ndarray:
        """Codes float32 ``(N, D)`` of anything that ``fit`` takes."""
        return self.encode_tensors(self.adapter.to_tensors(source)).numpy()

    def encode_tensors(self, data: TensorData) -> Tensor:
        """Codes ``(N, D)`` on the CPU."""
        parts = []
        for index in torch.arange(len(data)).split(1024):
            parts.append(in_blocks(self.model.encode, data.batch(index)["x"], device=self.device))
        return torch.cat(parts)

    def decode(self, codes: Any) -> Any:
        """Data of codes ``(N, D)``, in the form that ``fit`` was given.

        Raises:
            DataError: Codes of another shape, or not finite.
        """
        return self.kind.in_form(self, self.decode_tensors(codes))

    def decode_tensors(self, codes: Any) -> Tensor:
        """Data ``(N, *shape)`` in [-1, 1] of codes ``(N, D)``."""
        dim = self.model.code_dim
        if dim == 0:
            raise ConfigError(f"A model of kind {self.run.config['model']!r} has no codes to decode.")
        try:
            z = torch.as_tensor(np.asarray(codes), dtype=torch.float32)
        except (TypeError, ValueError) as error:
            raise DataError(f"decode: numbers of shape (N, {dim}) expected, got {type(codes).__name__}.") from error
        if z.ndim != 2 or z.shape[1] != dim or len(z) == 0:
            raise DataError(f"decode: codes of shape (N, {dim}), N at least 1, expected, got {tuple(z.shape)}.")
        bad = ~torch.isfinite(z).all(1)
        if bool(bad.any()):
            raise DataError(
                f"decode: {int(bad.sum())} codes hold NaN or infinity, the first at row {int(bad.nonzero()[0])}."
            )
        return self._within(in_blocks(self.model.decode, z, device=self.device))

    def reconstruct(self, source: Any, *, where: Mapping[str, Any] | None = None) -> Any:
        """``decode(encode(source))``, in the form that ``fit`` was given.

        Args:
            source: Anything that ``fit`` takes.
            where: Recordings: labels to change, all else kept, as in ``{"speaker": "theo"}``.
        """
        made, _ = self.kind.reconstruct(self, source, where=where)
        # What a code of series does not hold (length, attributes, class) is as in the source.
        data = self.adapter.to_tensors(source) if self.kind.name == "series" else None
        return self.kind.in_form(self, made, data)

    def reconstruct_tensors(self, data: TensorData) -> Tensor:
        """Reconstructions ``(N, *shape)`` in [-1, 1]."""
        return self.decode_tensors(self.encode_tensors(data))

    def augment(
        self,
        source: Any,
        *,
        num: int | None = None,
        strength: float = 0.5,
        operations: str | Sequence[str] = "auto",
        balance: bool = False,
        originals: bool = False,
        checks: str | Sequence[str] = "auto",
        label: str | None = None,
        neighbours: int = 5,
        seed: int = 0,
    ) -> Augmented:
        """New samples made of those of ``source``: encoded, moved, decoded, the label kept.

        Args:
            source: Anything that ``fit`` takes. Where the run has no classes, those of the source are taken up.
            num: Samples to make; as many as the source has when None, or as many as ``balance`` takes.
            strength: From 0 (reconstructions) to 1 (as far from their sources as real neighbours are); see
                docs/augmentation.md.
            operations: One or several of ``gaussian``, ``tangent``, ``interpolate``, ``extrapolate``, ``mix``,
                ``generate`` and, for tables, ``resample``; ``"auto"``: what suits the model.
            balance: Fill the smallest classes first; without ``num`` up to the largest.
            originals: Put the source's own samples first: rows, texts and recordings of the run's rate unchanged,
                images at the run's size, recordings of another rate resampled, series in single precision.
            checks: What drops samples: ``reconstruction``, ``judge``, ``class``, ``distance``; ``"auto"``: all that the
                model allows; an empty list: nothing.
            label: Tables: the column that holds the class; its value is kept.
            neighbours: Nearest samples of the class that the moves are made of.
            seed: Seed of everything random.

        Returns:
            The data in the form that ``fit`` was given, with their labels, sources and a report.

        Raises:
            ConfigError: A value out of range, or an operation or check that this model cannot do.
            DataError: A source of another kind, labels missing where they are needed, or classes of one sample alone.
        """
        from aegan.augmentation.estimators import augment

        return augment(
            self,
            source,
            num=num,
            strength=strength,
            operations=operations,
            balance=balance,
            originals=originals,
            checks=checks,
            label=label,
            neighbours=neighbours,
            seed=seed,
        )

    def compress(
        self, source: Any, path: str | Path, *, error: float | None = None, overwrite: bool = False
    ) -> Written:
        """Write the codes of ``source``, rounded and entropy-coded; :meth:`decompress` reads the file back.

        Only this model's weights can: the file carries their fingerprint.

        Args:
            source: Anything that ``fit`` takes. Class labels are kept as they are.
            path: File to make, ending in ``.aec``.
            error: The dial between size and quality: the root mean squared error that rounding the codes adds to a
                value of the data (of [-1, 1]), to first order; 0.03 when None. The model's own error comes on top.
                A model whose codes are tokens has nothing to round, and no such dial.
            overwrite: Replace what is at ``path``.

        Returns:
            Its size: bytes in all, a sample, bits a code value.

        Raises:
            ConfigError: ``error`` out of range, another suffix, or a model without encoder or decoder.
            StorageError: ``path`` exists, or the disk is full.
        """
        from aegan.compression import compress

        return compress(self, source, Path(path), error=error, overwrite=overwrite)

    def decompress(self, path: str | Path) -> Any:
        """Data of a file made by :meth:`compress`, in the form that ``fit`` was given.

        Raises:
            DataError: Missing, damaged, not such a file, newer, or compressed with other weights than these.
        """
        return self.kind.in_form(self, self.decompress_tensors(path)[0])

    def decompress_tensors(self, path: str | Path) -> tuple[Tensor, Tensor | None]:
        """As :meth:`decompress`, but tensors: data ``(N, *shape)`` in [-1, 1] and classes ``(N,)`` or None."""
        from aegan.compression import decompress

        return decompress(self, Path(path))

    def evaluate(
        self,
        real: Any = None,
        *,
        features: Features | torch.nn.Module | None = None,
        num: int | None = None,
        seed: int = 0,
        **options: Any,
    ) -> Any:
        """Judge samples against real data, beside the real-vs-real floor and the autoencoder's ceiling.

        Args:
            real: Real data that the model was not trained on. Right after ``fit`` it may be left out: the
                training data and the run's own holdout are used then. On a loaded run it is needed; half of it
                serves as the reference and half as the floor.
            features: Feature space, or a module that maps images in [-1, 1] to ``(N, D)``; by default the run's own
                (see :mod:`aegan.evaluation`).
            num: Samples to draw; by default as many as the holdout has, so that the rows can be compared.
            seed: Seed of samples and subsets.
            **options: Of the kind of data. Tables: ``target``, the column to predict from the others; None for none.
        """
        own = own_options(self.kind.name, options, JUDGE_OPTIONS, "evaluate")
        return self.kind.evaluate(self, real, features=features, num=num, seed=seed, **own)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Copy the run to ``path``; :func:`aegan.load` reads it.

        Raises:
            RunExistsError: Something is there already, and not ``overwrite``.
            StorageError: Disk full or not writable; nothing half-written stays.
        """
        target = Path(path)
        if target.resolve() == self.run.path.resolve():
            return target
        check_free(target, overwrite=overwrite)
        staging = target.with_name(f".{target.name}.partial")
        with explained(target):
            shutil.rmtree(staging, ignore_errors=True)
            try:
                shutil.copytree(self.run.path, staging)
                if target.exists():
                    shutil.rmtree(target)
                staging.rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return target

    @property
    def kind(self) -> Kind:
        """What can be done with data of this kind."""
        return handler(self.adapter.spec.kind)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that samples can be asked for; empty without labels, or with a model that is not told them."""
        return self.adapter.spec.classes if self.model.conditional else ()

    @property
    def class_counts(self) -> Sequence[int]:
        """Training samples of each class; empty without labels."""
        return self.run.config["source"].get("class_counts") or []

    def _check_draw(self, num: int, seed: int, spread: float) -> None:
        if isinstance(num, bool) or not isinstance(num, int) or num < 1:
            raise ConfigError(f"num: a whole number of at least 1 expected, got {num!r}.")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ConfigError(f"seed: a whole number of at least 0 expected, got {seed!r}.")
        if not 0 < spread <= 2:
            raise ConfigError(f"spread: a number above 0 and at most 2 expected, got {spread!r}.")
        if spread != 1 and self.model.noise_dim == self.model.draw_dim:
            raise ConfigError(
                f"spread: only 1 for {self.run.config['model']!r}, got {spread!r}: its samples are drawn from "
                "probabilities, not made of noise."
            )
        if self.model.noise_dim == 0:
            name = self.run.config["model"]
            raise ConfigError(
                f"A model of kind {name!r} cannot sample. Fit one that can: leave --model out, or see `aegan models`."
            )

    def _within(self, x: Tensor) -> Tensor:
        """Clipped to their range where they have one."""
        return x.clamp_(-1.0, 1.0) if self.kind.bounded else x

    def class_index(self, name: Any) -> int:
        """The index of the class that is asked for by name.

        Raises:
            ConfigError: No such class, no classes, or a model that is not told them.
        """
        return (classes_met({"class": name}, self.adapter.spec, self.run.config["model"], self.classes) or [0])[0]

    def draw_classes(self, num: int, seed: int, wanted: int | None = None, *, start: int = 0) -> Tensor | None:
        """Classes ``(num,)`` as often as in the training data, or all of one; None for a model without them."""
        if not self.classes:
            return None
        return drawn_classes(num, seed, self._counts, None if wanted is None else [wanted], start=start)

    @property
    def _counts(self) -> Sequence[int]:
        return self.class_counts or [1] * self.adapter.spec.num_classes

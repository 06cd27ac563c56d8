"""Time series to tensors ``(N, T, C)`` in [-1, 1] and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aegan.data import series_samples as samples
from aegan.data.base import Adapter, TensorData
from aegan.data.labels import map_labels
from aegan.data.series_back import Decoder
from aegan.data.series_form import repeated_values
from aegan.data.series_ids import Names
from aegan.data.series_json import from_plain, to_plain
from aegan.data.series_labels import class_names, labelled
from aegan.data.series_options import check_options, fit_table, fitted_roles, roles_of
from aegan.data.series_scale import Scaler
from aegan.data.series_seasons import in_words, places_of, seasons_of
from aegan.data.series_set import SeriesSet
from aegan.data.series_source import open_series
from aegan.data.series_time import Clock
from aegan.data.series_windows import cut, default_stride, default_window, hold_out_blocks
from aegan.data.split import split
from aegan.data.table import TableAdapter
from aegan.data.table_source import same_source
from aegan.errors import AeganWarning, ConfigError, DataError
from aegan.types import Spec


class SeriesAdapter(Adapter):
    """Time series to float32 ``(N, T, C)`` in [-1, 1] and back; what belongs to a whole series is a table's row.

    One long series is cut into windows. Several series are a sample each, padded to the longest, unless ``window`` is
    given. See :func:`~aegan.data.series_source.open_series` for what can be read.

    Args:
        id: Column that names the series, for frames in long form.
        time: Column of time stamps; None: the DatetimeIndex, or the first column of dates.
        label: Column of classes.
        static: Columns of attributes of a series; None: with ``id``, the columns that never change within a series.
        channels: Columns to learn; None: all others.
        layout: ``"long"``: an array ``(T, C)`` is one long series; ``"wide"``: a frame's row is a series.
        window: Steps of a window; None: chosen from the data, see ``summary``.
        stride: Steps from one window to the next; None: 1, or as much as keeps the windows within 256 MB.
        scaling: ``"minmax"`` or ``"robust"``, see :class:`~aegan.data.series_scale.Scaler`.
        per_series: Scale each sample by its own range; centre and half range of each channel become static attributes.
        irregular: ``"channel"``: where time is irregular, the gap between stamps becomes the last channel;
            ``"ignore"``: steps are taken as they come, and stamps go on at the median gap.
        seasons: Steps after which long series repeat themselves, as in ``[24, 168]``; None: found in the data.

    Attributes:
        spec: Kind ``"series"``, shape ``(T, C)``, T the longest, C with the gap channel; classes; seasons; ``fields``:
            static attributes, length and amplitudes as a table codes them. Set by :meth:`fit`.
        channels: Names of the data's channels.
        clock: Time stamps and their step; None without time.
        table: The adapter of the static attributes; None where nothing varies.
        summary: Some lines on the fitted data.

    Raises:
        ConfigError: An option that cannot work.

    >>> adapter = SeriesAdapter(window=4, stride=4).fit(np.arange(12.0))
    >>> x = adapter.to_tensors(np.arange(12.0)).fields["x"]
    >>> x.shape, adapter.from_tensors(x).tolist() == list(range(12))
    (torch.Size([3, 4, 1]), True)
    """

    def __init__(
        self,
        *,
        id: str | None = None,
        time: str | None = None,
        label: str | None = None,
        static: Sequence[str] | None = None,
        channels: Sequence[str] | None = None,
        layout: str = "auto",
        window: int | None = None,
        stride: int | None = None,
        scaling: str = "minmax",
        per_series: bool = False,
        irregular: str = "channel",
        seasons: Sequence[float] | None = None,
    ) -> None:
        self.options: dict[str, Any] = {
            "id": id,
            "time": time,
            "label": label,
            "static": static,
            "channels": channels,
            "layout": layout,
            "window": window,
            "stride": stride,
            "scaling": scaling,
            "per_series": bool(per_series),
            "irregular": irregular,
            "seasons": seasons,
        }
        check_options(self.options)
        self.channels: tuple[str, ...] = ()
        self.clock: Clock | None = None
        self.table: TableAdapter | None = None
        self.window: int | None = None
        self.stride: int | None = None
        self.decoder: Decoder | None = None
        self.count = 0
        self._cache: tuple[Any, SeriesSet] | None = None

    def fit(self, source: Any) -> SeriesAdapter:
        """Learn channels, time, windows, scales, classes and attributes from ``source``.

        Raises:
            DataError: Unreadable, too short for the window, fewer than two samples, or no channel that varies.
            ConfigError: Roles that do not fit the columns.
        """
        opened = open_series(source, roles_of(self.options))
        self.clock = opened.clock
        opened = samples.on_grid(opened, self.clock)
        raw = self._raw(opened)
        scaler = Scaler.fit(np.concatenate(raw), self.options["scaling"])
        if not any(width > 0 for width in scaler.width[: len(opened.channels)]):
            raise DataError(
                f"{opened.name}: no channel varies ({', '.join(opened.channels[:8])}); nothing could be learnt. Give "
                "other data, or other channels."
            )
        self.channels = opened.channels
        self._choose_windows(opened)
        longest = self.window or max(opened.lengths)
        done = self._encode(opened, scaler, longest)
        if len(done.x) < 2:
            raise DataError(
                f"{opened.name}: one {'window' if self.window else 'series'} only; expected at least two samples. "
                + (f"Give a window below {longest}, a smaller stride, or longer data." if self.window else "")
            )
        variable = bool((done.lengths != done.lengths[0]).any())
        frame = samples.attributes(opened, done, self.channels, lengths=variable, static=opened.form.static)
        self.table, constants = fit_table(frame)
        self.spec = Spec(
            kind="series",
            shape=(longest, done.x.shape[2]),
            classes=class_names(opened),
            fields=() if self.table is None else self.table.spec.fields,
            seasons=seasons_of(opened, self.clock, self.window, self.options["seasons"]),
        )
        self.decoder = Decoder(
            form=replace(opened.form, repeated=repeated_values(opened.values, opened.form.looks)),
            channels=self.channels,
            clock=self.clock,
            scaler=scaler,
            variable=variable,
            own=self.options["per_series"],
            gaps=self._gaps,
            constants=constants,
            names=Names.fit(opened.ids) if opened.ids is not None else None,
            classes=self.spec.classes,
        )
        self.count = len(done.x)
        self._cache = (source, opened)
        return self

    @property
    def _gaps(self) -> bool:
        return self.clock is not None and not self.clock.regular and self.options["irregular"] == "channel"

    def _raw(self, opened: SeriesSet) -> list[np.ndarray]:
        return samples.with_gaps(opened, self.clock) if self._gaps and self.clock is not None else opened.values

    def _choose_windows(self, opened: SeriesSet) -> None:
        """Window and stride: as the user says, else for one long series from its clock and length."""
        self.window, self.stride = self.options["window"], self.options["stride"]
        stepwise = any(len(one) > 1 for one in opened.labels or [])
        if self.window is None and len(opened) > 1 and not stepwise:
            if self.stride is not None:
                raise ConfigError("SeriesAdapter: stride without window; expected both for several series.")
            return
        if len(opened) == 1 and opened.form.layout != "long" and self.window is None:
            warnings.warn(
                f"{opened.name}: one series only; it is cut into windows, as one long series is.",
                AeganWarning,
                stacklevel=3,
            )
        if self.window is None:
            self.window = default_window(max(opened.lengths), self.clock)
        if self.stride is None:
            self.stride = default_stride(opened.lengths, self.window, len(opened.channels))

    def _encode(self, opened: SeriesSet, scaler: Scaler, longest: int) -> samples.Encoded:
        raw = self._raw(opened)
        own = len(self.channels) if self.options["per_series"] else 0
        if self.window is None:
            return samples.encode_whole(raw, longest, scaler, own, opened)
        origin = cut(opened.lengths, self.window, self.stride or 1, opened.name)
        kept = [i for i, (s, t) in enumerate(origin) if np.isfinite(raw[s][t : t + self.window]).any()]
        return samples.encode_windows(raw, origin[kept], self.window, scaler, own)

    def to_tensors(self, source: Any) -> TensorData:
        """Encode ``source``.

        Returns:
            ``x`` float32 ``(N, T, C)``, fitted values in [-1, 1]; missing values interpolated, padding holding the last
            value. Where there are any, ``mask`` bool ``(N, T, C)``, True where observed. With series of differing
            length ``length`` int64 ``(N,)``. With attributes ``static`` float32 ``(N, F)``, ``k + u`` for each of
            ``spec.fields`` (see :class:`~aegan.data.table.TableAdapter`). With classes ``y`` int64 ``(N,)``. For
            windows ``origin`` int64 ``(N, 2)``: series and first step. With ``spec.seasons``, where it is known,
            ``place`` int64 ``(N,)``, the first step on the line of time that all share.

        Raises:
            DataError: Unreadable, other channels, a class or frequency that the fitted data do not have, or a series
                that is too short or too long.
        """
        decoder = self._fitted()
        cached, self._cache = self._cache, None
        opened = cached[1] if cached is not None and same_source(cached[0], source) else self.open(source)
        done = self._encode(opened, decoder.scaler, self.spec.shape[0])
        fields: dict[str, Any] = {"x": torch.from_numpy(np.ascontiguousarray(done.x))}
        if not done.mask.all():
            fields["mask"] = torch.from_numpy(np.ascontiguousarray(done.mask))
        if decoder.variable:
            fields["length"] = torch.from_numpy(done.lengths)
        if self.table is not None:
            frame = samples.attributes(
                opened, done, self.channels, lengths=decoder.variable, static=decoder.form.static
            )
            fields["static"] = self.table.to_tensors(frame).fields["x"]
        if self.spec.classes and opened.labels is not None:
            names = samples.window_labels(opened.labels, done)
            present = sorted(set(names))
            index = np.array([present.index(name) for name in names], dtype=np.int64)
            fields["y"] = torch.from_numpy(map_labels(index, present, self.spec.classes, opened.name))
        if self.window is not None:
            fields["origin"] = torch.from_numpy(np.stack([done.owner, done.starts], axis=1))
        if self.spec.seasons and (places := places_of(opened, self.clock)) is not None:
            fields["place"] = torch.from_numpy(places[done.owner] + done.starts)
        return TensorData(**fields)

    def open(self, source: Any) -> SeriesSet:
        """``source`` as the fitted data were read, on their grid.

        Raises:
            DataError: Unreadable, other channels, or another frequency.
        """
        decoder = self._fitted()
        roles = fitted_roles(decoder.form, self.channels, self.options, source)
        try:
            opened = open_series(source, roles, fitted=decoder.form, clock=self.clock)
        except ConfigError as error:
            raise DataError(f"{error} The fitted data have it.") from error
        if len(opened.channels) != len(self.channels):
            raise DataError(
                f"{opened.name}: {len(opened.channels)} channels; expected {len(self.channels)}, as in the fitted "
                f"data: {', '.join(self.channels[:8])}."
            )
        return samples.on_grid(opened, self.clock)

    def with_classes_of(self, source: Any) -> tuple[SeriesAdapter, Any]:
        """See :meth:`~aegan.data.base.Adapter.with_classes_of`."""
        opened, decoder = self.open(source), self._fitted()
        return (self if opened.labels is None else labelled(self, decoder, opened)), opened

    def from_tensors(
        self,
        x: Tensor,
        *,
        static: Tensor | None = None,
        y: Tensor | None = None,
        mask: Tensor | None = None,
        where: Mapping[str, Any] | None = None,
        start: int = 0,
        begin: Any = None,
    ) -> Any:
        """Network output as the kind of thing that ``fit`` was given.

        A long frame comes back as one frame: the samples one after the other, without overlap, its time stamps going on
        where the fitted ones end, at their frequency. Series in long form get new names, and stamps from the usual
        first one on.

        Args:
            x: Float ``(N, T, C)``; cut to [-1, 1], so that nothing leaves the observed range. Windows: of any T.
            static: Float ``(N, F)``, where ``spec.fields`` has any; gives length, attributes and amplitudes.
            y: Class indices int64 ``(N,)``; without them, samples have no class.
            mask: Bool ``(N, T, C)``; values are missing where it is False.
            where: Conditions on static attributes that every sample shall meet, see :meth:`condition`.
            start: Number of samples decoded before, so that names and time stamps go on rather than begin again.
            begin: First time stamp, in place of the one that follows.

        Raises:
            DataError: Another shape, values that are not finite, or ``static`` missing.
            ConfigError: A condition that cannot be met, or ``begin`` without time.
        """
        decoder = self._fitted()
        values = samples.checked(x, self.spec.shape, "x", longer=self.window is not None)
        table = None
        if self.table is not None:
            if static is None:
                raise DataError(
                    f"from_tensors: static is missing; expected floats (N, {len(self.spec.fields)}), since the length, "
                    "attributes or amplitudes of a series are in it."
                )
            table = self.table.from_tensors(static, where=where, start=start)
        elif where:
            raise ConfigError("from_tensors: where: these series have no static attributes.")
        labels = None if y is None or not self.spec.classes else [self.spec.classes[i] for i in y.tolist()]
        gone = None if mask is None else ~mask.cpu().numpy()
        return decoder.decode(values, table, labels=labels, gone=gone, start=start, begin=begin)

    def amounts(self, x: Tensor, static: Tensor | None = None) -> Tensor:
        """Samples in the units of the data, for metrics, which compare values rather than what a network sees.

        Args:
            x: As for :meth:`from_tensors`.
            static: Alike; needed with ``per_series`` alone.

        Returns:
            Float32 ``(N, T, C)``; a gap channel is ``log(1 + gap / median gap)``.

        Raises:
            DataError: Another shape, or values that are not finite.
        """
        decoder = self._fitted()
        values = samples.checked(x, self.spec.shape, "x")
        table = None if self.table is None or static is None else self.table.from_tensors(static)
        return torch.from_numpy(decoder.amounts(values, decoder.attributes(table, len(values)))).float()

    def condition(self, where: Mapping[str, Any]) -> dict[int, Tensor]:
        """Which indices of which of ``spec.fields`` conditions on static attributes allow.

        See :meth:`aegan.data.table.TableAdapter.condition`; ``{"length": "50..80"}`` serves too where lengths differ.

        Raises:
            ConfigError: No such attribute or value.
        """
        self._fitted()
        if self.table is None:
            raise ConfigError(f"where: {', '.join(map(str, where))}: these series have no static attributes.")
        return self.table.condition(where)

    def split(self, data: TensorData, *, holdout: float = 0.1, seed: int) -> tuple[Tensor, Tensor]:
        """Which samples to train on and which to hold out; windows on either side share no step.

        Args:
            data: From :meth:`to_tensors`.
            holdout: Part to hold out.
            seed: The same seed gives the same split.

        Returns:
            Sorted int64 indices of the training samples and of the holdout.

        Raises:
            ConfigError: ``holdout`` out of range.
            DataError: Too few samples.
        """
        self._fitted()
        origin = data.fields.get("origin")
        if self.window is None or not isinstance(origin, Tensor):
            return split(len(data), data.labels, holdout=holdout, seed=seed)
        return hold_out_blocks(origin, self.window, holdout=holdout, seed=seed)

    @property
    def summary(self) -> str:
        """Some lines on the fitted data."""
        decoder = self._fitted()
        steps, channels = self.spec.shape
        head = f"{self.count} samples, {steps} steps, {channels} channels"
        if self.window is not None:
            chosen = "" if self.options["window"] else ", chosen from the data; --window sets it"
            head += f" (windows of {self.window}, stride {self.stride}{chosen})"
        lines = [head, "channels: " + ", ".join(self.channels) + (", time gap" if decoder.gaps else "")]
        if self.clock is not None:
            lines.append(f"time: {self.clock.describe()}")
        if self.spec.seasons:
            lines.append("seasons: " + ", ".join(in_words(steps, self.clock) for steps in self.spec.seasons))
        if self.spec.classes:
            lines.append("classes: " + ", ".join(self.spec.classes))
        if self.table is not None:
            lines.append("attributes: " + ", ".join(self.table.columns))
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Options, spec, form, scales, clock and attributes as plain JSON values."""
        return to_plain(self, self._fitted())

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SeriesAdapter:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or values do not fit together.
        """
        return from_plain(cls, data)

    def _fitted(self) -> Decoder:
        if self.decoder is None:
            raise ConfigError("SeriesAdapter: not fitted yet. Call fit(source) first, or from_json.")
        return self.decoder

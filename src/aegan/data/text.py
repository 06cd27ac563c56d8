"""Text to tokens ``(N, T)`` and exactly back."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from aegan.data.base import Adapter, TensorData
from aegan.data.labels import map_labels, natural_key
from aegan.data.table_source import same_source
from aegan.data.text_source import (
    USUAL,
    USUAL_LABEL,
    TextForm,
    TextSet,
    is_objects_file,
    is_table_file,
    open_text,
    opened_table,
)
from aegan.data.text_units import KINDS, Units, choose_unit, fit_units, units_from_json
from aegan.errors import AeganWarning, ConfigError, DataError, nearest
from aegan.types import Spec

LONGEST = {"word": 128, "subword": 128, "character": 256, "byte": 256}
"""Tokens of a text at most, unless the user says otherwise: time and memory grow with them."""
OTHER_LABEL = "class"
"""Column of labels where the usual name is that of the texts."""
KEYS = ("adapter", "options", "spec", "form", "units", "count")


class TextAdapter(Adapter):
    """Text to int32 ``(N, T)`` and back, exactly: any script, by characters, bytes, words or learnt subwords.

    A token is a number; 0 ends a text and fills what follows. See :func:`~aegan.data.text_source.open_text` for what
    can be read.

    Args:
        column: Of a table: the column of text.
        label: Of a table: the column of classes.
        each: Of a file: what a sample is, ``"line"``, ``"paragraph"`` or ``"auto"``.
        unit: ``"character"``, ``"byte"``, ``"word"``, ``"subword"`` (needs ``tokenizers``) or ``"auto"``, see
            :func:`~aegan.data.text_units.choose_unit`.
        length: Most tokens of a text, longer ones are cut; None: the longest there is, up to :data:`LONGEST`.
        encoding: Of files without a byte order mark.

    Attributes:
        spec: Kind ``"text"``, shape ``(T,)``, T the most tokens and an end; ``vocabulary``, the number of tokens. Set
            by :meth:`fit`.
        units: The tokens.
        summary: Some words on the fitted data: units, why these, length and what was cut.

    Raises:
        ConfigError: An option that cannot work.

    >>> adapter = TextAdapter().fit(["emma", "óscar", "李"])
    >>> adapter.from_tensors(adapter.to_tensors(["李emma"]).fields["x"])
    ['李emma']
    """

    def __init__(
        self,
        *,
        column: str | None = None,
        label: str | None = None,
        each: str = "auto",
        unit: str = "auto",
        length: int | None = None,
        encoding: str = "utf-8",
    ) -> None:
        if unit not in ("auto", *KINDS):
            raise ConfigError(f"TextAdapter: unit is {unit!r}; expected one of auto, {', '.join(KINDS)}.")
        if length is not None and (isinstance(length, bool) or not isinstance(length, int) or length < 1):
            raise ConfigError(f"TextAdapter: length is {length!r}; expected a whole number of at least 1.")
        self.options: dict[str, Any] = {
            "column": column,
            "label": label,
            "each": each,
            "unit": unit,
            "length": length,
            "encoding": encoding,
        }
        self.units: Units | None = None
        self.form = TextForm()
        self.count = 0
        self._cache: tuple[Any, TextSet, list[list[int]]] | None = None

    def fit(self, source: Any) -> TextAdapter:
        """Learn units, length and classes from ``source``.

        Raises:
            DataError: Unreadable, or fewer than two samples that differ.
            ConfigError: An option that does not fit the source.
        """
        opened = self._open(source)
        texts = opened.texts
        if len(texts) < 2 or len(set(texts)) < 2:
            raise DataError(
                f"{opened.name}: {_few(texts, opened.form)}; expected at least two samples that differ, better some "
                "thousand. Put each sample on a line of its own, or a blank line between paragraphs."
            )
        kind, why = (self.options["unit"], "as asked for")
        if kind == "auto":
            kind, why = choose_unit(texts)
        self.units = fit_units(kind, texts)
        tokens = [self.units.encode(text) for text in texts]
        lengths = np.array([len(one) for one in tokens])
        limit = self.options["length"] or min(int(lengths.max()), LONGEST[kind])
        if limit == 0:
            raise DataError(f"{opened.name}: nothing but empty strings; expected text.")
        self.form, self.count = opened.form, len(texts)
        self.spec = Spec(
            kind="text",
            shape=(limit + 1,),
            likelihood="categorical",
            classes=_classes(opened),
            vocabulary=self.units.size,
        )
        self.summary = _summary(opened, self.units, why, lengths, limit)
        self._warn_of_longer(opened, lengths)
        self._cache = (source, opened, tokens)
        return self

    def to_tensors(self, source: Any) -> TensorData:
        """Encode ``source``.

        Returns:
            ``x`` int32 ``(N, T)``, tokens and then zeros; with classes ``y`` int64 ``(N,)``.

        Raises:
            DataError: Unreadable, or a class that the fitted data do not have.

        Texts that are too long are cut, characters that the fitted text does not have become ``�``; both are warned of
        by their place.
        """
        units = self._fitted()
        cached, self._cache = self._cache, None
        if cached is not None and same_source(cached[0], source):
            opened, tokens = cached[1:]
        else:
            opened = self._open(source, fitted=True)
            self._warn_of_unseen(opened, units)
            tokens = [units.encode(text) for text in opened.texts]
            self._warn_of_longer(opened, np.array([len(one) for one in tokens]))
        limit = self.spec.shape[0] - 1
        x = np.zeros((len(tokens), limit + 1), dtype=np.int32)
        for row, one in zip(x, tokens, strict=True):
            row[: min(limit, len(one))] = one[:limit]
        fields: dict[str, Any] = {"x": torch.from_numpy(x)}
        if self.spec.classes and opened.labels is not None:
            present = sorted(set(opened.labels))
            place = {name: i for i, name in enumerate(present)}
            index = np.array([place[name] for name in opened.labels], dtype=np.int64)
            fields["y"] = torch.from_numpy(map_labels(index, present, self.spec.classes, opened.name))
        return TensorData(**fields)

    def with_classes_of(self, source: Any) -> tuple[TextAdapter, Any]:
        """See :meth:`~aegan.data.base.Adapter.with_classes_of`; of a table those of its column ``label``."""
        opened = self._open(source, fitted=True, labelled=True)
        if opened.labels is None:
            return self, opened
        if opened.passed:
            warnings.warn(
                f"{opened.name}: {opened.passed} rows have no text or no label and are passed over. Fill their cells; "
                "or, to do without labels, give the texts alone.",
                AeganWarning,
                stacklevel=2,
            )
        known = copy(self)
        known.spec = replace(self.spec, classes=_classes(opened))
        # Where texts and labels were given apart, the texts' own column may be called so.
        label = USUAL_LABEL if self.form.column != USUAL_LABEL else OTHER_LABEL
        known.form = replace(self.form, label=label)
        if self.options["column"] is not None:
            known.options = self.options | {"label": label}
        return known, opened

    def texts(self, x: Tensor) -> list[str]:
        """Texts of tokens ``(N, T)``.

        Raises:
            DataError: Another shape, or numbers that are no tokens.
        """
        units = self._fitted()
        if x.ndim != 2 or x.shape[1] != self.spec.shape[0]:
            raise DataError(f"from_tensors: tokens of shape (N, {self.spec.shape[0]}) expected, got {tuple(x.shape)}.")
        tokens = x.detach().cpu().long()
        if len(tokens) and (int(tokens.min()) < 0 or int(tokens.max()) >= units.size):
            raise DataError(f"from_tensors: tokens from 0 to {units.size - 1} expected, got {x.min()} to {x.max()}.")
        return [units.decode(row) for row in tokens.tolist()]

    def from_tensors(self, x: Tensor, *, y: Tensor | None = None) -> Any:
        """Texts of tokens ``(N, T)``: a list, a Series or, of a table, a frame with the column and, with classes ``y``
        ``(N,)``, the labels.

        Raises:
            DataError: Another shape, or numbers that are no tokens.
        """  # noqa: D205
        return self.in_form(self.texts(x), y=y)

    def in_form(self, made: list[str], *, y: Tensor | None = None) -> Any:
        """Texts as :meth:`from_tensors` gives them back."""
        if self.form.container == "series":
            return pd.Series(made, name=self.form.column, dtype=object)
        if self.form.container != "table":
            return made
        columns = {self.form.column: made}
        if y is not None and self.form.label is not None:
            columns[self.form.label] = [self.spec.classes[i] for i in y.tolist()]
        return pd.DataFrame(columns)

    def open(self, source: Any) -> list[str]:
        """The texts of ``source``, as they are."""
        return self._open(source, fitted=True).texts

    def to_json(self) -> dict[str, Any]:
        """Options, spec, form and units as plain JSON values."""
        units = self._fitted().to_json()
        return {
            "adapter": "text",
            "options": self.options,
            "spec": self.spec.to_json() | {"shape": list(self.spec.shape), "classes": list(self.spec.classes)},
            "form": self.form.to_json(),
            "units": units,
            "count": self.count,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TextAdapter:
        """Inverse of :meth:`to_json`.

        Raises:
            DataError: A key is missing or unknown, or values do not fit together.
        """
        if not isinstance(data, Mapping) or set(data) != set(KEYS):
            got = ", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
            raise DataError(f"adapter: got {got}; expected the keys {', '.join(KEYS)}.")
        if data["adapter"] != "text":
            raise DataError(f"adapter: kind {data['adapter']!r}; expected 'text'.")
        try:
            adapter = cls(**data["options"])
            adapter.spec, adapter.count = Spec.from_json(data["spec"]), int(data["count"])
        except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"adapter: {error}; the file is damaged, or from another version.") from error
        adapter.form = TextForm.from_json(data["form"])
        adapter.units = units_from_json(data["units"])
        if adapter.spec.kind != "text" or adapter.spec.vocabulary != adapter.units.size:
            raise DataError("adapter: units and spec do not fit together; the file is damaged.")
        return adapter

    def _open(self, source: Any, fitted: bool = False, labelled: bool = False) -> TextSet:
        """With ``labelled``, also the labels that a table has by their usual name, where none were fitted."""
        column, label = self.options["column"], self.options["label"]
        if labelled and column not in (None, USUAL_LABEL):
            label = label or USUAL_LABEL
        if fitted and column is not None and _is_plain(source):
            column = label = None  # texts by themselves are as good
        sample = self.form.sample if fitted and self.form.container == "file" else self.options["each"]
        encoding = self.options["encoding"]
        if fitted and column is not None:
            source, names, name = opened_table(source)
            if column not in names:  # not as fit says it: there is no option to give here
                raise DataError(
                    f"{name}: a table without column {column!r}, which the fitted text is. "
                    f"{nearest(column, names)} Give a table with it, or texts by themselves."
                )
            label = label if label in names else None
        elif fitted and (is_table_file(source) or is_objects_file(source)):
            source, names, name = opened_table(source)
            column, label = USUAL, USUAL_LABEL
            if column not in names:
                raise DataError(
                    f"{name}: a table, where the fitted texts were by themselves, and without a column {column!r}, as "
                    f"samples are written. {nearest(column, names)} Give a text file, rename the column of texts, "
                    "or in Python give it as a list."
                )
            label = label if label in names and (self.spec.classes or labelled) else None
        return open_text(source, column=column, label=label, sample=sample, encoding=encoding)

    def _fitted(self) -> Units:
        if self.units is None:
            raise ConfigError("TextAdapter: not fitted yet. Call fit(source) first, or from_json.")
        return self.units

    def _warn_of_longer(self, opened: TextSet, lengths: np.ndarray) -> None:
        limit, counted = self.spec.shape[0] - 1, self._fitted().counted
        longer = np.flatnonzero(lengths > limit)
        if len(longer):
            worst = int(longer[lengths[longer].argmax()])
            warnings.warn(
                f"{opened.name}: {len(longer):,} of {len(lengths):,} texts are longer than {limit} {counted} and are "
                f"cut; {opened.place(worst)} has {lengths[worst]:,}. For the whole of them fit with --length "
                f"{int(lengths.max())}, or cut them into samples.",
                AeganWarning,
                stacklevel=3,
            )

    def _warn_of_unseen(self, opened: TextSet, units: Units) -> None:
        found = [(i, places) for i, text in enumerate(opened.texts) if (places := units.unseen(text))]
        if found:
            i, places = found[0]
            character = opened.texts[i][places[0]]
            name = unicodedata.name(character, "without a name")
            warnings.warn(
                f"{opened.name}: {sum(len(places) for _, places in found):,} characters in {len(found):,} texts are "
                f"not in the fitted text, the first in {opened.place(i)}, character {places[0] + 1}: {character!r} "
                f"(U+{ord(character):04X}, {name}). They are read as unknown and come back as '�'. With "
                "--unit byte any character can be read.",
                AeganWarning,
                stacklevel=3,
            )


def _classes(opened: TextSet) -> tuple[str, ...]:
    return () if opened.labels is None else tuple(sorted(set(opened.labels), key=natural_key))


def _few(texts: list[str], form: TextForm) -> str:
    unit = form.sample if form.container == "file" else "text"
    if len(texts) == 1:
        return f"one {unit} only ({len(texts[0]):,} characters)"
    return f"{len(texts)} {unit}s, all the same"


def _summary(opened: TextSet, units: Units, why: str, lengths: np.ndarray, limit: int) -> str:
    unit = opened.form.sample if opened.form.container == "file" else "text"
    cut = int((lengths > limit).sum())
    said = [f"{len(lengths):,} {unit}s by {units.plural} ({why})", f"{units.size:,} tokens"]
    said.append(f"{lengths.mean():.1f} {units.counted} on average, {limit} at most")
    if cut:
        said.append(f"{cut:,} longer ones cut")
    if opened.passed:
        said.append(f"{opened.passed:,} missing ones passed over")
    if opened.labels is not None:
        said.append(f"{len(set(opened.labels))} classes")
    return ", ".join(said)


def _is_plain(source: Any) -> bool:
    """Whether a source is texts by themselves rather than a table."""
    if isinstance(source, TextSet):
        return True
    if isinstance(source, (list, tuple, np.ndarray, pd.Series)):
        return True
    return str(source).lower().removesuffix(".gz").endswith(".txt")

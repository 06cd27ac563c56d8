"""Classes of series that an adapter was not fitted with: read, and written as its form allows."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from aegan.data.labels import natural_key
from aegan.data.series_back import Decoder
from aegan.data.series_form import SeriesForm
from aegan.data.series_samples import free_name
from aegan.data.series_set import SeriesSet

if TYPE_CHECKING:
    from aegan.data.series import SeriesAdapter

LABEL = "label"
"""Column of the classes, in frames that had none."""


def class_names(opened: SeriesSet) -> tuple[str, ...]:
    """Class names of a set of series, naturally sorted; none without labels."""
    names = set() if opened.labels is None else {str(name) for one in opened.labels for name in one}
    return tuple(sorted(names, key=natural_key))


def labelled(adapter: SeriesAdapter, decoder: Decoder, opened: SeriesSet) -> SeriesAdapter:
    """A fitted adapter without classes and its decoder as one with those of ``opened``."""
    known, classes = copy(adapter), class_names(opened)
    known.spec = replace(adapter.spec, classes=classes)
    known.decoder = replace(decoder, classes=classes, form=_with_labels(decoder.form, opened.form))
    return known


def _with_labels(form: SeriesForm, of: SeriesForm) -> SeriesForm:
    """A form of series without classes, with classes as another has them."""
    form = replace(form, label_dtype=of.label_dtype, names=of.names, classes_named=of.classes_named)
    if form.container != "frame":
        return replace(form, pair=form.container != "file")
    if form.table is None:
        return replace(form, label=LABEL)
    name = free_name(LABEL, form.table.names)
    return replace(form, label=name, table=replace(form.table, columns=(*form.table.columns, name)))

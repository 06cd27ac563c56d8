"""Options of the commands that are for one kind of data: a dataclass each, which is its part of ``--help``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro

from aegan.errors import ConfigError

Positional = tyro.conf.Positional
Source = Annotated[str, tyro.conf.arg(metavar="SOURCE")]
Run = Annotated[Path, tyro.conf.arg(metavar="RUN")]
Flag = tyro.conf.FlagCreatePairsOff
Repeated = tyro.conf.UseAppendAction
Group = TypeVar("Group")
Grouped = Annotated[Group, tyro.conf.OmitArgPrefixes]
"""A dataclass of options whose names carry no prefix."""


def _whole(text: str) -> int:
    """A whole number, also as ``1e9``."""
    value = float(text)
    if not value.is_integer():
        raise ValueError(f"a whole number expected, got {text}")
    return int(text) if text.lstrip("+-").isdigit() else int(value)


Count = Annotated[
    int,
    tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="INT",
        instance_from_str=lambda texts: _whole(texts[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""A number of samples, which may be large: ``1e9`` is taken too."""


@dataclass(frozen=True)
class ImageFit:
    """Images."""

    size: str | None = None
    """Side of the images, or HEIGHTxWIDTH; chosen from the data when left out."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How images of another shape are made to fit."""
    channels: int | None = None
    """1 grey, 3 colour, 4 with transparency; the richest found when left out."""
    skip_bad: Flag[bool] = False
    """Leave unreadable images out and count them, instead of stopping."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.fit`."""
        rest = {"resize": self.resize, "channels": self.channels, "skip_bad": self.skip_bad}
        return {"size": sides(self.size), **rest}


@dataclass(frozen=True)
class TableFit:
    """Tables."""

    column: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="COLUMN=TYPE")] = field(default_factory=list)
    """What a column is, where that shall not be found out: COLUMN=numeric, categorical, boolean, datetime, text, id
    or drop; may be repeated."""
    rule: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="RULE")] = field(default_factory=list)
    """A rule that every row keeps, such as "start <= end", "fixed(city, country)", or "none" to learn none; rules are
    learnt besides unless it is none. May be repeated."""
    inf: Literal["error", "missing"] = "error"
    """What infinite numbers are."""
    private: Annotated[float | None, tyro.conf.arg(metavar="EPSILON")] = None
    """Train with differential privacy: what the run gives away of any one row is bounded by this ε, such as 3. Needs
    --public and --steps."""
    delta: float | None = None
    """δ of that promise; the smaller of 1e-5 and a tenth of one over the number of rows when left out."""
    public: Annotated[str | None, tyro.conf.arg(metavar="TABLE")] = None
    """A table of the same columns that anybody may see: what columns and values there are is learnt from it alone."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.fit`."""
        rules = "none" if self.rule == ["none"] else [*self.rule, "auto"] if self.rule else "auto"
        promise = {"private": self.private, "delta": self.delta, "public": self.public}
        return {"columns": pairs("--column", self.column) or None, "rules": rules, "inf": self.inf, **promise}


@dataclass(frozen=True)
class SeriesFit:
    """Time series."""

    window: int | None = None
    """Steps of the windows that long series are cut into; chosen from the data when left out."""
    stride: int | None = None
    """Steps from one window to the next; 1 when left out."""
    id: str | None = None
    """Column that names the series, for many series one below the other."""
    time: str | None = None
    """Column of time stamps; the first one of dates when left out."""
    label: str | None = None
    """Column of classes."""
    static: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="COLUMN")] = field(default_factory=list)
    """A column of attributes of whole series; may be repeated. With --id, the columns that never change within a
    series when left out."""
    channel: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="COLUMN")] = field(default_factory=list)
    """A column to learn; may be repeated. All others when left out."""
    layout: Literal["auto", "long", "wide"] = "auto"
    """long: an array (T, C) is one long series; wide: each row of a table is a series."""
    scaling: Literal["minmax", "robust"] = "minmax"
    """robust keeps resolution for the bulk where few values lie far out."""
    per_series: Flag[bool] = False
    """Scale each series by its own range, and learn the range beside it."""
    irregular: Literal["channel", "ignore"] = "channel"
    """Where time is irregular: learn the gaps between stamps, or take the steps as they come."""
    season: Annotated[Repeated[list[float]], tyro.conf.arg(metavar="STEPS")] = field(default_factory=list)
    """Steps after which a long series repeats itself, such as 24 of hourly values; may be repeated. Found in the data
    when left out; 0: none."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.fit` and :func:`aegan.evaluate`."""
        names = ("window", "stride", "id", "time", "layout", "scaling", "per_series", "irregular")
        own = {name: getattr(self, name) for name in names} | {"static": self.static or None}
        # Other kinds have options of these names too: theirs stay unless these are meant.
        own |= {"label": self.label} if self.label is not None else {}
        own |= {"seasons": [steps for steps in self.season if steps]} if self.season else {}
        return own | ({"channels": self.channel} if self.channel else {})


@dataclass(frozen=True)
class SeriesSample:
    """Time series."""

    steps: int | None = None
    """Steps of each, also many more than a window has; for windows of longer series."""

    def given(self) -> dict[str, Any]:
        """As keywords of :meth:`aegan.Estimator.sample`."""
        return {"steps": self.steps}


@dataclass(frozen=True)
class TextFit:
    """Text."""

    text_column: str | None = None
    """SOURCE is a table, and this column of it the text."""
    label_column: str | None = None
    """The table's column of classes."""
    each: Literal["auto", "line", "paragraph"] = "auto"
    """What a sample is in a text file; paragraphs have blank lines between them."""
    unit: Literal["auto", "character", "byte", "word", "subword"] = "auto"
    """What text is cut into; chosen from the data when left out."""
    length: int | None = None
    """Most tokens of a text, longer ones are cut; chosen from the data when left out."""
    encoding: str = "utf-8"
    """Of text files without a byte order mark, such as cp1252."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.fit`."""
        rest = {"each": self.each, "unit": self.unit, "length": self.length, "encoding": self.encoding}
        return {"column": self.text_column, "label": self.label_column, **rest}


@dataclass(frozen=True)
class TextSample:
    """Text."""

    temperature: float = 1.0
    """Below 1 more fluent and less varied, above 1 the other way round."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that together have this probability."""
    new: Flag[bool] = False
    """No text that the model was fitted on: those are drawn again."""

    def given(self) -> dict[str, Any]:
        """As keywords of :meth:`aegan.Estimator.sample`."""
        return {"temperature": self.temperature, "top_p": self.top_p, "new": self.new}


@dataclass(frozen=True)
class TextEvaluate:
    """Text."""

    text_column: str | None = None
    """REAL and SYNTHETIC are tables, and this column of them the text."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.evaluate`."""
        return {"column": self.text_column}


@dataclass(frozen=True)
class AudioEvaluate:
    """Recordings."""

    pattern: Annotated[str | None, tyro.conf.arg(metavar="PATTERN")] = None
    """Labels from file names, as in {digit}_{speaker}_{index}; from sub-folders when left out."""
    labels: Annotated[str | None, tyro.conf.arg(metavar="CSV")] = None
    """Labels from a CSV: its first column names the file, every other one is a label."""
    label_names: Annotated[str | None, tyro.conf.arg(metavar="NAME,NAME")] = None
    """Which fields or columns are labels; all when left out, but for index, id, take, number and n."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.evaluate`."""
        return {"pattern": self.pattern, "labels": self.labels, "label_names": self.label_names}


@dataclass(frozen=True)
class AudioFit(AudioEvaluate):
    """Recordings; --channels (1 or 2) and --skip-bad, above, are for them too."""

    rate: int | None = None
    """Hz to resample to; the commonest rate found when left out."""
    seconds: float | None = None
    """Longest length learnt, longer recordings are cut; what covers 97.5 % of them when left out, at most 4."""
    trim: Flag[bool] = False
    """Leave silence at both ends out."""
    vocoder: Literal["auto", "griffin-lim", "neural"] = "auto"
    """How waveforms are made; neural is learnt after the model, in a few minutes."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.fit`."""
        own = {"rate": self.rate, "seconds": self.seconds, "trim": self.trim, "vocoder": self.vocoder}
        return super().given() | own


@dataclass(frozen=True)
class TableSample:
    """Tables."""

    balance: str | None = None
    """A column whose values shall come equally often."""
    first: int = 0
    """Number of the first row. Draws of one seed that go on where the last one ended make up one draw, and no key
    occurs twice in it."""

    def given(self) -> dict[str, Any]:
        """As keywords of :meth:`aegan.Estimator.sample`."""
        return {"balance": self.balance, "first": self.first}


@dataclass(frozen=True)
class ImageEvaluate:
    """Images."""

    features: str | None = None
    """Run folder whose feature space is used; else a classifier on the labels of REAL, or an autoencoder trained on
    REAL."""
    size: str | None = None
    """Side of the images, or HEIGHTxWIDTH."""
    skip_bad: Flag[bool] = False
    """Leave unreadable images out instead of stopping."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.evaluate`."""
        return {"features": self.features, "size": sides(self.size), "skip_bad": self.skip_bad}


@dataclass(frozen=True)
class TableEvaluate:
    """Tables."""

    target: str | None = "auto"
    """Column that is predicted from the others, trained on SYNTHETIC and tested on unseen real rows."""

    def given(self) -> dict[str, Any]:
        """As keywords of :func:`aegan.evaluate`."""
        return {"target": self.target}


def pairs(option: str, texts: list[str]) -> dict[str, str]:
    """``KEY=VALUE`` texts as a dict; ConfigError where one is none or comes twice."""
    found: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ConfigError(f"{option} {text}: KEY=VALUE expected.")
        if key in found:
            raise ConfigError(f"{option} {text}: {key!r} was given before ({found[key]}). Give it once, as in 30..40.")
        if option == "--where" and key[-1] in "<>!":
            raise ConfigError(f"{option} {text}: {key[:-1]}='{key[-1]}={value}' expected: COLUMN=CONDITION.")
        found[key] = value
    return found


def sides(text: str | None) -> int | tuple[int, int] | None:
    """``64`` or ``48x64`` as numbers."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if not all(part.isdigit() for part in parts) or len(parts) > 2:
        raise ConfigError(f"--size {text}: a side such as 64, or HEIGHTxWIDTH such as 48x64, expected.")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))

"""A fitted adapter of series as plain JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aegan.data.series_back import Decoder
from aegan.data.series_form import SeriesForm
from aegan.data.series_ids import Names
from aegan.data.series_scale import Scaler
from aegan.data.series_time import Clock
from aegan.data.table import TableAdapter
from aegan.errors import ConfigError, DataError
from aegan.types import Spec

if TYPE_CHECKING:
    from aegan.data.series import SeriesAdapter

KEYS = ("adapter", "options", "spec", "form", "channels", "windows", "clock", "scaler", "table", "decoder", "count")


def to_plain(adapter: SeriesAdapter, decoder: Decoder) -> dict[str, Any]:
    """The fitted adapter as plain values."""
    spec = adapter.spec.to_json()
    return {
        "adapter": "series",
        "options": adapter.options,
        "spec": spec | {"shape": list(adapter.spec.shape), "classes": list(adapter.spec.classes)},
        "form": decoder.form.to_json(),
        "channels": list(adapter.channels),
        "windows": [adapter.window, adapter.stride],
        "clock": adapter.clock and adapter.clock.to_json(),
        "scaler": decoder.scaler.to_json(),
        "table": adapter.table and adapter.table.to_json(),
        "decoder": {
            "variable": decoder.variable,
            "own": decoder.own,
            "gaps": decoder.gaps,
            "constants": decoder.constants,
            "names": decoder.names and decoder.names.to_json(),
        },
        "count": adapter.count,
    }


def from_plain(cls: type[SeriesAdapter], data: Mapping[str, Any]) -> SeriesAdapter:
    """Inverse of :func:`to_plain`.

    Raises:
        DataError: A key is missing or unknown, or values do not fit together.
    """
    if not isinstance(data, Mapping) or set(data) != set(KEYS):
        got = ", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__
        raise DataError(f"adapter: got {got}; expected the keys {', '.join(KEYS)}.")
    if data["adapter"] != "series":
        raise DataError(f"adapter: kind {data['adapter']!r}; expected 'series'.")
    try:
        adapter = cls(**data["options"])
        adapter.spec = Spec.from_json(data["spec"])
        adapter.channels = tuple(data["channels"])
        adapter.window, adapter.stride = data["windows"]
        adapter.clock = None if data["clock"] is None else Clock.from_json(data["clock"])
        adapter.table = None if data["table"] is None else TableAdapter.from_json(data["table"])
        adapter.count = int(data["count"])
        rest = dict(data["decoder"])
        adapter.decoder = Decoder(
            form=SeriesForm.from_json(data["form"]),
            channels=adapter.channels,
            clock=adapter.clock,
            scaler=Scaler.from_json(data["scaler"]),
            variable=bool(rest["variable"]),
            own=bool(rest["own"]),
            gaps=bool(rest["gaps"]),
            constants=dict(rest["constants"]),
            names=rest["names"] and Names.from_json(rest["names"]),
            classes=adapter.spec.classes,
        )
    except DataError:
        raise
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"adapter: {error!r}; the file is damaged, or from another version.") from error
    _check(adapter, adapter.decoder)
    return adapter


def _check(adapter: SeriesAdapter, decoder: Decoder) -> None:
    """Raise DataError where parts do not fit together."""
    width = len(adapter.channels) + decoder.gaps
    fields = () if adapter.table is None else adapter.table.spec.fields
    if (
        len(adapter.spec.shape) != 2
        or adapter.spec.shape[1] != width
        or len(decoder.scaler.width) != width
        or adapter.spec.fields != fields
        or (adapter.window is not None and adapter.spec.shape[0] != adapter.window)
        or (decoder.gaps and adapter.clock is None)
    ):
        raise DataError("adapter: spec, channels, scaler and attributes do not fit together; the file is damaged.")

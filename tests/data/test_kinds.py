"""Kinds of data: what a source is taken for, and which options go to which kind."""

from __future__ import annotations

import pytest

from aegan.data.image import ImageAdapter
from aegan.data.kinds import ADAPTERS, OPTIONS, adapter_class, detect_kind, new_adapter, own_options
from aegan.errors import ConfigError
from aegan.kinds import EVALUATE_OPTIONS, HANDLERS, SAMPLE_OPTIONS, handler
from aegan.presets import DEFAULT_MODEL

KNOWN = {"image": {"size": None, "clip": 1}, "table": {"clip": 2, "rules": "auto"}}


def test_every_kind_is_named_alike() -> None:
    assert set(ADAPTERS) == set(OPTIONS)
    assert set(HANDLERS) == set(DEFAULT_MODEL) <= set(ADAPTERS)
    assert set(SAMPLE_OPTIONS) | set(EVALUATE_OPTIONS) <= set(HANDLERS)
    assert all(handler(kind).name == kind for kind in HANDLERS)


def test_own_options_are_all_there_and_others_are_refused_unless_left_alone() -> None:
    assert own_options("image", {"size": 8, "rules": "auto", "clip": None}, KNOWN, "fit") == {"size": 8, "clip": None}
    assert own_options("table", {}, KNOWN, "fit") == {"clip": 2, "rules": "auto"}
    with pytest.raises(ConfigError, match="--rules: for table data, and this is image data"):
        own_options("image", {"rules": "none"}, KNOWN, "fit")
    with pytest.raises(ConfigError, match=r"fit: unknown option 'sise'. Did you mean 'size'"):
        own_options("image", {"sise": 8}, KNOWN, "fit")


def test_adapters_get_their_options() -> None:
    adapter = new_adapter("image", {"size": 12, "columns": None})
    assert isinstance(adapter, ImageAdapter) and adapter.size == (12, 12)
    for kind in ADAPTERS:
        assert isinstance(new_adapter(kind, {}), adapter_class(kind))


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'image'"):
        handler("images")
    assert detect_kind("a.csv") == "table"

"""Random streams are borrowed from the devices in use alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import aegan
from aegan.streams import borrowed


@pytest.mark.parametrize(("available", "wanted"), [(False, []), (True, [2])])
def test_the_device_in_use_alone(available: bool, wanted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[int]] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: available)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 2)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: asked.append(devices))
    borrowed()
    assert asked == [wanted]


def test_no_room_forks_the_streams_of_all_devices() -> None:
    sources = Path(aegan.__file__).parent.rglob("*.py")
    assert not [p.name for p in sources if "fork_rng()" in p.read_text(encoding="utf-8")]

"""A run's folder on disk: which files there are, how they are checked before anything is read from them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aegan.errors import RunError, RunExistsError
from aegan.storage import explained, write_json

FORMAT_VERSION = 1
_OWN = {
    "config.json",
    "adapter.json",
    "model.safetensors",
    "state.pt",
    "events.jsonl",
    "metrics.json",
    "health.json",
    "diagnosis.json",
    "healthy.pt",
    "report.html",
    "features.safetensors",
    "fitted.safetensors",
    "classes.safetensors",
    "vocoder.safetensors",
    "samples",
}


class RunFolder:
    """Paths and settings of one run.

    Attributes:
        path: The folder.
        config: Contents of ``config.json``.
        adapter: Contents of ``adapter.json``.
    """

    def __init__(self, path: Path, config: dict[str, Any], adapter: dict[str, Any]) -> None:
        self.path, self.config, self.adapter = path, config, adapter

    @property
    def identity(self) -> dict[str, Any]:
        """What the weights belong to: model, its settings and the adapter."""
        return {"model": self.config["model"], "settings": self.config["model_config"], "adapter": self.adapter}

    @classmethod
    def create(cls, path: Path, config: Mapping[str, Any], adapter: Mapping[str, Any], *, overwrite: bool) -> RunFolder:
        """Make the folder and write both JSON files.

        Raises:
            RunExistsError: There is a run already, and not ``overwrite``; or the folder holds foreign files.
            StorageError: The folder cannot be written.
        """
        check_free(path, overwrite=overwrite)
        with explained(path):
            if path.exists():
                for child in path.iterdir():
                    shutil.rmtree(child) if child.is_dir() else child.unlink()
            (path / "samples").mkdir(parents=True, exist_ok=True)
        full = {"format_version": FORMAT_VERSION, **config}
        write_json(path / "adapter.json", dict(adapter))
        write_json(path / "config.json", full)  # last: its presence says that the folder is a run
        # What comes back from JSON (lists for tuples) is what the checksum is taken over.
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read and check the JSON files of an existing run.

        Raises:
            RunError: Not a run, incomplete, damaged, or from a newer version.
        """
        if not path.exists():
            raise RunError(f"{path}: no such run folder. `aegan fit SOURCE --out {path}` makes one.")
        if not path.is_dir():
            raise RunError(f"{path}: a run folder expected, got a file.")
        config = _read(path, "config.json")
        version = config.get("format_version")
        if not isinstance(version, int):
            raise RunError(f"{path / 'config.json'}: no format_version. The file was changed, or is not aegan's.")
        if version > FORMAT_VERSION:
            raise RunError(
                f"{path}: written by a newer aegan (format {version}, version {config.get('aegan_version', '?')}); "
                f"this one reads up to format {FORMAT_VERSION}. Update with `pip install --upgrade aegan`."
            )
        missing = [key for key in ("model", "model_config", "train", "source") if key not in config]
        if missing:
            raise RunError(f"{path / 'config.json'}: {', '.join(missing)} missing. Restore the file from a copy.")
        return cls(path, config, _read(path, "adapter.json"))

    @property
    def weights(self) -> Path:
        """``model.safetensors``; RunError when training has not come that far."""
        path = self.path / "model.safetensors"
        if not path.exists():
            raise RunError(
                f"{self.path}: the run is incomplete: model.safetensors is missing, so training stopped before its "
                "first checkpoint. Go on with `aegan fit SOURCE --out RUN --resume`."
            )
        return path


def check_free(path: Path, *, overwrite: bool) -> None:
    """Refuse a folder that holds a run (unless ``overwrite``) or anything that is not a run's.

    Raises:
        RunExistsError: Says what is there and what to do.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise RunExistsError(f"--out {path}: a file is in the way. Choose another folder.")
    names = {child.name for child in path.iterdir() if not child.name.startswith(".")}
    if not names:
        return
    foreign = sorted(names - _OWN)
    if foreign or not (names & {"config.json", "adapter.json"}):
        shown = ", ".join((foreign or sorted(names))[:5])
        raise RunExistsError(f"--out {path}: the folder holds other files ({shown}). Choose a new or empty folder.")
    if not overwrite:
        raise RunExistsError(
            f"--out {path}: there is a run already. Add --resume to go on with it, --overwrite to replace it, "
            "or choose another folder."
        )


def _read(path: Path, name: str) -> dict[str, Any]:
    file = path / name
    if not file.exists():
        other = "adapter.json" if name == "config.json" else "config.json"
        what = "incomplete: " if (path / other).exists() else "not a run folder: "
        raise RunError(f"{path}: {what}{name} is missing. Expected a folder made by `aegan fit`.")
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise RunError(f"{file}: cannot be read as JSON ({error}). Restore it from a copy.") from error
    if not isinstance(value, dict):
        raise RunError(f"{file}: a JSON object expected, got {type(value).__name__}. Restore it from a copy.")
    return value

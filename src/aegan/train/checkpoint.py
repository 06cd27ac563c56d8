"""The run folder's weights: ``state.pt`` to go on from, ``model.safetensors`` to sample from.

Neither can run code when read: the state is loaded with ``weights_only=True``, and the model file carries a
checksum over its tensors, its settings and its adapter, so that a file from elsewhere or a damaged one is
told from the run's own.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from aegan.errors import RunError
from aegan.storage import write_atomically

STATE_FORMAT = 1
MODEL_FORMAT = 1


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write the resumable state atomically.

    Raises:
        StorageError: Disk full or not writable; the previous state is untouched.
    """
    # Through memory: torch's own file writer hides a full disk behind errors of its own.
    buffer = io.BytesIO()
    torch.save({"format": STATE_FORMAT, **state}, buffer)
    write_atomically(path, lambda p: p.write_bytes(buffer.getbuffer()))


def load_state(path: Path) -> dict[str, Any] | None:
    """The state of an interrupted run, or None when it was stopped before its first checkpoint.

    Raises:
        RunError: The file is damaged or from a newer version.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise RunError(
            f"{path}: cannot be read as a training state ({type(error).__name__}). It is damaged, or was not "
            "written by aegan. Restore it from a copy, or start again in a new folder."
        ) from error
    if not isinstance(state, dict) or "format" not in state:
        raise RunError(f"{path}: this is not a training state written by aegan. Start again in a new folder.")
    if state["format"] > STATE_FORMAT:
        raise RunError(f"{path}: format {state['format']}, this aegan reads up to {STATE_FORMAT}. Update aegan.")
    return state


def save_model(
    path: Path, tensors: Mapping[str, Tensor], identity: Mapping[str, Any], status: Mapping[str, Any]
) -> None:
    """Write weights atomically, with a checksum over weights and ``identity``.

    Args:
        path: Usually ``model.safetensors``.
        tensors: The model's state dict, EMA weights put in.
        identity: JSON values the weights belong to: model name, its settings, the adapter.
        status: JSON values such as stage and step; shown, not checked.
    """
    plain = {name: t.detach().to("cpu").contiguous().clone() for name, t in tensors.items()}
    metadata = {
        "format": str(MODEL_FORMAT),
        "checksum": checksum(plain, identity),
        "status": json.dumps(status),
    }
    content = save(plain, metadata=metadata)
    write_atomically(path, lambda p: p.write_bytes(content))


def load_model(path: Path, identity: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights (on the CPU) and status.

    Raises:
        RunError: Missing, damaged, from a newer version, or not the weights of this ``identity``.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(
            f"{path}: cannot be read ({error}). The file is damaged or incomplete: restore it from a copy, or write "
            "it again from the last checkpoint with `aegan fit SOURCE --out RUN --resume`."
        ) from error
    if "checksum" not in metadata:
        raise RunError(f"{path}: was not written by aegan (it carries no checksum).")
    if int(metadata.get("format", "0")) > MODEL_FORMAT:
        raise RunError(f"{path}: format {metadata['format']}, this aegan reads up to {MODEL_FORMAT}. Update aegan.")
    if metadata["checksum"] != checksum(tensors, identity):
        raise RunError(
            f"{path}: the checksum does not match. The weights, config.json or adapter.json were changed after "
            "training, or belong to another run. Restore the three files from one copy."
        )
    return tensors, json.loads(metadata.get("status", "{}"))


def checksum(tensors: Mapping[str, Tensor], identity: Mapping[str, Any]) -> str:
    """SHA-256 over names, shapes and bytes of ``tensors`` and the canonical JSON of ``identity``."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

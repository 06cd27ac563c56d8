"""Very many samples as a folder of files, made by as many processes as there are, taken up again where it stopped."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegan.errors import ConfigError, StorageError
from aegan.storage import explained, write_json

if TYPE_CHECKING:
    from aegan.estimator import Estimator

PLAN = "plan.json"
"""What the files of the folder are parts of."""


def write_shards(
    estimator: Estimator,
    num: int,
    folder: Path,
    *,
    size: int,
    seed: int,
    where: Mapping[str, Any] | None,
    spread: float,
    tell: Callable[[str], None] = lambda line: None,
    **own: Any,
) -> str:
    """Samples 0 to ``num`` of a draw, in files of ``size``, each whole or not there.

    Every process of ``torchrun`` (``RANK``, ``WORLD_SIZE``) makes its share of the files; what a file holds does not
    depend on how many there are. Files that are there already are not made again, so that a stopped call is taken up
    by the same call.

    Args:
        estimator: A fitted model.
        num: Samples in all.
        folder: To make, or to go on with.
        size: Samples a file; raised to a multiple of the block that the model draws at once.
        seed: As in :meth:`aegan.Estimator.sample`, with ``where``, ``spread`` and the kind's ``own`` options.
        where: Conditions.
        spread: Scale of the noise.
        tell: Takes a line after each file.
        **own: Options of the kind.

    Returns:
        A line that says what was made.

    Raises:
        ConfigError: A kind of data that is not written in shards, or a size below 1.
        StorageError: The folder holds something else, or parts of another draw; or the disk is full.
    """
    kind, block = estimator.kind, estimator.model.block
    if not kind.shard_suffix:
        raise ConfigError(f"--shard: {kind.name} data are not written in shards by this version. Leave it out.")
    if size < 1:
        raise ConfigError(f"--shard {size}: samples a file, at least 1, expected.")
    size = block * math.ceil(size / block)
    count = math.ceil(num / size)
    rank, world = process()
    plan = {
        "weights": weights_of(estimator.run.weights),
        "num": num,
        "size": size,
        "seed": seed,
        "where": {str(k): str(v) for k, v in (where or {}).items()},
        "spread": spread,
        "options": {k: str(v) for k, v in own.items() if v is not None},
    }
    _claim(folder, plan)
    made = 0
    for number in range(rank, count, world):
        path = folder / f"part-{number:06d}-of-{count:06d}{kind.shard_suffix}"
        if path.exists():
            continue
        start = number * size
        kind.write_shard(
            estimator, min(size, num - start), path, start=start, seed=seed, where=where, spread=spread, **own
        )
        made += 1
        tell(f"{path.name}: samples {start:,} to {min(num, start + size):,}")
    mine = len(range(rank, count, world))
    of = f" of process {rank + 1} of {world}" if world > 1 else ""
    whole = f"{num:,} samples in {count:,} file{'s' * (count > 1)} of at most {size:,} in all"
    return f"{made} files{of} made, {mine - made} were there; {whole} in {folder}"


def process() -> tuple[int, int]:
    """Number of this process, from 0, and of all, as ``torchrun`` tells them."""
    try:
        rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    except ValueError as error:
        raise ConfigError(f"RANK and WORLD_SIZE of the environment: whole numbers expected ({error}).") from error
    if not 0 <= rank < world:
        raise ConfigError(f"RANK={rank} and WORLD_SIZE={world}: a rank from 0 to below WORLD_SIZE expected.")
    return rank, world


def weights_of(path: Path) -> str:
    """Hash of a run's weights."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


def _claim(folder: Path, plan: Mapping[str, Any]) -> None:
    """Make the folder, or see that what is in it are parts of the same draw."""
    path = folder / PLAN
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise StorageError(f"{path}: damaged ({error}). Choose another folder, or remove this one.") from error
        other = sorted(key for key in plan if not isinstance(found, dict) or found.get(key) != plan[key])
        if other:
            raise StorageError(
                f"--out {folder}: holds parts of another draw (other {', '.join(other)}). Choose another folder, or "
                "remove this one."
            )
        return
    if folder.exists() and (not folder.is_dir() or any(p for p in folder.iterdir() if not p.name.startswith("."))):
        raise StorageError(f"--out {folder}: holds something else. Choose another name.")
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(path, plan)

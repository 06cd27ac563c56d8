"""A generator of transitions: the table model on their rows, behind an image autoencoder where states are images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from aegan.api import fit as fit_estimator
from aegan.api import load as load_estimator
from aegan.errors import ConfigError, DataError, RunError
from aegan.estimator import Estimator
from aegan.rl.rows import Rows
from aegan.rl.sources import read
from aegan.rl.transitions import Transitions
from aegan.run import check_free
from aegan.storage import exchange, explained, write_json
from aegan.tables import completes, table_adapter

FORMAT = 1
LEAST = 20
"""Transitions that are needed to learn from."""
CODE = 8
"""Length of an image's code; each number of it is a column twice."""
FILE = "transitions.json"
OWN = {FILE, "rows", "frames"}
"""What a saved model's folder holds."""


class TransitionModel:
    """What :func:`fit` returns: new transitions, and what follows on given states and actions.

    Attributes:
        table: The fitted model of rows.
        rows: How transitions become rows.
        frames: The fitted autoencoder of images; None where states are none.
    """

    def __init__(self, table: Estimator, rows: Rows, frames: Estimator | None = None) -> None:
        self.table, self.rows, self.frames = table, rows, frames

    def sample(self, num: int, *, seed: int = 0, where: Mapping[str, Any] | None = None) -> Transitions:
        """``num`` new transitions.

        Args:
            num: At least 1.
            seed: The same seed gives the same ones.
            where: Conditions on columns of states and actions, as ``{"a": "1", "s0": ">=0"}``.

        Raises:
            ConfigError: ``num`` out of range, or a condition that cannot be met.
        """
        drawn = self.table.sample(num, seed=seed, where=where)
        return self._shown(self.rows.from_frame(drawn))

    def step(self, observations: Any, actions: Any, *, seed: int = 0) -> Transitions:
        """What the model does with actions in states: rewards, next states and ends are drawn, given both.

        Args:
            observations: ``(N, …)`` as learnt.
            actions: ``(N,)`` or ``(N, A)``.
            seed: Of what is drawn.

        Raises:
            DataError: Another shape, or another number of either.
            ConfigError: A model of rows that cannot complete them.
        """
        if not completes(self.table.model):
            raise ConfigError("step: the model of rows cannot draw given values. Fit model='autoregressive'.")
        seen, taken = np.asarray(observations), np.asarray(actions)
        if not seen.ndim or not taken.ndim:
            raise DataError("step: a single number; observations (N, …) and actions (N,) or (N, A) expected.")
        acts = self.rows.space.shaped(taken, "step")
        if len(seen) != len(acts):
            raise DataError(f"step: {len(seen)} observations, {len(acts)} actions; as many of either expected.")
        states = seen if self.frames is None else self.frames.encode(seen)
        if states.shape[1:] != self.rows.shape:
            raise DataError(f"step: observations of shape {states.shape[1:]}; {self.rows.shape} expected.")
        if states.dtype.kind == "f" and not np.isfinite(states).all():
            row = int(np.flatnonzero(~np.isfinite(states).reshape(len(states), -1).all(axis=1))[0])
            raise DataError(f"step: observation {row} is not finite; numbers expected.")
        frame = pd.DataFrame(self.rows.given(states, acts))
        for name in self.rows.types:
            if name not in frame:
                frame[name] = np.nan if self.rows.types[name] == "numeric" else None
        done = self.table.complete(frame[list(self.rows.types)], seed=seed)
        return replace(self._shown(self.rows.from_frame(done)), observations=seen)

    def coded(self, real: Transitions) -> Transitions:
        """``real`` to the rows' tensors and back: what the coding alone does to them."""
        small = _hidden(read(real), self.frames)
        self.rows.check(small)
        adapter = table_adapter(self.table)
        back = adapter.from_tensors(torch.as_tensor(adapter.to_tensors(self.rows.to_frame(small)).fields["x"]))
        return self._shown(self.rows.from_frame(back))

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write a folder that :func:`load` reads.

        Raises:
            RunExistsError: There is something at ``path``, and not ``overwrite``.
            StorageError: Disk full or not writable.
        """
        target = Path(path)
        if not (overwrite and _is_own(target)):
            check_free(target, overwrite=False)
        staging, old = (target.with_name(f".{target.name}.{what}") for what in ("partial", "old"))
        with explained(target):
            try:
                shutil.rmtree(staging, ignore_errors=True)
                self.table.save(staging / "rows")
                if self.frames is not None:
                    self.frames.save(staging / "frames")
                write_json(staging / FILE, {"format": FORMAT, "rows": self.rows.to_json()})
                exchange(staging, target, old)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
        return target

    def _shown(self, drawn: Transitions) -> Transitions:
        """Codes as images."""
        if self.frames is None:
            return drawn
        parts = (drawn.observations, drawn.next_observations)
        images = [np.asarray(self.frames.decode(part)) for part in parts]
        return replace(drawn, observations=images[0], next_observations=images[1])


def fit(
    source: Any,
    *,
    budget: str | float | None = None,
    steps: int | None = None,
    seed: int = 0,
    settings: Mapping[str, str] | None = None,
    code: int = CODE,
    image_share: float = 0.5,
    image_settings: Mapping[str, str] | None = None,
    action_space: Any = None,
    device: str = "auto",
    quiet: bool = True,
) -> TransitionModel:
    """Learn to make transitions like those of ``source``.

    Args:
        source: Anything that :func:`aegan.rl.read` reads.
        budget: Training time, as for :func:`aegan.fit`; 5 minutes when neither it nor ``steps`` is given.
        steps: Train for this many steps instead.
        seed: Of everything that is drawn.
        settings: Of the model of rows, ``autoregressive``, as text.
        code: Length of an image's code, where observations are images.
        image_share: Part of the budget for their autoencoder, between 0 and 1.
        image_settings: Its settings, as text.
        action_space: As for :func:`aegan.rl.read`.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: No progress line.

    Raises:
        DataError: What :func:`aegan.rl.read` refuses, or fewer than 20 transitions.
        ConfigError: An option out of range.
    """
    real = read(source, action_space=action_space)
    if len(real) < LEAST:
        raise DataError(f"fit: {len(real)} transitions; at least {LEAST} expected. Collect more.")
    if code < 1 or not 0 < image_share < 1:
        raise ConfigError(f"fit: code={code}, image_share={image_share}; at least 1, and between 0 and 1, expected.")
    common: dict[str, Any] = {"seed": seed, "device": device, "quiet": quiet, "evaluate": False}
    shares = (image_share, 1.0 - image_share) if real.kind == "image" else (0.0, 1.0)
    frames = None
    if real.kind == "image":
        chosen = {"latent_dim": str(code), **(image_settings or {})}
        frames = _fit_frames(real, chosen, _part(budget, steps, shares[0]) | common)
    small = _hidden(real, frames)
    rows = Rows.of(small)
    # The next state follows from state and action together, which the correlations of a prior's rows would contradict.
    own = {"prior_rows": "0", "batch_size": str(max(32, min(512, len(small) // 20)))}
    table = fit_estimator(
        rows.to_frame(small),
        kind="table",
        model="autoregressive",
        columns=rows.types,
        rules="none",
        settings=own | dict(settings or {}),
        **_part(budget, steps, shares[1]),
        **common,
    )
    return TransitionModel(table, rows, frames)


def augment(
    source: Any,
    ratio: float = 1.0,
    *,
    model: TransitionModel | None = None,
    seed: int = 0,
    **options: Any,
) -> Transitions:
    """Synthetic transitions beside a buffer's own, ``ratio`` times as many.

    Args:
        source: Anything that :func:`aegan.rl.read` reads.
        ratio: Synthetic for each real one, above 0.
        model: A fitted one; None: one is fitted to ``source``, with ``options`` as for :func:`fit`.
        seed: Of fit and samples.
        options: Of :func:`fit`.

    Returns:
        The synthetic ones alone. Iterating over them gives the arguments of Stable-Baselines3's ``ReplayBuffer.add``:
        ``for step in augment(buffer, 1.0): buffer.add(*step)``. ``real + synthetic`` joins them.

    Raises:
        DataError: What :func:`fit` refuses.
        ConfigError: ``ratio`` not above 0, or so small that nothing is drawn.
    """
    real = read(source, action_space=options.get("action_space"))
    count = round(ratio * len(real)) if 0 < ratio < float("inf") else 0
    if count < 1:
        raise ConfigError(f"augment: ratio is {ratio} of {len(real)} transitions; enough for one at least expected.")
    if model is None:
        model = fit(real, seed=seed, **options)
    elif model.frames is None:
        model.rows.check(real)
    return model.sample(count, seed=seed)


def load(path: str | Path, *, device: str = "auto") -> TransitionModel:
    """Read what :meth:`TransitionModel.save` wrote.

    Raises:
        RunError: Missing, damaged, or from a newer version.
    """
    folder = Path(path)
    try:
        told = json.loads((folder / FILE).read_text(encoding="utf-8"))
        if told["format"] > FORMAT:
            raise RunError(f"{path}: made by a newer aegan. Upgrade.")
        rows = Rows.from_json(told["rows"])
    except OSError as error:
        raise RunError(f"{path}: no model of transitions; a folder with {FILE} expected.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: {FILE} is damaged ({error}).") from error
    frames = folder / "frames"
    return TransitionModel(
        load_estimator(folder / "rows", device=device),
        rows,
        load_estimator(frames, device=device) if frames.exists() else None,
    )


def _is_own(folder: Path) -> bool:
    """Whether a folder holds a model of transitions, or what an interrupted save left of one."""
    names = {child.name for child in folder.iterdir()} if folder.is_dir() else set()
    return bool(names) and names <= OWN


def _hidden(real: Transitions, frames: Estimator | None) -> Transitions:
    """Images as codes; what is no image as it is."""
    if frames is None:
        return real
    codes = [frames.encode(part) for part in (real.observations, real.next_observations)]
    return replace(real, observations=codes[0], next_observations=codes[1])


def _fit_frames(real: Transitions, settings: Mapping[str, str], common: dict[str, Any]) -> Estimator:
    """An autoencoder of the states: each once, and the last of each episode."""
    ends = real.terminated | real.truncated
    ends[-1] = True
    images = np.concatenate([real.observations, real.next_observations[ends]])
    side = real.observation_shape[:2]
    return fit_estimator(
        images, kind="image", model="autoencoder", size=(side[0], side[1]), settings=settings, holdout=0.0, **common
    )


def _part(budget: str | float | None, steps: int | None, share: float) -> dict[str, Any]:
    """A share of the whole budget."""
    if steps is not None:
        return {"steps": max(1, round(steps * share)), "budget": budget}
    from aegan.fitting import seconds

    return {"budget": share * seconds("5m" if budget is None else budget)}

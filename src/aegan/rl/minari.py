"""Minari data sets, by way of their own library."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from aegan.errors import ConfigError, DataError
from aegan.rl.transitions import Transitions


def _library() -> Any:
    try:
        import minari
    except ImportError as error:
        raise ConfigError("Minari is not installed. Run: pip install 'aegan[rl]'") from error
    return minari


def open_minari(dataset_id: str) -> Any:
    """A data set on this machine.

    Raises:
        ConfigError: Minari is not installed.
        DataError: There is none of this name.
    """
    try:
        return _library().load_dataset(dataset_id)
    except FileNotFoundError as error:
        raise DataError(
            f"minari:{dataset_id}: no such data set on this machine. Fetch it: minari download {dataset_id}"
        ) from error


def export_minari(transitions: Transitions, dataset_id: str, *, env: Any = None, **about: Any) -> Any:
    """Write transitions as a Minari data set, steps that follow on from each other as episodes.

    Steps that were drawn by themselves follow on from none: each is an episode of one step, cut unless it is terminal.

    Args:
        transitions: From :func:`aegan.rl.read`, :func:`aegan.rl.rollout` or :func:`aegan.rl.augment`.
        dataset_id: Such as ``"cartpole/synthetic-v0"``.
        env: Environment or its name, whose spaces the data set then has.
        about: Kept with the data set: ``author``, ``description``, ``code_permalink`` and what else
            ``minari.create_dataset_from_buffers`` takes. Minari warns of those that are left out; that is kept quiet.

    Returns:
        The ``MinariDataset``.

    Raises:
        ConfigError: Minari is not installed.
        DataError: A data set of this name exists.
    """
    library = _library()
    from gymnasium import spaces
    from minari.data_collector.episode_buffer import EpisodeBuffer

    seen = transitions.observations
    if transitions.kind == "discrete":
        states = spaces.Discrete(int(max(seen.max(), transitions.next_observations.max())) + 1)
    elif transitions.kind == "image":
        states = spaces.Box(0, 255, seen.shape[1:], np.uint8)
    else:
        states = spaces.Box(-np.inf, np.inf, seen.shape[1:], seen.dtype)  # type: ignore[arg-type]
    buffers = []
    for number, (first, last) in enumerate(episodes(transitions)):
        part = transitions[first:last]
        ends = part.truncated.copy()
        ends[-1] |= not part.terminated[-1]
        buffers.append(
            EpisodeBuffer(
                id=number,
                observations=list(np.concatenate([part.observations, part.next_observations[-1:]])),
                actions=list(part.actions),
                rewards=part.rewards.tolist(),
                terminations=part.terminated.tolist(),
                truncations=ends.tolist(),
            )
        )
    given = {"env": env} if env is not None else {}
    given |= {"observation_space": states, "action_space": transitions.space.gymnasium()} if env is None else {}
    given |= {"jpeg_encoding": False} if transitions.kind == "image" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return library.create_dataset_from_buffers(
                dataset_id,
                buffer=buffers,
                **{"data_format": _format(), "description": "Written by aegan.", **given, **about},
            )
    except (FileExistsError, ValueError) as error:
        if "exist" in str(error):
            raise DataError(f"minari:{dataset_id}: there is one already. Choose another name, or delete it.") from error
        raise


def episodes(transitions: Transitions) -> list[tuple[int, int]]:
    """First step, and one behind the last, of each run of steps in which the next state is where the next step begins.

    >>> steps = Transitions.of({"s": [[0.0], [1.0], [5.0]], "s2": [[1.0], [2.0], [6.0]], "a": [0, 1, 0],
    ...                         "r": [0, 0, 0], "done": [0, 0, 1]})
    >>> episodes(steps)
    [(0, 2), (2, 3)]
    """
    count = len(transitions)
    if count < 2:
        return [(0, 1)] * count
    same = (transitions.next_observations[:-1] == transitions.observations[1:]).reshape(count - 1, -1).all(axis=1)
    over = (transitions.terminated | transitions.truncated)[:-1]
    ends = [*(np.flatnonzero(~same | over) + 1).tolist(), count]
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _format() -> str:
    """HDF5, one file, where it can be written; else Arrow, a folder an episode."""
    try:
        import h5py  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        return "arrow"
    return "hdf5"

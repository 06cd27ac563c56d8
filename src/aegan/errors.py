"""The exception tree. Every message says where, what was got, what was expected, how to mend it.

::

    AeganError
    ├── DataError            a source cannot be read, or does not fit what was learnt
    ├── ConfigError          an option, a model name or a setting that does not exist or cannot work
    ├── RunError             a run folder is missing, incomplete, foreign, newer or tampered with
    │   └── RunExistsError   the output folder already holds a run
    ├── StorageError         the disk is full or the folder cannot be written
    ├── NonFiniteError       a loss or gradient became NaN or infinite
    └── Interrupted          Ctrl-C or SIGTERM; the state was saved

Settings that work but are hardly meant are warned of with AeganWarning, a UserWarning.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AeganError(Exception):
    """Base of every error that aegan raises on purpose."""


class AeganWarning(UserWarning):
    """Settings that work but are hardly meant; the message says what to use instead."""


class DataError(AeganError, ValueError):
    """A source cannot be read, or does not fit what the model learnt."""


class ConfigError(AeganError, ValueError):
    """An option, a name or a value that does not exist or cannot work."""


class RunError(AeganError):
    """A run folder is missing, incomplete, from a newer version, or tampered with."""


class RunExistsError(RunError):
    """The output folder already holds a run."""


class StorageError(AeganError, OSError):
    """The disk is full, or the folder cannot be written."""


class NonFiniteError(AeganError, ArithmeticError):
    """A loss or gradient became NaN or infinite; the message names where."""


class Interrupted(AeganError):
    """Ctrl-C or SIGTERM arrived; the state was saved before this was raised."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the nearest known names, and lists all of them when there are few.

    >>> nearest("latent-gna", ["latent-gan", "autoencoder"])
    "Did you mean 'latent-gan'? Known: autoencoder, latent-gan."
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(repr(c) for c in close)}? " if close else ""
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"{hint}Known: {shown}."

"""Entry point of ``aegan``: finds the command, turns aegan's errors into one sentence and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from aegan.cli.threads import allow_threads
from aegan.errors import AeganError, AeganWarning, Interrupted, nearest

_PYTHONS_OWN = warnings.showwarning
USAGE_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code (0 done, 1 failed, 2 wrong usage, 130 interrupted)."""
    import tyro

    from aegan import __version__
    from aegan.cli.commands import COMMANDS

    allow_threads()
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments in (["--version"], ["-V"]):
        print(f"aegan {__version__}")
        return 0
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        return _fail(f"Unknown command {arguments[0]!r}. {nearest(arguments[0], COMMANDS)}", USAGE_ERROR)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            tyro.extras.subcommand_cli_from_dict(
                dict(COMMANDS),
                prog="aegan",
                description="Autoencoders and GANs, together: a generator for your data, and how good it is.",
                args=arguments or ["--help"],
                sort_subcommands=False,
            )
    except Interrupted as error:
        return _fail(str(error), INTERRUPTED)
    except AeganError as error:
        return _fail(str(error), FAILURE)
    except KeyboardInterrupt:
        return _fail("Stopped.", INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output (head, say) has gone; that is not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return 0


def _show_warning(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
    """Our own warnings as one sentence; others as Python shows them."""
    if issubclass(category, AeganWarning):
        print(f"aegan: {message}", file=sys.stderr)
    else:
        _PYTHONS_OWN(message, category, *where, **options)


def _fail(message: str, code: int) -> int:
    print(f"aegan: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Every command line in README and docs is one that ``aegan``, and ``torchrun`` before it, understand."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.run import get_args_parser

from aegan.cli import commands
from aegan.cli.main import main
from aegan.cli.options import pairs
from aegan.fitting import check_settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FOUND = [
    pytest.param(line, id=f"{page.name}: {line[:60]}")
    for page in PAGES
    for line in re.findall(r"^(?:aegan|torchrun) .*$", page.read_text(encoding="utf-8"), re.MULTILINE)
    # Sentences that begin with the name are no commands.
    if line.startswith("torchrun") or line.split()[1] in commands.COMMANDS
]


def not_done(command: Callable[..., Any], asked: list[dict[str, Any]]) -> Callable[..., Any]:
    """A command that only notes what it is asked."""

    @functools.wraps(command)
    def noted(*values: Any, **given: Any) -> None:
        asked.append(given)

    return noted


def test_there_are_commands_in_every_guide() -> None:
    assert len(FOUND) > 70


@pytest.mark.parametrize("line", FOUND)
def test_a_documented_command_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words, asked = shlex.split(line, comments=True), []
    if words[0] == "torchrun":
        given = get_args_parser().parse_args(words[1:])
        assert given.no_python
        words = [given.training_script, *given.training_script_args]
    assert words[0] == "aegan" and words[-1] != "\\"
    stubs = {name: not_done(command, asked) for name, command in commands.COMMANDS.items()}
    monkeypatch.setattr(commands, "COMMANDS", stubs)
    assert main(words[1:]) == 0
    (given,) = asked
    if words[1] == "fit" and given.get("set"):
        check_settings(given.get("model") or "latent-gan", pairs("--set", given["set"]))

"""What ``aegan models NAME`` prints: what the model is, its settings as ``--set`` takes them, and what each means."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import textwrap
from typing import Any

INDENT = "    "
_ROLE = re.compile(r":\w+:`~?([\w.]+)`")
_ATTRIBUTE = re.compile(r" {4}(\w+): (.*)")


def print_settings(name: str) -> None:
    """Print the settings of the model ``name``, a line each, its meaning indented below."""
    from aegan.config import dotted
    from aegan.models.registry import entry

    about = entry(name)
    config = about.load().Config()
    meaning, width = meanings(config), max(40, min(shutil.get_terminal_size().columns, 120))
    for line in (about.summary, about.does, about.paper):
        print(_wrapped(line, "# ", width))
    for key, value in dotted(config).items():
        print(f"{key}={as_typed(value)}")
        if key in meaning:
            print(_wrapped(meaning[key], INDENT, width))


def as_typed(value: Any) -> str:
    """A setting's value as a user types it after ``--set KEY=``.

    >>> as_typed(True), as_typed(None), as_typed((8, 5))
    ('true', 'none', '8,5')
    """
    if isinstance(value, tuple):
        return ",".join(map(as_typed, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def meanings(config: Any) -> dict[str, str]:
    """What every setting of a (nested) dataclass means, by its dotted name, from the classes' docstrings."""
    from aegan.config import TAG

    documented: dict[str, str] = {}
    for cls in reversed(type(config).__mro__):
        documented |= _attributes(cls)
    found: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value, text = getattr(config, field.name), documented.get(field.name)
        if not dataclasses.is_dataclass(value):
            found |= {field.name: text} if text else {}
            continue
        if text and hasattr(value, TAG):
            found[f"{field.name}.{TAG}"] = text
        found |= {f"{field.name}.{key}": inner for key, inner in meanings(value).items()}
    return found


def _wrapped(text: str, indent: str, width: int) -> str:
    # Names such as non-saturating stay whole.
    return textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def _attributes(cls: type) -> dict[str, str]:
    """The section ``Attributes`` of a class's own docstring; empty without one."""
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Attributes:") + 1 :] if "Attributes:" in lines else []:
        if match := _ATTRIBUTE.fullmatch(line):
            name, found[match[1]] = match[1], match[2]
        elif name and line.startswith(2 * INDENT):
            found[name] += f" {line.strip()}"
        else:
            break
    return {key: _plain(text) for key, text in found.items()}


def _plain(text: str) -> str:
    """A docstring's text without its markup; of a reference, the last name."""
    return _ROLE.sub(lambda role: role[1].rsplit(".", 1)[-1], text).replace("``", "")

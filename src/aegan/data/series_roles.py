"""What the columns of a frame of series are, as far as the user says."""

from __future__ import annotations

from dataclasses import dataclass

from aegan.errors import ConfigError, nearest


@dataclass(frozen=True, kw_only=True)
class Roles:
    """What the columns of a frame are.

    Attributes:
        id: Column that names the series; None: one long series.
        time: Column of time stamps, ``""`` for the index; None: found out.
        label: Column of classes.
        static: Columns of attributes of a series; None: those besides numbers that change from step to step.
        channels: Columns that are learnt; None: all others.
        layout: ``"auto"``, or ``"wide"`` for a series a row.
    """

    id: str | None = None
    time: str | None = None
    label: str | None = None
    static: tuple[str, ...] | None = None
    channels: tuple[str, ...] | None = None
    layout: str = "auto"

    def check(self, names: list[str], where: str) -> None:
        """Raise ConfigError where a column is named that there is not, or that has two roles."""
        given = [("id", self.id), ("time", self.time), ("label", self.label)]
        given += [("static", name) for name in self.static or ()] + [("channels", name) for name in self.channels or ()]
        taken: dict[str, str] = {}
        for role, name in given:
            if not name:
                continue
            if name not in names:
                raise ConfigError(f"{where}: {role}: there is no column {name!r}. {nearest(name, names)}")
            if name in taken:
                raise ConfigError(f"{where}: column {name!r} is both {taken[name]} and {role}; expected one of them.")
            taken[name] = role

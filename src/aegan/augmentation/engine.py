"""Augmented samples: plan, moves of a calibrated size, checks, and another try for what was dropped."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from aegan.augment.latent.checks import CHECKS, Checks
from aegan.augment.latent.neighbours import separations
from aegan.augment.latent.operations import OF_NEIGHBOURS, OPERATIONS
from aegan.augment.latent.strength import CALIBRATED_ON, DRAWN, DRAWN_DISCRETE, calibrated, seeded
from aegan.augmentation.checking import Classify, checks_for
from aegan.augmentation.extent import Extent
from aegan.augmentation.movers import (
    NAMES,
    RESAMPLE,
    CellMover,
    CodeMover,
    Mover,
    check_operations,
    codes_for,
    default_operations,
)
from aegan.augmentation.plan import assigned, planned, replaced
from aegan.augmentation.space import Space
from aegan.data.base import TensorData
from aegan.errors import AeganWarning, ConfigError, DataError, nearest

TRIES = 6
"""Times that what was dropped is drawn again; from the third on, from another source of the class."""
AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to augment.

    Attributes:
        num: Samples to make; as many as the source has when None, or as many as balance takes.
        strength: From 0 (the source's reconstruction) to 1 (as far from it as its real neighbours); see
            :mod:`aegan.augment.latent.strength`.
        operations: Names of :data:`NAMES`, done in turn; ``"auto"``: what suits the model.
        balance: Fill the smallest classes first; without ``num`` up to the largest.
        counts: How many of which class to make, by index, instead of both.
        checks: Names of :data:`~aegan.augment.latent.checks.CHECKS`; ``"auto"``: all that can be made; none: keep all.
        neighbours: k, neighbours of a sample within its class.
        seed: Seed of everything random.
    """

    num: int | None = None
    strength: float = 0.5
    operations: str | Sequence[str] = "auto"
    balance: bool = False
    counts: Mapping[int, int] | None = None
    checks: str | Sequence[str] = "auto"
    neighbours: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if (
            isinstance(self.strength, bool)
            or not isinstance(self.strength, (int, float))
            or not 0 <= self.strength <= 1
        ):
            raise ConfigError(
                f"strength: a number from 0 (reconstruction) to 1 (as far as real neighbours) expected, got "
                f"{self.strength!r}."
            )
        for name, least in (("num", 1), ("neighbours", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is None and name == "num":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"{name}: a whole number of at least {least} expected, got {value!r}.")
        for name in _listed(self.operations):
            if name not in NAMES:
                raise ConfigError(f"operations: unknown operation {name!r}. {nearest(str(name), NAMES)}")
        for name in _listed(self.checks):
            if name not in CHECKS:
                raise ConfigError(f"checks: unknown check {name!r}. {nearest(str(name), CHECKS)}")
        if self.operations != "auto" and not _listed(self.operations):
            raise ConfigError(f"operations: at least one of {', '.join(NAMES)} expected, got none.")


def _listed(names: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        return () if names == "auto" else (names,)
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Classes of the source.

    Attributes:
        y: int64 ``(N,)``.
        names: By index.
        fields: Places in the sample's tensor that say the class, of a table's label; they keep the source's values.
    """

    y: Tensor
    names: tuple[str, ...]
    fields: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """Augmented samples, in the order of the plan.

    Attributes:
        x: ``(M, *shape)``.
        y: Classes ``(M,)``, or None.
        source: Positions of their sources ``(M,)``.
        operation: Of each.
        reached: How far each is from its unmoved source, in units of the strength, ``(M,)``.
        missing: Positions of the sources of those that the checks left none of, however often they were drawn.
        report: What was asked for, made and dropped, by plain values.
    """

    x: Tensor
    y: Tensor | None
    source: Tensor
    operation: list[str]
    reached: Tensor
    missing: Tensor
    report: dict[str, Any] = field(default_factory=dict)


class Augmenter:
    """A model, a source, and operations whose size is found; :meth:`make` makes samples.

    Args:
        space: The model.
        data: The source.
        settings: How.
        labels: Classes of the source, if it carries any.
        classify: A classifier better than a vote of the nearest codes.

    Raises:
        ConfigError: An operation that the model cannot do, or a check that cannot be made.
        DataError: No labels where they are needed; no class of two samples; neighbours that the model makes equal.
    """

    def __init__(
        self,
        space: Space,
        data: TensorData,
        settings: Settings,
        labels: Labels | None = None,
        *,
        classify: Classify | None = None,
    ) -> None:
        self.space, self.data, self.settings, self.labels = space, data, settings, labels
        self.operations = _listed(settings.operations) or default_operations(space)
        check_operations(space, self.operations)
        if settings.balance and labels is None:
            raise DataError(
                "balance: no labels: the source carries none. Give a folder with a sub-folder a class, an .npz with x "
                "and y, or the name of a table's label column."
            )
        self.y = torch.zeros(len(data), dtype=torch.int64) if labels is None else labels.y
        if len(self.y) != len(data):
            raise DataError(f"augment: {len(self.y)} labels for {len(data)} samples; one a sample expected.")
        if len(data) < 2:
            raise DataError("augment: one sample has no neighbour to measure strength by; give two or more.")
        self.extent = Extent.of(space.spec, data)
        self.movers = self._movers()
        self.single = next(iter(self.movers.values())).near.count == 0
        if bool(self.single.all()):
            if self.extent.stretches is not None:
                raise DataError(
                    f"augment: within every class all windows of {self.extent.stretches.size} steps overlap in time, "
                    "so nothing tells how far apart windows are. Give longer or more series, or fit with a smaller "
                    "window."
                )
            raise DataError(
                "augment: every class has one sample, so nothing tells how samples of a class differ. Give classes of "
                "two samples or more, or leave the labels out."
            )
        self.units = {name: self._unit(mover) for name, mover in self.movers.items()}
        self.sizes = {name: self._calibrated(name, mover) for name, mover in self.movers.items()}
        self.checks = self._checks(classify)

    def _movers(self) -> dict[str, Mover]:
        k = self.settings.neighbours
        movers: dict[str, Mover] = {}
        on_codes = tuple(name for name in self.operations if name in OPERATIONS)
        if on_codes:
            labelled = self.labels is not None
            codes = codes_for(self.space, self.data, self.extent, self.y, on_codes, k=k, labelled=labelled)
            movers |= {name: CodeMover(self.space, self.extent, codes, name) for name in on_codes}
        if RESAMPLE in self.operations:
            kept = list(self.labels.fields) if self.labels is not None else []
            x = self.data.batch(torch.arange(len(self.data)))["x"]
            movers[RESAMPLE] = CellMover(self.space, x, self.y, kept, k)
        return {name: movers[name] for name in self.operations}

    # --- strength --------------------------------------------------------------------------------------------

    def _probe_rows(self, near_count: Tensor) -> Tensor:
        """Some samples with neighbours, the same each time."""
        rows = (near_count > 0).nonzero().squeeze(1)
        order = torch.randperm(len(rows), generator=seeded(self.settings.seed, 2))
        return rows[order[:CALIBRATED_ON]]

    def _unit(self, mover: Mover) -> float:
        rows = self._probe_rows(mover.near.count)
        index = mover.near.index[rows]
        there = torch.arange(index.shape[1]) < mover.near.count[rows, None]
        base = mover.base(rows)
        apart = torch.stack([self._apart(base, mover.base(other), rows, other) for other in index.unbind(1)], 1)
        unit = float((apart * there).sum() / there.sum())
        if not unit > 0:
            raise DataError(
                "augment: neighbours come out alike, so there is no distance to measure strength by: "
                f"{self.space.name!r} makes the same of all of them. Train it longer, or remove copies from the source."
            )
        return unit

    def _calibrated(self, name: str, mover: Mover) -> tuple[float, float]:
        """Size of the moves and the strength that it reaches."""
        if self.settings.strength == 0:
            return 0.0, 0.0
        rows = self._probe_rows(mover.near.count)
        base, draws = mover.base(rows), DRAWN_DISCRETE if self.space.spec.discrete else DRAWN
        times = -(-draws // len(rows))
        rows, base = rows.repeat(times), base.repeat(times, *[1] * (base.ndim - 1))

        def reached(size: float) -> float:
            made = self._kept_label(mover.moved(rows, size, seeded(self.settings.seed, 3)), rows)
            return float(self._apart(made, base, rows).mean()) / self.units[name]

        return calibrated(float(self.settings.strength), reached)

    def _apart(self, a: Tensor, b: Tensor, rows: Tensor, others: Tensor | None = None) -> Tensor:
        """Distances ``(B,)`` of what was made of samples ``rows``, to the same of ``others`` if given, no padding."""
        return self.space.apart(a, b, steps=self.extent.steps(rows, others))

    def _kept_label(self, x: Tensor, rows: Tensor) -> Tensor:
        """With the fields of the label as the source has them."""
        if self.labels is None or not self.labels.fields:
            return x
        places = list(self.labels.fields)
        x = x.clone()
        x[:, places] = self.data.batch(rows)["x"][:, places]
        return x

    def _checks(self, classify: Classify | None) -> Checks:
        mover = next(iter(self.movers.values()))
        rows = self._probe_rows(mover.near.count)
        asked = None if self.settings.checks == "auto" else _listed(self.settings.checks)
        fields = list(self.labels.fields) if self.labels is not None else []
        y = None if self.labels is None else self.y
        return checks_for(self.space, self.data, self.extent, mover, y, fields, rows, asked=asked, classify=classify)

    # --- samples ---------------------------------------------------------------------------------------------

    def make(self, *, tries: int = TRIES) -> Made:
        """The samples that the settings ask for; fewer, with a warning, where the checks drop too many.

        Args:
            tries: Times that what was dropped is drawn again at most.
        """
        settings = self.settings
        rows = planned(self.y, settings.num, balance=settings.balance, seed=settings.seed, counts=settings.counts)
        names = self.labels.names if self.labels is not None else ()
        operation = assigned(rows, self.single, self.operations, names, self.y)
        x = torch.zeros(len(rows), *self.space.spec.shape)
        reached, left = torch.zeros(len(rows)), torch.arange(len(rows))
        dropped, drawn = dict.fromkeys(self.checks.names, 0), 0
        for turn in range(tries):
            if turn > 1:
                rows[left] = replaced(rows[left], self.y, seeded(settings.seed, 5, turn))
            failed = torch.zeros(len(left), dtype=torch.bool)
            for number, name in enumerate(self.operations):
                own = torch.tensor([operation[i] == name for i in left.tolist()], dtype=torch.bool)
                for part, at in enumerate(own.nonzero().squeeze(1).split(AT_ONCE)):
                    if not len(at):
                        continue  # an empty tensor splits into one empty part
                    stream = seeded(settings.seed, 4, turn, number, part)
                    bad, counts = self._drawn(name, rows, left[at], x, reached, stream)
                    failed[at] = bad
                    for check, count in counts.items():
                        dropped[check] += count
            drawn += len(left)
            left = left[failed]
            # Without noise another try is the same one.
            if not len(left) or settings.strength == 0:
                break
        kept = torch.ones(len(rows), dtype=torch.bool)
        kept[left] = False
        self._warn(len(rows), int(kept.sum()), dropped, tries)
        kept_list = kept.tolist()
        report = self._report(len(rows), drawn, dropped, kept, operation, reached, rows)
        return Made(
            x=x[kept],
            y=None if self.labels is None else self.y[rows[kept]],
            source=rows[kept],
            operation=[name for name, keep in zip(operation, kept_list, strict=True) if keep],
            reached=reached[kept],
            missing=rows[left],
            report=report,
        )

    def moved(self, rows: Tensor, stream: torch.Generator) -> Tensor:
        """Samples ``(B, *shape)`` of sources ``(B,)``, each by one of the operations at random, unchecked."""
        out = torch.empty(len(rows), *self.space.spec.shape)
        free = [i for i, name in enumerate(self.operations) if name not in OF_NEIGHBOURS]
        which = torch.randint(len(self.operations), (len(rows),), generator=stream)
        if free:
            which = torch.where(self.single[rows], torch.tensor(free[0]), which)
        for number, name in enumerate(self.operations):
            own = (which == number).nonzero().squeeze(1)
            if len(own):
                out[own] = self.movers[name].moved(rows[own], self.sizes[name][0], stream)
        return self._kept_label(out, rows)

    def moved_new(self, x: Tensor, stream: torch.Generator) -> Tensor:
        """Samples ``(B, *shape)`` that are not the source's, moved as the source's codes lie around theirs."""
        mover = next(iter(self.movers.values()))
        assert isinstance(mover, CodeMover)
        codes = mover.codes
        z = self.space.encode(TensorData(x=x))
        near = separations(z, codes.z).topk(min(self.settings.neighbours, len(codes.z)), largest=False).indices
        around = codes.z[near] - codes.z[near].mean(1, keepdim=True)
        noise = torch.randn(near.shape, generator=stream) / max(1, near.shape[1] - 1) ** 0.5
        size = self.sizes[mover.name][0]
        return self.space.decode(z + size * torch.einsum("bk,bkd->bd", noise, around))

    def _drawn(
        self, name: str, rows: Tensor, at: Tensor, x: Tensor, reached: Tensor, stream: torch.Generator
    ) -> tuple[Tensor, dict[str, int]]:
        """Fill ``x`` and ``reached`` at places ``at`` of the plan; which of them fail, and how many by check."""
        sources, mover = rows[at], self.movers[name]
        made = mover.moved(sources, self.sizes[name][0], stream)
        bad = self.checks.failed(made, sources)
        made = self._kept_label(made, sources)
        x[at], reached[at] = made, self._apart(made, mover.base(sources), sources) / self.units[name]
        any_bad = torch.stack([*bad.values(), torch.zeros(len(at), dtype=torch.bool)]).any(0)
        return any_bad, {check: int(failed.sum()) for check, failed in bad.items()}

    def _warn(self, asked: int, kept: int, dropped: dict[str, int], tries: int) -> None:
        if kept < asked:
            worst = ", ".join(f"{name} {count}" for name, count in sorted(dropped.items(), key=lambda item: -item[1]))
            warnings.warn(
                f"augment: {kept} of {asked} samples; the checks dropped the others in {tries} tries ({worst}). Lower "
                "the strength, or leave a check out.",
                AeganWarning,
                stacklevel=3,
            )

    def _report(
        self,
        asked: int,
        drawn: int,
        dropped: dict[str, int],
        kept: Tensor,
        operation: list[str],
        reached: Tensor,
        rows: Tensor,
    ) -> dict[str, Any]:
        by_operation = {}
        for name in self.operations:
            own = torch.tensor([other == name for other in operation], dtype=torch.bool) & kept
            by_operation[name] = {
                "samples": int(own.sum()),
                "size": round(self.sizes[name][0], 6),
                "strength": round(float(reached[own].mean()), 4) if bool(own.any()) else None,
                "unit": self.units[name],
            }
        report: dict[str, Any] = {
            "model": self.space.name,
            "strength": self.settings.strength,
            "seed": self.settings.seed,
            "neighbours": self.settings.neighbours,
            "asked": asked,
            "drawn": drawn,
            "kept": int(kept.sum()),
            "dropped": dropped,
            "operations": by_operation,
        }
        if self.labels is not None:
            counts = torch.bincount(self.y[rows[kept]], minlength=len(self.labels.names)).tolist()
            report["classes"] = dict(zip(self.labels.names, counts, strict=False))
        return report

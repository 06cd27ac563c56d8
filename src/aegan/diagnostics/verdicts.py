"""What a verdict is: a name, a place, a time, a confidence, evidence, a reason and remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

ROLES: dict[str, tuple[str, ...]] = {
    "gamma": ("joint.gamma", "adversarial.gamma", "gamma", "penalty.r1", "latent.gamma"),
    "gamma_fake": ("penalty.r2",),
    "lr": ("lr", "autoencoder.lr", "lr_generator", "adversarial.lr", "joint.lr_generator", "latent.lr"),
    "lr_generator": ("lr_generator", "joint.lr_generator", "adversarial.lr", "lr", "latent.lr"),
    "lr_discriminator": (
        "lr_discriminator", "joint.lr_discriminator", "adversarial.lr_discriminator", "latent.lr",
    ),
    "beta": ("beta", "autoencoder.beta"),
    "free_bits": ("free_bits", "autoencoder.free_bits"),
    "loss": ("loss",),
    "network": ("network",),
    "spectral_norm": ("spectral_norm",),
    "pack": ("pack",),
    "stddev": ("stddev",),
    "augmentation": ("augmentation",),
    "instance_noise": ("instance_noise",),
    "jacobian_weight": ("jacobian_weight",),
    "ema_samples": ("joint.ema_samples", "adversarial.ema_samples", "ema_samples"),
    "batch_size": ("joint.batch_size", "adversarial.batch_size", "batch_size", "autoencoder.batch_size"),
    "anchor": ("joint.anchor", "anchor"),
    "blocks": ("blocks", "autoencoder.blocks"),
    "code_size": ("code_size", "autoencoder.code_size"),
}  # fmt: skip
"""Names that a setting has in aegan's models, in the order in which they are looked for."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One statistic that speaks for a verdict.

    Attributes:
        statistic: Name of the curve, ``network/statistic``.
        value: Its smoothed value now.
        threshold: What it was held against.
        above: Whether it lies above the threshold, or below.
        means: What the statistic is, in words.
    """

    statistic: str
    value: float
    threshold: float
    above: bool
    means: str

    def __str__(self) -> str:
        sign = ">" if self.above else "<"
        return f"{self.statistic} = {self.value:.3g} ({sign} {self.threshold:.3g}): {self.means}"


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What to do, in words, and as a change of a setting where it is one.

    Attributes:
        do: In words.
        paper: Where it is from.
        role: Which kind of setting it changes, a key of :data:`ROLES`; empty where it is none.
        factor: What the setting is multiplied with.
        least: Value to take at least, where it is zero now; or at most, with a factor below 1.
        value: Its new value instead of a factor.
    """

    do: str
    paper: str = ""
    role: str = ""
    factor: float = 1.0
    least: float = 0.0
    value: str = ""

    def setting(self, settings: Mapping[str, Any]) -> tuple[str, str] | None:
        """Name and new value among a model's ``settings`` (nested); None where it has no such setting."""
        for name in ROLES.get(self.role, ()):
            now = _inside(settings, name)
            if now is None:
                continue
            if self.value:
                return None if str(now).lower() == self.value else (name, self.value)
            if isinstance(now, bool) or not isinstance(now, int | float):
                continue
            new = max(now * self.factor, self.least) if self.factor >= 1 else now * self.factor
            if self.factor > 1 and self.role.startswith("lr"):
                new = max(min(new, HIGHEST_RATE), float(now))
            return None if new == now else (name, f"{round(new) if isinstance(now, int) else float(f'{new:.3g}'):g}")
        return None

    def paste(self, settings: Mapping[str, Any]) -> str:
        """The change as options of ``aegan fit``, as in ``--set joint.gamma=3``; empty where there is none."""
        found = [self.setting(settings)]
        if found[0] is not None and found[0][0] == "penalty.r1":  # R1 and R2 go together
            found.append(replace(self, role="gamma_fake").setting(settings))
        return " ".join(f"--set {one[0]}={one[1]}" for one in found if one is not None)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong with a training, or that nothing is.

    Attributes:
        name: A key of ``aegan.diagnostics.catalogue.CATALOGUE``, such as ``mode-collapse``.
        title: The same in words.
        where: Network, layer or stage.
        since: Step from which it shows.
        confidence: How sure, in [0, 1].
        evidence: Statistics, values, thresholds.
        why: How it comes about, in one or two sentences.
        remedies: In order of the effect that is to be expected.
    """

    name: str
    title: str
    where: str = ""
    since: int = 0
    confidence: float = 1.0
    evidence: tuple[Evidence, ...] = ()
    why: str = ""
    remedies: tuple[Remedy, ...] = field(default=())

    def to_json(self, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Plain JSON values; each remedy with its ``paste`` where the model's ``settings`` are known."""
        plain = asdict(self)
        plain["confidence"] = round(self.confidence, 3)
        plain["evidence"] = [asdict(e) | {"text": str(e)} for e in self.evidence]
        plain["remedies"] = [{"do": r.do, "paper": r.paper, "paste": r.paste(settings or {})} for r in self.remedies]
        return plain


HIGHEST_RATE = 0.01
"""A learning rate that no remedy goes beyond."""
Accepts = Callable[[str, str], bool]
"""Name and new value of a setting to whether the model at hand takes it."""


def without_refused(verdicts: Iterable[Verdict], settings: Mapping[str, Any], accepts: Accepts | None) -> list[Verdict]:
    """The verdicts; remedies whose setting the model refuses are left in words alone."""
    if accepts is None:
        return list(verdicts)

    def kept(remedy: Remedy) -> Remedy:
        found = remedy.setting(settings)
        return remedy if found is None or accepts(*found) else replace(remedy, role="")

    return [replace(v, remedies=tuple(map(kept, v.remedies))) for v in verdicts]


def report_text(
    verdicts: list[Verdict], settings: Mapping[str, Any] | None = None, *, cost: float | None = None
) -> str:
    """Verdicts for reading in a terminal, the surest first.

    >>> print(report_text([Verdict(name="healthy", title="Healthy", why="Nothing stands out.")]))
    Healthy
      Nothing stands out.
    """
    lines: list[str] = []
    for verdict in verdicts:
        place = f": {verdict.where}" if verdict.where else ""
        sure = f" (since step {verdict.since:,}, {verdict.confidence:.0%} sure)" if verdict.name != "healthy" else ""
        lines += [f"{verdict.title}{place}{sure}", f"  {verdict.why}"]
        lines += [f"  - {evidence}" for evidence in verdict.evidence]
        for number, remedy in enumerate(verdict.remedies, 1):
            paste = remedy.paste(settings or {})
            paper = f" ({remedy.paper})" if remedy.paper else ""
            lines.append(f"  {number}. {remedy.do}{paper}{f'   {paste}' if paste else ''}")
        lines.append("")
    if cost is not None:
        lines.append(f"Looking took {cost:.1%} of the time.")
    return "\n".join(lines).rstrip()


def _inside(settings: Mapping[str, Any], name: str) -> Any:
    value: Any = settings
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

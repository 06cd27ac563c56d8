"""What to try next: rules of thumb over what a run folder tells, in order of weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegan.report.evaluation import role, rows_of
from aegan.report.health import findings
from aegan.report.reader import RunFolder, number

FEW = 2000
"""Below so many synthetic samples the Fréchet distance is visibly biased upwards."""

FEW_HELD_OUT = 300
"""Below so many unseen real samples the floor is unsure, and rare copies go unnoticed."""


def next_steps(run: RunFolder) -> list[str]:
    """Suggestions in plain English; back-ticked words are commands or names.

    Args:
        run: The run as read.

    Returns:
        One sentence or two for each suggestion, the most pressing first.
    """
    name = run.path.resolve().name
    resume = f"`aegan fit SOURCE --out {name} --resume`"
    found: list[str] = []
    if run.state == "failed":
        found.append(f"Mend what the error says, then go on from the last checkpoint with {resume}.")
        found.append("Look at the curves and gradient norms above: did they grow before the error?")
    elif run.state in ("interrupted", "unfinished"):
        found.append(f"Go on from the last checkpoint with {resume}; the budget counts on from there.")
    found += findings(run.health)
    if run.metrics is not None:
        found += _from_metrics(run.metrics, run.config.get("model_config"))
    elif run.codes_only:
        found.append(
            "See what the codes keep of other data with `aegan reconstruct`, or use them elsewhere with "
            "`aegan encode` and `aegan decode`."
        )
    else:
        found.append(
            "Nothing has been measured yet. Draw samples with `aegan sample` and compare them with held-out "
            "data: `aegan evaluate REAL SYNTHETIC --holdout HOLDOUT`."
        )
    if run.state == "finished":
        found.append("Before trusting a difference between two runs, train each with several values of `--seed`.")
    return found


def _from_metrics(metrics: Mapping[str, Any], settings: object) -> list[str]:
    rows = {role(row.get("name")): row for row in reversed(rows_of(metrics))}
    fake, real, codec = (rows.get(kind, {}) for kind in ("synthetic", "real", "reconstructions"))
    found = _bottleneck(fake, real, codec, settings) + _fidelity(fake, real, settings)
    behind = [
        (gap, str(row.get("name")))
        for row in rows_of(metrics, "classes")[1:]  # the first one is the total
        if (a := number(row.get("accuracy"))) is not None
        and (b := number(row.get("real_accuracy"))) is not None
        and (gap := b - a) > 0.1
    ]
    if behind:
        worst = ", ".join(name for _, name in sorted(behind, reverse=True)[:5])
        found.append(f"Some classes come out worse than the rest ({worst}): look at them first, and at their numbers.")
    held = number(real.get("n"))
    if held is not None and held < FEW_HELD_OUT:
        found.append(
            f"Only {held:,.0f} unseen real samples set the floor and the test for copying. "
            "More data, or a larger `--holdout`, makes both surer."
        )
    count = number(fake.get("n"))
    if count is not None and count < FEW:
        found.append(
            f"The evaluation used {count:,.0f} synthetic samples. Below {FEW:,} the Fréchet distance is biased "
            "upwards: compare only figures made with equal numbers, and prefer the kernel distance."
        )
    return found


def _bottleneck(
    fake: Mapping[str, Any], real: Mapping[str, Any], codec: Mapping[str, Any], settings: object
) -> list[str]:
    """Which network the gap to real data is due to; says nothing without a floor and a ceiling."""
    distance, floor, ceiling = (number(row.get("frechet")) for row in (fake, real, codec))
    if distance is None or floor is None or ceiling is None:
        return []
    margin = 2 * max(
        number(fake.get("frechet_deviation")) or 0.0, number(real.get("frechet_deviation")) or 0.0, 0.02 * floor
    )
    if distance - floor <= margin:
        return []
    share = (ceiling - floor) / (distance - floor)
    if 0.5 < share <= 1:
        remedies = _named(settings, autoencoder_share="a larger share of the time", **{
            "autoencoder.latent_dim": "a larger latent space"})  # fmt: skip
        return [
            "The autoencoder is the bottleneck: its reconstructions alone make up most of the distance. "
            f"Improve it before tuning the GAN: a longer `--budget`{remedies}."
        ]
    if share < 0.2:
        return [
            "The generator is the bottleneck, for the autoencoder's reconstructions are much nearer to the "
            "real data than the samples are. The plainest remedy is a longer `--budget`."
        ]
    return []


def _fidelity(fake: Mapping[str, Any], real: Mapping[str, Any], settings: object) -> list[str]:
    """Advice from precision (do samples look right) and recall (is the variety there), each over real data's."""
    values = []
    for key in ("precision", "recall"):
        value, best = number(fake.get(key)), number(real.get(key))
        if value is None or not best:
            return []
        values.append(value / best)
    precision, recall = values
    if recall < 0.8 * precision:
        remedies = _named(settings, **{"joint.gamma": "a stronger gradient penalty"})
        return [
            "Variety is lost before quality is, which is how mode collapse looks. More data or a longer `--budget` "
            f"are the usual remedies{remedies}."
        ]
    if precision < 0.8 * recall:
        remedies = _named(settings, **{"joint.ema_samples": "a longer moving average of the weights"})
        return [
            "Samples spread wider than the real data: many look like nothing real. A longer `--budget` brings "
            f"them in{remedies}."
        ]
    return []


def _named(settings: object, **remedies: str) -> str:
    """Those of the model's settings that the run has, as ``, or a larger … (`--set name=…`, here 3)``."""
    found = ""
    for name, remedy in remedies.items():
        value: object = settings
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if number(value) is not None:
            found += f", or {remedy} (`--set {name}=…`, here {value})"
    return found

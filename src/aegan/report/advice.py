"""What to try next: rules of thumb over what a run folder tells, in order of weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegan.report.evaluation import role, rows_of
from aegan.report.reader import RunFolder, number

FEW = 2000
"""Below so many synthetic samples the Fréchet distance is visibly biased upwards."""


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
    if run.metrics is None:
        found.append(
            "Nothing has been measured yet. Draw samples with `aegan sample` and compare them with held-out "
            "data: `aegan evaluate REAL SYNTHETIC --holdout HOLDOUT`."
        )
    else:
        found += _from_metrics(run.metrics)
    if run.state == "finished":
        found.append("Before trusting a difference between two runs, train each with several values of `--seed`.")
    return found


def _from_metrics(metrics: Mapping[str, Any]) -> list[str]:
    rows = {role(row.get("name")): row for row in reversed(rows_of(metrics))}
    fake, real, codec = (rows.get(kind, {}) for kind in ("synthetic", "real", "reconstructions"))
    found: list[str] = []
    distance, floor, ceiling = (number(row.get("frechet")) for row in (fake, real, codec))
    if distance is not None and ceiling is not None and distance > 0:
        if ceiling > 0.5 * distance and (floor is None or ceiling > 2 * floor):
            found.append(
                "The autoencoder is the bottleneck: its reconstructions alone make up most of the distance. "
                "Give its stage a larger share of the budget or a larger latent space before tuning the GAN."
            )
        elif distance > 2 * ceiling:
            found.append(
                "The generator is the bottleneck, for the autoencoder's reconstructions are much nearer to the "
                "real data than the samples are. The plainest remedy is a longer `--budget`."
            )
    found += _fidelity(fake, real)
    per_class = [
        (gap, str(row.get("class")))
        for row in rows_of(metrics, "per_class")
        if (a := number(row.get("accuracy"))) is not None
        and (b := number(row.get("real_accuracy"))) is not None
        and (gap := b - a) > 0.1
    ]
    if per_class:
        worst = ", ".join(name for _, name in sorted(per_class, reverse=True)[:5])
        found.append(f"Some classes come out worse than the rest ({worst}): look at them first, and at their numbers.")
    count = number(fake.get("n"))
    if count is not None and count < FEW:
        found.append(
            f"The evaluation used {count:,.0f} synthetic samples. Below {FEW:,} the Fréchet distance is biased "
            "upwards: compare only figures made with equal numbers, and prefer the kernel distance."
        )
    return found


def _fidelity(fake: Mapping[str, Any], real: Mapping[str, Any]) -> list[str]:
    """Advice from precision (do samples look right) and coverage or recall (is the variety there)."""

    def share(key: str) -> float | None:
        value, best = number(fake.get(key)), number(real.get(key))
        return None if value is None else value / best if best else value

    precision = share("precision")
    variety = next((v for v in (share("coverage"), share("recall")) if v is not None), None)
    if precision is None or variety is None:
        return []
    if variety < 0.8 and variety < precision - 0.05:
        return [
            "Variety is lost before quality is, which is how mode collapse looks. A stronger gradient penalty, "
            "augmentation of what the discriminator sees, or more data are the usual remedies."
        ]
    if precision < 0.8 and precision < variety - 0.05:
        return [
            "Samples spread wider than the real data: many look like nothing real. Longer training, a longer "
            "moving average of the weights, or truncated sampling bring them in."
        ]
    return []

"""The figures that studies compare: which way is better, for which data, what they are of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A figure of a run.

    Attributes:
        name: In specs and results.
        title: For reading.
        better: ``lower`` or ``higher``.
        kinds: Kinds of data that it exists for; any when empty.
        usual: Taken when a spec names none.
    """

    name: str
    title: str
    better: str = "lower"
    kinds: tuple[str, ...] = ()
    usual: bool = False

    @property
    def sign(self) -> float:
        """1 where higher is better, else -1."""
        return 1.0 if self.better == "higher" else -1.0


JUDGED = ("image", "vector")
TABLES = ("table",)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name="frechet", title="Fréchet distance", kinds=JUDGED, usual=True),
        Metric(name="energy", title="energy distance", kinds=JUDGED),
        Metric(name="precision", title="precision", better="higher", kinds=JUDGED),
        Metric(name="recall", title="recall", better="higher", kinds=JUDGED),
        Metric(name="density", title="density", better="higher", kinds=JUDGED),
        Metric(name="coverage", title="coverage", better="higher", kinds=JUDGED, usual=True),
        Metric(name="near", title="share nearer to training data than real data are", kinds=JUDGED),
        Metric(name="accuracy", title="samples recognised as their class", better="higher", kinds=("image",)),
        Metric(name="downstream", title="accuracy of a classifier trained on samples", better="higher", kinds=JUDGED),
        Metric(name="modes", title="modes covered", better="higher", kinds=("vector",)),
        Metric(name="quality", title="samples within three deviations of a mode", better="higher", kinds=("vector",)),
        Metric(name="kl", title="reverse KL over modes", kinds=("vector",)),
        Metric(name="shape_error", title="error of column shapes", kinds=TABLES, usual=True),
        Metric(name="trend_error", title="error of pair trends", kinds=TABLES, usual=True),
        Metric(name="detection", title="two-sample AUC", kinds=TABLES, usual=True),
        # Of the training itself; see aegan.study.health.
        Metric(name="unhealthy", title="share of looks with vanishing or exploding generator gradients"),
        Metric(name="vanishing", title="share of looks with vanishing generator gradients"),
        Metric(name="exploding", title="share of looks with exploding generator gradients"),
        Metric(name="imbalance", title="|log10 of first over last layer's gradient|, generator"),
        Metric(name="gradient_spread", title="deviation of log10 of the generator's gradient norm"),
        Metric(name="signal", title="gradient signal-to-noise ratio, generator", better="higher"),
        Metric(name="turn", title="cosine of successive generator gradients", better="higher"),
        Metric(name="condition", title="ln λmax/λmin of the generator's JᵀJ", kinds=JUDGED),
        Metric(name="reached", title="part of the budget until samples were near the data"),
        Metric(name="distance_mean", title="energy distance over the whole budget"),
        Metric(name="wobble", title="unsteadiness of the distance in the second half"),
        Metric(name="seconds", title="processor seconds of training"),
    )
}
"""What there is by name. A study of other kinds of data names the figures of their evaluation itself, with
``{ name = "...", better = "lower" }``."""

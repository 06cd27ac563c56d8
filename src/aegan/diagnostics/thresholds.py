"""Every threshold of the rules in one table, each with its reason.

They were chosen from the literature and, where it names no number, so that the healthy runs of the development cases
of ``benchmarks/doctor.py`` lie well inside; ``lost_time``, ``astray``, ``perplexity`` and ``holdout_few`` by those that
were looked at later, too. Of the held-out cases nothing was used; docs/doctor.md has the figures.
"""

from __future__ import annotations

from typing import NamedTuple

ALARM = 0.5
"""Confidence from which a verdict is told at all."""


class Threshold(NamedTuple):
    """A value and why it is this one."""

    value: float
    why: str


THRESHOLDS: dict[str, Threshold] = {
    "depth": Threshold(1e-4, "healthy convolutional decoders come down to 1e-3: their last bias sums over pixels"),
    "lost_time": Threshold(0.15, "part of the looks, from the first on, at which gradients had vanished"),
    "relative_low": Threshold(1e-7, "‖G‖/‖W‖ where Adam's eps of 1e-8 begins to swallow the gradient"),
    "faded": Threshold(1e-3, "the gradient at the end over the one at the beginning"),
    "relative_high": Threshold(
        300.0, "‖G‖/‖W‖ is below 1 as a rule (2102.06171 clips at 0.16), but 40 where a layer begins at zero"
    ),
    "grown": Threshold(1e3, "the gradient at the end over the one at the beginning"),
    "grown_to": Threshold(30.0, "‖G‖/‖W‖ that a grown gradient has to reach before it is called an explosion"),
    "dead": Threshold(0.6, "part of a layer's units; half of them resting is usual for rectifiers on simple data"),
    "update_high": Threshold(0.06, "‖ΔW‖/‖W‖ a step; about 1e-3 is usual, and ten times that while warming up"),
    "weight_grown": Threshold(12.0, "weights over their length at the start; healthy runs stay below 4"),
    "leap": Threshold(0.5, "‖ΔW‖/‖W‖ of one of the first steps: half of what was there is gone"),
    "leap_travel": Threshold(1.0, "way of the weights over their length after the first looks"),
    "update_low": Threshold(1e-5, "‖ΔW‖/‖W‖ a step: a hundred times below the usual"),
    "travel_low": Threshold(0.01, "way of the weights over their length after hundreds of steps"),
    "separation_high": Threshold(0.985, "chance that a real sample is rated above a fake; 1 is a finished game"),
    "separation_low": Threshold(0.6, "as above; 0.5 is a coin"),
    "flat": Threshold(0.1, "‖∇D‖ times the distance of two real samples, in nats: it says the same of everything"),
    "separation_fooled": Threshold(0.1, "as above; nearly all samples are rated above the data"),
    "fooled": Threshold(0.4, "part of the later looks at which they are; healthy runs have none"),
    "indecisive": Threshold(1.0, "nats between data and samples that are lost: e to one, where it should be sure"),
    "lost": Threshold(1.0, "energy distance in units of real distances: farther than the data from one another"),
    "far": Threshold(0.08, "energy distance in units of real distances, above what two halves of the data show"),
    "astray": Threshold(0.16, "twice as far; that alone is enough for an alarm if the samples come no nearer"),
    "progress": Threshold(0.8, "distance to the data at the end over the middle of the run: below, it still learns"),
    "holdout": Threshold(0.75, "chance that training data are rated above unseen data; 0.5 without overfitting"),
    "holdout_few": Threshold(0.57, "the same where there are few samples, seen often: noise about 0.5 is 0.03"),
    "repeats": Threshold(25.0, "times that each real sample was seen"),
    "distinct": Threshold(300.0, "different real samples: ADA (2006.06676) overfits with thousands"),
    "sign": Threshold(0.6, "E sign D(x), the target of ADA (2006.06676)"),
    "slope": Threshold(60.0, "‖∇D‖ times the distance of two real samples, in nats: logits are a log ratio"),
    "slope_grown": Threshold(4.0, "that slope at the end over the beginning"),
    "condition": Threshold(23.0, "ln λmax/λmin: directions 1e5 times as weak as the strongest, near float32's end"),
    "coverage": Threshold(0.55, "part of the real data near a sample, over what other real data reach"),
    "precision": Threshold(0.6, "samples that look right: below, they are not collapsed but not yet learnt"),
    "spread": Threshold(0.1, "distance of two samples over that of two real ones: a point"),
    "narrow": Threshold(0.35, "the same: most of the variety is gone; untrained generators begin above it"),
    "nearest": Threshold(0.1, "distance to the nearest other sample over the real one"),
    "mmd_p": Threshold(0.02, "p-value: differs from the data for sure"),
    "moved": Threshold(0.5, "distance that the samples moved between looks, over their distance to the data"),
    "active": Threshold(0.1, "part of the dimensions of a code in use"),
    "kl": Threshold(0.1, "nats that a code carries in all"),
    "perplexity": Threshold(0.2, "codes in effective use over those attainable; healthy codebooks have over 0.25"),
    "balance_high": Threshold(1000.0, "reconstruction's gradient over the adversary's at the shared layer"),
    "balance_low": Threshold(1e-3, "the same: the adversary's is all there is"),
    "constant": Threshold(0.2, "part of a vector's columns with one value only; a few are usual"),
    "repeated": Threshold(0.2, "part of a batch's rows that equal an earlier row"),
    "scale_high": Threshold(10.0, "root mean square of the data; networks begin for values about 1"),
    "scale_low": Threshold(0.01, "the same"),
    "outside": Threshold(0.02, "part of the real values that a bounded generator can never make"),
    "mode_gap": Threshold(0.5, "difference of samples in train and eval mode, over the samples' own spread"),
    "reached": Threshold(0.02, "steps at which a gradient reached the network, of those that others made"),
}


def limit(name: str) -> float:
    """The value of a threshold."""
    return THRESHOLDS[name].value

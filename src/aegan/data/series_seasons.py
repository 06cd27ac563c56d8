"""Seasons of a long series: periods after which it repeats itself, such as the day of hourly values.

Reference: Fisher 1929, "Tests of significance in harmonic analysis": an ordinate of the periodogram is judged by its
size beside the others. What differs here: beside those around it, because neighbouring frequencies have like power in
most series, of changes rather than values, and of all channels together.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from aegan.data.series_set import SeriesSet
from aegan.data.series_time import Clock
from aegan.data.series_windows import interpolate
from aegan.data.table_looks import TimeLook
from aegan.errors import ConfigError

CYCLES = 8
"""Times at least that a season comes in the series."""
FEWEST = 256
"""Steps at least of a series that is searched."""
SHORTEST = 3
"""Steps at least of a season."""
MOST = 3
"""Seasons at most."""
TOLD = 3
"""Harmonics of a season that networks are told of; see :class:`~aegan.nn.seasons.Seasons`."""
PARTS = 24
"""Harmonics by which a season may be known: short events at the same time of a day have many."""
CLEAR = 30.0
"""Times the median around it that a peak has; of noise, one in a thousand million of single frequencies."""
CLEAREST = 1e4
"""Times that count at most, so that one channel does not outshout all others."""
AROUND = 32
"""Frequencies on either side, or thereabouts, that a peak is compared with."""
NEAR = 4, 10
"""Frequencies away that are close by; a season's own peak is three wide on either side."""
LEAK = 5
"""Frequencies away that a peak may be seen at."""
LONGEST = 2**20
"""Steps at the end of the series that are looked at."""


def seasons_of(
    opened: SeriesSet, clock: Clock | None, window: int | None, given: Sequence[float] | None
) -> tuple[float, ...]:
    """Seasons of a set that is cut into windows: those given, or those found in its longest series.

    Raises:
        ConfigError: Seasons are given, and the series are no windows of longer ones or share no line of time.
    """
    if given is not None and not given:
        return ()
    places = places_of(opened, clock) if window is not None else None
    if places is None:
        if given is None:
            return ()
        what = "wholes, which have no window" if window is None else "several without regular time stamps in common"
        raise ConfigError(
            f"{opened.name}: seasons are {list(given)}, and these series are {what}: at which place in a season one "
            "begins is not known. Leave the seasons out, or give windows of series with time stamps."
        )
    if given is not None:
        return tuple(given)
    longest = max(range(len(opened)), key=lambda i: opened.lengths[i])
    return seasons(opened.values[longest], natural=_natural(clock))


def places_of(opened: SeriesSet, clock: Clock | None) -> np.ndarray | None:
    """Where each series begins, int64 ``(N,)``, in steps from the fitted clock's start; None where that is unknown.

    One series without time stamps begins at 0.
    """
    if clock is None or opened.times is None:
        return np.zeros(1, dtype=np.int64) if len(opened) == 1 and clock is None else None
    if not clock.regular:
        return None
    found = []
    for times in opened.times:
        later = times[0] >= clock.start
        ends = np.array([clock.start, times[0]] if later else [times[0], clock.start])
        between = clock.positions(ends)
        if between is None:
            return None
        found.append(int(between[-1]) if later else -int(between[-1]))
    return np.array(found, dtype=np.int64)


def in_words(steps: float, clock: Clock | None) -> str:
    """A season as people call it."""
    span = "" if clock is None or clock.step is None else f" ({clock.span(steps * clock.step)})"
    return f"{steps:.4g} steps{span}"


def _natural(clock: Clock | None) -> list[float]:
    """Steps of an hour, a day, a week and a year."""
    if clock is None or clock.step is None or not isinstance(clock.look, TimeLook):
        return []
    day = clock.look.day / clock.step
    return [steps for steps in (day / 24, day, 7 * day, 365.25 * day) if steps >= 2]


def seasons(values: np.ndarray, natural: Sequence[float] = ()) -> tuple[float, ...]:
    """Periods in steps, the clearest first, of a series ``(T, C)``; missing values are NaN.

    A natural period where one fits, else a whole number of steps where one does. A peak of the spectrum may be a
    harmonic: the season is then the longest one that explains most of the other peaks as well. Peaks that one found
    before explains are left out.

    >>> t = np.arange(600.0)
    >>> noise = np.random.default_rng(0).normal(size=(600, 1))
    >>> seasons(noise + 2 * np.sin(2 * np.pi * t / 24)[:, None]), seasons(noise), seasons(noise.cumsum(0))
    ((24.0,), (), ())
    """
    values = np.asarray(values, dtype=np.float64)[-LONGEST:]
    total = len(values) - 2
    if total < FEWEST:
        return ()
    clear = np.max([_clear(signals) for signals in _signals(values)], axis=0)
    frequencies, weights = _peaks(clear[0], clear[1], total)
    found: list[float] = []
    while len(weights) and len(found) < MOST:
        base, multiple = _fundamental(frequencies, weights, total)
        found.append(base)
        own = multiple > 0
        main = weights[own & (multiple <= TOLD)].max(initial=0.0)
        own &= (multiple <= TOLD) | (weights <= TOLD * main)
        own[weights.argmax()] = True
        apart = np.abs(frequencies[:, None] - frequencies[own]).min(axis=1)
        left = (apart > LEAK / total) & ~_mixed(frequencies, found, total)
        frequencies, weights = frequencies[left], weights[left]
    snapped: dict[float, float] = {}
    for base in sorted(found, reverse=True):
        snapped[base] = _whole(base, 0.2 / total, natural, list(snapped.values()))
    return tuple(dict.fromkeys(snapped[base] for base in found))


def _signals(values: np.ndarray) -> list[np.ndarray]:
    """What is searched ``(T - 2, C')``: changes, and how much the series bends, of zero mean and unit deviation.

    Where a course is the same but not its level, as of hourly values between which lines are drawn, it bends at every
    hour. What a missing value has a part in is 0.
    """
    gone = ~np.isfinite(values)
    bends = np.abs(np.diff(interpolate(values), n=2, axis=0))
    bends = np.where(gone[2:] | gone[1:-1] | gone[:-2], np.nan, bends)
    changes = np.where(gone[2:] | gone[1:-1], np.nan, np.diff(interpolate(values), axis=0)[1:])
    size = np.nanmax(np.abs(np.where(gone, 0.0, values)), axis=0)
    count = np.maximum(np.isfinite(bends).sum(axis=0), 1)
    bends = np.minimum(bends, 3.0 * np.nansum(bends, axis=0) / count)
    return [_standard(signal, size) for signal in (changes, bends)]


def _standard(signal: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Channels that vary by more than rounding does, of zero mean and unit deviation; 0 where missing."""
    there = np.isfinite(signal)
    mean = np.where(there, signal, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    signal = np.where(there, signal - mean, 0.0)
    spread = signal.std(axis=0)
    varied = spread > 1e-9 * size
    return signal[:, varied] / spread[varied]


def _clear(signals: np.ndarray) -> np.ndarray:
    """Power of signals ``(T, C)`` at each frequency in parts of that around it, ``(2, F)``.

    The mean over channels, each of which counts ``CLEAREST`` at most; and without such a bound, which tells the place
    of a peak.
    """
    taper = np.hanning(len(signals)) ** 2
    total = np.zeros((2, len(signals) // 2 + 1))
    for signal in signals.T:
        power = np.abs(np.fft.rfft(signal * taper)) ** 2
        power /= _background(power)
        total += np.minimum(power, CLEAREST), power
    return total / max(1, signals.shape[1])


def _background(power: np.ndarray) -> np.ndarray:
    """Median power ``(F,)`` around each frequency, or close by if that is more."""
    # Narrow stretches at first: there the power rises or falls by the most.
    first = 2 * AROUND * np.array([0, 0.25, 0.5])
    ends = np.concatenate([first, np.linspace(2 * AROUND, len(power), max(1, len(power) // (2 * AROUND)))]).astype(int)
    medians = np.array([np.median(power[a:b]) for a, b in itertools.pairwise(ends)])
    middles = (ends[1:] + ends[:-1] - 1) / 2
    around = np.exp(np.interp(np.arange(len(power)), middles, np.log(np.maximum(medians, 1e-300))))
    # What swings without keeping time has power at the frequencies next to its own as well.
    padded = np.pad(power, NEAR[1], mode="reflect")
    beside = [np.roll(padded, sign * away) for away in range(*NEAR) for sign in (-1, 1)]
    beside = np.median(beside, axis=0)[NEAR[1] : -NEAR[1]]
    return np.maximum(np.maximum(around, beside), max(1e-6 * power.max(), 1e-300))


def _peaks(clear: np.ndarray, power: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies, between those of the spectrum, and weights of its clear peaks; half a cycle less is near enough."""
    k = np.arange(CYCLES - 1, min(total // SHORTEST, len(clear) - 2) + 1)
    k = k[(clear[k] >= CLEAR) & (power[k] >= power[k - 1]) & (power[k] >= power[k + 1])]
    before, at, behind = (np.log(np.maximum(power[k + i], 1e-3)) for i in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * at + behind, -1e-9)
    cycles = k + np.clip(0.5 * (before - behind) / bend, -0.5, 0.5)
    enough = cycles >= CYCLES - 0.5
    return cycles[enough] / total, clear[k[enough]]


def _fundamental(frequencies: np.ndarray, weights: np.ndarray, total: int) -> tuple[float, np.ndarray]:
    """The frequency of the clearest peak, or that whose harmonic it is, and which multiple of it each peak is, or 0."""
    first = frequencies[weights.argmax()]
    best: list[tuple[float, float, np.ndarray]] = []
    for part in range(1, PARTS + 1):
        base = first / part
        if part > 1 and base * total < CYCLES:
            break
        multiple = np.rint(frequencies / base)
        off = np.abs(frequencies - multiple * base) * total
        multiple = np.where((off < 1.0) & (multiple <= PARTS), multiple, 0)
        # Of frequencies far apart few are multiples by chance.
        explained = weights[multiple > 0].sum() - 2.0 / (base * total) * weights[multiple == 0].sum()
        best.append((explained, base, multiple))
    enough = 0.8 * max(one[0] for one in best)
    _, base, multiple = next(one for one in best if one[0] >= enough)
    own = multiple > 0
    strength = np.log(weights[own]) * multiple[own]
    return float((strength * frequencies[own]).sum() / (strength * multiple[own]).sum()), multiple


def _mixed(frequencies: np.ndarray, found: list[float], total: int) -> np.ndarray:
    """Which frequencies come of one season changing the course of another: sums of their harmonics."""
    out = np.zeros(len(frequencies), dtype=bool)
    steps = [n for n in range(-TOLD, TOLD + 1) if n]
    for f, g in itertools.permutations(found, 2):
        for m, n in itertools.product(range(1, 4 * TOLD + 1), steps):
            out |= np.abs(frequencies - abs(m * f + n * g)) < 1.5 / total
    return out


def _whole(frequency: float, error: float, natural: Sequence[float], found: list[float]) -> float:
    """The period of a frequency: a natural one or a multiple of a shorter season, a whole number, or as it is.

    >>> _whole(1 / 167.2, 1e-4, [], [24.0]), _whole(1 / 167.2, 1e-4, [], []), _whole(1 / 30.4, 1e-6, [], [])
    (168.0, 167.0, 30.4)
    >>> _whole(1 / 364, 1e-4, [7.0, 365.25], [7.0])
    365.25
    """
    period = 1.0 / frequency
    near = [one for one in natural if abs(1.0 / one - frequency) < 5 * error]
    near = near or [unit * round(period / unit) for unit in found if period > 1.5 * unit and unit == round(unit)]
    near += [float(round(period))]
    for one in near:
        if abs(1.0 / one - frequency) < (5 * error if one in natural else error):
            return float(one)
    return round(float(period), 6)

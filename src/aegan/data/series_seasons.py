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
from aegan.errors import ConfigError

CYCLES = 8
"""Times at least that a season comes in the series."""
SHORTEST = 4
"""Steps at least of one."""
MOST = 3
"""Seasons at most."""
HARMONICS = 3
"""Parts of a season that are told by itself: of frequencies up to so many times its own."""
CLEAR = 30.0
"""Times the median around it that a peak has; of noise, one in a thousand million of single frequencies."""
AROUND = 32
"""Frequencies on either side, or thereabouts, that a peak is compared with."""
NEAR = 3, 9
"""Frequencies away that are close by; a season's own peak is two wide on either side."""
LONGEST = 2**20
"""Steps at the end of the series that are looked at."""
FINER = 8
"""Parts of the distance of two frequencies that a peak is found to."""


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
    return seasons(interpolate(opened.values[longest]))


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


def seasons(values: np.ndarray) -> tuple[float, ...]:
    """Periods in steps, the clearest first, of a series ``(T, C)`` without missing values.

    A whole number of steps where one fits. Peaks that are harmonics of a clearer one are left out.

    >>> t = np.arange(600.0)
    >>> noise = np.random.default_rng(0).normal(size=(600, 1))
    >>> seasons(noise + 2 * np.sin(2 * np.pi * t / 24)[:, None]), seasons(noise), seasons(noise.cumsum(0))
    ((24.0,), (), ())
    """
    values = np.asarray(values, dtype=np.float64)[-LONGEST:]
    total = len(values) - 2
    least, most = CYCLES, total // SHORTEST
    if most - least < 2 * AROUND:
        return ()
    # Where a course is the same but not its level: hourly values between which lines are drawn bend at every hour.
    bends = np.abs(np.diff(values, n=2, axis=0))
    signals = [np.diff(values, axis=0)[1:], np.minimum(bends, 3.0 * bends.mean(axis=0))]
    tapered = [part for signal in signals if (part := _standard(signal) * np.hanning(total)[:, None]).shape[1]]
    if not tapered:
        return ()
    around = [np.stack([_background(channel) for channel in part.T]) for part in tapered]
    power = [np.abs(np.fft.rfft(part.T)) ** 2 for part in tapered]
    clear = np.stack([(own / level).mean(axis=0) for own, level in zip(power, around, strict=True)])
    found: list[float] = []
    for k in np.argsort(-clear.max(axis=0)[least:most]) + least:
        if clear[:, k].max() < CLEAR or len(found) == MOST:
            break
        for part in range(HARMONICS, 0, -1):  # what is clearest may be a harmonic of what is clear as well
            own = max(least, round(k / part) - 1) + np.arange(3 if part > 1 else 1)
            own = own if part > 1 else np.array([k])
            at = own[clear[:, own].max(axis=0).argmax()]
            if clear[:, at].max() >= CLEAR:
                break
        which = clear[:, at].argmax()
        frequency = _peak(tapered[which] / np.sqrt(around[which][:, at]), int(at))
        if any(abs(frequency - known) < 1.5 / total for known in _of(found)):
            continue
        found.append(1.0 / frequency)
    snapped: dict[float, float] = {}
    for period in sorted(found):  # the frequency of short ones is the better known one in steps
        snapped[period] = _whole(1.0 / period, 0.25 / total, list(snapped.values()))
    return tuple(snapped[period] for period in found)


def _whole(frequency: float, error: float, found: list[float]) -> float:
    """The period of a frequency known to ``error``: a whole multiple of a shorter season, a whole number, or as it is.

    >>> _whole(1 / 167.2, 1e-4, [24.0]), _whole(1 / 167.2, 1e-4, []), _whole(1 / 30.4, 1e-6, [])
    (168.0, 167.0, 30.4)
    """
    period = 1.0 / frequency
    for unit in (*reversed(found), 1.0):
        near = unit * round(period / unit)
        if near > unit and near == round(near) and abs(1.0 / near - frequency) < error:
            return float(near)
    return round(float(period), 6)


def _of(periods: list[float]) -> list[float]:
    """Frequencies at which these seasons have power too: harmonics, and where one season changes another's course."""
    harmonics = [m / p for p in periods for m in range(1, HARMONICS + 1)]
    mixed = [
        abs(m / p + n / q)
        for p in periods
        for q in periods
        if p != q
        for m in range(1, 4 * HARMONICS + 1)
        for n in range(-HARMONICS, HARMONICS + 1)
        if n
    ]
    return harmonics + mixed


def _standard(signal: np.ndarray) -> np.ndarray:
    """Of channels that vary ``(T, C')``, with zero mean and unit deviation."""
    signal = signal[:, signal.std(axis=0) > 0]
    return (signal - signal.mean(axis=0)) / signal.std(axis=0)


def _background(channel: np.ndarray) -> np.ndarray:
    """Median power of a signal ``(T,)`` around each frequency, or close by if that is more."""
    power = np.abs(np.fft.rfft(channel)) ** 2
    blocks = max(1, len(power) // (2 * AROUND))
    ends = np.linspace(0, len(power), blocks + 1).astype(int)
    medians = [np.median(power[a:b]) for a, b in itertools.pairwise(ends)]
    around = np.interp(np.arange(len(power)), (ends[1:] + ends[:-1] - 1) / 2, medians)
    # What swings without keeping time has power at the frequencies next to its own as well.
    padded = np.pad(power, NEAR[1], mode="reflect")
    beside = [np.roll(padded, sign * away) for away in range(*NEAR) for sign in (-1, 1)]
    beside = np.median(beside, axis=0)[NEAR[1] : -NEAR[1]]
    return np.maximum(np.maximum(around, beside), 1e-12 * power.max())


def _peak(signal: np.ndarray, k: int) -> float:
    """Where the power of signals ``(T, C)`` together is largest around frequency number ``k``, in cycles a step."""
    total = len(signal)
    frequencies = (k + np.arange(-FINER, FINER + 1) / FINER) / total
    waves = (np.exp(-2j * np.pi * frequency * np.arange(total)) for frequency in frequencies)
    return float(frequencies[np.argmax([(np.abs(wave @ signal) ** 2).sum() for wave in waves])])

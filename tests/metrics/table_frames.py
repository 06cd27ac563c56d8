"""Small mixed tables with missing values, made from a seed."""

from __future__ import annotations

import numpy as np
import pandas as pd


def mixed(n: int = 600, seed: int = 0) -> pd.DataFrame:
    """Correlated amounts, whole numbers, categories, truth values and dates; some of them missing."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal(n)
    amount = base + 0.3 * rng.standard_normal(n)
    job = np.array(["clerk", "driver", "nurse", "pilot"], dtype=object)[np.digitize(base, [-1, 0, 1.5])]
    frame = pd.DataFrame(
        {
            "amount": np.where(rng.random(n) < 0.1, np.nan, amount),
            "age": np.clip(40 + 12 * base + 5 * rng.standard_normal(n), 18, 90).round().astype(int),
            "job": job,
            "member": rng.random(n) < 1 / (1 + np.exp(-2 * base)),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta((200 * (3 + base)).round(), unit="D"),
            "label": np.where(base + 0.5 * rng.standard_normal(n) > 0, "yes", "no"),
        }
    )
    frame.loc[rng.random(n) < 0.15, "job"] = None
    frame.loc[rng.random(n) < 0.05, "since"] = pd.NaT
    return frame


def shuffled(frame: pd.DataFrame, seed: int = 1) -> pd.DataFrame:
    """Every column shuffled by itself: the same marginals, no dependence."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame({c: frame[c].to_numpy()[rng.permutation(len(frame))] for c in frame})

"""Commands for time series alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from aegan.cli.options import Flag, Repeated

Positional = tyro.conf.Positional


def forecast(
    run: Positional[Annotated[Path, tyro.conf.arg(metavar="RUN")]],
    source: Positional[Annotated[str, tyro.conf.arg(metavar="SOURCE")]],
    /,
    *,
    steps: int,
    out: str,
    num: int = 100,
    seed: int = 0,
    quantile: Annotated[Repeated[list[float]], tyro.conf.arg(metavar="LEVEL")] = [],  # noqa: B006
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Draw how the series of SOURCE may go on: mean and quantiles of each channel at each step, as a table.

    Args:
        run: Run folder of series.
        source: Series as RUN was fitted on; their last steps are what the draws follow from.
        steps: Steps to go on for.
        out: File ending in .csv, .tsv (also .gz), .parquet or .xlsx, or a database.
        num: Draws that the quantiles are taken of.
        seed: The same seed draws the same.
        quantile: A level from 0 to 1; may be repeated. 0.05, 0.25, 0.5, 0.75 and 0.95 when left out.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api
    from aegan.data.table_write import write_table
    from aegan.series_filling import QUANTILES

    found = api.load(run, device=device).forecast(source, steps=steps, num=num, seed=seed)
    frame = found.to_frame(quantile or QUANTILES)
    print(f"{steps} steps of {num} draws in {write_table(frame, out, overwrite=overwrite)}")

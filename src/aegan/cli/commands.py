"""The commands. Each signature is its ``--help``; each body imports what it needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from aegan.cli.coding import augment, decode, encode, reconstruct
from aegan.cli.options import (
    AudioEvaluate,
    AudioFit,
    Count,
    Flag,
    Grouped,
    ImageEvaluate,
    ImageFit,
    Positional,
    Repeated,
    Run,
    SeriesFit,
    SeriesSample,
    Source,
    TableEvaluate,
    TableFit,
    TableSample,
    TextEvaluate,
    TextFit,
    TextSample,
    pairs,
)
from aegan.cli.series import forecast
from aegan.cli.study import study


def demo(*, out: Path = Path("aegan-demo"), budget: str = "75s", seed: int = 0, overwrite: Flag[bool] = True) -> None:
    """Train on scikit-learn's 1,797 handwritten digits; no network, no arguments, about two minutes.

    Args:
        out: Run folder to make.
        budget: Training time.
        seed: Seed of everything random.
        overwrite: Replace an earlier demo in the same folder.
    """
    from aegan.cli.demo import run

    run(out, budget=budget, seed=seed, overwrite=overwrite)


def fit(
    source: Positional[Source],
    /,
    *,
    out: Path = Path("run"),
    kind: str | None = None,
    model: str | None = None,
    budget: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    resume: Flag[bool] = False,
    overwrite: Flag[bool] = False,
    target: str | None = "auto",
    holdout: float = 0.1,
    evaluate: bool = True,
    checkpoint_every: float = 60.0,
    accumulate: int = 1,
    graphs: Flag[bool] = False,
    doctor: bool = True,
    heal: Flag[bool] = False,
    set: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="KEY=VALUE")] = [],  # noqa: A002, B006
    images: Grouped[ImageFit] = ImageFit(),
    tables: Grouped[TableFit] = TableFit(),
    texts: Grouped[TextFit] = TextFit(),
    recordings: Grouped[AudioFit] = AudioFit(),
    series: Grouped[SeriesFit] = SeriesFit(),
) -> None:
    """Train a generator on SOURCE: a folder of images or recordings (sub-folders are classes), a table, text or series.

    Images: PNG, JPEG and others, archives of them (.zip, .tar), IDX, .npy, .npz. Recordings: WAV, FLAC, OGG. Tables:
    .csv, .tsv and .txt (also .gz), .parquet, .xlsx, or a database such as sqlite:///shop.db::orders. Text: .txt (also
    .gz) with a sample a line, or a table's --text-column. Time series: .ts, .arff, or --kind series with a table or
    .npy.

    Args:
        source: What to learn from.
        out: Run folder to make.
        kind: Kind of data; found from the source when left out.
        model: A name from `aegan models`.
        budget: Training time such as 90s, 5m or 1h (5m when neither this nor --steps is given). The evaluation
            and the report come on top.
        steps: Train for this many steps instead of a time.
        seed: Seed of split, weights, order and noise.
        device: Where to compute.
        precision: auto measures which is faster here and holds.
        resume: Go on with the interrupted run in --out, exactly as if it had not been interrupted. Seed, precision,
            size and settings are those it was begun with.
        overwrite: Replace a run that is in --out.
        target: A table's column that the evaluation predicts from the others.
        holdout: Part of the data kept from training, to judge by (10,000 at most).
        evaluate: Judge the result and write metrics.json and report.html.
        checkpoint_every: Seconds between checkpoints.
        accumulate: Parts of a batch that are computed one after the other; for batches that memory does not hold.
        graphs: On a GPU, capture updates and replay them, so that small networks do not wait for kernels to start.
        doctor: Watch the training's health, in at most a twentieth of its time; see `aegan diagnose`.
        heal: Act on a sure verdict: change a setting, go back to where all was well, and go on.
        set: A setting of the model, such as joint.gamma=0.5; may be repeated.
        images: Options for images.
        tables: Options for tables.
        texts: Options for text.
        recordings: Options for recordings.
        series: Options for time series.
    """
    from aegan import api
    from aegan.cli.summary import print_summary

    estimator = api.fit(
        source,
        out=out,
        kind=kind,
        model=model,
        budget=budget,
        steps=steps,
        seed=seed,
        device=device,
        precision=precision,
        resume=resume,
        overwrite=overwrite,
        settings=pairs("--set", set),
        target=target,
        holdout=holdout,
        evaluate=evaluate,
        checkpoint_every=checkpoint_every,
        accumulate=accumulate,
        graphs=graphs,
        doctor=doctor,
        heal=heal,
        quiet=False,
        **(images.given() | tables.given() | texts.given() | recordings.given() | series.given()),
    )
    if int(os.environ.get("RANK", "0")) == 0:
        print_summary(estimator)


def sample(
    run: Positional[Run],
    /,
    *,
    num: Count = 100,
    out: str,
    seed: int = 0,
    where: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="COLUMN=VALUE")] = [],  # noqa: B006
    spread: float = 1.0,
    shard: Count | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
    tables: Grouped[TableSample] = TableSample(),
    series: Grouped[SeriesSample] = SeriesSample(),
    texts: Grouped[TextSample] = TextSample(),
) -> None:
    """Draw new samples from RUN: images into a folder of PNGs, one .png grid, .npy or .npz; rows and series into files.

    Recordings come as a folder of WAV files, or as one .wav, one after another.

    Args:
        run: Run folder.
        num: How many.
        out: Folder, or file ending in .png, .npy or .npz; for tables .csv, .tsv (also .gz), .parquet, .xlsx,
            .npy or a database such as sqlite:///shop.db::made; for text .txt, .csv, .tsv or .jsonl (also .gz); for
            series also .ts, .arff, .npy and .npz.
        seed: The same seed gives the same samples.
        where: A condition such as class=3, a label of recordings such as speaker=theo, or on any columns of a table:
            income='>50K', age=30..40, city='Oslo|Rome', score=missing; may be repeated.
        spread: Scale of the generator's noise: above 1 more variety, below 1 more of the typical.
        shard: Make --out a folder of files of so many samples each, .tar (images, as WebDataset reads them) or .parquet
            (tables). The same call takes up what was stopped, and under torchrun every process makes its share.
        device: Where to compute.
        overwrite: Replace what is at --out.
        tables: Options for tables.
        series: Options for time series.
        texts: Options for text.
    """
    from aegan import api

    estimator = api.load(run, device=device)
    options = tables.given() | texts.given() | series.given()
    conditions = pairs("--where", where)
    print(
        estimator.write_samples(
            num,
            out,
            seed=seed,
            where=conditions,
            spread=spread,
            overwrite=overwrite,
            shard=shard,
            tell=print,
            **options,
        )
    )


def complete(
    run: Positional[Run],
    source: Positional[Source],
    /,
    *,
    out: str,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Fill the gaps of SOURCE by draws given the rest: missing cells or steps, or ___ in a text; all else stays.

    Args:
        run: Run folder of a table, of text or of series.
        source: Table or series with the columns that RUN was fitted on, or texts with one ___ each.
        out: File as for `aegan sample`.
        seed: The same seed draws the same.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api

    estimator = api.load(run, device=device)
    print(estimator.kind.write_completed(estimator, source, out, seed=seed, overwrite=overwrite))


def evaluate(
    real: Positional[Annotated[str, tyro.conf.arg(metavar="REAL")]],
    synthetic: Positional[Annotated[str, tyro.conf.arg(metavar="SYNTHETIC")]],
    /,
    *,
    holdout: str | None = None,
    seed: int = 0,
    kind: str | None = None,
    json: Path | None = None,
    html: Path | None = None,
    images: Grouped[ImageEvaluate] = ImageEvaluate(),
    tables: Grouped[TableEvaluate] = TableEvaluate(),
    texts: Grouped[TextEvaluate] = TextEvaluate(),
    recordings: Grouped[AudioEvaluate] = AudioEvaluate(),
    series: Grouped[SeriesFit] = SeriesFit(),
) -> None:
    """Judge SYNTHETIC against REAL, beside what real data score against real data.

    Args:
        real: Real data, the reference.
        synthetic: Synthetic data, from whatever generator.
        holdout: Further real data for the floor; a tenth of REAL is set apart when left out.
        seed: Seed of subsets and networks.
        kind: Kind of data; found from REAL when left out.
        json: File for the figures.
        html: File for a report.
        images: Options for images.
        tables: Options for tables.
        texts: Options for text.
        recordings: Options for recordings.
        series: Options for time series.
    """
    from aegan import api
    from aegan.data.kinds import detect_kind
    from aegan.kinds import handler
    from aegan.storage import write_json

    kind = kind or ("text" if texts.text_column else detect_kind(real))
    options = images.given() | tables.given() | texts.given() | recordings.given() | series.given()
    result = api.evaluate(real, synthetic, holdout=holdout, seed=seed, kind=kind, **options)
    print(result)
    if json is not None:
        write_json(json, result.to_json())
    if html is not None:
        handler(kind).write_evaluation(result.to_json(), html)


def diagnose(run: Positional[Run], /, *, json: Path | None = None) -> None:
    """Say what is wrong with RUN's training, since when, how sure that is, and what to do.

    Args:
        run: Run folder; the run may be unfinished or have failed.
        json: File for the same, for machines.
    """
    from aegan.diagnostics.run import diagnose_run
    from aegan.healing import accepts_of
    from aegan.storage import write_json

    found = diagnose_run(run, accepts=accepts_of(run))
    print(found)
    if json is not None:
        write_json(json, found.to_json())


def report(run: Positional[Run], /) -> None:
    """Write RUN's report.html again from the files in the folder.

    Args:
        run: Run folder.
    """
    from aegan.report import write_report

    print(f"report in {write_report(run)}")


def models(name: Positional[str] = "", /) -> None:
    """List the models (what each does, for which data, paper), or the settings of one with defaults and meaning.

    Args:
        name: A model, to list what --set takes.
    """
    from rich.console import Console
    from rich.table import Table

    from aegan.cli.settings import print_settings
    from aegan.models.registry import FAMILIES, MODELS

    if name:
        return print_settings(name)

    table = Table.grid(padding=(0, 2, 1, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, item in sorted(MODELS.items(), key=lambda entry: FAMILIES.index(entry[1].family)):
        table.add_row(name, f"{item.summary}\n{item.does}\n{item.paper}")
    Console().print(table)
    print("Vectors come from Python: aegan.sklearn.AutoencoderTransformer, or aegan.models.registry.build.")


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": demo,
    "fit": fit,
    "sample": sample,
    "complete": complete,
    "forecast": forecast,
    "augment": augment,
    "evaluate": evaluate,
    "encode": encode,
    "decode": decode,
    "reconstruct": reconstruct,
    "diagnose": diagnose,
    "report": report,
    "study": study,
    "models": models,
}

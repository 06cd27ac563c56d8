"""The commands that go through codes: encode, decode, reconstruct, augment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from aegan.cli.options import Flag, Positional, Repeated, Run, Source, pairs


def augment(
    run: Positional[Run],
    source: Positional[Source],
    /,
    *,
    out: str,
    num: int | None = None,
    strength: float = 0.5,
    operation: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="NAME")] = [],  # noqa: B006
    balance: Flag[bool] = False,
    originals: Flag[bool] = False,
    check: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="NAME")] = [],  # noqa: B006
    label: str | None = None,
    neighbours: int = 5,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Make new samples of those of SOURCE, for training on: encode, move the code, decode, keep the label.

    A manifest (source, its file, operation and strength of each sample, and what was dropped) is written beside --out.

    Args:
        run: Run folder; the model is best fitted on SOURCE.
        source: What to augment.
        out: Folder (with a sub-folder a class), or file ending in .png, .npy or .npz; for tables as in `aegan sample`.
        num: How many; as many as SOURCE has when left out.
        strength: From 0 (reconstructions) to 1 (as far from their sources as real neighbours are).
        operation: gaussian, tangent, interpolate, extrapolate, mix, generate or, for tables, resample; may be repeated.
        balance: Fill the smallest classes first; without --num up to the largest.
        originals: Put the samples of SOURCE first: rows, texts and recordings of the run's rate unchanged, images at
            the run's size, recordings of another rate resampled, series in single precision.
        check: What drops samples: reconstruction, judge, class, distance, or none; all that the model allows when left
            out. May be repeated.
        label: A table's column that holds the class; its value is kept.
        neighbours: Nearest samples of the class that the moves are made of.
        seed: The same seed makes the same samples.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api
    from aegan.augmentation.estimators import write_augmented

    print(
        write_augmented(
            api.load(run, device=device),
            source,
            out,
            overwrite=overwrite,
            num=num,
            strength=strength,
            operations=operation or "auto",
            balance=balance,
            originals=originals,
            checks=[] if check == ["none"] else check or "auto",
            label=label,
            neighbours=neighbours,
            seed=seed,
        )
    )


def encode(
    run: Positional[Run],
    source: Positional[Source],
    /,
    *,
    out: Path,
    error: float | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Write the codes of SOURCE: as floats (.npz), or rounded and entropy-coded, as small as can be (.aec).

    Args:
        run: Run folder.
        source: What to encode.
        out: File ending in .npz (`codes` (N, D), and `y` and `classes` where labelled) or in .aec.
        error: Of .aec: the error that rounding adds to a value of the data (of [-1, 1]), root mean squared; 0.03 when
            left out. Larger makes smaller files.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api
    from aegan.cli.codes import check_out, write_codes

    check_out(out, error)
    estimator = api.load(run, device=device)
    print(write_codes(estimator, source, out, error=error, overwrite=overwrite))


def decode(
    run: Positional[Run],
    codes: Positional[Path],
    /,
    *,
    out: str,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Decode a file made by `aegan encode` into a folder of PNGs, one .png grid, an .npy or .npz file.

    Args:
        run: Run folder.
        codes: File made by `aegan encode`, ending in .npz or .aec. The latter's classes are kept.
        out: Folder, or file ending in .png, .npy or .npz; for tables as in `aegan sample`.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api
    from aegan.cli.codes import decode_file

    estimator = api.load(run, device=device)
    x, labels = decode_file(estimator, codes)
    print(estimator.kind.write_tensors(estimator, x, out, labels=labels, what="", overwrite=overwrite))


def reconstruct(
    run: Positional[Run],
    source: Positional[Source],
    /,
    *,
    out: str,
    where: Annotated[Repeated[list[str]], tyro.conf.arg(metavar="LABEL=VALUE")] = [],  # noqa: B006
    device: Literal["auto", "cpu", "cuda"] = "auto",
    overwrite: Flag[bool] = False,
) -> None:
    """Encode and decode SOURCE: what the autoencoder keeps of it.

    Args:
        run: Run folder.
        source: What to reconstruct.
        out: Folder, or file ending in .png, .npy or .npz; for tables as in `aegan sample`.
        where: A label of recordings to change, all else kept, such as speaker=theo; may be repeated.
        device: Where to compute.
        overwrite: Replace what is at --out.
    """
    from aegan import api

    estimator = api.load(run, device=device)
    x, labels = estimator.kind.reconstruct(estimator, source, where=pairs("--where", where))
    print(estimator.kind.write_tensors(estimator, x, out, labels=labels, what="reconstructions", overwrite=overwrite))

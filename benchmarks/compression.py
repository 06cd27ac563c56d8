"""Rate and distortion on Fashion-MNIST: aegan's codes beside PCA through the same coder, JPEG and WebP.

    python benchmarks/compression.py --data DIR --out RESULTS [--minutes 6 | --steps 3000] [--seed 0]

DIR holds the four IDX files of Fashion-MNIST (or MNIST). Trains one plain autoencoder for each of --latent-dims on the
60,000 training pictures, for the squared error alone, and fits PCA on the same; both are judged by the 10,000 test
pictures, after rounding to bytes. A rate is the size on disk divided by the number of pictures, headers and tables
included, labels left out. Runs and points in RESULTS are used again, so that an interrupted benchmark goes on. Prints
Markdown tables, writes compression.json and two SVG.
"""

from __future__ import annotations

import argparse
import io
import json
import lzma
import math
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import aegan
from aegan.codec import Grid, encode_columns, fit_grid, read_codes, sensitivity, write_codes
from aegan.data import ImageAdapter
from aegan.metrics import decibels, mean_squared_error, ssim
from line_plot import Line, line_plot

ERRORS = (0.03, 0.06, 0.1, 0.15, 0.22)
"""The dial of the codes: root mean squared error added to a value of [-1, 1]."""
STEPS = (0.2, 0.4, 0.8, 1.4, 2.2, 3.4, 5.0)
"""Steps of the PCA's coefficients, all in the units of the data."""
COMPONENTS = (256,)
BUDGETS = (4, 8, 16, 32, 64, 128)
"""Bytes a picture of the table's columns."""
QUALITIES = {"JPEG": (2, 8, 20, 45, 75), "WebP": (0, 3, 7, 12, 20)}
FEW = 500
"""Pictures of the methods that take a file each."""
SSIM_OF = 2_000
"""Pictures over which SSIM is averaged."""
BASE = {"feature_weight": 0, "class_weight": 0}
Point = dict[str, Any]


def main() -> None:
    """Train what is missing, measure everything, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=6.0, help="of training, for each autoencoder")
    parser.add_argument("--steps", type=int, help="train for this many steps instead")
    parser.add_argument("--latent-dims", type=int, nargs="*", default=[32])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="further settings of the model")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    adapter = ImageAdapter().fit(str(options.data))
    train = torch.as_tensor(adapter.to_tensors(str(options.data)).fields["x"])
    test = torch.as_tensor(adapter.to_tensors(_test(options.data)).fields["x"])
    raw = test[0].numel()
    points: list[Point] = []
    models, coders = {}, {}
    for dim in options.latent_dims:
        model, name = trained(options, dim), f"aegan, {dim} values"
        found = kept(options.out / f"points-{dim}-{options.seed}.json", autoencoder, model, test, options.out, name)
        points += found["points"]
        coders[name] = found["coders"]
        models[name] = {
            "bytes": model.run.weights.stat().st_size,
            "samples": _seen(model.run.path),
            "parameters": sum(p.numel() for p in model.model.parameters()),
        }
    for count in COMPONENTS:
        points += kept(options.out / f"points-pca-{count}.json", pca, train, test, options.out, count)
        models[f"PCA, {count} components"] = {"bytes": 4 * (count + 1) * raw, "samples": len(train)}
    for kind in QUALITIES:
        points += kept(options.out / f"points-{kind}.json", pictures, test, kind)
    (options.out / "compression.json").write_text(
        json.dumps({"points": points, "models": models, "coders": coders, "test": len(test), "raw": raw}, indent=2)
    )
    show(points, models, coders, len(test), raw)
    draw(points, options.out)


def kept(path: Path, measure: Callable[..., Any], *arguments: Any) -> Any:
    """What ``measure`` gave before, or gives now."""
    if not path.exists():
        path.write_text(json.dumps(measure(*arguments)))
    return json.loads(path.read_text())


def trained(options: argparse.Namespace, dim: int) -> aegan.Estimator:
    """The run of this seed and width, trained unless it is there."""
    run = options.out / f"run-{dim}-{options.seed}"
    if not (run / "model.safetensors").exists():
        command = [sys.executable, "-m", "aegan.cli.main", "fit", str(options.data), "--out", str(run), "--overwrite"]
        command += ["--model", "autoencoder", "--seed", str(options.seed), "--holdout", "0", "--no-evaluate"]
        command += ["--budget", f"{options.minutes}m"] if options.steps is None else ["--steps", str(options.steps)]
        settings = [f"{key}={value}" for key, value in ({"latent_dim": dim} | BASE).items()]
        for setting in [*settings, *options.set]:
            command += ["--set", setting]
        subprocess.run(command, check=True)
    return aegan.load(run, device="cpu")


def autoencoder(model: aegan.Estimator, test: torch.Tensor, out: Path, name: str) -> dict[str, Any]:
    """Points of the dial: as ``aegan encode`` writes them, and with a grid as wide as each value's deviation."""
    codes = model.encode(test.numpy())
    values = test[0].numel()
    grids = {
        name: sensitivity(lambda z: model.decode_tensors(z).numpy(), codes),
        f"{name}, grid by deviation": 1 / codes.std(0).clip(1e-6),
    }
    # The two scales of the second grid's dial meet where the typical spacing is the same.
    grids[f"{name}, grid by deviation"] *= np.sqrt((grids[name] ** 2).mean() * (codes.std(0) ** 2).mean())
    points, middle = [], np.zeros((1, 1), np.int64)
    points.append(_point(f"{name}, codes not rounded", 0, 4 * codes.shape[1], test, model.decode_tensors(codes)))
    for method, heeded in grids.items():
        for error in ERRORS if method == name else ERRORS[1::2]:
            grid = fit_grid(codes, heeded, error=error, values=values)
            size, read = stored(codes, grid, out)
            points.append(_point(method, error, size / len(test), test, model.decode_tensors(read.codes)))
            if method == name and error == ERRORS[1]:
                middle = read.integers
    return {"points": points, "coders": coded(middle)}


def pca(train: torch.Tensor, test: torch.Tensor, out: Path, count: int) -> list[Point]:
    """Principal components of the training pictures; coefficients rounded with one step and coded as the codes are.

    With one step for all, a component that is not worth its bits rounds to a constant and costs next to nothing, so
    that the number of components needs no search.
    """
    x = train.flatten(1).float().div_(127.5).sub_(1)
    mean = x.mean(0)
    covariance = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64)
    for part in x.split(10_000):
        covariance += ((part - mean).T @ (part - mean)).double()
    directions = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :count].float()
    codes = ((test.flatten(1).float() / 127.5 - 1 - mean) @ directions).numpy()
    points = []
    for step in STEPS:
        spacing = np.full(count, step, np.float32)
        size, read = stored(codes, Grid(np.zeros(count, np.float32), spacing), out)
        x_hat = (mean + torch.from_numpy(read.codes) @ directions.T).reshape(test.shape)
        points.append(_point(f"PCA, {count} components", step, size / len(test), test, x_hat))
    return points


def stored(codes: np.ndarray, grid: Grid, out: Path) -> tuple[int, Any]:
    """Bytes on disk of these codes, and what is read back."""
    path = out / "codes.aec"
    about = {"run": "benchmark", "model": "benchmark", "weights": "0" * 16, "shape": [1, 28, 28], "error": 0.0}
    written = write_codes(path, codes, grid, about=about, raw=1, overwrite=True)
    return written.size, read_codes(path)


def coded(integers: np.ndarray) -> dict[str, float]:
    """Bytes a sample of the same integers by several coders, without any header."""
    planes = integers.astype(np.int8 if np.abs(integers).max() < 128 else np.int16).T.tobytes()
    entropy = 0.0
    for column in integers.T:
        counts = np.unique(column, return_counts=True)[1]
        entropy += float((counts * np.log2(len(column) / counts)).sum()) / 8
    found = {
        "entropy of each value by itself": entropy,
        "range coder, tables included": len(encode_columns(integers)),
        "zlib 9": len(zlib.compress(planes, 9)),
        "lzma 9": len(lzma.compress(planes, preset=9 | lzma.PRESET_EXTREME)),
    }
    try:
        import zstandard
    except ImportError:
        print("zstandard is not installed: its row is left out")
    else:
        found["zstandard 19"] = len(zstandard.ZstdCompressor(level=19).compress(planes))
    return {name: size / len(integers) for name, size in found.items()}


def pictures(test: torch.Tensor, kind: str) -> list[Point]:
    """JPEG or WebP: a file each (of the first few), and all in one mosaic, which shares the header.

    In a mosaic a picture's cell is 28 pixels wide, or 32 with the border repeated, which fits the formats' blocks.
    """
    points = []
    for quality in QUALITIES[kind]:
        for cell in (28, 32):
            size, whole = squeezed(mosaic(test, cell), kind, quality)
            x_hat = torch.from_numpy(cut(whole, len(test), cell, test.shape[2])).float() / 127.5 - 1
            points.append(_point(f"{kind}, one mosaic", [quality, cell], size / len(test), test, x_hat))
        few = test[:FEW]
        sizes, back = zip(*(squeezed(picture[0].numpy(), kind, quality) for picture in few), strict=True)
        x_hat = torch.from_numpy(np.stack(back))[:, None].float() / 127.5 - 1
        points.append(_point(f"{kind}, a file each", quality, sum(sizes) / len(few), few, x_hat))
    return points


def squeezed(pixels: np.ndarray, kind: str, quality: int) -> tuple[int, np.ndarray]:
    """Bytes of the file, and the grey picture that it gives."""
    buffer = io.BytesIO()
    extra = {"optimize": True} if kind == "JPEG" else {"method": 6}
    Image.fromarray(pixels).save(buffer, format=kind, quality=quality, **extra)
    return len(buffer.getvalue()), np.asarray(Image.open(buffer).convert("L"))


def mosaic(test: torch.Tensor, cell: int) -> np.ndarray:
    """All pictures in rows, uint8; each with its last row and column repeated up to ``cell``."""
    side = math.ceil(math.sqrt(len(test)))
    pad = cell - test.shape[2]
    x = np.pad(test[:, 0].numpy(), ((0, side * side - len(test)), (0, pad), (0, pad)), mode="edge")
    return np.ascontiguousarray(x.reshape(side, side, cell, cell).transpose(0, 2, 1, 3)).reshape(side * cell, -1)


def cut(whole: np.ndarray, count: int, cell: int, size: int) -> np.ndarray:
    """Inverse of :func:`mosaic`: ``(count, 1, size, size)``."""
    side = len(whole) // cell
    cells = whole.reshape(side, cell, side, cell).transpose(0, 2, 1, 3).reshape(-1, 1, cell, cell)
    return cells[:count, :, :size, :size].copy()


def _point(method: str, dial: Any, rate: float, test: torch.Tensor, x_hat: torch.Tensor) -> Point:
    """PSNR of the error averaged over all pictures, and the mean SSIM of the first, of what a byte a pixel can hold."""
    x = test.float() / 127.5 - 1
    x_hat = ((x_hat.clamp(-1, 1) + 1) * 127.5).round() / 127.5 - 1
    quality = decibels(mean_squared_error(x, x_hat).mean()).item()
    point = {"method": method, "dial": dial, "bytes": rate, "psnr": quality, "ssim": 0.0}
    point["ssim"] = ssim(x[:SSIM_OF], x_hat[:SSIM_OF]).mean().item()
    print(f"  {time.strftime('%H:%M:%S')} {point}", file=sys.stderr, flush=True)
    return point


def front(points: Iterable[Point], figure: str) -> list[tuple[float, float]]:
    """The best figure at each rate: those points that no smaller one equals."""
    best: list[tuple[float, float]] = []
    for rate, value in sorted((p["bytes"], p[figure]) for p in points):
        if not best or value > best[-1][1]:
            best.append((rate, value))
    return best


def at(best: list[tuple[float, float]], budget: float) -> float | None:
    """The figure at ``budget`` bytes, between the points by the logarithm of bytes; None below the smallest."""
    if budget < best[0][0]:
        return None
    logs, values = [math.log(rate) for rate, _ in best], [value for _, value in best]
    return float(np.interp(math.log(budget), logs, values))


def show(points: list[Point], models: dict, coders: dict, count: int, raw: int) -> None:
    """The tables, in Markdown."""
    print(f"\n{time.strftime('%Y-%m-%d')}, torch {torch.__version__}, {count} test pictures of {raw} bytes\n")
    print("PSNR in dB / SSIM at so many bytes a picture:\n")
    print(f"| method | {' | '.join(map(str, BUDGETS))} | largest measured |")
    print("|---|" + "---|" * (len(BUDGETS) + 1))
    for method in dict.fromkeys(p["method"] for p in points):
        own = [p for p in points if p["method"] == method]
        psnrs, ssims = front(own, "psnr"), front(own, "ssim")
        pairs = [(at(psnrs, budget), at(ssims, budget)) for budget in BUDGETS]
        cells = ["–" if a is None or b is None else f"{a:.1f} / {_short(b)}" for a, b in pairs]
        best = f"{psnrs[-1][1]:.1f} / {_short(ssims[-1][1])} at {psnrs[-1][0]:.0f} B"
        print(f"| {method} | {' | '.join(cells)} | {best} |")
    print("\n| model | bytes | bytes a picture over the test set |\n|---|---|---|")
    for name, about in models.items():
        print(f"| {name} ({about['samples']:,} pictures seen) | {about['bytes']:,} | {about['bytes'] / count:.0f} |")
    print("\n| coder, the same integers | bytes a picture |\n|---|---|")
    for name, sizes in coders.items():
        for coder, size in sizes.items():
            print(f"| {name}: {coder} | {size:.2f} |")


def draw(points: list[Point], out: Path) -> None:
    """``compression-psnr.svg`` and ``compression-ssim.svg``."""
    shown = [m for m in dict.fromkeys(p["method"] for p in points) if "deviation" not in m and "rounded" not in m]
    for figure, label in (("psnr", "PSNR in dB"), ("ssim", "SSIM")):
        lines = []
        for colour, method in enumerate(shown):
            best = front((p for p in points if p["method"] == method and p["bytes"] <= 1000), figure)
            x, y = [rate for rate, _ in best], [value for _, value in best]
            lines.append(Line(method, x, y, y, y, colour, dashed="a file each" in method))
        floor = 10.0 if figure == "psnr" else 0.0
        path, title = out / f"compression-{figure}.svg", f"Fashion-MNIST: {label} by size"
        line_plot(path, title, "bytes a picture on disk", label, lines, log_x=True, floor=floor)


def _short(value: float) -> str:
    return f"{value:.3f}".lstrip("0")


def _seen(run: Path) -> int:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return max(json.loads(line).get("samples", 0) for line in lines if '"event": "step"' in line)


def _test(folder: Path) -> str:
    found = sorted(folder.glob("t10k-images*"))
    if not found:
        sys.exit(f"{folder}: t10k-images-idx3-ubyte(.gz) not found. --data needs the four IDX files.")
    return str(found[0])


if __name__ == "__main__":
    main()

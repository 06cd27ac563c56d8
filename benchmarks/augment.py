"""Does augmentation help a classifier on few samples? Real only, geometry, mixup, SMOTE and ours, over seeds.

    python benchmarks/augment.py images --data sign_digits fashion_mnist --per-class 10 30 100 --out results.json
    python benchmarks/augment.py tables --data adult online_shoppers --minority 10 30 100 --out results.json

Every method sees the same training samples and gives the same classifier the same number of steps; ours trains its
autoencoder on those samples alone. Figures are means over seeds with 95 % intervals (bootstrap over seeds), and paired
differences from "real" with theirs. Seconds are of this process on one core.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

import aegan
from aegan.augment.transforms import flip, rotation, scaling, translation
from aegan.augmentation.engine import Augmenter, Labels, Settings
from aegan.augmentation.space import Space
from aegan.config import TrainConfig, override, to_json
from aegan.data.base import TensorData
from aegan.data.sources import open_source
from aegan.models.registry import build, entry
from aegan.train.backend import Backend
from aegan.train.trainer import Trainer
from aegan.types import Spec

DATA = Path(__file__).parents[2] / "shared" / "data"
SIDE = 16
"""Of the images, so that five seeds of everything are an affair of minutes on one core."""
TEST_A_CLASS = {"sign_digits": 80, "fashion_mnist": 200}
NAMES = tuple("0123456789")
BATCH = 32
MIRRORED = ("fashion_mnist",)
"""Sets whose images mean the same seen in a mirror."""


# --- images --------------------------------------------------------------------------------------------------


def load_images(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Grey images uint8 ``(N, SIDE, SIDE)`` and classes."""
    if name == "fashion_mnist":
        import gzip

        x = np.frombuffer(gzip.open(DATA / name / "train-images-idx3-ubyte.gz").read(), np.uint8, offset=16)
        y = np.frombuffer(gzip.open(DATA / name / "train-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
        pictures = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BOX) for one in x.reshape(-1, 28, 28)]
        return np.stack([np.asarray(p) for p in pictures]), y.astype(np.int64)
    source = open_source(DATA / name)
    pictures = [source.read(i).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX) for i in range(len(source))]
    assert source.labels is not None
    return np.stack([np.asarray(p) for p in pictures]), np.asarray(source.labels)


def parted(y: np.ndarray, n: int, test: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``n`` training samples a class by ``seed``; the same ``test`` samples a class for all."""
    train, held = [], []
    for c in np.unique(y):
        own = np.random.default_rng(12345).permutation(np.flatnonzero(y == c))
        held.append(own[:test])
        train.append(np.random.default_rng(seed).permutation(own[test:])[:n])
    return np.concatenate(train), np.concatenate(held)


class Classifier(nn.Module):
    """Three convolutions with batch normalisation; enough for such images, and not more than few samples bear."""

    def __init__(self, classes: int) -> None:
        super().__init__()

        def block(a: int, b: int) -> list[nn.Module]:
            return [nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2)]

        self.body = nn.Sequential(*block(1, 12), *block(12, 24), *block(24, 48), nn.Flatten(), nn.Dropout(0.3))
        self.head = nn.Linear(48 * 4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(B, classes)``."""
        return self.head(self.body(x))


Batch = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def accuracy(
    real: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    *,
    added: tuple[Tensor, Tensor] | None = None,
    change: Batch | None = None,
    steps: int,
    seed: int,
) -> float:
    """Train on ``real``; half of each batch from ``added``, if given; targets are rows of probabilities."""
    classes = int(real[1].max()) + 1
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    network = Classifier(classes).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(steps):
        parts = [real] if added is None else [real, added]
        x, y = [], []
        for part in parts:
            index = torch.randint(len(part[0]), (BATCH // len(parts),), generator=generator)
            x.append(part[0][index])
            y.append(nn.functional.one_hot(part[1][index], classes).float())
        bx, by = torch.cat(x), torch.cat(y)
        if change is not None:
            bx, by = change(bx, by, generator)
        loss = nn.functional.cross_entropy(network(bx), by)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        found = torch.cat([network(part).argmax(1) for part in test[0].split(500)])
    return float((found == test[1]).float().mean())


def geometry(mirrored: bool) -> Batch:
    """Shift by an eighth, turn by a twentieth of a turn, zoom; mirror where that changes no meaning."""

    def change(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        # Shifts bring in the edge's own grey, not a constant one.
        x = scaling(rotation(x))
        pad = nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")
        x = translation(pad, part=0.1)[:, :, 2:-2, 2:-2]
        return (flip(x) if mirrored else x), y

    return change


def mixup(x: Tensor, y: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Zhang et al. 2018 with α = 0.2."""
    share = torch.distributions.Beta(0.2, 0.2).sample((len(x),))
    other = torch.randperm(len(x), generator=generator)
    return (
        share[:, None, None, None] * x + (1 - share)[:, None, None, None] * x[other],
        share[:, None] * y + (1 - share)[:, None] * y[other],
    )


def smote(x: np.ndarray, y: np.ndarray, num: int, seed: int, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Between nearest neighbours of a class, of the values themselves (Chawla et al. 2002)."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([rng.permutation(len(x)) for _ in range(-(-num // len(x)))])[:num]
    flat, out = x.reshape(len(x), -1).astype(np.float64), []
    for i in rows:
        own = np.flatnonzero(y == y[i])
        order = own[np.argsort(((flat[own] - flat[i]) ** 2).sum(1), kind="stable")][1 : k + 1]
        out.append(flat[i] + rng.random() * (flat[rng.choice(order)] - flat[i]))
    return np.stack(out).reshape(len(rows), *x.shape[1:]), y[rows]


def tensors(x: np.ndarray, y: np.ndarray) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1] and classes."""
    return torch.tensor(x, dtype=torch.float32)[:, None] / 127.5 - 1, torch.tensor(y, dtype=torch.int64)


def images(arguments: argparse.Namespace) -> list[dict]:
    """A row for each set, size, seed and method."""
    rows = []
    for name in arguments.data:
        x, y = load_images(name)
        for n in arguments.per_class:
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                rows += image_case(name, x, y, n, seed, arguments)
                save(arguments, rows)
    return rows


def image_case(name: str, x: np.ndarray, y: np.ndarray, n: int, seed: int, arguments: argparse.Namespace) -> list[dict]:
    """Every method on one training set."""
    train, held = parted(y, n, TEST_A_CLASS[name], seed)
    real, test = tensors(x[train], y[train]), tensors(x[held], y[held])
    turn = geometry(name in MIRRORED)
    rows = []

    def judged(method: str, spent: float = 0.0, **options) -> None:
        if arguments.methods and method.split(" ")[0] not in arguments.methods:
            return
        begun = time.process_time()
        score = accuracy(real, test, steps=arguments.classifier_steps, seed=seed, **options)
        seconds = time.process_time() - begun + spent
        rows.append({"data": name, "n": n, "seed": seed, "method": method, "score": score, "seconds": seconds})
        print(f"{name} {n} a class, seed {seed}: {method} {score:.3f} ({seconds:.0f} s)", flush=True)

    judged("real")
    judged("geometry", change=turn)
    judged("mixup", change=mixup)
    begun = time.process_time()
    made = tensors(*smote(x[train], y[train], arguments.times * len(train), seed))
    judged("smote", time.process_time() - begun, added=made)
    settings = dict(pair.split("=", 1) for pair in arguments.set)
    begun = time.process_time()
    space = fitted(real, arguments.model, arguments.steps, seed, settings, dense=arguments.dense)
    trained = time.process_time() - begun
    data, labels = TensorData(x=shaped(real[0], arguments.dense), y=real[1]), Labels(y=real[1], names=NAMES)
    for strength in arguments.strength:
        for operations in arguments.operations or ["auto"]:
            begun = time.process_time()
            asked = Settings(
                num=arguments.times * len(train),
                strength=strength,
                operations=operations if operations == "auto" else operations.split("+"),
                seed=seed,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", aegan.errors.AeganWarning)
                done = Augmenter(space, data, asked, labels).make()
            spent = trained + time.process_time() - begun
            added = (done.x.view(-1, 1, SIDE, SIDE), done.y)
            label = f"ours s={strength:g}" + ("" if operations == "auto" else f" {operations}")
            judged(label, spent, added=added)
            judged(label.replace("ours", "ours+geometry"), spent, added=added, change=turn)
    return rows


def shaped(x: Tensor, dense: bool) -> Tensor:
    return x.flatten(1) if dense else x


def fitted(
    real: tuple[Tensor, Tensor], model: str, steps: int, seed: int, settings: dict[str, str], *, dense: bool
) -> Space:
    """An autoencoder of the training samples: of images, or of vectors where it is to be dense."""
    x = shaped(real[0], dense)
    spec = Spec(kind="vector" if dense else "image", shape=tuple(x.shape[1:]), classes=NAMES)
    torch.manual_seed(seed)
    network = build(model, spec, to_json(override(entry(model).load().Config(), settings)))
    data, config = TensorData(x=x, y=real[1]), TrainConfig(steps=steps, seed=seed, grids=0)
    Trainer(network, data, config, Backend("cpu", "fp32")).fit()
    return Space(network.eval().requires_grad_(False), spec, name=model)


# --- tables --------------------------------------------------------------------------------------------------

TARGETS = {"adult": ("income", ">50K"), "online_shoppers": ("Revenue", True)}


def load_table(name: str) -> pd.DataFrame:
    """The table, its target boolean."""
    if name == "adult":
        frame = pd.read_csv(DATA / name / "adult.csv", na_values="?", skipinitialspace=True)
    else:
        frame = pd.read_csv(DATA / name / "online_shoppers_intention.csv", sep=None, engine="python")
    column, positive = TARGETS[name]
    frame[column] = frame[column].astype(str).str.strip().str.rstrip(".") == str(positive)
    return frame


def tables(arguments: argparse.Namespace) -> list[dict]:
    """A row for each table, size of the minority, seed and method."""
    rows = []
    for name in arguments.data:
        frame = load_table(name)
        for n in arguments.minority:
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                rows += table_case(name, frame, n, seed, arguments)
                save(arguments, rows)
    return rows


def table_case(name: str, frame: pd.DataFrame, n: int, seed: int, arguments: argparse.Namespace) -> list[dict]:
    """Every method on ``n`` rows of the minority and ``majority`` of the other class; 5,000 rows to test on."""
    target = TARGETS[name][0]
    order = np.random.default_rng(12345).permutation(len(frame))
    test, pool = frame.iloc[order[:5000]], frame.iloc[order[5000:]]
    draw = np.random.default_rng(seed)
    few = pool[pool[target]].iloc[draw.permutation(int(pool[target].sum()))[:n]]
    many = pool[~pool[target]].iloc[draw.permutation(int((~pool[target]).sum()))[: arguments.majority]]
    train = pd.concat([few, many]).sample(frac=1, random_state=seed).reset_index(drop=True)
    rows = []

    def judged(method: str, data: pd.DataFrame, spent: float = 0.0, *, weighted: bool = False) -> None:
        begun = time.process_time()
        scores = average_precision(data, test, target, seed, weighted=weighted)
        seconds = time.process_time() - begun + spent
        for score, value in scores.items():
            about = {"data": name, "n": n, "seed": seed, "method": method, "metric": score}
            rows.append(about | {"score": value, "seconds": seconds})
        told = ", ".join(f"{score} {value:.3f}" for score, value in scores.items())
        print(f"{name} {n} of {len(train)}, seed {seed}: {method} {told} ({seconds:.0f} s)", flush=True)

    judged("real", train)
    judged("weights", train, weighted=True)
    extra = train[train[target]].sample(len(many) - n, replace=True, random_state=seed)
    judged("copies", pd.concat([train, extra]))
    judged("smote", smote_table(train, target, len(many) - n, seed))
    begun = time.process_time()
    estimator = aegan.fit(
        train,
        kind="table",
        model=arguments.model,
        steps=arguments.steps,
        seed=seed,
        holdout=0.0,
        evaluate=False,
        doctor=False,
    )
    fitted = time.process_time() - begun
    for strength in arguments.strength:
        for operations in arguments.operations or ["auto"]:
            begun = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", aegan.errors.AeganWarning)
                done = estimator.augment(
                    train,
                    label=target,
                    balance=True,
                    originals=True,
                    strength=strength,
                    seed=seed,
                    operations=operations if operations == "auto" else operations.split("+"),
                )
            label = f"ours s={strength:g}" + ("" if operations == "auto" else f" {operations}")
            judged(label, done.data, fitted + time.process_time() - begun)
    return rows


def average_precision(
    train: pd.DataFrame, test: pd.DataFrame, target: str, seed: int, *, weighted: bool
) -> dict[str, float]:
    """Of boosted trees and of a logistic regression."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    numbers = [c for c in train if c != target and pd.api.types.is_numeric_dtype(test[c]) and test[c].dtype != bool]
    names = [c for c in train if c != target and c not in numbers]
    x, y = train.drop(columns=target), train[target].astype(str).eq("True").to_numpy()
    x, other = (part.assign(**{c: part[c].astype(str) for c in names}) for part in (x, test.drop(columns=target)))
    truth = test[target].to_numpy().astype(bool)
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    trees = make_pipeline(
        make_column_transformer((ordinal, names), remainder="passthrough"),
        HistGradientBoostingClassifier(max_iter=100, random_state=seed, class_weight="balanced" if weighted else None),
    )
    linear = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), names),
            (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ),
        LogisticRegression(max_iter=1000, C=0.3, class_weight="balanced" if weighted else None),
    )
    out = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for label, model in (("trees", trees), ("linear", linear)):
            model.fit(x[names + numbers], y)
            out[label] = float(average_precision_score(truth, model.predict_proba(other[names + numbers])[:, 1]))
    return out


def smote_table(train: pd.DataFrame, target: str, num: int, seed: int, k: int = 5) -> pd.DataFrame:
    """SMOTE-NC (Chawla et al. 2002): amounts between neighbours, names as most neighbours have them."""
    rng = np.random.default_rng(seed)
    own = train[train[target]].reset_index(drop=True)
    numbers = [c for c in own if c != target and pd.api.types.is_numeric_dtype(own[c]) and own[c].dtype != bool]
    names = [c for c in own if c != target and c not in numbers]
    amounts = own[numbers].astype(float)
    amounts = amounts.fillna(amounts.median())
    spread = amounts.std().replace(0, 1).fillna(1)
    scaled, cells = (amounts / spread).to_numpy(), own[names].astype(str).to_numpy()
    made = []
    for i in rng.integers(len(own), size=num):
        distance = ((scaled - scaled[i]) ** 2).sum(1) + (cells != cells[i]).sum(1)
        near = np.argsort(distance, kind="stable")[1 : k + 1]
        step = rng.random() * (amounts.iloc[rng.choice(near)] - amounts.iloc[i])
        row = own.iloc[i].copy()
        row[numbers] = amounts.iloc[i] + step
        for c in names:
            row[c] = own[c].iloc[near].mode(dropna=False).iloc[0]
        made.append(row)
    return pd.concat([train, pd.DataFrame(made)], ignore_index=True).astype(train.dtypes.to_dict(), errors="ignore")


# --- intervals -----------------------------------------------------------------------------------------------


def interval(values: np.ndarray, seed: int = 0) -> tuple[float, float, float]:
    """Mean and its 95 % interval by bootstrap."""
    draws = np.random.default_rng(seed).integers(len(values), size=(10_000, len(values)))
    low, high = np.quantile(values[draws].mean(1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def summary(rows: list[dict]) -> str:
    """A Markdown table: mean with interval, paired difference from ``real`` with its interval, seconds."""
    frame = pd.DataFrame(rows)
    keys = [c for c in ("data", "metric", "n") if c in frame]
    lines = [" | ".join(["", *keys, "method", "score", "minus real", "seconds", ""]).strip()]
    lines.append("|" + "---|" * (len(keys) + 4))
    for key, part in frame.groupby(keys, sort=False):
        real = part[part.method == "real"].set_index("seed").score
        for method, own in part.groupby("method", sort=False):
            own = own.set_index("seed")
            mean, low, high = interval(own.score.to_numpy())
            gain = interval((own.score - real).dropna().to_numpy())
            told = f"{gain[0]:+.3f} [{gain[1]:+.3f}, {gain[2]:+.3f}]" if method != "real" else ""
            cells = [*map(str, key), method, f"{mean:.3f} [{low:.3f}, {high:.3f}]", told, f"{own.seconds.mean():.0f}"]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def save(arguments: argparse.Namespace, rows: list[dict]) -> None:
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(rows, indent=1))


def main() -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("images", "tables", "summary"))
    parser.add_argument("--data", nargs="+", default=["sign_digits", "fashion_mnist"])
    parser.add_argument("--per-class", nargs="+", type=int, default=[10, 30, 100])
    parser.add_argument("--minority", nargs="+", type=int, default=[10, 30, 100])
    parser.add_argument("--majority", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--model", default=None)
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--classifier-steps", type=int, default=300)
    parser.add_argument("--times", type=int, default=5, help="augmented samples for one real")
    parser.add_argument("--dense", action="store_true", help="an autoencoder of dense layers, for few seconds")
    parser.add_argument("--strength", nargs="+", type=float, default=[0.5])
    parser.add_argument("--operations", nargs="*", default=[], help="joined by +, as in gaussian+mix")
    parser.add_argument("--methods", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "summary":
        print(summary(json.loads(arguments.out.read_text())))
        return
    if not DATA.is_dir():
        raise SystemExit(f"{DATA} is not there; this benchmark needs its data sets.")
    torch.set_num_threads(1)
    if arguments.model is None:
        arguments.model = "contractive" if arguments.what == "images" else "autoregressive"
    rows = (images if arguments.what == "images" else tables)(arguments)
    print(summary(rows))


if __name__ == "__main__":
    main()

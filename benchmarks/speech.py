"""Spoken digits: what can be recognised in samples, reconstructions and compressed recordings, beside real ones.

    python benchmarks/speech.py --data DATA --out RESULTS [--seeds 0] [--steps 2500] [--num 300] [--vocoder neural]

DATA holds ``fsdd/recordings/{digit}_{speaker}_{index}.wav``; the official test recordings are those of index 0 to 4.
Nothing is trained on them. One network, trained on the training recordings, tells digit and speaker of all rows; its
accuracy on the test recordings is stated. Steps rather than seconds, so that the result does not hang on the machine's
other work; processor seconds are told. Runs are kept in RESULTS and not repeated.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import aegan
from aegan.data.audio import AudioAdapter
from aegan.data.audio_files import has_soundfile
from aegan.data.audio_source import Recordings
from aegan.kinds.audio import audio_adapter, recordings_of
from aegan.kinds.audio_judge import real_recordings
from aegan.metrics.audio import evaluate_audio, mel_distance
from aegan.metrics.audio_classifier import AudioFeatures, accuracy_of, train_audio_features
from aegan.metrics.frechet import frechet_distance

PATTERN = "{digit}_{speaker}_{index}"
TEST = range(5)
SHARES = {"autoencoder_share": "0.24", "latent.share": "0.48", "joint.share": "0.28"}
"""Of the steps; a step of the GAN on codes costs a fifth of the others', so the time is spent as by default."""
ERRORS = (0.03, 0.1, 0.2)
PEERS = (("OGG", "VORBIS", 0.0), ("OGG", "OPUS", 1.0))
"""Format, codec and libsndfile's compression level: each at its smallest."""


def files(data: Path) -> tuple[list[Path], list[Path]]:
    """Training and test recordings by the official split."""
    found = sorted((data / "fsdd" / "recordings").glob("*.wav"))
    if not found:
        raise SystemExit(f"{data}/fsdd/recordings holds no recordings.")
    test = [path for path in found if int(path.stem.split("_")[2]) in TEST]
    return [path for path in found if path not in set(test)], test


def fitted(
    train: list[Path], folder: Path, steps: int, seed: int, settings: dict[str, str], vocoder: str
) -> dict[str, float]:
    """Train into a folder unless that was done before; what it took."""
    told = folder / "benchmark.json"
    if not told.exists():
        began, cpu = time.perf_counter(), time.process_time()
        aegan.fit(
            train, out=folder, kind="audio", pattern=PATTERN, steps=steps, seed=seed, settings=settings, holdout=0.0,
            evaluate=False, precision="fp32", vocoder=vocoder, overwrite=folder.exists(),
        )  # fmt: skip
        cost = {"seconds": time.perf_counter() - began, "processor": time.process_time() - cpu}
        told.write_text(json.dumps(cost))
    return json.loads(told.read_text())


def judged(
    one: aegan.Estimator, learnt: Recordings, heard: Recordings, data: Any, space: AudioFeatures, num: int
) -> Any:
    """The evaluation's rows, and how much faster than real time samples are made."""
    adapter = audio_adapter(one)
    began = time.process_time()
    made = one.sample(num, seed=1)
    faster = sum(map(len, made)) / made.rate / (time.process_time() - began)
    found = evaluate_audio(
        train=learnt,
        synthetic=made,
        holdout=heard,
        reconstructions=recordings_of(one, one.reconstruct_tensors(data), data.labels),
        resynthesis=adapter.from_tensors(data.batch(torch.arange(len(data)))["x"]),
        features=space,
    )
    return found, faster


def changed(one: aegan.Estimator, test: list[Path], space: AudioFeatures, speakers: list[str]) -> dict[str, float]:
    """Every test recording by another speaker: whether the digit stays and the speaker is the new one."""
    digits = [path.stem.split("_")[0] for path in test]
    into = {path: speakers[(speakers.index(path.stem.split("_")[1]) + 1) % len(speakers)] for path in test}
    hits = {"digit": 0.0, "speaker": 0.0}
    for speaker in speakers:
        some = [i for i, path in enumerate(test) if into[path] == speaker]
        made = one.reconstruct([test[i] for i in some], where={"speaker": speaker})
        told = space.predict(made)
        hits["digit"] += sum(told["digit"][k] == digits[i] for k, i in enumerate(some))
        hits["speaker"] += sum(value == speaker for value in told["speaker"])
    return {name: value / len(test) for name, value in hits.items()}


def codec(
    one: aegan.Estimator, test: list[Path], heard: Recordings, space: AudioFeatures, folder: Path
) -> list[dict[str, Any]]:
    """Bytes a second against quality, of the autoencoder and of codecs made for the purpose."""
    seconds, rows = sum(map(len, heard)) / heard.rate, []

    def row(name: str, size: int, made: Recordings) -> None:
        accuracy = accuracy_of(space.predict(made), heard.labels)
        rows.append({"name": name, "bytes": size / seconds, "mel": mel_distance(heard, made), **accuracy})

    for error in ERRORS:
        path = folder / f"codes-{error}.aec"
        one.compress(test, path, error=error, overwrite=True)
        row(f"aegan, error {error:g}", path.stat().st_size, one.decompress(path))
    for form, subtype, level in PEERS if has_soundfile() else ():
        row(f"{form}/{subtype}, smallest", *_encoded(heard, form, subtype, level))
    return rows


def _encoded(heard: Recordings, form: str, subtype: str, level: float) -> tuple[int, Recordings]:
    """All recordings as one stream, so that headers do not count for each, and what comes back."""
    import soundfile

    buffer, whole = io.BytesIO(), np.concatenate(heard.waves)
    soundfile.write(buffer, whole, heard.rate, format=form, subtype=subtype, compression_level=level)
    size = buffer.tell()
    buffer.seek(0)
    back = soundfile.read(buffer, dtype="float32")[0]
    back = np.pad(back, (0, max(0, len(whole) - len(back))))[: len(whole)]
    return size, Recordings(np.split(back, np.cumsum([len(w) for w in heard.waves])[:-1]), heard.rate)


def vocoders(one: aegan.Estimator, data: Any, learnt: Recordings, heard: Recordings, space: AudioFeatures) -> list[Any]:
    """Real spectrograms to waveforms, by Griffin–Lim and by the run's learnt vocoder, where it has one."""
    adapter, rows = audio_adapter(one), []
    x, learnt_one, real = data.batch(torch.arange(len(data)))["x"], audio_adapter(one).to_wave, space(learnt)
    for name, way in (("Griffin–Lim", None), ("learnt", learnt_one)) if learnt_one is not None else ():
        adapter.to_wave = way
        began = time.process_time()
        made = adapter.from_tensors(x)
        faster = sum(map(len, made)) / made.rate / (time.process_time() - began)
        told = {**accuracy_of(space.predict(made), heard.labels), "frechet": frechet_distance(real, space(made))}
        rows.append({"name": name, "mel": mel_distance(heard, made), "faster": faster, **told})
    adapter.to_wave = learnt_one
    return rows


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--num", type=int, default=300, help="as many as there are test recordings")
    parser.add_argument("--vocoder", choices=("griffin-lim", "neural"), default="griffin-lim")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    train, test = files(options.data)
    options.out.mkdir(parents=True, exist_ok=True)
    space: AudioFeatures | None = None
    for seed in options.seeds:
        folder = options.out / f"fsdd-{options.vocoder}-{options.steps}-{seed}"
        settings = SHARES | dict(pair.split("=", 1) for pair in options.set)
        cost = fitted(train, folder, options.steps, seed, settings, options.vocoder)
        one = aegan.load(folder)
        adapter: AudioAdapter = audio_adapter(one)
        data, whole = adapter.to_tensors(test), adapter.to_tensors(train)
        learnt, heard = real_recordings(adapter, whole), real_recordings(adapter, data)
        space = space or train_audio_features(learnt, heard)
        found, faster = judged(one, learnt, heard, data, space, options.num)
        print(f"\n{time.strftime('%Y-%m-%d')}, seed {seed}: {options.steps} steps, {cost['processor']:.0f} processor")
        print(f"seconds; samples {faster:.1f} times faster than real time on one core.\n\n{found}\n")
        print("change of speaker:", changed(one, test, space, sorted(set(heard.labels["speaker"]))))
        for rows in (vocoders(one, data, learnt, heard, space), codec(one, test, heard, space, options.out)):
            for line in rows:
                print("  ".join(f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in line.items()))
        (options.out / f"{folder.name}.json").write_text(json.dumps(found.to_json() | {"cost": cost, "faster": faster}))


if __name__ == "__main__":
    main()

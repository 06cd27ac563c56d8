"""The evaluation of recordings: what it must notice, and what it must not."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.sounds import tones

from aegan.data.audio_source import Recordings
from aegan.errors import DataError
from aegan.metrics.audio import diversity, evaluate_audio, mel_distance
from aegan.metrics.audio_classifier import AudioFeatures, accuracy_of, train_audio_features
from aegan.metrics.audio_evaluation import AudioEvaluation


@pytest.fixture(scope="module")
def sets() -> tuple[Recordings, Recordings]:
    return tones(20, seed=0), tones(8, seed=1)


@pytest.fixture(scope="module")
def space(sets) -> AudioFeatures:
    return train_audio_features(*sets)


def test_the_network_learns_both_labels_and_leaves_the_random_state(sets, space: AudioFeatures) -> None:
    assert space.accuracy["word"] > 0.9 and space.accuracy["speaker"] > 0.9
    state = torch.get_rng_state()
    few = Recordings(sets[0].waves[::5], sets[0].rate, {k: v[::5] for k, v in sets[0].labels.items()})
    again = [train_audio_features(few, sets[1]).fingerprint for _ in range(2)]
    assert again[0] == again[1] and torch.equal(state, torch.get_rng_state())
    assert space(sets[1]).shape == (48, 64)


def test_another_rate_and_channel_count_are_heard_alike(sets, space: AudioFeatures) -> None:
    held = sets[1]
    doubled = Recordings([np.stack([np.repeat(w, 2)] * 2, 1) for w in held], 2 * held.rate, held.labels)
    assert accuracy_of(space.predict(doubled), held.labels)["word"] > 0.9


def test_perfect_samples_score_as_the_holdout_and_wrong_ones_do_not(sets, space: AudioFeatures) -> None:
    train, held = sets
    good = tones(8, seed=2)
    swapped = Recordings(good.waves, good.rate, good.labels | {"word": good.labels["word"][::-1]})
    one = evaluate_audio(train=train, synthetic=good, holdout=held, reconstructions=held, features=space)
    two = evaluate_audio(train=train, synthetic=swapped, holdout=held, features=space)
    made, real, same = (one.row(name) for name in ("synthetic", "real holdout", "reconstructions"))
    assert made and real and same
    assert made.accuracy["word"] > 0.9 and made.frechet < 3 * real.frechet
    assert same.mel_distance == 0.0 and same.frechet == pytest.approx(real.frechet)
    assert 0.8 < made.diversity < 1.2  # type: ignore[operator]
    assert two.rows[0].accuracy["word"] < 0.5 and one.memorisation.status == "clear"
    assert "Word recognised in" in one.headline() and "real holdout" in str(one) and "have no" not in str(one)
    unlabelled = evaluate_audio(train=train, synthetic=Recordings(good.waves, good.rate), holdout=held, features=space)
    assert "The synthetic recordings have no word" in str(unlabelled) and unlabelled.headline().startswith("Fréchet")


def test_noise_copies_and_sameness_are_noticed(sets, space: AudioFeatures) -> None:
    train, held = sets
    rng = np.random.default_rng(0)
    noise = Recordings([0.1 * rng.standard_normal(len(w)) for w in held], held.rate, held.labels)
    noisy = evaluate_audio(train=train, synthetic=noise, holdout=held, features=space)
    assert noisy.rows[0].frechet > 5 * noisy.rows[1].frechet and noisy.rows[0].accuracy["word"] < 0.8
    copies = Recordings(train.waves[:60], train.rate, {k: v[:60] for k, v in train.labels.items()})
    assert evaluate_audio(train=train, synthetic=copies, holdout=held, features=space).memorisation.status == "copies"
    first = {label: i for i, label in reversed(list(enumerate(zip(*held.labels.values(), strict=True))))}
    same = [held.waves[first[label]] for label in zip(*held.labels.values(), strict=True)]
    assert diversity(Recordings(same, held.rate, held.labels), space, ["word", "speaker"]) == pytest.approx(0, abs=1e-4)


def test_without_labels_what_it_sounds_like_is_compared(sets) -> None:
    train, held = (Recordings(s.waves, s.rate) for s in sets)
    good = Recordings(tones(8, seed=2).waves, held.rate)
    rng = np.random.default_rng(0)
    noise = Recordings([0.1 * rng.standard_normal(len(w)) for w in held], held.rate)
    fine, wrong = (evaluate_audio(train=train, synthetic=made, holdout=held) for made in (good, noise))
    assert fine.rows[0].frechet < 2 * fine.rows[1].frechet and wrong.rows[0].frechet > 10 * wrong.rows[1].frechet
    assert fine.rows[0].accuracy == {} and 0.8 < fine.rows[0].diversity < 1.2  # type: ignore[operator]
    assert "no labels" in str(fine) and fine.headline().startswith("Fréchet distance")


def test_mel_distance_is_in_decibels(sets) -> None:
    held = sets[1]
    louder = Recordings([1.1 * w for w in held], held.rate)
    assert mel_distance(held, louder) == pytest.approx(20 * np.log10(1.1), rel=0.05)
    assert mel_distance(held, held) == 0.0


def test_json_round_trip(sets, space: AudioFeatures) -> None:
    found = evaluate_audio(train=sets[0], synthetic=tones(8, seed=3), holdout=sets[1], features=space)
    assert AudioEvaluation.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(DataError, match="not an evaluation of recordings"):
        AudioEvaluation.from_json({"kind": "image"})
    with pytest.raises(DataError, match="Update aegan"):
        AudioEvaluation.from_json(found.to_json() | {"version": 99})


def test_bad_input(sets, space: AudioFeatures) -> None:
    train, held = sets
    few = Recordings(held.waves[:3], held.rate)
    with pytest.raises(DataError, match="'synthetic' holds 3 recordings; at least 7"):
        evaluate_audio(train=train, synthetic=few, holdout=held, features=space)
    with pytest.raises(DataError, match="60 resynthesis of 48"):
        more = Recordings(train.waves[:60], train.rate)
        evaluate_audio(train=train, synthetic=held, holdout=held, resynthesis=more, features=space)
    with pytest.raises(DataError, match="with labels none"):
        train_audio_features(Recordings(train.waves, train.rate), held)

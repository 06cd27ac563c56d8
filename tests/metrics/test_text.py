"""Metrics of text: against counts by hand, the definitions written out, and published figures."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from aegan.errors import ConfigError, DataError
from aegan.metrics.text import evaluate_text
from aegan.metrics.text_bleu import ORDERS, bleu, self_bleu
from aegan.metrics.text_evaluation import TextEvaluation
from aegan.metrics.text_kneser_ney import KneserNey
from aegan.metrics.text_ngrams import character_distance, choose_unit, tokens_of

CAPTIONS = Path(__file__).parents[3] / "shared" / "data" / "image_coco_captions"
WORDS = "a the dog cat man runs sits on in park mat with red big and".split()


def some(n: int, seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(1, 12))] for _ in range(n)]


def runs(tokens: list[str], n: int) -> Counter:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def plain_bleu(text: list[str], references: list[list[str]], longest: int) -> float:
    """As Papineni et al. wrote it down, with 0.1 in the place of a count of 0."""
    logs = []
    for n in range(1, longest + 1):
        own, most = runs(text, n), Counter()
        for reference in references:
            most |= runs(reference, n)
        right = sum(min(count, most[run]) for run, count in own.items())
        if n == 1 and not right:
            return 0.0
        logs.append(math.log((right or 0.1) / max(1, sum(own.values()))))
    closest = min((abs(len(r) - len(text)), len(r)) for r in references)[1]
    return math.exp(min(0.0, 1 - closest / len(text)) + sum(logs) / longest)


def test_bleu_is_its_definition() -> None:
    texts, references = some(40, 0), some(30, 1)
    texts.append(["never", "seen"])
    found = bleu(texts, references)
    for n in ORDERS:
        assert found[n] == pytest.approx(np.mean([plain_bleu(text, references, n) for text in texts]), abs=1e-12)


def test_self_bleu_leaves_the_text_itself_out() -> None:
    texts = [*some(40, 2), *some(5, 2), ["on"], ["with", "with", "with"]]
    found = self_bleu(texts)
    for n in ORDERS:
        each = [plain_bleu(text, texts[:i] + texts[i + 1 :], n) for i, text in enumerate(texts)]
        assert found[n] == pytest.approx(np.mean(each), abs=1e-12)


def test_real_captions_score_as_published() -> None:
    """Of the training captions against the test ones: .744/.526/.344/.222, and .895/.751/.581/.422 among themselves."""
    if not CAPTIONS.is_dir():
        pytest.skip("needs ../shared/data/image_coco_captions")
    train, test = (
        [tokens_of(line, "word") for line in (CAPTIONS / name).read_text(encoding="utf-8").splitlines()]
        for name in ("image_coco.txt", "test_coco.txt")
    )
    assert bleu(train, test) == pytest.approx({2: 0.744, 3: 0.526, 4: 0.344, 5: 0.222}, abs=0.008)
    assert self_bleu(train) == pytest.approx({2: 0.895, 3: 0.751, 4: 0.581, 5: 0.422}, abs=0.008)


def test_kneser_ney_by_hand() -> None:
    # Bigrams: ^a ab b$ ^a ac c$; each but ^a occurs once, so the discount is 4 / (4 + 2 * 1) = 2/3.
    model = KneserNey([["a", "b"], ["a", "c"]], order=2)
    # One after another b, c and the end: two kinds of what precedes the end; a, b, c one each; all five, discount .6.
    continued = {"a": 1, "b": 1, "c": 1, None: 2}
    uniform = 1 / 5
    lower = {t: (max(n - 0.6, 0) + 0.6 * 4 * uniform) / 5 for t, n in continued.items()}
    assert model.probability(["a"], "b") == pytest.approx((1 - 2 / 3 + 2 / 3 * 2 * lower["b"]) / 2)
    assert model.probability([], "a") == pytest.approx((2 - 2 / 3 + 2 / 3 * 1 * lower["a"]) / 2)
    assert model.probability(["b"], "?") == pytest.approx(2 / 3 * 1 * (0.6 * 4 * uniform / 5) / 1)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_probabilities_add_up_to_one(order: int) -> None:
    model = KneserNey(some(50, 3), order=order)
    for before in ([], ["a"], ["dog", "runs"], ["never"], ["a", "the", "dog", "cat"]):
        assert sum(model.probability(before, token) for token in [*WORDS, None, "never"]) == pytest.approx(1.0)
    wide = KneserNey(some(50, 3), order=order, kinds=len(WORDS) + 7)
    known = sum(wide.probability(["a"], token) for token in [*WORDS, None])
    assert known + 7 * wide.probability(["a"], "never") == pytest.approx(1.0)


def test_perplexity_knows_what_it_read() -> None:
    model = KneserNey([["a", "b", "c"]] * 50 + [["c", "b", "a"]])
    assert model.perplexity([["a", "b", "c"]]) < 1.2 < 3 < model.perplexity([["b", "c", "a"]])


def test_distance_of_characters() -> None:
    assert character_distance(["abc"] * 3, ["abc"]) == 0 and character_distance(["aaa"], ["bbb"]) == 1
    # ^^a ^ab ab$ against ^^a ^ac ac$: one of three shared.
    assert character_distance(["ab"], ["ac"]) == pytest.approx(2 / 3)


def test_tokens_and_units() -> None:
    assert tokens_of("Two dogs, one bed.", "word") == ["Two", "dogs", ",", "one", "bed", "."]
    assert tokens_of("李 a", "character") == ["李", " ", "a"]
    assert choose_unit(["a dog in a park"]) == "word" and choose_unit(["今天天气很好"]) == "character"
    with pytest.raises(ConfigError, match="unit is 'line'"):
        tokens_of("a", "line")


def sentences(n: int, seed: int) -> list[str]:
    return [" ".join(tokens) for tokens in some(n, seed)]


def test_an_evaluation_tells_copies_repeats_and_dullness() -> None:
    train, holdout = sentences(400, 4), sentences(200, 5)
    good = evaluate_text(train, sentences(200, 6), holdout)
    copies = evaluate_text(train, train[:200], holdout)
    dull = evaluate_text(train, ["a dog runs in a park"] * 100, holdout)
    row, real = good.rows
    assert row.name == "synthetic" and real.name == "real holdout" and row.n == real.n == 200
    assert abs(row.bleu[3] - real.bleu[3]) < 0.05 and abs(row.self_bleu[3] - real.self_bleu[3]) < 0.05
    assert row.copies is not None and row.copies < 0.3 and copies.rows[0].copies == 1.0
    assert dull.rows[0].duplicates == pytest.approx(0.99) and dull.rows[0].self_bleu[4] == pytest.approx(1.0)
    assert "repeat others" in dull.headline() and "copies of training texts" in copies.headline()
    assert dull.rows[0].reverse is not None and row.reverse is not None and dull.rows[0].reverse > 2 * row.reverse


def test_codes_and_reconstructions_are_judged_where_there_are_any() -> None:
    train, holdout = sentences(60, 7), sentences(30, 8)
    encode = lambda texts: np.array([[len(t), t.count("a")] for t in texts], dtype=float)  # noqa: E731
    pairs = [("a b c", "a b c"), ("a b c", "a x"), ("a b c d", "a b c d")]
    found = evaluate_text(train, sentences(30, 9), holdout, encode=encode, encoder="lengths", pairs=pairs, unit="word")
    rebuilt = found.row("reconstructions")
    assert rebuilt is not None and rebuilt.accuracy == pytest.approx(8 / 10) and rebuilt.exact == pytest.approx(2 / 3)
    assert found.rows[0].frechet is not None and found.stamps["encoder"] == "lengths"
    assert any("rough with so few references" in note for note in found.notes)
    assert "Codes of lengths." in str(found) and "Tokens right %" in str(found)


def test_an_evaluation_survives_json() -> None:
    found = evaluate_text(sentences(60, 7), sentences(30, 9), sentences(30, 8))
    plain = json.loads(json.dumps(found.to_json()))
    again = TextEvaluation.from_json(plain)
    assert again == found and again.headline() == found.headline() and again.row("other") is None
    with pytest.raises(DataError, match="version 99"):
        TextEvaluation.from_json(plain | {"version": 99})
    for wrong in (plain | {"kind": "table"}, plain | {"rows": [{"n": 3}]}, {}):
        with pytest.raises(DataError, match="not an evaluation of text"):
            TextEvaluation.from_json(wrong)


def test_too_few_texts_are_refused() -> None:
    with pytest.raises(DataError, match="3 made texts; expected at least 20"):
        evaluate_text(["a"] * 30, ["a"] * 3, ["a"] * 30)
    with pytest.raises(DataError, match="0 texts and 1 references"):
        bleu([], [["a"]])
    with pytest.raises(DataError, match="1 texts; expected at least two"):
        self_bleu([["a"]])
    with pytest.raises(ConfigError, match="order is 0"):
        KneserNey([["a"]], order=0)
    with pytest.raises(ConfigError, match="unit is 'verse'"):
        evaluate_text(["a"], ["a"], ["a"], unit="verse")

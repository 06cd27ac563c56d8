"""What a fitted model does with text: draws, ways between texts, other attributes, gaps filled, their evaluation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aegan import novelty
from aegan.data.text import TextAdapter
from aegan.data.text_source import open_text
from aegan.data.text_write import write_texts
from aegan.errors import AeganWarning, ConfigError, DataError, nearest
from aegan.metrics.text import REFERENCES, evaluate_text
from aegan.metrics.text_evaluation import TextEvaluation
from aegan.models.base import Model, in_blocks
from aegan.nn.decoding import GREEDY, Decoding, fill
from aegan.nn.tokens import TokenDecoder, TokenEncoder
from aegan.storage import write_json

if TYPE_CHECKING:
    from aegan.data.base import TensorData
    from aegan.estimator import Estimator

SHOWN = 1_000
"""Texts of the file of samples in a run's folder."""
REBUILT = 1_000
"""Held-out texts at most that are reconstructed for an evaluation."""
GAP = "___"
"""Stands for what is to be filled in."""
WAYS, STEPS = 5, 7
"""Interpolations in a report, and texts of each."""


def text_adapter(estimator: Estimator) -> TextAdapter:
    """The run's adapter; ConfigError where the run is not of text."""
    adapter = estimator.adapter
    if not isinstance(adapter, TextAdapter):
        raise ConfigError(f"{estimator.run.path}: a run of {adapter.spec.kind} data; this is for text alone.")
    return adapter


@contextmanager
def drawing(model: Model, decoding: Decoding) -> Iterator[None]:
    """Within the block, samples' tokens are chosen as ``decoding`` says."""
    decoders = [module for module in model.modules() if isinstance(module, TokenDecoder)]
    before = [decoder.decoding for decoder in decoders]
    try:
        for decoder in decoders:
            decoder.decoding = decoding
        yield
    finally:
        for decoder, own in zip(decoders, before, strict=True):
            decoder.decoding = own


def sample_texts(
    estimator: Estimator,
    num: int,
    *,
    seed: int = 0,
    where: Mapping[str, Any] | None = None,
    spread: float = 1.0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    new: bool = False,
    start: int = 0,
) -> tuple[Tensor, Tensor | None]:
    """Tokens ``(num, T)`` of new texts, and their classes ``(num,)`` or None.

    Args:
        estimator: A run of text.
        num: At least 1.
        seed: Text i depends on the seed and i alone.
        where: ``{"class": name}``.
        spread: Scale of the noise that codes are made of.
        temperature: Below 1 the likely tokens become likelier: more fluent, less varied.
        top_p: Tokens are drawn from the likeliest that together have this probability.
        new: Whether texts that the run was fitted on are drawn again until they are others.
        start: Number of the first text, a multiple of the model's ``block``.

    Raises:
        ConfigError: Settings out of range; or ``new``, and nothing new comes, or it is not known what would be.
    """
    adapter = text_adapter(estimator)
    known = novelty.read_fitted(estimator.run.path) if new else None
    with drawing(estimator.model, Decoding(temperature=temperature, top_p=top_p)):
        x, y = estimator.sample_tensors(num, seed=seed, where=where, spread=spread, start=start)
        if known is None:
            return x, y

        def again(places: Tensor, times: int) -> Tensor:
            own = None if y is None else y[places]
            other = novelty.other_seed(seed, times)
            return estimator.sample_numbers(places + start, seed=other, y=own, spread=spread)

        def prints(some: Tensor) -> Tensor:
            return novelty.fingerprints(adapter.texts(some))

        return novelty.replaced(x, known, prints, again, str(estimator.run.path)), y


def decode_texts(estimator: Estimator, codes: Any, decoding: Decoding = GREEDY, *, seed: int = 0) -> list[str]:
    """Texts of codes ``(N, D)``: the likeliest at each step, drawn, or by a search, as ``decoding`` says.

    Raises:
        DataError: Codes of another shape.
        ConfigError: A model without codes.
    """
    adapter, z = text_adapter(estimator), torch.as_tensor(np.asarray(codes), dtype=torch.float32)
    if z.ndim != 2 or z.shape[1] != estimator.model.code_dim or not len(z):
        raise DataError(f"decode_texts: codes of shape (N, {estimator.model.code_dim}) expected, got {tuple(z.shape)}.")
    _, decoder = _networks(estimator.model)
    from aegan.nn.decoding import write

    chances = torch.rand(len(z), decoder.longest, generator=torch.Generator().manual_seed(seed))
    made = in_blocks(lambda part, u: write(decoder, part, u, decoding), z, chances, device=estimator.device)
    return adapter.texts(made)


def interpolate(
    estimator: Estimator, first: str, last: str, *, steps: int = STEPS, decoding: Decoding = GREEDY
) -> list[str]:
    """Texts of ``steps`` codes on the straight way from that of ``first`` to that of ``last``, both included.

    Raises:
        ConfigError: Fewer than two steps, or a model without codes.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 2:
        raise ConfigError(f"interpolate: steps is {steps!r}; expected a whole number of at least 2.")
    a, b = torch.from_numpy(estimator.encode([first, last]))
    part = torch.linspace(0.0, 1.0, steps)[:, None]
    return decode_texts(estimator, torch.lerp(a[None], b[None], part), decoding)


def attribute(estimator: Estimator, labelled: Any, source: str, target: str) -> np.ndarray:
    """The direction ``(D,)`` from the mean code of the class ``source`` to that of ``target``.

    Args:
        estimator: A run of text whose model has codes.
        labelled: ``(texts, labels)``, or a source with labels such as ``fit`` was given.
        source: Class from which.
        target: Class to which.

    Raises:
        DataError: Text without labels.
        ConfigError: No such class.
    """
    options = text_adapter(estimator).options
    column = None if isinstance(labelled, tuple) else options["column"]
    opened = open_text(labelled, column=column, label=None if column is None else options["label"])
    if opened.labels is None:
        raise DataError(f"{opened.name}: text without labels; expected (texts, labels), or a table and its columns.")
    for name in (source, target):
        if name not in opened.labels:
            raise ConfigError(f"attribute: no text of class {name!r}. {nearest(name, set(opened.labels))}")
    codes, labels = estimator.encode(opened.texts), np.array(opened.labels)
    return codes[labels == target].mean(0) - codes[labels == source].mean(0)


def transfer(
    estimator: Estimator,
    texts: Sequence[str],
    direction: np.ndarray,
    *,
    strength: float = 1.0,
    decoding: Decoding = GREEDY,
) -> list[str]:
    """``texts`` with their codes moved by ``strength`` times ``direction``, as of :func:`attribute`."""
    return decode_texts(estimator, estimator.encode(list(texts)) + strength * direction, decoding)


def infill(
    estimator: Estimator,
    texts: Sequence[str],
    *,
    gap: str = GAP,
    most: int = 8,
    candidates: int = 32,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """``texts`` with the one ``gap`` of each filled by what goes with both sides of it.

    Args:
        estimator: A run of text.
        texts: Each with one ``gap``.
        gap: What stands for it.
        most: Tokens that fill it at most.
        candidates: Continuations that are drawn for each text.
        temperature: Of these draws.
        seed: The same seed draws the same.

    Raises:
        DataError: A text without a gap, or with two, or longer than the run's longest.
    """
    adapter = text_adapter(estimator)
    encoder, decoder = _networks(estimator.model)
    units, limit = adapter.units, adapter.spec.shape[0] - 1
    if units is None:
        raise ConfigError("TextAdapter: not fitted yet. Call fit(source) first, or from_json.")
    generator, filled = torch.Generator().manual_seed(seed), []
    for i, text in enumerate(texts):
        if text.count(gap) != 1:
            raise DataError(f"infill: text {i + 1} has {text.count(gap)} gaps ({gap!r}); expected one.")
        left, right = text.split(gap)
        if units.kind in ("word", "subword"):
            left = left.removesuffix(" ")  # the blank goes with the word after it
        before, after = units.encode(left), units.encode(right)
        if len(before) + len(after) > limit:
            raise DataError(
                f"infill: text {i + 1} has {len(before) + len(after)} {units.counted} without its gap; expected at "
                f"most {limit}, the longest of the fitted text."
            )
        z = None
        if encoder is not None and estimator.model.code_dim:
            seen = torch.zeros(1, limit + 1, dtype=torch.int64)
            hidden = [*before, encoder.hidden_token, *after][:limit]
            seen[0, : len(hidden)] = torch.tensor(hidden)
            with torch.no_grad():
                z = estimator.model.encode(seen.to(estimator.device)).float()
        with torch.no_grad():
            tokens = fill(
                decoder,
                z,
                before,
                after,
                most=most,
                candidates=candidates,
                decoding=Decoding(temperature=temperature),
                generator=generator,
            )
        filled.append(units.decode([*before, *tokens, *after]))
    return filled


def _networks(model: Model) -> tuple[TokenEncoder | None, TokenDecoder]:
    encoder = next((module for module in model.modules() if isinstance(module, TokenEncoder)), None)
    decoder = next((module for module in model.modules() if isinstance(module, TokenDecoder)), None)
    if decoder is None:
        raise ConfigError(f"{type(model).__name__} has no decoder of text.")
    return encoder, decoder


def write_fitted(estimator: Estimator) -> None:
    """Keep in the run's folder which texts it was fitted on, held-out ones among them."""
    adapter = text_adapter(estimator)
    parts = [data for data in (estimator.train, estimator.holdout) if data is not None]
    batches = (data.batch(index)["x"] for data in parts for index in torch.arange(len(data)).split(4096))
    novelty.write_fitted(estimator.run.path, [text for x in batches for text in adapter.texts(x)])


def write_text_results(estimator: Estimator, *, console: bool = False) -> None:
    """Judge a fitted model of text; ``metrics.json`` and ``samples/texts.txt`` into its folder."""
    folder, adapter = estimator.run.path, text_adapter(estimator)
    if estimator.model.noise_dim:
        made = adapter.texts(sample_texts(estimator, SHOWN)[0])
        write_texts(made, folder / "samples" / "texts.txt", form=adapter.form, overwrite=True)
    few = estimator.holdout is None or len(estimator.holdout) < 20
    if few or estimator.train is None or not estimator.model.noise_dim:
        return
    evaluation = evaluate_texts(estimator)
    values = evaluation.to_json()
    values["details"]["interpolations"] = _interpolations(estimator)
    write_json(folder / "metrics.json", values)
    if console:
        print(evaluation)


def _interpolations(estimator: Estimator) -> list[list[str]]:
    """Some ways between held-out texts, for the report."""
    if not estimator.model.code_dim or estimator.holdout is None:
        return []
    texts = _texts(estimator, estimator.holdout, 2 * WAYS)
    return [interpolate(estimator, a, b) for a, b in zip(texts[::2], texts[1::2], strict=False)]


def evaluate_texts(
    estimator: Estimator,
    real: Any = None,
    *,
    num: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    new: bool = False,
) -> TextEvaluation:
    """Judge a run's texts beside its training texts and the holdout, or beside ``real`` on a loaded run.

    Raises:
        ConfigError: A loaded run without ``real``.
    """
    adapter = text_adapter(estimator)
    train = None if estimator.train is None else _texts(estimator, estimator.train)
    holdout = None if estimator.holdout is None else _texts(estimator, estimator.holdout)
    if real is not None:
        given = adapter.open(real)
        if train is None:
            order = np.random.default_rng(seed).permutation(len(given)).tolist()
            half = len(order) // 2
            train, holdout = [given[i] for i in order[:half]], [given[i] for i in order[half:]]
        else:
            holdout = given
    if train is None or holdout is None:
        raise ConfigError("evaluate: a loaded run does not hold its training data. Give real data: evaluate(real).")
    count = num or min(REFERENCES, len(train), max(1_000, len(holdout)))
    drawn, _ = sample_texts(estimator, count, seed=seed, temperature=temperature, top_p=top_p, new=new)
    pairs: list[tuple[str, str]] = []
    coded = estimator.model.code_dim > 0
    if coded:
        some = holdout[:REBUILT]
        pairs = list(zip(some, adapter.texts(estimator.reconstruct_tensors(_tokens(adapter, some))), strict=True))
    return evaluate_text(
        train,
        adapter.texts(drawn),
        holdout,
        pairs=pairs,
        encode=(lambda texts: estimator.encode_tensors(_tokens(adapter, texts)).numpy()) if coded else None,
        encoder=f"the run's own autoencoder ({estimator.run.config['model']})",
        seed=seed,
    )


def evaluate_text_sources(
    real: Any, synthetic: Any, *, holdout: Any = None, seed: int = 0, column: str | None = None
) -> TextEvaluation:
    """Judge any made texts beside real ones; a tenth of ``real`` is set apart where there is no ``holdout``."""
    opened = open_text(real, column=column)
    # The others are read as the real ones are: a made line may be blank, and is no end of a paragraph then.
    each = opened.form.sample if opened.form.container == "file" else "auto"
    reference, made = opened.texts, open_text(synthetic, column=column, sample=each).texts
    if holdout is not None:
        held = open_text(holdout, column=column, sample=each).texts
    else:
        order = np.random.default_rng(seed).permutation(len(reference)).tolist()
        cut = max(1, len(order) // 10)
        held, reference = [reference[i] for i in order[:cut]], [reference[i] for i in order[cut:]]
    return evaluate_text(reference, made, held, seed=seed)


def _texts(estimator: Estimator, data: TensorData, most: int | None = None) -> list[str]:
    index = torch.arange(len(data) if most is None else min(most, len(data)))
    return text_adapter(estimator).texts(data.batch(index)["x"])


def _tokens(adapter: TextAdapter, texts: Sequence[str]) -> TensorData:
    with warnings.catch_warnings():
        # What is cut or unknown here was said where the source was read.
        warnings.simplefilter("ignore", AeganWarning)
        return adapter.to_tensors(list(texts))

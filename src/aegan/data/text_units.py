"""What text is cut into: characters, bytes, words or learnt subwords; to token numbers and exactly back.

Token 0 is the end of a text, and what follows it; token 1 is what the fitted text does not have. Words carry the blank
before them, so that putting the pieces side by side gives the text back; a word that is too rare for a token of its own
is spelled by characters.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

from aegan.errors import ConfigError, DataError

END = 0
"""The token that ends a text."""
UNKNOWN = 1
"""A character that the fitted text does not have. It is never learnt, nor drawn."""
FIRST = 2
REPLACEMENT = "�"
"""What an unknown character, and bytes that make none, come back as."""
MOST_CHARACTERS = 4_096
MOST_WORDS = 8_192
SUBWORDS = 4_096
PIECES = re.compile(r" ?\w+| ?[^\w\s]|\s")
"""Words and signs with the blank before them; every text is a row of these."""
EXTRA = "pip install 'aegan[text]'"


class Units(ABC):
    """Texts to tokens and back.

    Attributes:
        kind: ``"character"``, ``"byte"``, ``"word"`` or ``"subword"``.
        plural: The same in sentences.
        size: Number of tokens, the end included.
    """

    kind: ClassVar[str]
    plural: ClassVar[str]
    size: int

    @property
    def counted(self) -> str:
        """What a text's tokens are called where they are counted."""
        return self.plural

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without the end."""

    @abstractmethod
    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the end."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Plain dict."""

    def unseen(self, text: str) -> list[int]:
        """Places (from 0) of characters that the fitted text does not have and that will not come back."""
        return []


def until_end(tokens: Sequence[int]) -> list[int]:
    """The tokens before the first end.

    >>> until_end([5, 6, 0, 7])
    [5, 6]
    """
    plain = [int(token) for token in tokens]
    return plain[: plain.index(END)] if END in plain else plain


class Symbols(Units):
    """Characters, or words and the characters to spell the rare ones with; by bytes what even those do not have.

    Args:
        pieces: The tokens from 2 on, single characters among them.
        words: Whether the text is cut into words first.
        spelled: Whether the bytes of UTF-8 follow, for a script with more characters than there are tokens.
    """

    def __init__(self, pieces: Sequence[str], *, words: bool, spelled: bool) -> None:
        self.pieces, self.words, self.spelled = list(pieces), words, spelled
        self.index = {piece: i + FIRST for i, piece in enumerate(self.pieces)}
        self.first_byte = len(self.pieces) + FIRST
        self.size = self.first_byte + (256 if spelled else 0)
        self.kind, self.plural = ("word", "words") if words else ("character", "characters")  # type: ignore[misc]

    @property
    def counted(self) -> str:
        """Words that are not among the tokens are spelled, and count a token a character."""
        return "tokens (rare words are several)" if self.words else self.plural

    @classmethod
    def fit(cls, texts: Sequence[str], *, words: bool) -> Symbols:
        """The tokens of ``texts``: their most frequent words if ``words``, and their characters."""
        characters = Counter[str]()
        for text in texts:
            characters.update(text)
        common = [c for c, _ in sorted(characters.items(), key=lambda item: (-item[1], item[0]))]
        kept, pieces = common[:MOST_CHARACTERS], []
        if words:
            counted = Counter(piece for text in texts for piece in PIECES.findall(text))
            longer = [(piece, n) for piece, n in counted.items() if len(piece) > 1]
            pieces = [p for p, _ in sorted(longer, key=lambda item: (-item[1], item[0]))][:MOST_WORDS]
        return cls([*kept, *pieces], words=words, spelled=len(common) > len(kept))

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without the end."""
        tokens: list[int] = []
        for piece in PIECES.findall(text) if self.words else text:
            token = self.index.get(piece)
            if token is not None:
                tokens.append(token)
            else:
                for character in piece:
                    tokens += self._character(character)
        return tokens

    def _character(self, character: str) -> list[int]:
        token = self.index.get(character)
        if token is not None:
            return [token]
        if self.spelled:
            return [self.first_byte + byte for byte in character.encode("utf-8", errors="surrogatepass")]
        return [UNKNOWN]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the end."""
        parts: list[str] = []
        waiting = bytearray()
        for token in until_end(tokens):
            if token >= self.first_byte:
                waiting.append(token - self.first_byte)
                continue
            if waiting:
                parts.append(waiting.decode("utf-8", errors="replace"))
                waiting.clear()
            parts.append(REPLACEMENT if token == UNKNOWN else self.pieces[token - FIRST])
        return "".join(parts) + waiting.decode("utf-8", errors="replace")

    def unseen(self, text: str) -> list[int]:
        """Places of characters that the fitted text does not have."""
        if self.spelled:
            return []
        return [i for i, character in enumerate(text) if character not in self.index]

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"kind": self.kind, "pieces": self.pieces, "spelled": self.spelled}


class Bytes(Units):
    """The bytes of UTF-8: any text whatever, whether its characters were seen or not."""

    kind = "byte"
    plural = "bytes"
    size = 256 + FIRST

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without the end."""
        return [byte + FIRST for byte in text.encode("utf-8", errors="surrogatepass")]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the end."""
        return bytes(max(0, token - FIRST) for token in until_end(tokens)).decode("utf-8", errors="replace")

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"kind": self.kind}


class Subwords(Units):
    """Pieces learnt by merging the most frequent neighbours, from bytes up (byte-pair encoding).

    Reference: Sennrich et al. 2016, "Neural machine translation of rare words with subword units" (arXiv 1508.07909);
    on bytes: Radford et al. 2019. By Hugging Face ``tokenizers``, trained here, nothing downloaded.
    """

    kind = "subword"
    plural = "subwords"

    def __init__(self, model: str) -> None:
        self.model = model
        self.tokenizer = _tokenizers().Tokenizer.from_str(model)
        self.size = self.tokenizer.get_vocab_size() + FIRST

    @classmethod
    def fit(cls, texts: Sequence[str]) -> Subwords:
        """Learn the pieces of ``texts``."""
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = library.decoders.ByteLevel()
        alphabet = library.pre_tokenizers.ByteLevel.alphabet()
        trainer = library.trainers.BpeTrainer(
            vocab_size=SUBWORDS, min_frequency=2, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    def encode(self, text: str) -> list[int]:
        """Tokens of a text, without the end."""
        return [token + FIRST for token in self.tokenizer.encode(text).ids]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the end."""
        return self.tokenizer.decode(
            [token - FIRST for token in until_end(tokens) if token >= FIRST], skip_special_tokens=False
        )

    def to_json(self) -> dict[str, Any]:
        """Plain dict."""
        return {"kind": self.kind, "model": json.loads(self.model)}


KINDS = ("character", "byte", "word", "subword")


def fit_units(kind: str, texts: Sequence[str]) -> Units:
    """Units of a kind, learnt from ``texts``.

    Raises:
        ConfigError: No such kind, or ``tokenizers`` is needed and not installed.
    """
    if kind not in KINDS:
        raise ConfigError(f"unit is {kind!r}; expected one of auto, {', '.join(KINDS)}.")
    if kind == "byte":
        return Bytes()
    return Subwords.fit(texts) if kind == "subword" else Symbols.fit(texts, words=kind == "word")


def units_from_json(data: Any) -> Units:
    """Inverse of ``to_json``.

    Raises:
        DataError: A key is missing, or a value cannot be.
    """
    try:
        kind = data["kind"]
        if kind == "byte":
            return Bytes()
        if kind == "subword":
            return Subwords(json.dumps(data["model"]))
        if kind not in KINDS or not all(isinstance(piece, str) and piece for piece in data["pieces"]):
            raise ValueError(f"units of kind {kind!r}")
        return Symbols(data["pieces"], words=kind == "word", spelled=bool(data["spelled"]))
    except ConfigError:
        raise
    except Exception as error:  # the tokenizers' library raises plain exceptions
        raise DataError(f"adapter units: {error!r:.200}; the file is damaged, or from another version.") from error


def choose_unit(texts: Sequence[str]) -> tuple[str, str]:
    """Which unit suits ``texts``, and why, in words.

    Words where blanks separate several of them in a sample and few kinds of word make nearly all of the text. Otherwise
    characters, unless samples are so long that subwords are worth their package.

    >>> choose_unit(["emma", "olivia"])[0], choose_unit(["a dog runs in the park ."] * 20)[0]
    ('character', 'word')
    """
    some = list(texts[:: max(1, len(texts) // 20_000)])
    cut = [PIECES.findall(text) for text in some]
    counted = Counter(piece for pieces in cut for piece in pieces)
    words = sorted(sum(" " + piece.strip() == piece for piece in pieces) + 1 for pieces in cut)
    total = sum(counted.values())
    covered = sum(n for _, n in counted.most_common(MOST_WORDS)) / max(1, total)
    once = sum(n == 1 for n in counted.values()) / max(1, total)
    length = sum(map(len, some)) / max(1, len(some))
    if words[len(words) // 2] >= 4 and covered >= 0.97 and once < 0.1:
        return "word", f"blanks separate words, and {min(len(counted), MOST_WORDS):,} of them make {covered:.0%} of it"
    if length > 100 and importlib.util.find_spec("tokenizers") is not None:
        return "subword", f"samples of {length:.0f} characters on average, of too many words for a token each"
    return "character", "short samples" if length <= 100 else f"{EXTRA} would allow subwords"


def _tokenizers() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        raise ConfigError(
            f"unit=subword: the package tokenizers is needed and not installed: {EXTRA}. Or use unit=character."
        ) from error

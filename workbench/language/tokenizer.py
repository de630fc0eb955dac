"""Text becomes word pieces: byte-level BPE, so that every language, emoji and typo has ids and nothing is unknown.

A tokenizer here is a plain ``tokenizers.Tokenizer``. It has no special tokens: control and item words live above its
length (see ``vocabulary.py``), so whatever a person types stays text.
"""

import unicodedata
from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# A Chinese character is a word of its own; merged with its neighbours it would hide inside pieces of other sentences.
_CHINESE = Regex(r"[\u3400-\u9fff]")


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 4096) -> Tokenizer:
    """Byte-level BPE of at most ``vocab_size`` pieces (at least 256: the bytes), learned from the texts.

    Args:
        texts: Any strings, in any language.
        vocab_size: Upper bound on the number of pieces.

    Raises:
        ValueError: If ``vocab_size`` is below 256.

    Example:
        >>> tokenizer = train_tokenizer(["slow science fiction", "科幻片"], vocab_size=300)
        >>> tokenizer.decode(tokenizer.encode("慢 science <item_5>").ids)
        '慢 science <item_5>'
    """
    if vocab_size < 256:
        raise ValueError(f"vocab_size is {vocab_size}; the 256 bytes alone need 256. Use 256 or more.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(_CHINESE, "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
        show_progress=False,
    )
    tokenizer.train_from_iterator((normalize(text) for text in texts), trainer)
    return tokenizer


def plain_text_only(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer, reading its own special tokens (``<|endoftext|>``) as ordinary text when somebody types them.

    Example:
        >>> plain_text_only(train_tokenizer(["a"], vocab_size=256)).encode_special_tokens
        True
    """
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def normalize(text: str) -> str:
    """Text as the tokenizer reads it: Unicode NFKC (full-width letters become ordinary ones), outer spaces removed.

    Half a surrogate pair, which a browser can send when it cuts an emoji, becomes a question mark.

    Example:
        >>> normalize(" Ｓｃｉ-Ｆｉ ")
        'Sci-Fi'
    """
    return unicodedata.normalize("NFKC", text).encode("utf-8", "replace").decode("utf-8").strip()


def encode(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of the word pieces of ``text``; a space goes in front, so that a first word is spelled like any other.

    Example:
        >>> tokenizer = train_tokenizer(["blue blue blue"], vocab_size=270)
        >>> encode(tokenizer, "blue") == encode(tokenizer, " blue ")
        True
    """
    text = normalize(text)
    return tokenizer.encode(" " + text, add_special_tokens=False).ids if text else []

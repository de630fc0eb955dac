"""The words of a prompt, and the units people read: an item, a word of the request, a control word.

A unit may take several words of the vocabulary: an item under a spelling of several item words, a word of the request
under byte-level pieces, of which even a single Chinese character may need three.
"""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from tokenizers import Tokenizer

from workbench.catalogs import item_labels
from workbench.language.prompts import Kept
from workbench.models import GPT2Recommender
from workbench.models.ranking import as_histories, item_codes

CUT = "\ufffd"  # what a decoder writes for a character of which bytes are missing
LONGEST = 4  # bytes of a character, and so pieces it can be cut into


def read_prompt(
    recommender: GPT2Recommender,
    history: Sequence[str],
    *,
    request: str | None = None,
    context: Mapping[str, str] | None = None,
    profile: Mapping[str, str] | None = None,
) -> tuple[list[int], pd.DataFrame]:
    """Ids of the words the model reads, and what each of them is.

    Args:
        recommender: Who reads.
        history: Item ids, oldest first; of a history longer than the prompt the newest are read.
        request: A wish in words.
        context: When, where and on what, ``{column: value}``.
        profile: Who somebody is, likewise.

    Returns:
        The ids, and one row per word: ``position`` (0 is the first word), ``unit`` (0 is the first unit), ``part``
        (1 is the unit's first word), ``kind`` ("control", "item", "request", "context" or "profile"), ``item_id``
        (missing unless an item) and ``label`` of the unit: ``Solaris (1972)``, ``science``, ``<history>``, ``evening``.
        Labels are plain text.

    Raises:
        TypeError: If the history is a string.
        ValueError: If it holds an item that is not in the catalog, or context or profile say what was not learned.
    """
    vocabulary = recommender.vocabulary
    history = as_histories({"somebody": history})["somebody"]
    rows = item_codes({"somebody": history}, items=pd.Index(vocabulary.spelling.items, dtype=object))[0].tolist()
    said = {"request": request, "context": context, "profile": profile}
    kept = recommender.template.keep(vocabulary, recommender.tokenizer, history=rows, **said)
    table = [
        (unit, part, kind, item_id, label)
        for unit, (kind, item_id, label, size) in enumerate(_units(recommender, kept))
        for part in range(1, size + 1)
    ]
    words = pd.DataFrame(table, columns=["unit", "part", "kind", "item_id", "label"])
    ids = recommender.template.write(vocabulary, kept)
    return ids, words.rename_axis("position").reset_index().astype({"item_id": "str", "label": "str", "kind": "str"})


def _units(recommender: GPT2Recommender, kept: Kept) -> Iterator[tuple[str, str | None, str, int]]:
    """Kind, item id, label and number of words of each unit, in the order in which a prompt is laid out."""
    vocabulary, rows = recommender.vocabulary, list(kept.rows)
    labels = dict(zip(rows, item_labels(recommender.catalog.iloc[rows]), strict=True))

    def marks(part: str, words: Sequence[int]) -> list[tuple[str, None, str, int]]:
        return [(part, None, vocabulary.marks[word - vocabulary.first_mark][2], 1) for word in words]

    def item(row: int) -> tuple[str, str, str, int]:
        return "item", vocabulary.spelling.items[row], labels[row], len(vocabulary.spelled[row])

    yield from marks("profile", kept.profile)
    opening = [("control", None, "<history>", 1), *map(item, kept.rows)] if kept.rows or not kept.pieces else []
    yield from opening[:-1]
    yield from marks("context", kept.context)  # before the newest item, as ``PromptTemplate.lay_out`` has it
    yield from opening[-1:]
    if kept.pieces:
        yield "control", None, "<request>", 1
        for label, size in request_words(recommender.tokenizer, kept.pieces):
            yield "request", None, label, size
        yield "control", None, "<recommend>", 1


def item_row(recommender: GPT2Recommender, item: str) -> int:
    """Catalog row of the item that is asked about.

    Raises:
        ValueError: If it is not in the catalog.
    """
    items = pd.Index(recommender.vocabulary.spelling.items, dtype=object)
    if item not in items:
        raise ValueError(
            f"item {item!r} is not in the catalog of {len(items):,} items; give an item_id, such as {items[0]!r}."
        )
    return items.get_loc(item)


def request_words(tokenizer: Tokenizer, pieces: Sequence[int]) -> list[tuple[str, int]]:
    """Readable words of a request, and how many pieces each takes; a Chinese character is a word of its own.

    A character that the length limit of the prompt has cut stays a replacement mark.

    Example:
        >>> from workbench.language import train_tokenizer
        >>> from workbench.language.tokenizer import encode
        >>> tokenizer = train_tokenizer(["a"], vocab_size=256)  # every byte is a piece
        >>> request_words(tokenizer, encode(tokenizer, "sad, 科幻"))
        [('sad', 4), (',', 1), ('科', 4), ('幻', 3)]
    """
    words: list[list[int]] = []
    text = ""  # of the last word so far
    for character in _characters(tokenizer, pieces):
        more = tokenizer.decode(character)
        if not words or not (text.isspace() or _continues(text[-1], more[0])):
            words.append([])
            text = ""
        words[-1] += character
        text += more
    return [(tokenizer.decode(word).strip() or "(space)", len(word)) for word in words]


def _characters(tokenizer: Tokenizer, pieces: Sequence[int]) -> list[list[int]]:
    """The pieces, joined where only together they make whole characters."""
    groups: list[list[int]] = []
    for piece in pieces:
        if groups and len(groups[-1]) < LONGEST and tokenizer.decode(groups[-1]).endswith(CUT):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _continues(before: str, after: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return before.isalnum() and after.isalnum() and not any("\u3400" <= one <= "\u9fff" for one in (before, after))

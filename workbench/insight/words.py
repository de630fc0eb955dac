"""The words of a prompt that can be taken away: the items of a history and the words of a request, with labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
from tokenizers import Tokenizer

from workbench.models import GPT2Recommender
from workbench.models.ranking import as_histories, item_codes


@dataclass(frozen=True, eq=False)
class PromptWords:
    """One prompt, seen as words that are there or not.

    Attributes:
        prompt: Ids the model reads.
        df: One row per history item or request word, in the order of the prompt: ``position`` (place in the prompt of
            its first id, from 0), ``kind`` ("item" or "request"), ``item_id`` (missing for a request word), ``label``
            (``Solaris (1972)``, or the word as it is read; plain text, so whoever writes HTML escapes it).
        places: For each row of ``df``, its places in ``prompt``.
        unread: How many items of the history are older than the newest ones that a prompt keeps; they have no row.
    """

    prompt: list[int]
    df: pd.DataFrame
    places: list[range]
    unread: int

    @cached_property
    def n_items(self) -> int:
        """How many rows are items; they come first."""
        return int((self.df["kind"] == "item").sum())

    def ids(self, rows: Iterable[int]) -> list[int]:
        """What the prompt says in these rows of ``df``."""
        return [self.prompt[place] for row in rows for place in self.places[row]]


def read_words(recommender: GPT2Recommender, history: Sequence[str], *, request: str | None = None) -> PromptWords:
    """The prompt of a history and a request, and which ids in it belong to which item or word.

    Raises:
        TypeError: If the history is a string.
        ValueError: If the history names an item that is not in the catalog.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"], "year": [1979, 1985]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> read_words(recommender, ["b"], request="Funny films!").df["label"].tolist()
        ['Brazil (1985)', 'funny', 'films', '!']
    """
    vocabulary, template = recommender.vocabulary, recommender.template
    histories = as_histories({"of the prompt": history})
    rows = item_codes(histories, items=pd.Index(vocabulary.spelling.items, dtype=object))[0].tolist()
    pieces = template.request_pieces(recommender.tokenizer, request) if request is not None else []
    kept = rows[-(template.max_history_with_request if pieces else template.max_history) :]
    titles = item_titles(recommender.catalog)
    words = [(titles[row], vocabulary.items([row])) for row in kept]
    words += group_pieces(recommender.tokenizer, pieces)
    places, place = [], 1  # behind <history> or <request>
    for number, (_, ids) in enumerate(words):
        place += bool(kept) and number == len(kept)  # <request> stands between the two
        places.append(range(place, place + len(ids)))
        place += len(ids)
    df = pd.DataFrame(
        {
            "position": pd.Series([some.start for some in places], dtype="int64"),
            "kind": pd.Series(["item"] * len(kept) + ["request"] * (len(words) - len(kept)), dtype="str"),
            "item_id": pd.Series([vocabulary.spelling.items[row] for row in kept], dtype="str").reindex(
                range(len(words))
            ),
            "label": pd.Series([label for label, _ in words], dtype="str"),
        }
    )
    return PromptWords(recommender.prompt(rows, request=request), df, places, len(rows) - len(kept))


def item_titles(catalog: pd.DataFrame) -> list[str]:
    """``Title (1972)`` for every item, the title alone where there is no year or the title has it already.

    Example:
        >>> item_titles(pd.DataFrame({"title": ["Solaris", "Alien (1979)", None], "year": [1972, 1979, None]}))
        ['Solaris (1972)', 'Alien (1979)', '(no title)']
    """
    years = catalog["year"] if "year" in catalog else [None] * len(catalog)
    titles = []
    for title, year in zip(catalog["title"], years, strict=True):
        text = "(no title)" if pd.isna(title) else str(title)
        titles.append(text if pd.isna(year) or text.endswith(f"({int(year)})") else f"{text} ({int(year)})")
    return titles


def group_pieces(tokenizer: Tokenizer, pieces: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Word pieces grouped into words that can be read, each with its text; a Chinese character is a word.

    Example:
        >>> from workbench.language import train_tokenizer
        >>> from workbench.language.tokenizer import encode
        >>> tokenizer = train_tokenizer(["slow"], vocab_size=258)
        >>> [word for word, _ in group_pieces(tokenizer, encode(tokenizer, "slow, 慢片"))]
        ['slow', ',', '慢', '片']
    """
    words: list[tuple[str, list[int]]] = []
    for text, ids in _whole_characters(tokenizer, pieces):
        before = words[-1][0] if words else " "
        if words and (before.isspace() or _continues(before[-1], text[0])):
            words[-1] = (before + text, words[-1][1] + ids)
        else:
            words.append((text, ids))
    return [(word.strip() or "(space)", ids) for word, ids in words]


def _whole_characters(tokenizer: Tokenizer, pieces: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """Pieces with their text; those that hold only some bytes of a character go together."""
    waiting: list[int] = []
    for number, piece in enumerate(pieces, start=1):
        waiting.append(piece)
        text = tokenizer.decode(waiting)
        if text and (not text.endswith("\ufffd") or number == len(pieces)):
            yield text, waiting
            waiting = []


def _continues(before: str, after: str) -> bool:
    """Whether two neighbouring characters belong to one word."""
    return before.isalnum() and after.isalnum() and not any("\u3400" <= one <= "\u9fff" for one in (before, after))

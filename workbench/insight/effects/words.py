"""What can be taken away from a prompt: items of its history, words of its request, context and profile."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from workbench.insight.prompt_words import read_prompt
from workbench.models import GPT2Recommender

KINDS = ("profile", "item", "context", "request")


@dataclass(frozen=True, eq=False)
class PromptWords:
    """One prompt, seen as words that are there or not.

    Attributes:
        prompt: Ids the model reads.
        df: One row per history item, request word or mark of context or profile, in the order of the prompt:
            ``position`` (place in the prompt of its first id, from 0), ``kind`` ("item", "request", "context" or
            "profile"), ``item_id`` (missing unless an item), ``label`` (``Solaris (1972)``, or the word as it is read;
            plain text, so whoever writes HTML escapes it).
        places: For each row of ``df``, its places in ``prompt``.
        unread: How many items of the history are older than the newest ones that a prompt keeps; they have no row.
    """

    prompt: list[int]
    df: pd.DataFrame
    places: list[range]
    unread: int

    @property
    def items(self) -> list[int]:
        """The rows of ``df`` that are items of the history, oldest first."""
        return self.rows["item"]

    @cached_property
    def rows(self) -> dict[str, list[int]]:
        """The rows of ``df`` by kind, in their order."""
        kinds = self.df["kind"].tolist()
        return {kind: [row for row, own in enumerate(kinds) if own == kind] for kind in KINDS}

    def ids(self, rows: Iterable[int]) -> list[int]:
        """What the prompt says in these rows of ``df``."""
        return [self.prompt[place] for row in rows for place in self.places[row]]


def read_words(
    recommender: GPT2Recommender,
    history: Sequence[str],
    *,
    request: str | None = None,
    context: Mapping[str, str] | None = None,
    profile: Mapping[str, str] | None = None,
) -> PromptWords:
    """The prompt of a history, a request, context and profile, and which ids in it belong to which of them.

    Raises:
        TypeError: If the history is a string.
        ValueError: If the history names an item that is not in the catalog.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"], "year": [1979, 1985]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> read_words(recommender, ["b"], request="funny films").df["label"].tolist()
        ['Brazil (1985)', 'funny', 'films']
    """
    prompt, words = read_prompt(recommender, history, request=request, context=context, profile=profile)
    words = words[words["kind"] != "control"]
    sizes = words.groupby("unit").size()
    firsts = words.loc[words["part"] == 1, ["position", "kind", "item_id", "label"]].reset_index(drop=True)
    places = [range(first, first + size) for first, size in zip(firsts["position"], sizes, strict=True)]
    return PromptWords(prompt, firsts, places, len(history) - int((firsts["kind"] == "item").sum()))

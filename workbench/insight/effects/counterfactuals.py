"""What would have to be missing from a history for an item to leave the first k."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import pandas as pd

from workbench.insight.effects.question import Question, Scores, ask, score_without
from workbench.models import GPT2Recommender

MOST_PAIRS = 2_000  # all pairs of 63 items; a longer history goes on greedily after single items


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """A smallest set of history items without which an item would not be among the first k.

    Attributes:
        df: The items to remove, the one that does most first: ``position`` in the prompt, ``item_id``, ``label``, and
            ``rank``, the place of the explained item once this and the rows above are removed. Empty if none was found.
        item_id: The item.
        title: Its title with its year.
        rank: Its place after the whole history.
        k: Length of the list it should leave.
        found: Whether removing the items of ``df`` does it.
        smallest: Whether no smaller set can do it; if not found, whether no set can.
        note: What was tried.
    """

    df: pd.DataFrame
    item_id: str
    title: str
    rank: int
    k: int
    found: bool
    smallest: bool
    note: str

    @property
    def sentence(self) -> str:
        """What would have to be missing, in one sentence of plain text; escape it before it becomes HTML."""
        if not self.found:
            every = "whatever is removed from the history" if self.smallest else "in every removal that was tried"
            return f"{self.title} stays among the first {self.k:,} {every}."
        *most, last = self.df["label"]
        names = f"{', '.join(most)} and {last}" if most else last
        end = self.df["rank"].iloc[-1]
        return (
            f"Without {names}, {self.title} would leave the first {self.k:,}: place {end:,} instead of {self.rank:,}."
        )


def counterfactual(
    recommender: GPT2Recommender, history: Sequence[str], item: str, *, request: str | None = None, k: int = 10
) -> Counterfactual:
    """The smallest set of history items whose removal drops an item out of the first k.

    Every single item is tried, then every pair as long as there are at most 2,000; of several sets of one size the one
    that leaves the item lowest is given. After that the search is greedy: again and again the item goes whose removal
    lowers the odds most, and in the end those that turn out not to be needed come back. ``smallest`` says whether a
    smaller set is ruled out. Removed items are no candidates for the list, see ``workbench.insight.effects.question``.

    Args:
        recommender: Who recommends.
        history: Item ids, oldest first; of one longer than the prompt the newest are read.
        item: An item that stands among the first k.
        request: A wish in words; it stays.
        k: Length of the list.

    Raises:
        ValueError: As in ``attribute``; also if the history is empty, or the item is not among the first k.
    """
    question = ask(recommender, history, item, request=request)
    rows = question.words.items
    rank = int(score_without(question, [[]]).places[0])
    if not rows:
        raise ValueError("the history is empty: there is nothing to remove. Give at least one item.")
    if rank > k:
        raise ValueError(
            f"{question.title} stands at place {rank:,}, not among the first {k:,}; ask with k={rank} or more."
        )
    tried = 0  # sizes of which every set was tried
    for size in (1, 2):
        if not 0 < comb(len(rows), size) <= max(MOST_PAIRS, len(rows)):
            break
        tried, sets = size, list(combinations(rows, size))
        scores = score_without(question, sets)
        if scores.places.max() > k:
            return _result(question, list(sets[_lowest(scores)]), k=k, rank=rank, tried=tried)
    gone = _remove_greedily(question, k=k)
    return _result(question, gone, k=k, rank=rank, tried=tried)


def _lowest(scores: Scores) -> int:
    """The removal that leaves the item at the lowest place; of equal places, with the lowest odds."""
    return min(range(len(scores.places)), key=lambda n: (-scores.places[n], scores.log_odds[n]))


def _remove_greedily(question: Question, *, k: int) -> list[int]:
    """Rows whose removal drops the item out, found greedily and thinned; empty if it stays until all are gone."""
    gone: list[int] = []
    while len(gone) < len(question.words.items):
        left = [row for row in question.words.items if row not in gone]
        scores = score_without(question, [[*gone, row] for row in left])
        out = scores.places.max() > k
        gone.append(left[_lowest(scores) if out else int(scores.log_odds.argmin())])
        if out:
            return _thin(question, gone, k=k)
    return []


def _thin(question: Question, gone: list[int], *, k: int) -> list[int]:
    """Put back one row after another as long as the item stays out: in the end, none can be left out of the set.

    Every row is tried again after each that came back, since what one does hangs on the others.
    """
    while True:
        fewer = [[other for other in gone if other != row] for row in gone]
        scores = score_without(question, fewer)
        if scores.places.max() <= k:
            return gone
        gone = fewer[_lowest(scores)]


def _result(question: Question, gone: list[int], *, k: int, rank: int, tried: int) -> Counterfactual:
    """Order the rows by what they do alone, and count the place after each."""
    alone = score_without(question, [[row] for row in gone]).log_odds if gone else []
    gone = [row for _, row in sorted(zip(alone, gone, strict=True))]
    places = score_without(question, [gone[: n + 1] for n in range(len(gone))]).places if gone else []
    df = question.words.df.iloc[gone][["position", "item_id", "label"]].reset_index(drop=True).assign(rank=places)
    n_items = len(question.words.items)
    smallest = len(gone) <= tried + 1 if gone else n_items <= tried
    sizes = {0: "nothing", 1: "every item", 2: "every item and every pair"}[tried]
    note = f"{sizes} of {n_items:,} tried" + ("" if 0 < len(gone) <= tried or n_items <= tried else ", then greedily")
    item = question.recommender.vocabulary.spelling.items[question.row]
    return Counterfactual(df, item, question.title, rank, k, bool(gone), smallest, note)

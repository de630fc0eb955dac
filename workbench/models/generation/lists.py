"""Lists of items that the model writes: by beam, by chance, or as a slate that grows item by item."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from threading import Event
from typing import Any

import numpy as np
import pandas as pd

from workbench.language import Prompt
from workbench.language.prompts import Kept
from workbench.models.generation.chance import take_dice
from workbench.models.generation.decode import Found, draw_items, search_beams, write
from workbench.models.generation.settings import Decoding
from workbench.models.generation.words import Teller, Word
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import Histories, as_histories, candidate_codes, item_codes
from workbench.models.vectors import unit_rows

SOMEBODY = "somebody"
REDRAWS = 5  # times that what was drawn before may be drawn again, and is dropped, before it is blocked


def generate(
    recommender: GPT2Recommender,
    prompt: Prompt | Histories,
    *,
    request: str | Mapping[str, str] | None = None,
    context: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] | None = None,
    stop: Event | None = None,
    on_word: Callable[[Word], None] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Lists of items, written word by word under the trie of the spelling: no item twice, nothing outside the catalog.

    Args:
        recommender: Who writes.
        prompt: A ``Prompt``, or histories as in ``rank``.
        request: A wish in words, as in ``rank``; part of a ``Prompt`` already.
        context: As in ``rank``; part of a ``Prompt`` already.
        profile: As in ``rank``; part of a ``Prompt`` already.
        stop: Set it, and writing ends at the next word; what is finished by then is returned.
        on_word: Called after each word of a slate (``how="greedy"``, one user).
        settings: Of :class:`workbench.models.generation.Decoding`: ``k``, ``how``, ``width``, ``temperature``,
            ``top_p``, ``diversity``, ``seed``, ``exclude_seen``, ``constrain``.

    Returns:
        Rankings table ``user_id, item_id, rank, score`` (log-probability among all items after the prompt): for a beam
        and draws in order of probability, for a slate in the order of writing, where each score is that of the item
        after those before it. With ``constrain=False`` an ``item_id`` is missing where what was written is no item.
        ``attrs["stopped"]`` says whether it was ended before everything was written; a Stop after that changes nothing.

    Raises:
        ValueError: If an item of a history is unknown, settings contradict each other, or context or profile say what
            was not learned.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Cube"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> sorted(generate(recommender, Prompt(history=("a",)), k=5)["item_id"])
        ['b', 'c']
    """
    decoding = Decoding(**settings)
    said: dict[str, Any] = {"request": request, "context": context, "profile": profile}
    if isinstance(prompt, Prompt):
        if any(said.values()):
            raise ValueError("request, context and profile are part of the Prompt already; say them once.")
        said = {"request": prompt.request, "context": prompt.context, "profile": prompt.profile}
        prompt = {SOMEBODY: prompt.history}
    histories, ask = as_histories(prompt), None if stop is None else _Asked(stop)
    items = recommender.vocabulary.spelling.items
    seen = item_codes(histories, items=pd.Index(items, dtype=object))
    kept = recommender.keep_prompts(histories, said)
    if decoding.how == "greedy":
        teller = Teller(recommender, on_word) if on_word else None
        whole = [[recommender, own, rows] for own, rows in zip(kept, seen, strict=True)]
        lists = [_write_slate(*one, decoding=decoding, stop=ask, teller=teller) for one in whole]
    else:
        prompts = [recommender.template.write(recommender.vocabulary, own) for own in kept]
        find = _find_by_beam if decoding.how == "beam" else _draw
        lists = find(recommender, prompts, seen, decoding=decoding, stop=ask)
    table = _table(list(histories), lists, items=items)
    table.attrs["stopped"] = ask is not None and ask.ended
    return table


class _Asked(Event):
    """A Stop that remembers whether it ended anything: it is asked only where something is left to write.

    Attributes:
        ended: Whether somebody has asked it and heard yes.
    """

    def __init__(self, stop: Event) -> None:
        super().__init__()
        self._stop, self.ended = stop, False

    def is_set(self) -> bool:
        """Whether to end here."""
        self.ended = self.ended or self._stop.is_set()
        return self.ended


def rank_by_beam(
    recommender: GPT2Recommender,
    histories: Mapping[str, Sequence[str]],
    *,
    said: Mapping[str, Any],
    k: int,
    exclude_seen: bool,
    candidates: Sequence[str] | None,
) -> pd.DataFrame:
    """What ``rank`` answers where the items are too many to score them all: the best that a beam finds."""
    items = pd.Index(recommender.vocabulary.spelling.items, dtype=object)
    out = item_codes(histories, items=items) if exclude_seen else [np.empty(0, dtype=int)] * len(histories)
    if candidates is not None:
        others = np.delete(np.arange(len(items)), candidate_codes(candidates, items=items))
        out = [np.concatenate([rows, others]) for rows in out]
    decoding = Decoding(k=k)
    lists = _find_by_beam(recommender, recommender.prompts(histories, said), out, decoding=decoding, stop=None)
    return _table(list(histories), lists, items=items)


def _find_by_beam(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    seen: Sequence[np.ndarray],
    *,
    decoding: Decoding,
    stop: Event | None,
) -> list[Found]:
    """The k best of each beam, best first."""
    out = None
    if decoding.constrain:
        out = [rows.tolist() if decoding.exclude_seen else [] for rows in seen]
    width = min(max(decoding.beams, decoding.k), len(recommender.catalog))
    found = search_beams(recommender, prompts, out=out, width=width, stop=stop)
    return [_best(own)[: decoding.k] for own in found]


def _draw(
    recommender: GPT2Recommender,
    prompts: Sequence[list[int]],
    seen: Sequence[np.ndarray],
    *,
    decoding: Decoding,
    stop: Event | None,
) -> list[Found]:
    """K different items per prompt, drawn one after the other; what was drawn before or is seen is dropped.

    Without the trie: k draws, as they come.

    Blocking it at once would hand its chance to its neighbours in the trie. Only what keeps coming is blocked.
    """
    dice = take_dice(decoding.seed, recommender.device)
    chance = {"temperature": decoding.temperature, "top_p": decoding.top_p, "dice": dice}
    gone = [set(rows.tolist()) if decoding.exclude_seen and decoding.constrain else set() for rows in seen]
    lists: list[Found] = [[] for _ in prompts]
    at_once = recommender.vocabulary.one_word  # there is one choice, and nobody's neighbours
    for attempt in count():
        short = [i for i, own in enumerate(lists) if len(own) < decoding.k and len(gone[i]) < len(recommender.catalog)]
        if not short or (stop is not None and stop.is_set()):
            break
        out = [sorted(gone[i]) if at_once or attempt >= REDRAWS else [] for i in short] if decoding.constrain else None
        some = [prompts[i] for i in short]
        found = draw_items(recommender, some, out=out, draws=decoding.k, stop=stop, chance=chance)
        if not decoding.constrain:
            lists = found  # whatever it is, an item twice as well: a share of what was drawn is to be read off it
            break
        for i, own in zip(short, found, strict=True):
            for row, score in own:
                if len(lists[i]) < decoding.k and row not in gone[i] and row >= 0:
                    lists[i].append((row, score))
                    gone[i].add(row)
    return [_best(own) for own in lists]


def _write_slate(
    recommender: GPT2Recommender,
    kept: Kept,
    seen: np.ndarray,
    *,
    decoding: Decoding,
    stop: _Asked | None,
    teller: Teller | None,
) -> Found:
    """A slate of k items: each is what comes next once the items before it were met as well.

    They join the history, so that context and request stand where training has them, whatever the place.

    With diversity, each place goes to the item of a beam with the highest log-probability less ``diversity`` times its
    cosine with the most similar item before it (maximal marginal relevance; Carbonell and Goldstein, 1998).
    """
    slate: Found = []
    template, words = recommender.template, recommender.vocabulary
    vectors = _directions(recommender) if decoding.diversity else None
    gone = set(seen.tolist()) if decoding.exclude_seen else set()
    left = len(recommender.catalog) - (len(gone) if decoding.constrain else 0)
    while len(slate) < min(decoding.k, left) and not (stop is not None and stop.is_set()):
        rows = [row for row, _ in slate if row >= 0]
        out = sorted({*rows, *gone})
        longer, place = [template.write(words, template.lengthen(words, kept, rows))], len(slate) + 1
        if vectors is None:
            told = teller.item(place) if teller else None
            allowed = [out] if decoding.constrain else None
            written = write(recommender, longer, out=allowed, per_prompt=1, stop=stop, told=told, do_sample=False)
            found = [(int(written.rows[0]), float(written.scores[0]))]
        else:
            found = search_beams(recommender, longer, out=[out], width=decoding.beams, stop=stop)[0]
            found = _most_worth(found, rows, vectors, decoding.diversity)
        if not found or (stop is not None and stop.ended):
            break  # in the middle of an item: a beam may have missed the best, too
        if teller and vectors is not None:
            teller.whole_item(place, *found[0])
        slate += found[:1]
    return slate


def _most_worth(found: Found, rows: Sequence[int], vectors: np.ndarray, diversity: float) -> Found:
    """The items found, the one of the highest log-probability less similarity to those before first."""
    if not rows:
        return _best(found)
    alike = {row: float((vectors[row] @ vectors[list(rows)].T).max()) for row, _ in found}
    return sorted(found, key=lambda pair: -(pair[1] - diversity * alike[pair[0]]))


def _directions(recommender: GPT2Recommender) -> np.ndarray:
    """Item vectors less their mean, each of length 1, (n_items, d_model)."""
    with recommender.at_rest():
        rows = recommender.item_rows().float().cpu().numpy()
    return unit_rows(rows - rows.mean(axis=0))


def _best(found: Found) -> Found:
    """In order of probability, equal ones in catalog order."""
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _table(users: Sequence[str], lists: Sequence[Found], *, items: Sequence[str]) -> pd.DataFrame:
    """The rankings table of lists of catalog rows; what is no item has no id."""
    rows = [
        (user, items[row] if row >= 0 else None, rank, score)
        for user, own in zip(users, lists, strict=True)
        for rank, (row, score) in enumerate(own, start=1)
    ]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rank", "score"])
    return table.astype({"user_id": "str", "item_id": "str", "rank": "int64", "score": "float32"})

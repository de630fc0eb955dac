"""What each word of the prompt does to the score of one item: five methods, one table, one sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.insight.effects.captum_methods import fit_lime, integrate_gradients, sample_shapley
from workbench.insight.effects.occlusion import (
    WordEffects,
    compare_removals,
    mask_each,
    read_removals,
    remove_each,
)
from workbench.insight.effects.question import Question, ask
from workbench.models import GPT2Recommender
from workbench.models.scoring import score_items

METHODS: dict[str, Callable[[Question, int], WordEffects]] = {
    "occlusion": remove_each,
    "masking": mask_each,
    "integrated gradients": integrate_gradients,
    "shap": sample_shapley,
    "lime": fit_lime,
}


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each word of a prompt moves one item.

    Attributes:
        df: One row per history item or request word that was read, in the order of the prompt: ``position`` (place in
            the prompt), ``kind`` ("item" or "request"), ``item_id`` (missing for a request word), ``label`` (plain
            text), ``effect`` (change of the item's log-odds because the word is there; above 0 it helps), ``ranks``
            (places the item stands higher because the word is there; missing unless the method is "occlusion" or
            "masking"), ``low`` and ``high`` (95 % interval of the effect; missing where nothing is sampled).
        item_id: The item.
        title: Its title with its year.
        probability: Of the item after the whole prompt among all items of the catalog, 0 to 1, as in ``rank``.
        rank: Its place after the whole prompt, 1 is best, among the items that are not in the history.
        method: One of ``METHODS``.
        seed: Of the methods that sample.
        note: How it was measured: steps or samples, and how many items of a long history were not read.
    """

    df: pd.DataFrame
    item_id: str
    title: str
    probability: float
    rank: int
    method: str
    seed: int
    note: str

    @property
    def sentence(self) -> str:
        """The word that helps most, by places where they are counted, and what it does; one sentence.

        Plain text: titles are as the catalog has them and must be escaped before they become HTML.
        """
        row = self.df.sort_values(["ranks", "effect"], na_position="first").iloc[-1]
        word = row["label"] if row["kind"] == "item" else f'the word "{row["label"]}"'
        counted = pd.notna(row["ranks"])
        if row["effect"] <= 0 and not (counted and row["ranks"] > 0):
            return f"Nothing in the prompt helps {self.title}; {word} hurts it least, {row['effect']:+.2f} in log-odds."
        if counted:
            undone = f"Without {word}" if self.method == "occlusion" else f"With {word} hidden"
            return f"{undone}, {self.title} would {_move(self.rank, self.rank + row['ranks'])}."
        interval = "" if pd.isna(row["low"]) else f", 95 % interval {row['low']:+.2f} to {row['high']:+.2f}"
        return f"By {self.method}, {word} helps {self.title} most: {row['effect']:+.2f} in log-odds{interval}."


def attribute(
    recommender: GPT2Recommender,
    history: Sequence[str],
    item: str,
    *,
    request: str | None = None,
    context: Mapping[str, str] | None = None,
    profile: Mapping[str, str] | None = None,
    method: str = "occlusion",
    seed: int = 0,
) -> Attribution:
    """What each item of a history and each word of a request does to the score of one item.

    An effect is a difference in log-odds of the item against all other items that are not in the history; these rivals
    stay the same whatever is taken away. Of a history longer than the prompt the newest items are read, as in ``rank``;
    the others have no row, and ``note`` says how many they are.

    Args:
        recommender: Who recommends.
        history: Item ids, oldest first; may be empty if there is a request.
        item: The item to explain, any of the catalog; an item of the history stands beside those that are not in it.
        request: A wish in words.
        context: When, where and on what, ``{column: value}``.
        profile: Who somebody is, likewise.
        method: "occlusion": the word is removed and the gap closed, exact. "masking": it keeps its place, but its
            embedding becomes the mean of all items' (of all text's for a request word, of all marks of its part for a
            mark), exact. "integrated gradients": along the line from everything masked to nothing masked, sums to the
            whole difference within 1 %. "shap": Shapley values of masking, sampled. "lime": a linear fit to random
            maskings, sampled. The last two read the model a thousand times and more, which takes seconds for a long
            history.
        seed: For "shap" and "lime": the same seed gives the same numbers.

    Raises:
        TypeError: If the history is a string.
        ValueError: If the method is not known, the item or one of the history is not in the catalog, history and
            request are both empty, or every other item is in the history.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Cube"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> attribute(recommender, ["a"], "c", request="a comedy").df["label"].tolist()
        ['Alien', 'a', 'comedy']
    """
    if method not in METHODS:
        raise ValueError(f"method {method!r} is not known; choose one of {list(METHODS)}.")
    with recommender.lock:  # effects, place and probability are those of the same weights
        question = ask(recommender, history, item, request=request, context=context, profile=profile)
        return _told(question, METHODS[method](question, seed), method=method, seed=seed)


class Occlusion:
    """``attribute`` by occlusion for one item after another, fast from the second one on.

    The prompts without each word in turn are the same for every item, so they are read only once, for the first item
    that is asked about, with the weights the model has then.

    Args:
        recommender: Who recommends.
        history: Item ids, oldest first; may be empty if there is a request.
        said: Request, context and profile, as ``attribute`` takes them.
    """

    def __init__(self, recommender: GPT2Recommender, history: Sequence[str], **said: Any) -> None:
        """Nothing is read yet."""
        self._ask, self._lock = partial(ask, recommender, history, **said), recommender.lock
        self._states: torch.Tensor | None = None

    def attribute(self, item: str, *, stop: Event | None = None) -> Attribution | None:
        """The same as ``attribute(recommender, history, item, request=request)``, errors included.

        Args:
            item: The item to explain.
            stop: Ends the reading at its next step; then there is no answer, None.
        """
        with self._lock:
            question = self._ask(item)
            if self._states is None:
                self._states = read_removals(question, stop=stop)
            if self._states is None:
                return None
            return _told(question, compare_removals(question, self._states), method="occlusion", seed=0)


def _told(question: Question, effects: WordEffects, *, method: str, seed: int) -> Attribution:
    """What was found, beside the words it was found for."""
    df, missing = question.words.df.copy(), np.full(len(question.words.df), np.nan)
    df["effect"] = effects.effect
    df["ranks"] = pd.array([pd.NA] * len(df) if effects.ranks is None else effects.ranks, dtype="Int64")
    df["low"] = missing if effects.low is None else effects.low
    df["high"] = missing if effects.high is None else effects.high
    probability, rank = _standing(question)
    unread = question.words.unread
    note = effects.note + (f"; the {unread:,} oldest items of the history are not read" if unread else "")
    item = question.recommender.vocabulary.spelling.items[question.row]
    return Attribution(df, item, question.title, probability, rank, method, seed, note)


def _standing(question: Question) -> tuple[float, int]:
    """Probability and place of the item after the whole prompt."""
    recommender, prompts = question.recommender, [question.words.prompt]
    with recommender.at_rest():
        if recommender.vocabulary.one_word:
            read = recommender.hidden_states(prompts)
            scores = score_items(recommender.model, recommender.vocabulary, prompts, states=read)
        else:
            read = scores = recommender.item_scores(prompts)
        return float(scores[0, question.row].exp()), int(question.places(read)[0])


def _move(before: int, after: int) -> str:
    """From place to place, as a verb; only said of a word that helps."""
    if after == before:
        return f"stay at place {before:,}, with lower odds"
    if after < before:
        return f"rise from place {before:,} to {after:,}, though with lower odds"
    return f"fall from place {before:,} to {after:,}"

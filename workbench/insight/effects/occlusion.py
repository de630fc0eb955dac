"""Effects found by taking away one word at a time: exact, nothing is sampled.

Removing takes the word out and closes the gap, as if it had never been there, so later words move up by one place.
Masking leaves a neutral word in its place, so nothing moves, but the model reads a word that stands for nothing.
"""

from dataclasses import dataclass
from threading import Event

import numpy as np
import torch

from workbench.insight.effects.question import Question, Scores, read_without, score_masked, score_states


@dataclass(frozen=True, eq=False)
class WordEffects:
    """What one method says about every row of ``words.df``; arrays of shape (n_rows,), None where it says nothing.

    Attributes:
        effect: Change of the log-odds of the item because the word is there; above 0 it helps.
        ranks: Places that the item stands higher because the word is there; below 0: lower.
        low: Lower end of the 95 % interval of the effect.
        high: Upper end.
        note: How it was measured, one clause.
    """

    effect: np.ndarray
    note: str
    ranks: np.ndarray | None = None
    low: np.ndarray | None = None
    high: np.ndarray | None = None


def remove_each(question: Question, seed: int = 0) -> WordEffects:
    """Effect of each word by removing it; exact, ``seed`` changes nothing."""
    return compare_removals(question, read_removals(question))


def read_removals(question: Question, *, stop: Event | None = None) -> torch.Tensor | None:
    """What ``read_without`` reads after the whole prompt and without each word in turn, 1 + n_rows; same for any item.

    None if it was stopped.
    """
    return read_without(question, [[], *([row] for row in range(len(question.words.df)))], stop=stop)


def compare_removals(question: Question, states: torch.Tensor) -> WordEffects:
    """Effect of each word from what ``read_removals`` read."""
    return _compared(score_states(question, states), note="each word removed in turn, exact")


def mask_each(question: Question, seed: int = 0) -> WordEffects:
    """Effect of each word by hiding it behind a neutral one; exact, ``seed`` changes nothing."""
    n_rows = len(question.words.df)
    presence = np.concatenate([np.ones((1, n_rows)), 1 - np.eye(n_rows)])
    return _compared(score_masked(question, presence), note="each word hidden behind a neutral one in turn, exact")


def _compared(scores: Scores, *, note: str) -> WordEffects:
    """The first score, with everything there, against all others."""
    effect = scores.log_odds[0] - scores.log_odds[1:]
    return WordEffects(effect, note, ranks=scores.places[1:] - scores.places[0])

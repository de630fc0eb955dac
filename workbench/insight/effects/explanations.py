"""Does an explanation explain? Weights on the items of a history, held against the world and against the model.

*Plausible* is what agrees with the cause in the world: in a simulated world the true effect of every item of a history
is known. *Faithful* is what agrees with the model, right or wrong: take away first what is said to help most, and the
score must fall fast (Samek et al., 2017, "Evaluating the visualization of what a deep neural network has learned",
section III). A method can be one without the other: a good story about the world need say nothing about this model.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.insight.attention.weights import attend
from workbench.insight.effects.attribution import METHODS, attribute
from workbench.insight.effects.question import ask, score_without
from workbench.models import GPT2Recommender

FLOORS = ("random", "most recent")
ATTENTION = ("attention", "rollout")
DRAWS = 20  # of the random floor per case: a single one may lie off zero by chance
EXPLAINERS = (*FLOORS, *ATTENTION, *METHODS)
MEASURES = {
    "signed": "rank correlation with the true effect, -1 to 1",
    "size": "rank correlation with the size of the true effect, signs dropped, -1 to 1",
    "earlier": "the same as signed among all items but the last, -1 to 1",
    "top": "share of recommendations where the strongest item is the truly strongest, 0 to 1",
    "last": "share of all weight, signs dropped, that the last item carries, 0 to 1",
    "deletion": "mean fall of the log-odds while the items go, most helpful first; higher is more faithful",
    "insertion": "mean rise of the log-odds while the items come, most helpful first; higher is more faithful",
}


class Simulator(Protocol):
    """A world whose probabilities are known, such as :class:`workbench.catalogs.films.Films`."""

    def probabilities(self, history: Sequence[str]) -> np.ndarray:
        """True probability of every item after a history, catalog order."""


@dataclass(frozen=True, eq=False)
class KnownCase:
    """A recommendation whose causes are known: ``effects[j]`` is log p(item | history) - log p(item | without j)."""

    history: list[str]
    item_id: str
    effects: np.ndarray  # (n_history,)


def know_cases(
    recommender: GPT2Recommender, simulator: Simulator, histories: Mapping[str, Sequence[str]], *, last: int = 30
) -> list[KnownCase]:
    """Each user's first recommendation, with the true effect of every item of the history on it.

    The simulator is not told who the user is: it infers the taste from the history, as the model has to. Told the
    taste, it would give an effect to the last item only. An item that is taken out is a candidate again for it.

    Args:
        recommender: Who recommends.
        simulator: The world the recommender's data came from; items in the order of the recommender's catalog.
        histories: ``{user_id: [item_id, ...]}``, oldest first, none empty.
        last: Newest items that simulator and recommender both see; nothing older is shown to either.

    Raises:
        ValueError: If a history is empty.
    """
    if empty := [user for user, history in histories.items() if not len(history)]:
        raise ValueError(
            f"{len(empty)} user(s) have an empty history, the first is {empty[0]!r}: without an item there is no "
            "effect to know. Leave them out."
        )
    shorter = {user: list(history)[-last:] for user, history in histories.items()}
    first = recommender.rank(shorter, k=1).set_index("user_id")["item_id"]
    items = recommender.vocabulary.spelling.items
    return [
        KnownCase(history, first[user], true_effects(simulator, history)[:, items.index(first[user])])
        for user, history in shorter.items()
    ]


def true_effects(simulator: Simulator, history: Sequence[str]) -> np.ndarray:
    """True log p(x | history) - log p(x | history without j) for every j and x, shape (n_history, n_items)."""
    history = list(history)
    with np.errstate(divide="ignore", invalid="ignore"):  # what was watched has probability 0
        whole = np.log(simulator.probabilities(history))
        return np.stack([whole - np.log(simulator.probabilities(_less(history, j))) for j in range(len(history))])


def weigh_items(
    recommender: GPT2Recommender, history: Sequence[str], item: str, *, method: str, seed: int = 0
) -> np.ndarray:
    """The weight a method gives to each item of the history that is read, oldest first, shape (n_read,).

    Args:
        recommender: Who recommends.
        history: Item ids, oldest first.
        item: The recommended item.
        method: A method of ``attribute`` (its effects, with sign); "attention": mean over layers and heads, and
            "rollout", both read at the last item and never below 0; the floors "random" (normal draws) and
            "most recent" (1 for the oldest, 2 for the next, ...).
        seed: Of what is drawn.
    """
    if method in ATTENTION:
        looked = attend(recommender, history, item=item).history_weights(rollout=method == "rollout")
        return looked["attention"].to_numpy(dtype=float)
    if method in FLOORS:
        n_read = len(ask(recommender, history, item).words.items)
        return (
            np.arange(1.0, n_read + 1) if method == "most recent" else np.random.default_rng(seed).normal(size=n_read)
        )
    return attribute(recommender, history, item, method=method, seed=seed).df["effect"].to_numpy()


def score_explanations(
    recommender: GPT2Recommender,
    cases: Sequence[KnownCase],
    *,
    methods: Sequence[str] = EXPLAINERS,
    curves: bool = True,
) -> pd.DataFrame:
    """Every method on every case.

    Args:
        recommender: Who is explained; it need not be the one that made the cases.
        cases: From ``know_cases``. The number of a case is the seed of what is drawn for it. The agreement of "random"
            is a mean over 20 draws per case; its curves follow the first of them.
        methods: Of ``EXPLAINERS``; "truth" stands for the true effects themselves.
        curves: Whether to measure deletion and insertion too.

    Returns:
        One row per method and case: ``method``, ``case``, and the columns described in ``MEASURES``.
    """
    rows = []
    for method in methods:
        for number, case in enumerate(cases):
            known = (recommender, case.history, case.item_id)
            weights = case.effects if method == "truth" else weigh_items(*known, method=method, seed=number)
            found = agree_by_chance(case.effects, seed=number) if method == "random" else agree(weights, case.effects)
            row = {"method": method, "case": number, **found, "last": share_of_last(weights)}
            rows.append(row | (follow(*known, weights=weights) if curves else {}))
    return pd.DataFrame(rows)


def agree(weights: np.ndarray, effects: np.ndarray) -> dict[str, float]:
    """How far the weights of one explanation agree with the true effects: ``signed``, ``size``, ``earlier``, ``top``.

    Spearman's rank correlation within one history. Weights without sign, as attention's, are judged fairly by ``size``
    and ``top``, where every method's sign is dropped; ``signed`` shows what that costs. ``earlier`` leaves out the last
    item, which stands out by its place alone, in the world and in any model that reads from left to right.

    Example:
        >>> found = agree(np.array([0.1, 0.2, 0.7]), np.array([0.1, -0.5, 0.9]))
        >>> {name: round(value, 3) for name, value in found.items()}
        {'signed': 0.5, 'size': 1.0, 'earlier': -1.0, 'top': 1.0}
    """
    return {
        "signed": _spearman(weights, effects),
        "size": _spearman(np.abs(weights), np.abs(effects)),
        "earlier": _spearman(weights[:-1], effects[:-1]),
        "top": float(np.abs(weights).argmax() == np.abs(effects).argmax()),
    }


def agree_by_chance(effects: np.ndarray, *, seed: int = 0) -> dict[str, float]:
    """What ``agree`` says of random weights, mean over 20 draws; the first draw is the one ``weigh_items`` gives."""
    draws = np.random.default_rng(seed).normal(size=(DRAWS, len(effects)))
    return pd.DataFrame([agree(draw, effects) for draw in draws]).mean().to_dict()


def share_of_last(weights: np.ndarray) -> float:
    """Share of all weight, signs dropped, that the last item carries, 0 to 1; 0 if there is no weight at all."""
    sizes = np.abs(weights)
    return float(sizes[-1] / sizes.sum()) if sizes.sum() > 0 else 0.0


def follow(recommender: GPT2Recommender, history: Sequence[str], item: str, *, weights: np.ndarray) -> dict[str, float]:
    """What the model does when the items go or come in the order of their weights, the most helpful first.

    Returns:
        ``deletion``: mean over the steps, none to all taken away, of how far the item's log-odds have fallen;
        ``insertion``: mean over the steps, none to all put back, of how far they have risen. The first and the last
        step are the same for every order.
    """
    question = ask(recommender, history, item)
    order = np.argsort(-weights, kind="stable").tolist()
    n = len(order)
    absences = [order[:step] for step in range(n + 1)] + [order[step:] for step in range(n + 1)]
    odds = score_without(question, absences).log_odds
    falling, rising = odds[: n + 1], odds[n + 1 :]
    return {
        "deletion": float(np.trapezoid(falling[0] - falling) / n),
        "insertion": float(np.trapezoid(rising - rising[0]) / n),
    }


def average_explanations(scores: pd.DataFrame) -> pd.DataFrame:
    """Means over cases with 95 % bootstrap intervals; cases are resampled alike for every method.

    Args:
        scores: From ``score_explanations``.

    Returns:
        Index ``method``; for each measure its mean, ``<measure>_low`` and ``<measure>_high``; and ``cases``.
    """
    measures = [name for name in MEASURES if name in scores]
    rows = {}
    for method, some in scores.groupby("method", sort=False):
        values = some[measures].to_numpy(dtype=float)
        rows[method] = dict(zip(measures, values.mean(0), strict=True)) | _interval(values, measures)
        rows[method]["cases"] = len(some)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


def read_explanations(path: str | Path) -> pd.DataFrame:
    """The table saved by ``benchmarks/explain.py``: index ``model``, ``method``; columns of ``average_explanations``.

    Raises:
        FileNotFoundError: If nothing was measured yet.
    """
    models = json.loads(Path(path).read_text("utf-8"))["models"]
    rows = {(model, method): row for model, methods in models.items() for method, row in methods.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["model", "method"])
    return table[[name for name in table if name.removesuffix("_low").removesuffix("_high") in (*MEASURES, "cases")]]


def read_last_shares(path: str | Path) -> pd.DataFrame:
    """Share of all weight that the last item carries (0 to 1), in each world; saved by ``benchmarks/explain.py``.

    Returns:
        Index ``world``, ``last film`` ("series": it has a next one in its series; "no step": it leads to none;
        "difference": the first less the second); columns "truth" and the methods, with the ends of their 95 % intervals
        as ``<method>_low`` and ``<method>_high``.

    Raises:
        FileNotFoundError: If nothing was measured yet.
    """
    worlds = json.loads(Path(path).read_text("utf-8"))["last"]
    rows = {
        (world, group): {
            f"{method}{end}": found[f"last{end}"]
            for method, found in row["methods"].items()
            for end in ("", "_low", "_high")
        }
        for world, groups in worlds.items()
        for group, row in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["world", "last film"])


def _interval(values: np.ndarray, measures: Sequence[str]) -> dict[str, float]:
    low, high = percentile_interval(bootstrap_means(values))
    ends = [(f"{name}_low", float(low[n]), f"{name}_high", float(high[n])) for n, name in enumerate(measures)]
    return {key: value for a, b, c, d in ends for key, value in ((a, b), (c, d))}


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one side is all equal or there is only one item: no order, no agreement."""
    one, other = rankdata(one), rankdata(other)
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _less(history: list[str], place: int) -> list[str]:
    return history[:place] + history[place + 1 :]

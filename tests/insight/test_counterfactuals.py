"""Counterfactuals: the smallest set is the one that trying everything finds, and what was not tried is said."""

import itertools

import numpy as np
import pandas as pd
import pytest

from workbench.insight import counterfactual
from workbench.insight.effects import counterfactuals
from workbench.insight.effects.question import Scores
from workbench.models import GPT2Recommender, start_recommender

IDS = [f"{row:03d}" for row in range(30)]
TITLES = ["<b>Bold</b>", *[f"Film {n}" for n in range(1, 30)]]


@pytest.fixture(scope="module")
def tiny() -> GPT2Recommender:
    """Two layers of random weights, with item rows far apart."""
    recommender = start_recommender(
        pd.DataFrame({"item_id": IDS, "title": TITLES}), layers=2, width=16, heads=2, max_history=20
    )
    recommender.item_rows().detach().mul_(20)
    return recommender


def places(recommender: GPT2Recommender, history: list[str], *, seen: list[str], request: str | None) -> pd.Series:
    """Place of every item that is not in ``seen``, by the public ranking."""
    among = [item for item in IDS if item not in seen]
    ranked = recommender.rank({"u": history}, k=30, candidates=among, exclude_seen=False, request=request)
    return ranked.set_index("item_id")["rank"]


def smallest_by_trying_everything(
    recommender: GPT2Recommender, history: list[str], item: str, *, k: int, request: str | None
) -> tuple[int | None, int]:
    """Size of the smallest set whose removal drops the item out, and the lowest place a set of that size leads to."""
    for size in range(1, len(history) + 1):
        after = [
            places(recommender, [history[row] for row in kept], seen=history, request=request)[item]
            for kept in itertools.combinations(range(len(history)), len(history) - size)
        ]
        if max(after) > k:
            return size, max(after)
    return None, 0


@pytest.mark.parametrize("request_", [None, "red films"])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_sets_of_one_and_two_are_those_that_trying_everything_finds(tiny, length, request_):
    sizes = set()
    for begin in range(0, 20, 4):
        history = IDS[begin : begin + length]
        for k in (1, 5, 15):
            item = places(tiny, history, seen=history, request=request_).index[k - 1]  # the last in the list
            found = counterfactual(tiny, history, item, k=k, request=request_)
            size, lowest = smallest_by_trying_everything(tiny, history, item, k=k, request=request_)
            sizes.add(size)
            assert found.rank == k
            if size is None:
                assert not found.found and found.df.empty
            elif size <= 3:
                assert (found.found, len(found.df), found.smallest) == (True, size, True)
            if size in (1, 2):
                assert found.df["rank"].iloc[-1] == lowest
    assert 1 in sizes


def test_removing_the_rows_does_what_the_table_says(tiny):
    history = IDS[:12]
    for item in places(tiny, history, seen=history, request=None).index[:5]:
        found = counterfactual(tiny, history, item, k=5)
        left = list(history)
        for row in found.df.itertuples():
            left.remove(row.item_id)
            assert places(tiny, left, seen=history, request=None)[item] == row.rank
        assert found.df.empty or found.df["rank"].iloc[-1] > 5


def test_none_of_a_greedy_set_can_be_left_out(tiny, monkeypatch):
    monkeypatch.setattr("workbench.insight.effects.counterfactuals.MOST_PAIRS", 0)
    history, seen_greedy = IDS[:12], 0
    for item in places(tiny, history, seen=history, request=None).index[:8]:
        found = counterfactual(tiny, history, item, k=8)
        if len(found.df) > 1:
            seen_greedy += 1
            assert "greedily" in found.note
            assert found.smallest == (len(found.df) <= 2)  # every single item was tried, no pair
            for spared in found.df["item_id"]:
                gone = set(found.df["item_id"]) - {spared}
                left = [one for one in history if one not in gone]
                assert places(tiny, left, seen=history, request=None)[item] <= 8
    assert seen_greedy


def test_what_is_needed_beside_one_row_may_be_spared_beside_another(monkeypatch):
    out = [{0, 1, 2}, {0, 2}, {2}]  # sets that drop the item: 0 is needed beside 1 and 2, but not beside 2 alone

    def score(_, absences):
        places = np.array([2 if set(rows) in out else 1 for rows in absences])
        return Scores(log_odds=np.zeros(len(places)), places=places)

    monkeypatch.setattr(counterfactuals, "score_without", score)
    assert counterfactuals._thin(None, [0, 1, 2], k=1) == [2]


def test_when_nothing_helps_it_is_said(tiny):
    history = IDS[:2]
    item = places(tiny, history, seen=history, request=None).index[0]
    found = counterfactual(tiny, history, item, k=30)
    assert not found.found and found.smallest
    assert found.sentence == f"{found.title} stays among the first 30 whatever is removed from the history."
    longer = counterfactual(tiny, IDS[:5], IDS[20], k=30)
    assert not longer.found and not longer.smallest
    assert "every removal that was tried" in longer.sentence and "greedily" in longer.note


def test_the_sentence_names_what_would_have_to_be_missing(tiny):
    history = ["000"]
    ranked = places(tiny, history, seen=history, request=None)
    alone = places(tiny, [], seen=history, request=None)
    item = next(item for item in ranked.index if alone[item] > ranked[item])
    found = counterfactual(tiny, history, item, k=int(ranked[item]))
    assert found.sentence == (
        f"Without <b>Bold</b>, Film {int(item)} would leave the first {ranked[item]}: "
        f"place {alone[item]} instead of {ranked[item]}."
    )
    assert found.df["position"].tolist() == [1] and found.note == "every item of 1 tried"


def test_questions_without_an_answer_are_clear_errors(tiny):
    last = places(tiny, ["001"], seen=["001"], request=None).index[-1]
    with pytest.raises(ValueError, match="stands at place 29, not among the first 10; ask with k=29 or more"):
        counterfactual(tiny, ["001"], last)
    with pytest.raises(ValueError, match="the history is empty: there is nothing to remove"):
        counterfactual(tiny, [], "001", request="red films", k=30)
    with pytest.raises(ValueError, match="'nobody' is not in the catalog"):
        counterfactual(tiny, ["001"], "nobody")

"""Scores become rankings in one place: order, ties, seen items, candidates, and clear errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.models.ranking import ROOM, as_histories, count_users, item_codes, rank_in_blocks, top_k

ITEMS = ["a", "b", "c", "d", "e"]


def shown(rankings: pd.DataFrame, user: str) -> list[str]:
    return rankings.loc[rankings["user_id"] == user, "item_id"].tolist()


def test_the_highest_score_comes_first_and_ranks_have_no_gaps():
    rankings = top_k(np.array([[1.0, 5.0, -3.0, 4.0, 2.0]]), users=["u"], items=ITEMS, k=3)
    assert rankings["item_id"].tolist() == ["b", "d", "e"]
    assert rankings["rank"].tolist() == [1, 2, 3]
    assert rankings["score"].tolist() == [5.0, 4.0, 2.0]
    assert rankings["score"].dtype == np.float32


def test_equal_scores_keep_the_order_of_the_items():
    rankings = top_k(np.array([[0.0, -0.0, 1.0, 0.0, 1.0]]), users=["u"], items=ITEMS, k=4)
    assert rankings["item_id"].tolist() == ["c", "e", "a", "b"]


def test_scores_that_differ_only_beyond_float32_are_equal():
    rankings = top_k(np.array([[1.0, 1.0 + 1e-12]]), users=["u"], items=["a", "b"], k=2)
    assert rankings["item_id"].tolist() == ["a", "b"]


def test_seen_items_and_items_outside_the_candidates_are_never_shown():
    scores = np.tile(np.arange(5.0), (2, 1))
    rankings = top_k(
        scores, users=["u", "v"], items=ITEMS, k=5, seen=[["e", "elsewhere"], []], candidates=["a", "e", "c"]
    )
    assert shown(rankings, "u") == ["c", "a"]
    assert shown(rankings, "v") == ["e", "c", "a"]


def test_minus_infinity_means_never_recommend():
    rankings = top_k(np.array([[-np.inf, 1.0, -np.inf]]), users=["u"], items=["a", "b", "c"], k=3)
    assert rankings["item_id"].tolist() == ["b"]


def test_a_user_who_has_seen_everything_gets_an_empty_list():
    rankings = top_k(np.ones((2, 2)), users=["u", "v"], items=["a", "b"], k=2, seen=[["a", "b"], []])
    assert shown(rankings, "u") == []
    assert shown(rankings, "v") == ["a", "b"]


def test_no_users_give_an_empty_table_with_the_usual_columns():
    rankings = rank_in_blocks(lambda block: np.zeros((len(block), 5)), {}, items=ITEMS)
    assert len(rankings) == 0
    assert list(rankings.columns) == ["user_id", "item_id", "rank", "score"]


@st.composite
def tied_scores(draw):
    """Scores of few values, so that equal ones are everywhere, also where a list is cut; seen items and candidates."""
    n_users, n_items = draw(st.integers(1, 6)), draw(st.integers(1, 40))
    values = draw(st.sampled_from([[0.0], [1.0, 2.0], [-2.5, -1.0, -0.0, 0.0, 7.0], [-np.inf, 1.0, np.inf]]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    items = [f"i{place}" for place in rng.permutation(n_items)]
    scores = rng.choice(values, size=(n_users, n_items))
    seen = [list(rng.choice(items, size=rng.integers(0, n_items + 1))) for _ in range(n_users)]
    candidates = list(rng.choice(items, size=rng.integers(0, n_items + 1)))
    rules = {"seen": draw(st.sampled_from([None, seen])), "candidates": draw(st.sampled_from([None, candidates]))}
    return scores, items, draw(st.integers(1, n_items + 2)), rules


def sorted_whole(scores, *, items, k, seen, candidates):
    """The list of one user by a stable sort of all items."""
    order = [items[place] for place in np.argsort(-scores, kind="stable") if scores[place] > -np.inf]
    return [item for item in order if item not in seen and (candidates is None or item in candidates)][:k]


@given(tied_scores())
@settings(max_examples=200, deadline=None)
def test_the_quick_selection_equals_a_stable_sort_of_the_whole_row(made):
    scores, items, k, rules = made
    users = [f"u{row}" for row in range(len(scores))]
    rankings = top_k(scores, users=users, items=items, k=k, **rules)
    for row, user in enumerate(users):
        seen = rules["seen"][row] if rules["seen"] else []
        expected = sorted_whole(scores[row], items=items, k=k, seen=seen, candidates=rules["candidates"])
        assert shown(rankings, user) == expected
        own = rankings[rankings["user_id"] == user]
        assert own["rank"].tolist() == list(range(1, len(expected) + 1))
        assert own["score"].tolist() == [scores[row][items.index(item)] for item in expected]


def test_the_scores_that_were_given_are_left_as_they_are():
    scores = np.arange(5, dtype=np.float32)[None]
    top_k(scores, users=["u"], items=ITEMS, seen=[["e"]], candidates=["a", "e"])
    assert scores.tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0]]


def test_a_larger_catalog_is_scored_for_fewer_users_at_once():
    assert count_users(3_416) == 64 and count_users(3_416, at_most=512) == 512
    for n_items in (1, 10_000, 100_000, 1_000_000, 10_000_000):
        assert count_users(n_items, at_most=512) * n_items * 4 <= ROOM
    assert count_users(10**9) == 1


def test_blocks_become_smaller_where_the_catalog_is_large(monkeypatch):
    monkeypatch.setattr("workbench.models.ranking.ROOM", 3 * 5 * 4)  # three users of five items
    sizes = []

    def score(block):
        sizes.append(len(block))
        return np.zeros((len(block), 5))

    rank_in_blocks(score, {f"u{row}": [] for row in range(8)}, items=ITEMS)
    assert sizes == [3, 3, 2]


def test_blocks_of_users_change_nothing():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, 5))

    def score(block):
        return np.stack([table[history].sum(axis=0) for history in block])

    histories = {f"u{row}": list(rng.choice(ITEMS, size=2, replace=False)) for row in range(7)}
    together = rank_in_blocks(score, histories, items=ITEMS, k=3)
    apart = rank_in_blocks(score, histories, items=ITEMS, k=3, block_size=2)
    pd.testing.assert_frame_equal(together, apart)


def test_a_table_of_interactions_is_read_in_time_order_and_ties_keep_the_order_of_the_table():
    table = pd.DataFrame(
        {"user_id": ["v", "u", "u", "u"], "item_id": ["x", "late", "b", "a"], "timestamp": [1, 9, 2, 2]}
    )
    table["timestamp"] = pd.to_datetime(table["timestamp"], unit="s", utc=True)
    assert as_histories(table) == {"v": ["x"], "u": ["b", "a", "late"]}


def test_an_unknown_item_in_a_history_is_named_with_its_user():
    with pytest.raises(ValueError, match=r"\['zebra'\].*history of user 'v'"):
        item_codes({"w": [], "u": ["a"], "v": ["b", "zebra"]}, items=pd.Index(ITEMS))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (dict(scores=np.zeros((1, 4)), users=["u"], items=ITEMS), r"shape \(1, 4\)"),
        (dict(scores=np.zeros((1, 5)), users=["u"], items=ITEMS, k=0), "k is 0"),
        (dict(scores=np.full((1, 5), np.nan), users=["u"], items=ITEMS), "user 'u' hold NaN"),
        (dict(scores=np.zeros((1, 5)), users=["u"], items=ITEMS, candidates=["a", "zebra"]), r"\['zebra'\]"),
    ],
)
def test_bad_input_to_top_k_gives_one_clear_error(call, message):
    scores = call.pop("scores")
    with pytest.raises(ValueError, match=message):
        top_k(scores, **call)


def test_a_history_given_as_a_bare_string_is_refused():
    with pytest.raises(TypeError, match="give a list of item ids"):
        as_histories({"u": "abc"})
    with pytest.raises(TypeError, match="mapping"):
        as_histories(["a", "b"])
    with pytest.raises(ValueError, match="item_id"):
        as_histories(pd.DataFrame({"user_id": ["u"], "movie": ["a"]}))

"""Scores become rankings in one place: order, ties, seen items, candidates, and clear errors."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.models.ranking import as_histories, item_codes, rank_in_blocks, top_k

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


@given(
    scores=st.lists(st.lists(st.sampled_from([-2.5, -1.0, -0.0, 0.0, 0.5, 7.0]), min_size=6, max_size=6), min_size=1),
    k=st.integers(1, 8),
)
@settings(max_examples=60, deadline=None)
def test_the_quick_selection_equals_a_stable_sort_of_the_whole_row(scores, k):
    users = [f"u{row}" for row in range(len(scores))]
    items = np.array(list("fbadec"))
    rankings = top_k(np.array(scores), users=users, items=list(items), k=k)
    for user, row in zip(users, scores, strict=True):
        assert shown(rankings, user) == items[np.argsort(-np.array(row), kind="stable")][:k].tolist()


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

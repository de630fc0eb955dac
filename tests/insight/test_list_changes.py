"""What changed from one list to the next."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from workbench.insight.list_changes import compare_lists


def ranked(*items, user="u"):
    return pd.DataFrame({"user_id": user, "item_id": list(items), "rank": range(1, len(items) + 1), "score": -1.0})


def test_every_item_of_either_list_says_in_words_what_became_of_it():
    changes = compare_lists(ranked("a", "b", "c", "d"), ranked("d", "b", "e", "a"))
    assert changes.table.astype(object).fillna("").to_dict("list") == {
        "item_id": ["d", "b", "e", "a", "c"],
        "before": [4, 2, "", 1, 3],
        "after": [1, 2, 3, 4, ""],
        "change": ["up 3", "=", "new", "down 3", "left"],
    }
    assert (changes.entered, changes.left) == (["e"], ["c"])
    assert (changes.overlap, changes.size) == (3, 4)


def test_the_same_list_twice_agrees_wholly():
    changes = compare_lists(["a", "b", "c"], ["a", "b", "c"])
    assert changes.sentence == "3 of 3, rank correlation 1.00" and changes.correlation == 1
    assert set(changes.table["change"]) == {"="}


def test_the_order_turned_around_is_a_correlation_of_minus_one():
    assert compare_lists(["a", "b", "c"], ["c", "b", "a"]).correlation == -1


@pytest.mark.parametrize(
    ("before", "after", "overlap"), [([], [], 0), (["a"], [], 0), ([], ["a"], 0), (["a", "b"], ["b", "c"], 1)]
)
def test_fewer_than_two_in_both_have_no_correlation_and_the_sentence_says_so(before, after, overlap):
    changes = compare_lists(before, after)
    assert changes.correlation is None and changes.overlap == overlap
    assert changes.sentence == (
        f"{overlap} of {max(len(before), len(after))}, no rank correlation: it needs two items in both"
    )


def test_lists_of_different_length_are_counted_against_the_longer_one():
    assert compare_lists(["a", "b"], ["a", "b", "c", "d"]).sentence == "2 of 4, rank correlation 1.00"


def test_places_without_an_item_are_left_out():
    before = ranked("a", None, "b")
    changes = compare_lists(before, ranked("b", "a"))
    assert changes.table[["item_id", "before", "after"]].values.tolist() == [["b", 3, 1], ["a", 1, 2]]


def test_of_an_item_that_is_named_twice_the_first_place_counts():
    for before in (ranked("a", "b", "a", None, None), ["a", "b", "a"]):
        changes = compare_lists(before, ["b", "c", "b", "a"])
        assert changes.table[["item_id", "change"]].values.tolist() == [["b", "up 1"], ["c", "new"], ["a", "down 3"]]
        assert (changes.overlap, changes.size, changes.correlation) == (2, 3, -1)


def test_lists_of_several_users_and_plain_texts_are_refused():
    with pytest.raises(ValueError, match="holds the lists of 2 users; give the list of one user"):
        compare_lists(pd.concat([ranked("a"), ranked("b", user="v")]), ["a"])
    with pytest.raises(ValueError, match="'abc' is one text"):
        compare_lists(["a"], "abc")


@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(0, 10), st.integers(0, 10))
def test_the_correlation_is_the_one_of_scipy(before, after, n_before, n_after):
    before, after = [f"i{n}" for n in before[:n_before]], [f"i{n}" for n in after[:n_after]]
    both = sorted(set(before) & set(after))
    changes = compare_lists(before, after)
    if len(both) < 2:
        assert changes.correlation is None
    else:
        second = spearmanr([before.index(item) for item in both], [after.index(item) for item in both])
        assert changes.correlation == pytest.approx(second.statistic)
    entered = np.array(changes.table["before"].isna())
    assert changes.table["item_id"][entered].tolist() == [item for item in after if item not in before]

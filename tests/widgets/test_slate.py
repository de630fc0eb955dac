"""The list of the playground without a browser: what is sent to it."""

import numpy as np
import pandas as pd
import pytest

from workbench.insight.list_changes import compare_lists
from workbench.widgets.playground.prompt_line import group_units
from workbench.widgets.playground.slate import Slate, change_words, in_per_cent, list_part
from workbench.widgets.search_box import SearchBox

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def df():
    table = pd.DataFrame({"rank": [1, 2], "item_id": ["a", "b"], "title": [NASTY, "Moon (2009)"]})
    return table.assign(title_zh=[None, "月球"], probability=[0.5, 0.125])


def test_every_row_has_its_probability_in_per_cent_and_a_bar_as_long_as_its_share_of_the_largest(df):
    rows = list_part(df, caption="Run films")["rows"]
    assert [(row["probability"], row["share"]) for row in rows] == [("50.0 %", 1.0), ("12.5 %", 0.125 / 0.5)]
    assert [(row["title"], row["chinese"]) for row in rows] == [(NASTY, ""), ("Moon (2009)", "月球")]


def test_titles_are_sent_as_they_are_and_only_ever_put_in_as_text(df):
    slate = Slate(lists=[list_part(df, caption=NASTY)])
    assert slate.lists[0]["rows"][0]["title"] == NASTY
    for script in (Slate._esm, SearchBox._esm):
        assert "innerHTML" not in str(script) and "insertAdjacentHTML" not in str(script)


def test_a_list_without_rows_says_why_and_one_with_rows_does_not(df):
    assert list_part(df.head(0), caption="", empty="nothing is left")["empty"] == "nothing is left"
    assert list_part(df, caption="", empty="nothing is left")["empty"] == ""


def test_a_place_where_no_item_was_written_has_no_item(df):
    rows = list_part(df.assign(item_id=["a", np.nan]), caption="", changes={"a": "="})["rows"]
    assert [(row["item"], row["change"]) for row in rows] == [("a", "="), ("", "")]


def test_the_first_list_has_no_changes_and_the_next_names_each_in_words():
    assert change_words(None) == {}
    assert change_words(compare_lists(["a", "b", "c"], ["c", "a", "d"])) == {"c": "up 2", "a": "down 1", "d": "new"}


def test_small_shares_keep_one_decimal():
    assert (in_per_cent(0.0004), in_per_cent(0.00051)) == ("0.0 %", "0.1 %")


def test_a_unit_of_several_words_has_several_ids():
    words = pd.DataFrame(
        {"unit": [0, 1, 1, 2], "kind": ["control", "item", "item", "request"], "label": ["<history>", "A", "A", "slow"]}
    )
    assert group_units(words.assign(id=[300, 7, 8, 9])) == [
        ("control", "<history>", [300]),
        ("item", "A", [7, 8]),
        ("request", "slow", [9]),
    ]

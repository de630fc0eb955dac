"""The table of rows: what Python sends, which the browser puts in as text."""

import pandas as pd

from workbench.widgets.rows import Rows


def test_cells_are_text_numbers_have_three_decimals_and_missing_ones_are_empty() -> None:
    rows, table = Rows(), pd.DataFrame({"Title": ["<b>A</b>", None], "Cosine": [0.12345, -1.0], "No.": [12, 3]})
    rows.show(table, caption="Two")
    assert rows.columns == ["Title", "Cosine", "No."] and rows.caption == "Two"
    assert rows.rows == [["<b>A</b>", "0.123", "12"], ["", "-1.000", "3"]]


def test_a_bar_is_a_share_of_the_largest_and_zeros_have_none() -> None:
    rows = Rows()
    rows.show(pd.DataFrame({"p": [0.5, 0.125]}), caption="", bars=["p"])
    assert rows.rows == [[["50.0 %", 1.0]], [["12.5 %", 0.25]]]
    rows.show(pd.DataFrame({"p": [0.0]}), caption="", bars=["p"])
    assert rows.rows == [[["0.0 %", 0.0]]]


def test_another_table_has_no_chosen_row_and_none_at_all_leaves_the_caption() -> None:
    rows = Rows()
    rows.show(pd.DataFrame({"a": ["x"]}), caption="One")
    rows.chosen = 0
    rows.show(pd.DataFrame(), caption="Nothing yet")
    assert (rows.chosen, rows.columns, rows.rows, rows.caption) == (-1, [], [], "Nothing yet")


def test_a_moved_row_is_chosen_in_the_same_message_that_brings_the_rows() -> None:
    rows, sent = Rows(), []
    rows.send_state = lambda key=None: sent.append(set(key) if isinstance(key, set) else {key})
    rows.show(pd.DataFrame({"a": ["x", "y"]}), caption="Two", chosen=1)
    assert rows.chosen == 1 and len(sent) == 1 and {"rows", "chosen"} <= sent[0]

"""Items written by their titles: whatever the titles are, every item has pieces of its own."""

import time

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.language import train_tokenizer
from workbench.language.titles import LONGEST, title_codes
from workbench.language.tokenizer import encode

TOKENIZER = train_tokenizer(["Solaris (1972) (2002) (2) (3) Alien science fiction 科幻片"] * 3, vocab_size=320)
ODD = ["", " ", "\u3000\t", "Alien", "Alien 3", "Alien (2)", "(2)", "Solaris (1972)", "Solaris", "🎬", "👩‍🚀"]
ODD += ["<img src=x onerror=alert(1)>", "<item_5>", "<history> ->", "<|endoftext|>", "x" * 400, "x" * 401, "\x00"]
titles = st.sampled_from(ODD) | st.text(max_size=12)
catalogs = st.lists(st.tuples(titles, st.none() | st.sampled_from([1972, 2002])), min_size=1, max_size=12)


def codes_of(rows):
    table = pd.DataFrame(rows, columns=["title", "year"]).astype({"year": "Int64"})
    return title_codes(table, TOKENIZER)


def read(codes):
    return [TOKENIZER.decode(code).strip() for code in codes]


@settings(max_examples=150, deadline=None)
@given(rows=catalogs)
@example(rows=[("Alien", None), ("Alien", None), ("Alien (2)", None), ("Alien (2)", None)])
@example(rows=[("Solaris", 1972), ("Solaris", 1972), ("Solaris (1972)", None), ("Solaris (1972) (2)", None)])
@example(rows=[("", None), ("", 1972), (" ", None), ("(2)", None)])
def test_every_item_has_pieces_of_its_own(rows):
    codes = codes_of(rows)
    assert len(codes) == len(rows) == len(set(codes))
    assert all(0 <= piece < TOKENIZER.get_vocab_size() for code in codes for piece in code)
    assert all(1 <= len(code) <= LONGEST + 20 for code in codes)  # a year and a number take a few


@settings(max_examples=50, deadline=None)
@given(rows=catalogs)
def test_a_title_that_no_other_item_has_stays_as_it_is(rows):
    plain = [tuple(encode(TOKENIZER, title)[:LONGEST]) for title, _ in rows]
    for code, own in zip(codes_of(rows), plain, strict=True):
        assert code == own or own == () or plain.count(own) > 1


def test_the_year_tells_apart_and_what_is_still_the_same_is_numbered():
    rows = [("Solaris", 1972), ("Solaris", 2002), ("Solaris", 2002), ("Solaris", None), ("Solaris", None)]
    written = ["Solaris (1972)", "Solaris (2002)", "Solaris (2002) (2)", "Solaris", "Solaris (2)"]
    assert read(codes_of(rows)) == written


def test_a_number_is_never_one_that_another_title_already_has():
    rows = [("Alien", None), ("Alien", None), ("Alien (2)", None)]
    assert read(codes_of(rows)) == ["Alien", "Alien (3)", "Alien (2)"]


def test_titles_that_begin_alike_for_longer_than_is_kept_are_told_apart():
    first, second = codes_of([("y " * 300 + "one", None), ("y " * 300 + "two", None)])
    assert first == second[:LONGEST] and len(first) == LONGEST and read([second])[0].endswith("(2)")


@pytest.mark.parametrize("piece", ["x", "科", "🎬", " ", "word "])
def test_a_title_of_ten_megabytes_is_cut_quickly(piece):
    begin = time.perf_counter()
    (code,) = codes_of([(piece * (10_000_000 // len(piece.encode())), None)])
    assert 1 <= len(code) <= LONGEST and time.perf_counter() - begin < 1


def test_thousands_of_equal_titles_are_numbered_quickly():
    begin = time.perf_counter()
    codes = codes_of([("Untitled", None)] * 5_000)
    assert len(set(codes)) == 5_000 and time.perf_counter() - begin < 3
    assert read(codes[:1] + codes[-1:]) == ["Untitled", "Untitled (5000)"]


def test_titles_come_in_the_order_of_the_catalog_and_markup_stays_text():
    written = ["<b>Alien</b>", "<item_5>", "科幻片", "🎬"]
    assert read(codes_of([(title, None) for title in written])) == written

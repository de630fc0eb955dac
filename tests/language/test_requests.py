"""What can be asked for: combinations, their matches, phrasings, and what is held out of training."""

import numpy as np
import pandas as pd
import pytest

from workbench.language.requests import held_out, phrase, read_requests, request_table
from workbench.language.wording import COUNTRY_WORDS, FRAMES, GENRE_WORDS

CATALOG = pd.DataFrame(
    {
        "item_id": list("abcd"),
        "title": ["Alien", "Solaris", "Heat", "Nothing is known"],
        "genres": ["Horror|Sci-Fi", "Sci-Fi|Drama", "Drama|Crime", None],
        "year": pd.array([1979, 1972, 1995, None], dtype="Int64"),
        "country": ["USA", "USSR", "USA", None],
    }
)


def carries(row: pd.Series, kind: str, value: str) -> bool:
    """The definition, written again: a film carries its genres, the decade of its year, its country."""
    if kind == "genres":
        return isinstance(row["genres"], str) and value in row["genres"].split("|")
    if kind == "decade":
        return not pd.isna(row["year"]) and f"{row['year'] // 10}0s" == value
    return row["country"] == value


def test_matches_are_exactly_the_items_that_carry_everything():
    matches = read_requests(CATALOG).matches
    assert len(matches) > 20
    for combination, rows in matches.items():
        expected = [i for i, row in CATALOG.iterrows() if all(carries(row, *pair) for pair in combination)]
        assert rows.tolist() == expected


def test_a_combination_is_a_set_whatever_the_order_of_genres():
    turned = CATALOG.assign(genres=["Sci-Fi|Horror", "Drama|Sci-Fi", "Crime|Drama", None])
    ours, theirs = (read_requests(catalog).matches for catalog in (CATALOG, turned))
    assert list(ours) == list(theirs)
    assert len({frozenset(combination) for combination in ours}) == len(ours)


def test_an_item_without_attributes_is_never_asked_for():
    assert all(3 not in rows for rows in read_requests(CATALOG).matches.values())
    bare = CATALOG[["item_id", "title"]]
    assert read_requests(bare).matches == {} and request_table(bare).empty
    assert list(request_table(bare).columns) == list(request_table(CATALOG).columns)


def test_about_a_fifth_of_the_combinations_is_held_out_and_always_the_same():
    combinations = [(("genres", f"genre {i}"), ("decade", "1970s")) for i in range(2000)]
    assert np.mean([held_out(c) for c in combinations]) == pytest.approx(0.2, abs=0.03)
    assert not {c for c in combinations if held_out(c)} & {c for c in combinations if not held_out(c)}
    requests = read_requests(CATALOG)
    assert set(requests.trained) == {c for c in requests.matches if not held_out(c)}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_trained_and_held_out_frames_share_nothing(language):
    frames = FRAMES[language]
    assert not set(frames[0::2]) & set(frames[1::2])
    starts = [frame.split("{what}")[0] for frame in frames[1::2]]
    combination, rng = (("genres", "Sci-Fi"), ("decade", "1970s")), np.random.default_rng(0)
    said = [phrase(combination, rng, language=language) for _ in range(500)]
    assert not [text for text in said if text.startswith(tuple(start for start in starts if start))]
    unseen = [phrase(combination, rng, language=language, trained=False) for _ in range(500)]
    assert np.mean([text.startswith(tuple(start for start in starts if start)) for text in unseen]) > 0.8


def test_a_request_says_every_attribute_in_its_language():
    combination = (("genres", "Sci-Fi"), ("decade", "1970s"), ("country", "Japan"))
    rng = np.random.default_rng(1)
    for _ in range(200):
        text = phrase(combination, rng, language="zh")
        assert any(word in text for word in GENRE_WORDS["Sci-Fi"]["zh"])
        assert any(word in text for word in COUNTRY_WORDS["Japan"]["zh"])
        assert "70年代" in text
        assert phrase(combination, rng, language="en").isascii()


def test_typos_come_in_about_one_english_request_of_six():
    combination, rng = (("country", "Xanadu"),), np.random.default_rng(2)
    garbled = [("xanadu" not in phrase(combination, rng, language="en")) for _ in range(3000)]
    assert 0.01 < np.mean(garbled) < 1 / 6  # most typos fall on other words


def test_a_value_nobody_listed_is_said_as_it_stands():
    request = phrase((("genres", "Giallo"),), np.random.default_rng(0), language="zh")
    assert "giallo" in request


def test_the_table_asks_everything_four_times_and_names_the_matches():
    table = request_table(CATALOG, seed=3)
    combinations = read_requests(CATALOG).matches
    assert len(table) == 4 * len(combinations)
    assert table.groupby(["language", "trained_phrasing"]).size().tolist() == [len(combinations)] * 4
    row = table[table["combination"] == "Sci-Fi & 1970s"].iloc[0]
    assert row["matches"] == ("a", "b")
    assert row["trained_combination"] == (not held_out((("genres", "Sci-Fi"), ("decade", "1970s"))))
    pd.testing.assert_frame_equal(table, request_table(CATALOG, seed=3))
    assert (table["request"] != request_table(CATALOG, seed=4)["request"]).any()


def test_markup_in_attributes_stays_text():
    odd = pd.DataFrame({"item_id": ["a"], "title": ["x"], "genres": ["<item_5>|{what}|%s"], "country": ["{0}"]})
    table = request_table(odd)
    assert len(table) == 4 * len(read_requests(odd).matches)

"""The floor of a text speaks its language, and reads attributes as people say them in a story."""

import pandas as pd
import pytest

from workbench.evaluation.texts import score_texts
from workbench.insight.text_floor import PLOT, attribute_words, copy_in_language, is_chinese

CATALOG = pd.DataFrame(
    {
        "item_id": ["a", "b", "c"],
        "title": ["Alien", "Aliens", "Heat"],
        "genres": ["Horror|Sci-Fi", "Sci-Fi", "Crime"],
        "country": ["UK", "USA", "USA"],
    }
)
LEARNED = pd.DataFrame(
    {
        "item_id": ["a", "a", "b", "b", "b", "c"],
        "text": ["A ship.", "飞船", "Marines.", "异形", "More marines.", "A robbery."],
    }
)


def table(*rows: tuple[str, str], index: list[int] | None = None) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["item_id", "text"], index=index)


def test_the_floor_is_the_nearest_other_item_with_a_text_in_the_language_of_each_text() -> None:
    asked = table(("a", "Space"), ("c", "抢劫"), ("a", "太空"), ("c", "Theft"), index=[9, 2, 7, 4])
    floor = copy_in_language(asked, CATALOG, LEARNED)
    assert floor.index.tolist() == [9, 2, 7, 4] and floor["item_id"].tolist() == ["a", "c", "a", "c"]
    assert floor["text"].tolist() == ["Marines.", "异形", "异形", "Marines."]
    assert set(floor["copied_from"]) == {"b"}


def test_the_own_text_is_the_first_in_the_language_and_empty_where_there_is_none() -> None:
    asked = table(("b", "太空"), ("b", "Space"), ("c", "抢劫"), index=[3, 1, 2])
    own = copy_in_language(asked, CATALOG, LEARNED, own=True)
    assert own.index.tolist() == [3, 1, 2] and own["item_id"].tolist() == ["b", "b", "c"]
    assert own["text"].tolist() == ["异形", "Marines.", ""]


@pytest.mark.parametrize(("own", "expected"), [(False, "Marines."), (True, "A ship.")])
def test_in_a_catalog_with_texts_of_one_item_in_a_language_every_language_is_copied(own: bool, expected: str) -> None:
    english = LEARNED[~LEARNED["text"].isin(["飞船", "异形"])]
    for learned in (english, pd.concat([english, table(("c", "抢劫"))])):
        assert copy_in_language(table(("a", "太空")), CATALOG, learned, own=own)["text"].tolist() == [expected]


@pytest.mark.parametrize("own", [False, True])
def test_of_no_text_there_is_no_floor_and_no_error(own: bool) -> None:
    nothing = copy_in_language(table(), CATALOG, LEARNED, own=own)
    assert len(nothing) == 0 and {"item_id", "text"} <= set(nothing)


def test_without_another_item_there_is_no_floor() -> None:
    with pytest.raises(ValueError, match="give texts of at least two items"):
        copy_in_language(table(("a", "Space")), CATALOG, LEARNED.head(2))


def test_genres_are_named_in_two_languages_and_a_family_in_a_story_is_no_genre() -> None:
    catalog = CATALOG.assign(genres=["Sci-Fi", "Sci-Fi", "Family"])
    texts = table(("a", "Science fiction about a family"), ("a", "科幻片，一个家庭"), ("c", "Heists"))
    named = score_texts(texts, catalog, [], words=attribute_words())["attributes"]
    # "Family" itself stands in the catalog, so that an English text names it; the words of PLOT add nothing
    assert named.tolist() == [(("Sci-Fi", True), ("Family", False)), (("Sci-Fi", True),), ()]
    assert not PLOT & {word for values in attribute_words().values() for words in values.values() for word in words}


@pytest.mark.parametrize(
    ("text", "chinese"),
    [("", False), ("🎬 !", False), ("一部 film", True), ("film 黑", False), ("film noir 黑色电影", True)],
)
def test_a_text_is_chinese_where_most_of_its_words_are(text: str, chinese: bool) -> None:
    assert is_chinese(text) == chinese

"""What written texts are held against: the texts of the most similar other items, in the language they are written in.

A recommender writes in English or in Chinese as it likes, and a catalog may have both: a floor in the other language
would name other words, and be copied from other texts.
"""

import pandas as pd

from workbench.evaluation.texts import Words, copy_nearest, split_words
from workbench.language.wording import COUNTRY_WORDS, GENRE_NOUNS, GENRE_WORDS

PLOT = {"family", "kids", "家庭", "儿童", "港"}  # name a genre or a country in a wish; in a story they seldom do


def copy_in_language(
    texts: pd.DataFrame, catalog: pd.DataFrame, learned: pd.DataFrame, *, own: bool = False
) -> pd.DataFrame:
    """For each text one in its language: that of the most similar other item (the floor), or the item's own.

    Args:
        texts: Table ``item_id``, ``text`` of what was written.
        catalog: Catalog table, as for ``copy_nearest``.
        learned: Table ``item_id``, ``text`` of what can be copied; of several texts of an item in one language the
            first is. Where fewer than two items have a text in a language, those in every language can be copied.
        own: Whether to give the item's own text ("" where it has none) in place of the floor.

    Returns:
        Table ``item_id``, ``text`` with the index of ``texts``; of the floor also ``copied_from`` (an item id).

    Raises:
        ValueError: If the floor is asked for, and an item is not in the catalog or no other item has a text.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Aliens", "Heat"]})
        >>> learned = pd.DataFrame({"item_id": ["b", "b", "c", "c"], "text": ["A ship.", "飞船", "A theft.", "盗窃"]})
        >>> texts = pd.DataFrame({"item_id": ["b", "b"], "text": ["Marines.", "异形"]})
        >>> copy_in_language(texts, catalog, learned)["text"].tolist()
        ['A theft.', '盗窃']
        >>> copy_in_language(texts, catalog, learned, own=True)["text"].tolist()
        ['A ship.', '飞船']
    """
    chinese, copied = texts["text"].map(is_chinese), []
    for language in chinese.unique().tolist() or [False]:  # no text at all is a table without rows
        asked = texts.loc[chinese == language, "item_id"]
        alike = learned[learned["text"].map(is_chinese) == language]
        alike = alike if alike["item_id"].nunique() > 1 else learned  # a catalog in one language
        if own:
            first = alike.drop_duplicates("item_id").set_index("item_id")["text"]
            answer = first.reindex(asked.to_numpy()).fillna("").rename_axis("item_id").reset_index()
        else:
            answer = copy_nearest(catalog, alike, items=asked.tolist())
        copied.append(answer.set_axis(asked.index))
    return pd.concat(copied).loc[texts.index]


def attribute_words() -> Words:
    """How people say genres and countries, without what in a story seldom means them; ``words`` of ``score_texts``.

    Example:
        >>> attribute_words()["genres"]["Sci-Fi"][:2]
        ['science fiction', 'sci-fi']
    """
    said: dict[str, dict[str, list[str]]] = {}
    for column, table in (("genres", GENRE_WORDS), ("country", COUNTRY_WORDS)):
        nouns = GENRE_NOUNS if column == "genres" else {}
        said[column] = {
            value: [word for group in own.values() for word in group if word not in PLOT] + nouns.get(value, [])
            for value, own in table.items()
        }
    return said


def is_chinese(text: str) -> bool:
    """Whether more than half of the words of a text are Chinese characters, each a word.

    Example:
        >>> is_chinese("一部 film"), is_chinese("film noir 黑")
        (True, False)
    """
    words = split_words(text)
    return sum("\u3400" <= word <= "\u9fff" for word in words) > len(words) / 2

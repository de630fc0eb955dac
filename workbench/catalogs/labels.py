"""How an item is called wherever people read: its title and year."""

import unicodedata

import pandas as pd


def item_labels(catalog: pd.DataFrame) -> list[str]:
    """`Title (1972)` for every item, catalog order; plain text, which whoever writes HTML must escape.

    A title that ends in its year keeps it once; without a year, or in a catalog without years, the title stands alone.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Solaris", "Arrival (2016)"]})
        >>> item_labels(catalog.assign(year=[1972, 2016]))
        ['Solaris (1972)', 'Arrival (2016)']
    """
    years = catalog["year"] if "year" in catalog else pd.Series(pd.NA, index=catalog.index)
    return [_label(title, year) for title, year in zip(catalog["title"], years, strict=True)]


def fold(text: str) -> str:
    """Text as search compares it: without case, accents and wide letters.

    Example:
        >>> fold("AMÉLIE　２"), fold("飞向太空")
        ('amelie 2', '飞向太空')
    """
    plain = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).casefold()


def find_items(catalog: pd.DataFrame, text: str, *, n: int = 10) -> list[str]:
    """Ids of the first n items with this text in their title, in any language the catalog has, or as their id.

    Titles that begin with the text come first; case and accents do not matter.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Moon", "Solaris"]})
        >>> catalog["title_zh"] = ["月球", "索拉里斯"]
        >>> find_items(catalog, "索拉"), find_items(catalog, "O"), find_items(catalog, "A")
        (['b'], ['a', 'b'], ['a', 'b'])
    """
    text = fold(text.strip())
    columns = [catalog[name].fillna("").astype("str") for name in ("item_id", "title", "title_zh") if name in catalog]
    ids, *titles = (column.map(fold) for column in columns)
    begins = pd.concat([ids == text, *(title.str.startswith(text) for title in titles)], axis=1).any(axis=1)
    holds = pd.concat([title.str.contains(text, regex=False) for title in titles], axis=1).any(axis=1)
    return [*catalog["item_id"][begins], *catalog["item_id"][holds & ~begins]][:n]


def _label(title: str, year: int) -> str:
    text = "(no title)" if pd.isna(title) else str(title)
    return text if pd.isna(year) or text.endswith(f"({int(year)})") else f"{text} ({int(year)})"

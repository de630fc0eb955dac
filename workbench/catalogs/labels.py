"""How an item is called wherever people read: its title and year."""

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


def _label(title: str, year: int) -> str:
    text = "(no title)" if pd.isna(title) else str(title)
    return text if pd.isna(year) or text.endswith(f"({int(year)})") else f"{text} ({int(year)})"

"""Items written by their titles, in word pieces; titles that are the same are told apart."""

import pandas as pd
from tokenizers import Tokenizer

from workbench.language.tokenizer import encode

LONGEST = 24  # word pieces of a title that are kept


def title_codes(catalog: pd.DataFrame, tokenizer: Tokenizer) -> tuple[tuple[int, ...], ...]:
    """Word pieces of every item's title, different for every item; catalog order.

    A title that several items have (or that is the same after ``LONGEST`` pieces) gets the year behind it where there
    is one; items that are still the same are numbered.

    Args:
        catalog: Catalog table; ``year`` is used where present.
        tokenizer: Makes the word pieces.

    Example:
        >>> from workbench.language.tokenizer import train_tokenizer
        >>> tokenizer = train_tokenizer(["Solaris (1972) (2002) (2)"], vocab_size=300)
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Solaris"] * 3, "year": [1972, 2002, 2002]})
        >>> [tokenizer.decode(code).strip() for code in title_codes(catalog, tokenizer)]
        ['Solaris (1972)', 'Solaris (2002)', 'Solaris (2002) (2)']
    """
    titles = [encode(tokenizer, title[: 8 * LONGEST])[:LONGEST] for title in catalog["title"].astype(str)]
    codes = [tuple(pieces) for pieces in titles]
    times = pd.Series(codes).value_counts()
    if "year" in catalog:
        dated = [f" ({int(year)})" if pd.notna(year) else "" for year in catalog["year"]]
        codes = [
            (*code, *encode(tokenizer, year)) if year and times[code] > 1 else code
            for code, year in zip(codes, dated, strict=True)
        ]
    taken: set[tuple[int, ...]] = set(codes)
    met: set[tuple[int, ...]] = set()
    numbers: dict[tuple[int, ...], int] = {}  # the last one given to each title
    told_apart = []
    for code in codes:
        own = code
        while own in met or not own or (own != code and own in taken):
            numbers[code] = numbers.get(code, 1) + 1
            own = (*code, *encode(tokenizer, f"({numbers[code]})"))
        met.add(own)
        told_apart.append(own)
    return tuple(told_apart)

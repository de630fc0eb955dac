"""Cleaning, explicit and reported: a dataset in, a dataset out, and a sentence on its card for every step.

Loaders apply only the three steps that mend text (entities, years, articles); items and interactions change only when
one of the other functions is called.
"""

import html
import re
from dataclasses import replace

import numpy as np
import pandas as pd

from workbench.catalogs.dataset import Dataset, find_oddities

# "Boot, Das (Boat, The)": an article that closes a title or a title in brackets. "L'" joins the next word.
ARTICLES = "The|An|A|La|Les|Le|L'|Los|Las|El|Lo|Il|I|O|Der|Die|Das|Den|Det|De|Une|Un|Una|Eine|Ein|En"
TRAILING_ARTICLE = re.compile(rf"(?P<title>[^()]+), (?P<article>{ARTICLES})(?= \(|\)|$)")
YEAR = re.compile(r"\s*\((?P<year>(?:1[89]|20)\d\d)(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")


def unescape_entities(dataset: Dataset) -> Dataset:
    """Replace HTML entities ("&amp;") in every text column of the catalog and in reviews by what they stand for.

    Example:
        >>> from workbench.catalogs import read_tables
        >>> items = pd.DataFrame({"item_id": ["a"], "title": ["Romeo &amp; Juliet"]})
        >>> events = pd.DataFrame({"user_id": ["u"], "item_id": ["a"], "position": [0]})
        >>> unescape_entities(read_tables(items=items, interactions=events)).catalog["title"].tolist()
        ['Romeo & Juliet']
    """
    steps: list[str] = []
    catalog = unescape_columns(dataset.catalog, steps)
    interactions = dataset.interactions
    if "review" in interactions.columns:
        interactions = unescape_columns(interactions, steps, columns=["review"])
    return _revise(dataset, steps or ["HTML entities: none found"], catalog=catalog, interactions=interactions)


def split_years(dataset: Dataset) -> Dataset:
    """Move the year out of titles that end with one, "Alien (1979)", into the column `year`.

    A year that is already in the column stays; the title loses its own all the same.
    """
    steps: list[str] = []
    catalog = split_title_years(dataset.catalog, steps)
    return _revise(dataset, steps or ["years in titles: none found"], catalog=catalog)


def move_trailing_articles(dataset: Dataset) -> Dataset:
    """Put trailing articles in front: "Usual Suspects, The" becomes "The Usual Suspects", in brackets too."""
    steps: list[str] = []
    catalog = front_articles(dataset.catalog, steps)
    return _revise(dataset, steps or ["trailing articles: none found"], catalog=catalog)


def merge_duplicate_titles(dataset: Dataset) -> Dataset:
    """Merge items that share title (case and spaces aside) and year into the first of them.

    Interactions follow to the item that stays; where a user then has the same item at several times, only the first is
    kept. Attributes the first item lacks are taken from the others.
    """
    catalog, interactions = dataset.catalog, dataset.interactions
    keys = catalog["title"].str.casefold().str.split().str.join(" ")
    if "year" in catalog.columns:
        keys = keys + " (" + catalog["year"].astype("str").fillna("") + ")"
    merged = catalog.groupby(keys, sort=False).first()[catalog.columns].reset_index(drop=True)
    first_ids = catalog["item_id"].groupby(keys, sort=False).transform("first")
    moved = pd.Series(first_ids.to_numpy(), index=catalog["item_id"])
    changed = interactions.assign(item_id=interactions["item_id"].map(moved).astype("str"))
    # Only the events of merged items may fall together; a user's own repeats of other items are not ours to drop.
    touched = changed["item_id"].isin(first_ids[first_ids != catalog["item_id"]])
    repeats = touched & changed.duplicated(["user_id", "item_id"])
    step = (
        f"duplicate titles: {len(catalog) - len(merged):,} items merged into the first of the same title and year; "
        f"{int(repeats.sum()):,} repeated interactions dropped"
    )
    return _revise(dataset, [step], catalog=merged, interactions=changed[~repeats].reset_index(drop=True))


def k_core(dataset: Dataset, *, k: int = 5) -> Dataset:
    """Keep users and items with at least `k` interactions each, again and again until all have them.

    Items and users without enough interactions leave the catalog and the users table too.

    Raises:
        ValueError: if `k` is below 1 or nothing is left.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
    events = dataset.interactions
    users, items = (pd.factorize(events[column])[0] for column in ("user_id", "item_id"))
    keep = np.ones(len(events), dtype=bool)
    while True:
        enough = [np.bincount(codes[keep], minlength=codes.max() + 1)[codes] >= k for codes in (users, items)]
        smaller = keep & enough[0] & enough[1]
        if smaller.sum() == keep.sum():
            break
        keep = smaller
    if not keep.any():
        raise ValueError(f"k_core: no user and item of {dataset.name!r} have {k} interactions each; choose a smaller k")
    interactions = events[keep].reset_index(drop=True)
    catalog = dataset.catalog[dataset.catalog["item_id"].isin(interactions["item_id"].unique())].reset_index(drop=True)
    viewers = dataset.users
    if viewers is not None:
        viewers = viewers[viewers["user_id"].isin(interactions["user_id"].unique())].reset_index(drop=True)
    step = (
        f"{k}-core: kept {len(catalog):,} of {len(dataset.catalog):,} items, {interactions['user_id'].nunique():,} of "
        f"{users.max() + 1:,} users, {len(interactions):,} of {len(events):,} interactions"
    )
    return _revise(dataset, [step], catalog=catalog, interactions=interactions, users=viewers)


def keep_ratings(dataset: Dataset, *, at_least: float) -> Dataset:
    """Keep the interactions rated `at_least` or higher; unrated ones go. The catalog stays whole.

    Raises:
        ValueError: if there are no ratings, or none is high enough.
    """
    events = dataset.interactions
    if "rating" not in events.columns:
        raise ValueError(f"keep_ratings: the interactions of {dataset.name!r} have no column rating")
    kept = events[events["rating"] >= at_least].reset_index(drop=True)
    if kept.empty:
        raise ValueError(f"keep_ratings: no rating is {at_least} or higher; the highest is {events['rating'].max()}")
    step = f"ratings: kept {len(kept):,} of {len(events):,} interactions rated {at_least} or higher"
    return _revise(dataset, [step], interactions=kept)


def unescape_columns(table: pd.DataFrame, steps: list[str], *, columns: list[str] | None = None) -> pd.DataFrame:
    """Return the table with HTML entities resolved in its text columns (ids aside); `steps` gets one sentence."""
    table, found = table.copy(), 0
    for column in columns or [name for name in table.columns if not str(name).endswith("_id")]:
        if not pd.api.types.is_string_dtype(table[column]):
            continue
        mended = table[column].map(html.unescape, na_action="ignore").astype(table[column].dtype)
        found += int((mended.notna() & (mended != table[column])).sum())
        table[column] = mended
    if found:
        steps.append(f"HTML entities resolved in {found:,} texts")
    return table


def split_title_years(catalog: pd.DataFrame, steps: list[str]) -> pd.DataFrame:
    """Return the catalog with "(1995)" moved from the end of titles to `year`; `steps` gets one sentence."""
    catalog = catalog.copy()
    years = catalog["title"].str.extract(YEAR)["year"].astype("Float64").astype("Int64")
    catalog["year"] = catalog["year"].astype("Int64").fillna(years) if "year" in catalog.columns else years
    shortened = catalog["title"].str.replace(YEAR, "", regex=True)
    catalog["title"] = shortened.where(shortened != "", catalog["title"])
    if years.notna().any():
        steps.append(f"years moved from {int(years.notna().sum()):,} titles to the column year")
    return catalog


def front_articles(catalog: pd.DataFrame, steps: list[str]) -> pd.DataFrame:
    """Return the catalog with trailing articles moved to the front of titles; `steps` gets one sentence."""
    titles = catalog["title"].map(lambda title: TRAILING_ARTICLE.sub(_front_article, title), na_action="ignore")
    changed = int((titles.notna() & (titles != catalog["title"])).sum())
    if changed:
        steps.append(f'trailing articles moved to the front of {changed:,} titles ("Usual Suspects, The")')
    return catalog.assign(title=titles.astype("str"))


def _front_article(match: re.Match) -> str:
    gap = "" if match["article"].endswith("'") else " "
    return match["article"] + gap + match["title"]


def _revise(dataset: Dataset, steps: list[str], **tables: pd.DataFrame | None) -> Dataset:
    """Return the dataset with other tables, the steps on its card and the findings brought up to date."""
    changed = replace(dataset, **tables)
    old = set(find_oddities(dataset.catalog, dataset.interactions))
    findings = [finding for finding in dataset.card.get("findings", ()) if finding not in old]
    card = dict(dataset.card)
    card["cleaning"] = [*dataset.card.get("cleaning", ()), *steps]
    card["findings"] = findings + find_oddities(changed.catalog, changed.interactions)
    return replace(changed, card=card)

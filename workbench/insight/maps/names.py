"""What a group is about: words that are its own, items that stand for it, and who is in it.

Words are weighed by class-based TF-IDF (Grootendorst 2022, arXiv:2203.05794, section 3.3): how often a word stands in
the texts of a group, times how rare it is over all groups; a word no more frequent there than elsewhere is left out.
The texts are genres and countries, each as it stands, titles and descriptions; a group of users has the texts of the
items its users met, as often as they met them. English is cut into words, Chinese into pairs of characters.
"""

import re
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, CountVectorizer

from workbench.catalogs import Dataset
from workbench.models.ranking import Histories, as_histories, item_codes

ATTRIBUTES, TEXTS, CHINESE_TEXTS = ("genres", "country"), ("title", "description"), ("title_zh", "description_zh")
WORD = re.compile(r"[^\W\d_](?:[\w'-]*\w)?", re.UNICODE)
CHINESE = re.compile(r"[\u3400-\u9fff]{2,}")
EMPTY = ENGLISH_STOP_WORDS | set(
    "film films movie movies doesn't can't isn't based directed produced starring written".split()
)
EMPTY_CHINESE = set("的了在是和与一个两被把他她它们这那也不而及其着之为到自己")
ABOVE = 1.25  # a word is the group's own when it is this much more frequent there than in all groups together
IN_A_NAME, LISTED = 3, 10
NO_GROUP = "other"


def name_groups(groups: pd.DataFrame, dataset: Dataset, *, histories: Histories | None = None) -> pd.DataFrame:
    """One row per group: its name, its words, what stands for it and how much of everything it holds.

    Args:
        groups: What ``find_groups`` returns, of items or of users.
        dataset: Whose catalog and users they are.
        histories: What the users met; all interactions of the dataset when None.

    Returns:
        Index ``group`` (-1, those in no group, last), columns ``kind``, ``name`` (three words), ``words`` and
        ``words_zh`` (ten each, the strongest first; ``words_zh`` only when the catalog has Chinese), ``size``,
        ``share`` (of all items or users, 0 to 1), ``share_of_interactions`` (0 to 1), ``representatives`` (titles: of
        items the closest to the centre, of users those met most above the average), and per attribute of the users the
        value most above the average, with its share inside and outside.

    Raises:
        ValueError: If an item of the groups is not in the catalog.

    Example:
        >>> from workbench.catalogs import load_dataset
        >>> films = load_dataset("films")
        >>> ids = films.catalog["item_id"][films.catalog["genres"].fillna("").str.contains("Horror|Western")]
        >>> horror = films.catalog.set_index("item_id")["genres"][ids].str.contains("Horror")
        >>> index = pd.MultiIndex.from_product([["item"], ids], names=["kind", "id"])
        >>> groups = pd.DataFrame({"group": np.where(horror, 0, 1), "closeness": 1.0}, index=index)
        >>> name_groups(groups, films)["name"].str.split(", ").str[0].tolist()
        ['Horror', 'Western']
    """
    catalog = dataset.catalog
    kind = groups.index.get_level_values("kind")[0]
    met = as_histories(dataset.interactions if histories is None else histories)
    numbers = sorted(set(groups["group"]), key=lambda number: (number < 0, number))
    counts = _items_of_groups(groups, numbers, kind=kind, catalog=catalog, met=met)
    popularity = np.bincount(np.concatenate(item_codes(met, items=_ids(catalog))), minlength=len(catalog))
    words = _words_of_groups(counts, catalog, inside=[number >= 0 for number in numbers])
    sizes = groups["group"].value_counts().reindex(numbers)
    events = counts.sum(axis=1) if kind == "user" else (counts > 0) @ popularity
    table = pd.DataFrame(
        {
            "kind": kind,
            "name": _names(words["words"], numbers),
            **words,
            "size": sizes.to_numpy(),
            "share": sizes.to_numpy() / len(groups),
            "share_of_interactions": events / max(popularity.sum(), 1),
            "representatives": _representatives(groups, numbers, counts, popularity, kind=kind, catalog=catalog),
        },
        index=pd.Index(numbers, name="group"),
    )
    if kind == "user":
        for column in dataset.users.columns.drop("user_id") if dataset.users is not None else []:
            table[column] = _most_typical(groups["group"], dataset.users.set_index("user_id")[column], numbers)
    return table


def _ids(catalog: pd.DataFrame) -> pd.Index:
    return pd.Index(catalog["item_id"], dtype=object)


def _items_of_groups(
    groups: pd.DataFrame, numbers: list[int], *, kind: str, catalog: pd.DataFrame, met: dict[str, list[str]]
) -> np.ndarray:
    """How often each item belongs to each group, (n_groups, n_items): itself, or each time one of its users met it."""
    counts = np.zeros((len(numbers), len(catalog)))
    row = {number: place for place, number in enumerate(numbers)}
    names = groups.index.get_level_values("id")
    lists = {name: [name] if kind == "item" else met.get(name, []) for name in names}
    for number, codes in zip(groups["group"], item_codes(lists, items=_ids(catalog)), strict=True):
        np.add.at(counts[row[number]], codes, 1)
    return counts


def _words_of_groups(counts: np.ndarray, catalog: pd.DataFrame, *, inside: list[bool]) -> dict[str, list[str]]:
    """The ten strongest words of each group, in one language after the other."""
    genres = catalog["genres"].dropna().str.lower().str.split("|").explode() if "genres" in catalog else ()
    english = partial(_english, known=frozenset(genres))
    found = {"words": _strongest(counts, catalog, split=english, inside=inside, joined=", ")}
    if any(name in catalog for name in CHINESE_TEXTS):
        found["words_zh"] = _strongest(counts, catalog, split=_pairs, inside=inside, joined="、")
    return found


def _strongest(
    counts: np.ndarray, catalog: pd.DataFrame, *, split: Callable[[dict], list[str]], inside: list[bool], joined: str
) -> list[str]:
    """Class-based TF-IDF: share of a group's words, times log(1 + mean words of a group / count of the word)."""
    counter = CountVectorizer(analyzer=split, binary=True, dtype=np.float64)
    try:
        in_items = counter.fit_transform(catalog.to_dict("records"))  # (n_items, n_words): a word counts once per item
    except ValueError:  # no words at all
        return [""] * len(counts)
    words = counter.get_feature_names_out()
    in_groups = (sparse.csr_array(counts) @ in_items).toarray()  # (n_groups, n_words)
    known = in_groups[inside] if any(inside) else in_groups
    overall = known.sum(axis=0) / max(known.sum(), 1)
    rarity = np.log1p(1 / np.maximum(overall * len(known), 1e-12))
    # a word of one single item says what that item is, not what the group is
    carriers = (sparse.csr_array((counts > 0).astype(float)) @ in_items).toarray()
    shares = in_groups / np.maximum(in_groups.sum(axis=1, keepdims=True), 1)
    weights = np.where((carriers >= 2) & (shares > ABOVE * overall), shares * rarity, 0)
    order = np.argsort(-weights, axis=1, kind="stable")[:, :LISTED]
    return [joined.join(words[i] for i in row if weights[place, i] > 0) for place, row in enumerate(order)]


def _english(item: dict, *, known: frozenset[str]) -> list[str]:
    """Genres and country as they stand; of the texts, words in lower case that are neither empty nor a genre."""
    values = [item[name] for name in ATTRIBUTES if isinstance(item.get(name), str)]
    text = " ".join(str(item[name]) for name in TEXTS if isinstance(item.get(name), str)).lower()
    words = [word for word in WORD.findall(text) if len(word) > 1 and not CHINESE.search(word)]
    words = [word for word in words if word.removesuffix("'s") not in EMPTY and word not in EMPTY]
    named = [value for joined in values for value in joined.split("|") if value]
    return [word for word in words if word not in known] + named


def _pairs(item: dict) -> list[str]:
    """Pairs of neighbouring Chinese characters, without those that only join others."""
    text = " ".join(str(item[name]) for name in CHINESE_TEXTS if isinstance(item.get(name), str))
    pairs = [run[place : place + 2] for run in CHINESE.findall(text) for place in range(len(run) - 1)]
    return [pair for pair in pairs if not EMPTY_CHINESE & set(pair)]


def _names(words: list[str], numbers: list[int]) -> list[str]:
    """The first three words; more where two groups would have one name."""
    names: list[str] = []
    for number, listed in zip(numbers, words, strict=True):
        each = listed.split(", ") if listed else [f"group {number + 1}"]
        lengths = range(IN_A_NAME, len(each) + 1)
        name = next((", ".join(each[:n]) for n in lengths if ", ".join(each[:n]) not in names), ", ".join(each))
        names.append(NO_GROUP if number < 0 else name if name not in names else f"{name} ({number + 1})")
    return names


def _representatives(
    groups: pd.DataFrame,
    numbers: list[int],
    counts: np.ndarray,
    popularity: np.ndarray,
    *,
    kind: str,
    catalog: pd.DataFrame,
) -> list[str]:
    """Titles of five items per group."""
    titles = catalog["title"].astype(str).to_numpy()
    if kind == "item":
        closeness = np.full(len(catalog), -np.inf)
        closeness[_ids(catalog).get_indexer(groups.index.get_level_values("id"))] = groups["closeness"].fillna(-1)
        scores = np.where(counts > 0, closeness, -np.inf)
    else:  # how much more often than everybody, with ten interactions' worth of doubt
        doubt = 10 * popularity / max(popularity.sum(), 1) + 1e-12
        expected = counts.sum(axis=1, keepdims=True) * doubt / 10
        lift = np.log((counts + doubt) / (expected + doubt))
        scores = np.where(counts > 0, lift * np.sqrt(counts), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    return ["; ".join(titles[i] for i in row if scores[place, i] > -np.inf) for place, row in enumerate(order)]


def _most_typical(groups: pd.Series, attribute: pd.Series, numbers: list[int]) -> list[str]:
    """Per group ``35-49 (31 %, elsewhere 25 %)``: the value most above the average; of numbers the median.

    Where there is nobody elsewhere, nothing is said of it.
    """
    values = attribute.reindex(groups.index.get_level_values("id")).to_numpy()
    number_like, told = pd.api.types.is_numeric_dtype(attribute), []
    for number in numbers:
        mine, rest = (pd.Series(values[mask]).dropna() for mask in (groups == number, groups != number))
        if not len(mine):
            told.append("")
        elif number_like:
            told.append(f"median {mine.median():g}" + (f" (elsewhere {rest.median():g})" if len(rest) else ""))
        else:
            shares, others = (part.astype("str").value_counts(normalize=True) for part in (mine, rest))
            best = (shares - others.reindex(shares.index).fillna(0)).idxmax()
            elsewhere = f", elsewhere {others.get(best, 0):.0%}" if len(rest) else ""
            told.append(f"{best} ({shares[best]:.0%}{elsewhere})".replace("%", " %"))
    return told

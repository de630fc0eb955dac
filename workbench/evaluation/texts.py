"""Honest scores of texts about items: what they name and whether it is true, and how much is copied.

A text names genres, countries, directors, decades and years, and the catalog knows which are the item's: the share of
true ones among those named, the *precision*, can be counted. It says nothing of whether the text can be read, and means
nothing without a floor: ``copy_nearest`` answers with the text of the most similar other item, which names much that is
true although nobody wrote it about this one.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import sparse

from workbench.catalogs.labels import fold
from workbench.evaluation.intervals import bootstrap_means, percentile_interval

ATTRIBUTES = ("genres", "country", "director")  # columns of the catalog, several values joined by "|"
YEARS = range(1880, 2040)  # numbers that are read as years
SHORT = range(1920, 2030, 10)  # decades that are said in two figures
GRAM = 8  # words in a row that count as copied; a Chinese character is a word
LEAST = 20  # texts that must name something before a verdict: of three, a bootstrap knows nothing
FIGURES = ("precision", "named", "true", "names_nothing", "copied")  # in the order of ``_sums``
Words = Mapping[str, Mapping[str, Iterable[str]]]  # column -> value -> how people say it
Meanings = tuple[tuple[str, str], ...]  # (column, value): what a phrase can mean
Phrase = tuple[str, ...]
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")


def score_texts(
    texts: pd.DataFrame, catalog: pd.DataFrame, training_texts: Iterable[str], *, words: Words | None = None
) -> pd.DataFrame:
    """What each text names of its item, how much of it is true, and how much of the text was copied.

    Read word by word, without understanding: "no comedy" names a comedy, and "in 1944" names the year 1944 even where
    that is when a film plays. Score the items' own texts the same way to see what this costs.

    Args:
        texts: Table ``item_id``, ``text``.
        catalog: Catalog table; ``genres``, ``country``, ``director`` and ``year`` are read where present.
        training_texts: Texts that the writer has learned from.
        words: How people say values, ``{"genres": {"Sci-Fi": ["science fiction", "科幻"]}}``, besides as they stand in
            the catalog.

    Returns:
        The texts, with ``named`` (how many different attributes; where the catalog says nothing of an item, nothing
        counts), ``true`` (how many of them are the item's), ``attributes`` (which: (value, whether true)) and
        ``copied``: share of its runs of 8 words that stand in a training text, missing for a text of fewer words.

    Raises:
        ValueError: If a column is missing or an item is not in the catalog.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a"], "title": ["Alien"], "genres": ["Horror"], "year": [1979]})
        >>> texts = pd.DataFrame({"item_id": ["a"], "text": ["Horror of the 1980s."]})
        >>> score_texts(texts, catalog, [])[["named", "true"]].values.tolist()
        [[2, 1]]
    """
    _require(texts, catalog)
    phrases, held = _phrases(catalog, words or {}), _held(catalog)
    longest = max(map(len, phrases), default=1)
    learned = {gram for text in training_texts for gram in _grams(split_words(text))}
    rows = []
    for item, text in zip(texts["item_id"], texts["text"].fillna(""), strict=True):
        parts = split_words(text)
        judged = [_judged(meanings, held[item]) for meanings in _named(parts, phrases, longest=longest)]
        found = tuple(one for one in judged if one is not None)
        grams = _grams(parts)
        copied = np.mean([gram in learned for gram in grams]) if grams else np.nan
        rows.append((len(found), sum(true for _, true in found), found, float(copied)))
    figures = pd.DataFrame(rows, index=texts.index, columns=["named", "true", "attributes", "copied"])
    return pd.concat([texts, figures], axis=1)


def copy_nearest(catalog: pd.DataFrame, texts: pd.DataFrame, *, items: Sequence[str] | None = None) -> pd.DataFrame:
    """The floor: for each item the text of the most similar *other* item, by TF-IDF over all words of the catalog.

    Args:
        catalog: Catalog table; every column of text is read, and the year's decade.
        texts: Table ``item_id``, ``text`` of what can be copied; of several texts of an item the first is.
        items: Ids to answer for, also repeatedly; the whole catalog when None.

    Returns:
        Table ``item_id``, ``text``, ``copied_from`` (an item id), one row for each of ``items``; of equally similar
        items the first in the catalog is copied.

    Raises:
        ValueError: If a column is missing, an item is not in the catalog, or no other item has a text.

    Example:
        >>> catalog = pd.DataFrame({"item_id": list("abc"), "title": ["Alien", "Aliens", "Heat"],
        ...                         "genres": ["Horror|Sci-Fi", "Sci-Fi", "Crime"]})
        >>> texts = pd.DataFrame({"item_id": list("abc"), "text": ["A ship.", "Marines.", "A robbery."]})
        >>> copy_nearest(catalog, texts, items=["a", "c"])["text"].tolist()
        ['Marines.', 'A ship.']
    """
    _require(texts, catalog)
    ids = pd.Index(catalog["item_id"], dtype=object)
    wanted = list(ids if items is None else items)
    _require(pd.DataFrame({"item_id": wanted, "text": ""}), catalog)
    first = texts.drop_duplicates("item_id").set_index("item_id")["text"]
    sources = np.sort(ids.get_indexer(first.index))
    written = first[ids[sources]].to_numpy(dtype=object)
    vectors, rows = _word_vectors(catalog), ids.get_indexer(wanted)
    nearest = np.empty(len(rows), dtype=int)
    for place, row in enumerate(rows):
        alike = (vectors[sources] @ vectors[row].T).toarray()[:, 0]
        alike[sources == row] = -np.inf  # the item itself must not be seen
        if not np.isfinite(alike).any():
            raise ValueError("copy_nearest needs the text of another item; give texts of at least two items.")
        nearest[place] = alike.argmax()
    return pd.DataFrame({"item_id": wanted, "text": written[nearest], "copied_from": ids[sources[nearest]]})


def summarize_texts(scores: Mapping[str, pd.DataFrame], *, floor: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Means of scored texts with 95 % bootstrap intervals over texts, and whether they are better than the floor.

    Args:
        scores: By name, tables from ``score_texts``: of the same items in the same order, one text each.
        floor: Name of the floor among them.
        seed: Of the bootstrap.

    Returns:
        Index ``writer``; ``precision`` (true ones among all attributes named; a text that names nothing counts neither
        for nor against), ``named`` and ``true`` (attributes in a text), ``names_nothing`` (share of texts), ``copied``
        (mean share of runs of 8 words), each with ``_low`` and ``_high``, missing where there is nothing; ``texts``.
        ``.attrs["verdicts"]``: a sentence for each but the floor; above it is who is surely more precise, with at least
        20 texts that name something.

    Raises:
        ValueError: If there is nothing to summarize, the floor is not there, or the items differ.

    Example:
        >>> good = pd.DataFrame({"item_id": ["a", "b"], "named": [2, 0], "true": [1, 0], "copied": [0.5, np.nan]})
        >>> summary = summarize_texts({"a model": good})
        >>> summary[["precision", "named", "names_nothing", "copied"]].values.tolist()
        [[0.5, 1.0, 0.5, 0.5]]
        >>> summary.attrs["verdicts"]["a model"].partition(":")[0]
        'a model is a demonstration only'
    """
    if not scores or not all(map(len, scores.values())):
        raise ValueError("there is no scored text to summarize. Give tables from score_texts.")
    if floor is not None and floor not in scores:
        raise ValueError(f"floor is {floor!r}; the scores are of {list(scores)}.")
    if len({tuple(table["item_id"]) for table in scores.values()}) > 1:
        raise ValueError("the scores are of different items; score the same items in the same order.")
    rows, samples = [], {}
    for name, own in scores.items():
        sums = _sums(own)
        draws = _ratios(bootstrap_means(sums, seed=seed))  # one seed: the same texts for all, so differences are paired
        samples[name], row = draws[:, 0], {}
        for figure, value, drawn in zip(FIGURES, _ratios(sums.mean(axis=0)), draws.T, strict=True):
            low, high = _interval(drawn)
            row |= {figure: float(value), f"{figure}_low": low, f"{figure}_high": high}
        rows.append(row | {"texts": len(own)})
    table = pd.DataFrame(rows, index=pd.Index(list(scores), name="writer"))
    others = [name for name in scores if name != floor]
    table.attrs["verdicts"] = {name: _verdict(table, samples, name=name, floor=floor) for name in others}
    return table


def split_words(text: str) -> list[str]:
    """A text as it is compared: words without case, accents and punctuation; a Chinese character is a word.

    Example:
        >>> split_words("Amélie, 70年代的 Sci-Fi")
        ['amelie', '70', '年', '代', '的', 'sci', 'fi']
    """
    return _WORD.findall(fold(text))


def _require(texts: pd.DataFrame, catalog: pd.DataFrame) -> None:
    missing = [name for name in ("item_id", "text") if name not in texts]
    if missing:
        raise ValueError(f"texts lacks the columns {missing}; it has {list(texts.columns)}.")
    unknown = texts.loc[~texts["item_id"].isin(catalog["item_id"]), "item_id"].unique().tolist()
    if unknown:
        raise ValueError(f"texts are of {len(unknown)} item(s) that the catalog does not hold: {unknown[:5]}.")


def _phrases(catalog: pd.DataFrame, words: Words) -> dict[Phrase, Meanings]:
    """Everything that names an attribute, in words, and what it can mean."""
    said: list[tuple[str, tuple[str, str]]] = []
    for column in ATTRIBUTES:
        values = set().union(*map(_split, catalog[column])) if column in catalog else set()
        own = words.get(column, {})
        said += [(text, (column, value)) for value in sorted(values) for text in (value, *own.get(value, ()))]
    if "year" in catalog:
        said += [(str(year), ("year", str(year))) for year in YEARS]
        for decade in YEARS[::10]:
            names = [decade, f"{decade % 100:02d}"] if decade in SHORT else [decade]
            said += [(f"{name}{unit}", ("decade", f"{decade}s")) for name in names for unit in ("s", "年代")]
    phrases: dict[Phrase, Meanings] = {}
    for text, meaning in said:
        phrase = tuple(split_words(text))
        phrases[phrase] = tuple(dict.fromkeys((*phrases.get(phrase, ()), meaning)))
    phrases.pop((), None)
    return phrases


def _held(catalog: pd.DataFrame) -> dict[str, dict[str, set[str]]]:
    """Item -> column -> its values, where the catalog has any."""
    held = {}
    for row in catalog.to_dict("records"):
        own = {column: _split(row.get(column)) for column in ATTRIBUTES}
        if not pd.isna(row.get("year", np.nan)):
            year = int(row["year"])
            own |= {"year": {str(year)}, "decade": {f"{year // 10 * 10}s"}}
        held[row["item_id"]] = {column: values for column, values in own.items() if values}
    return held


def _split(values: object) -> set[str]:
    return set(values.split("|")) - {""} if isinstance(values, str) else set()


def _named(parts: Sequence[str], phrases: Mapping[Phrase, Meanings], *, longest: int) -> list[Meanings]:
    """The different attributes named, first met first; of phrases that begin at one word, the longest counts alone."""
    found, place = [], 0
    while place < len(parts):
        for size in range(min(longest, len(parts) - place), 0, -1):
            meanings = phrases.get(tuple(parts[place : place + size]))
            if meanings:
                found.append(meanings)
                break
        place += size if meanings else 1
    return list(dict.fromkeys(found))


def _judged(meanings: Meanings, held: Mapping[str, set[str]]) -> tuple[str, bool] | None:
    """What was named and whether one of its meanings is true; None where the catalog says nothing of it."""
    known = [(column, value) for column, value in meanings if column in held]
    if not known:
        return None
    return " or ".join(value for _, value in known), any(value in held[column] for column, value in known)


def _grams(parts: Sequence[str]) -> list[Phrase]:
    return [tuple(parts[first : first + GRAM]) for first in range(len(parts) - GRAM + 1)]


def _word_vectors(catalog: pd.DataFrame) -> sparse.csr_matrix:
    """TF-IDF of all words of each item, (n_items, n_words), each row of length 1."""
    parts = []
    for row in catalog.to_dict("records"):
        own = [value for name, value in row.items() if name != "item_id" and isinstance(value, str)]
        decade = [] if pd.isna(row.get("year", np.nan)) else [f"{int(row['year']) // 10 * 10}s"]
        parts.append(split_words(" ".join(own)) + decade)
    codes, known = pd.factorize(np.array([word for own in parts for word in own], dtype=object))
    rows = np.repeat(np.arange(len(parts)), [len(own) for own in parts])
    counts = sparse.csr_matrix((np.ones(len(codes)), (rows, codes)), shape=(len(parts), len(known)))
    rarity = np.log((1 + len(parts)) / (1 + (counts > 0).sum(axis=0).A1)) + 1
    weighted = sparse.csr_matrix(counts.multiply(rarity))
    lengths = np.sqrt(weighted.multiply(weighted).sum(axis=1).A1)
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(lengths, 1e-12)) @ weighted)


def _sums(scores: pd.DataFrame) -> np.ndarray:
    """One row per text: what is counted for each figure, then what it is a share of; (n_texts, 2 n_figures)."""
    named, copied, one = scores["named"], scores["copied"], np.ones(len(scores))
    above = [scores["true"], named, scores["true"], named == 0, copied.fillna(0.0)]
    below = [named, one, one, one, copied.notna()]
    return np.stack([*above, *below], axis=1).astype(float)


def _ratios(sums: np.ndarray) -> np.ndarray:
    """The figures of sums or means of them, (..., n_figures); missing where there is nothing to divide by."""
    above, below = np.split(sums, 2, axis=-1)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def _interval(samples: np.ndarray) -> tuple[float, float]:
    samples = samples[np.isfinite(samples)]
    low, high = percentile_interval(samples[:, None]) if len(samples) else ([np.nan], [np.nan])
    return float(low[0]), float(high[0])


def _verdict(table: pd.DataFrame, samples: Mapping[str, np.ndarray], *, name: str, floor: str | None) -> str:
    """One sentence: above the floor only if the interval of the difference in precision says so."""
    row, above, base = table.loc[name], False, {} if floor is None else table.loc[floor]
    says = (
        "names no attribute" if pd.isna(row["precision"]) else f"names attributes, {row['precision']:.1%} of them true"
    )
    if floor is None:
        says += "; there is no floor"
    elif min(_naming(row), _naming(base)) < LEAST:
        says += f"; {_naming(row)} texts name something, of {floor} {_naming(base)}, and {LEAST} of each are needed"
    else:
        low, high = _interval(samples[name] - samples[floor])
        points, above = 100 * (row["precision"] - base["precision"]), low > 0
        says += f", {points:+.1f} points beside {floor} (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    verdict = f"is above the floor {floor}" if above else "is a demonstration only"
    copied = "" if pd.isna(row["copied"]) else f", {row['copied']:.0%} of the runs of {GRAM} words are copied"
    return f"{name} {verdict}: it {says}; {row['names_nothing']:.1%} of {row['texts']:,.0f} texts name nothing{copied}."


def _naming(row: pd.Series) -> int:
    """How many texts name something."""
    return round(row["texts"] * (1 - row["names_nothing"]))

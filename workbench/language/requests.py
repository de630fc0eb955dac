"""What people ask for in words: attribute combinations of a catalog, and many ways to phrase each.

A *combination* is a set of attributes such as ``{"genres": "Sci-Fi", "decade": "1970s"}``; an item matches when it
carries all of them. The same combination can be said in English or Chinese, with synonyms, filler words and typos.
Every fifth combination and every second phrasing is held out: no training sentence uses them, so a table of requests
can say how the model does on wishes it never saw.
"""

import zlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.language.wording import COUNTRY_WORDS, FRAMES, GENRE_NOUNS, GENRE_WORDS, MOODS

NOUNS = ["films", "movies", "film", "movie"]
KINDS = ("genres", "decade", "country")
Combination = tuple[tuple[str, str], ...]  # (("genres", "Sci-Fi"), ("decade", "1970s"))


@dataclass(frozen=True)
class Requests:
    """The combinations a catalog can be asked for.

    Attributes:
        item_attributes: For each catalog row its (kind, value) pairs.
        matches: Combination -> catalog rows that carry all of it, ascending.
    """

    item_attributes: tuple[tuple[tuple[str, str], ...], ...]
    matches: dict[Combination, np.ndarray]

    @property
    def trained(self) -> list[Combination]:
        """Combinations that training sentences may use."""
        return [combination for combination in self.matches if not held_out(combination)]


def read_requests(catalog: pd.DataFrame, *, at_most: int = 3) -> Requests:
    """All combinations of one to ``at_most`` attributes of different items' genres, decade and country.

    Args:
        catalog: Catalog table; ``genres`` ("A|B"), ``year`` and ``country`` are used where present.
        at_most: Largest number of attributes in a combination.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Solaris"],
        ...                         "genres": ["Horror|Sci-Fi", "Sci-Fi"], "year": [1979, 1972]})
        >>> read_requests(catalog).matches[(("genres", "Sci-Fi"), ("decade", "1970s"))].tolist()
        [0, 1]
    """
    attributes = tuple(_attributes(row) for row in catalog.to_dict("records"))
    matches: dict[Combination, list[int]] = {}
    for row, own in enumerate(attributes):
        for size in range(1, at_most + 1):
            for combination in combinations(own, size):
                matches.setdefault(combination, []).append(row)
    return Requests(attributes, {combination: np.array(rows) for combination, rows in sorted(matches.items())})


def _attributes(row: dict) -> tuple[tuple[str, str], ...]:
    genres = row.get("genres")
    genres = sorted(set(genres.split("|")) - {""}) if isinstance(genres, str) else []  # a combination is a set
    pairs = [("genres", genre) for genre in genres]
    if not pd.isna(row.get("year", np.nan)):
        pairs.append(("decade", f"{int(row['year']) // 10 * 10}s"))
    if isinstance(row.get("country"), str) and row["country"]:
        pairs.append(("country", row["country"]))
    return tuple(pairs)


def held_out(combination: Combination) -> bool:
    """Whether a combination is in the fifth that training never sees (by a hash of its values, so it never moves)."""
    return zlib.crc32(repr(combination).encode()) % 5 == 0


def phrase(combination: Combination, rng: np.random.Generator, *, language: str, trained: bool = True) -> str:
    """One way to ask for a combination, in ``"en"`` or ``"zh"``; ``trained=False`` uses the held-out sentence frames.

    Typos (two neighbouring letters swapped, or one dropped) come in one English request of six, a mood word such as
    "slow" in one of five.

    Example:
        >>> phrase((("genres", "Sci-Fi"), ("decade", "1970s")), np.random.default_rng(0), language="zh")
        '我喜欢70年代的科幻电影'
    """
    values = dict.fromkeys(KINDS, ())
    for kind, value in combination:
        values[kind] = (*values[kind], value)
    what = (_chinese if language == "zh" else _english)(values, rng)
    if rng.random() < 0.2:
        mood = _pick(MOODS[language], rng)
        what = f"{mood}{what}" if language == "zh" else f"{mood} {what}"
    frames = FRAMES[language][0 if trained else 1 :: 2]
    request = _pick(frames, rng).format(what=what)
    return _misspell(request, rng) if language == "en" and rng.random() < 1 / 6 else request


def _english(values: dict[str, tuple[str, ...]], rng: np.random.Generator) -> str:
    genres = " ".join(_word(GENRE_WORDS, genre, "en", rng) for genre in values["genres"])
    noun = f"{genres} {_pick(NOUNS, rng)}".strip()
    if len(values["genres"]) == 1 and values["genres"][0] in GENRE_NOUNS and rng.random() < 0.4:
        noun = _pick(GENRE_NOUNS[values["genres"][0]], rng)
    for decade in values["decade"]:
        names = [decade, decade[2:]] if decade < "2000s" else [decade]
        name = _pick(names, rng)
        noun = _pick([f"{name} {noun}", f"{noun} from the {name}", f"{noun} of the {name}"], rng)
    for country in values["country"]:
        adjective, *names = COUNTRY_WORDS.get(country, {}).get("en", [country.lower()])
        noun = _pick([f"{adjective} {noun}", *(f"{noun} from {name}" for name in names or [country.lower()])], rng)
    return noun


def _chinese(values: dict[str, tuple[str, ...]], rng: np.random.Generator) -> str:
    genres = "".join(_word(GENRE_WORDS, genre, "zh", rng) for genre in values["genres"])
    parts = [_word(COUNTRY_WORDS, country, "zh", rng) for country in values["country"]]
    for decade in values["decade"]:
        short = f"{decade[2:4]}年代"
        parts.append(_pick([f"{decade[:4]}年代", short], rng) if decade < "2000s" else f"{decade[:4]}年代")
    rng.shuffle(parts)
    return "".join(f"{part}的" for part in parts) + genres + _pick(["片", "电影"], rng)


def _pick(options: list[str], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]  # ten times quicker than rng.choice on a short list


def _word(table: dict[str, dict[str, list[str]]], value: str, language: str, rng: np.random.Generator) -> str:
    return _pick(table.get(value, {}).get(language, [value.lower()]), rng)


def _misspell(text: str, rng: np.random.Generator) -> str:
    places = [i for i in range(1, len(text) - 2) if text[i].isalpha() and text[i + 1].isalpha()]
    if not places:
        return text
    i = int(rng.choice(places))
    if rng.random() < 0.5:
        return text[:i] + text[i + 1] + text[i] + text[i + 2 :]
    return text[:i] + text[i + 1 :]


def request_table(catalog: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Every combination asked four times: trained and held-out phrasing, English and Chinese.

    Returns:
        Table ``request``, ``combination`` (readable), ``matches`` (tuple of item ids), ``language``,
        ``trained_combination`` and ``trained_phrasing`` (bool).

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a"], "title": ["Alien"], "genres": ["Horror"]})
        >>> request_table(catalog)[["language", "trained_phrasing"]].values.tolist()
        [['en', True], ['en', False], ['zh', True], ['zh', False]]
    """
    rng = np.random.default_rng(seed)
    ids = catalog["item_id"].to_numpy()
    rows = [
        {
            "request": phrase(combination, rng, language=language, trained=trained),
            "combination": " & ".join(value for _, value in combination),
            "matches": tuple(ids[matching]),
            "language": language,
            "trained_combination": not held_out(combination),
            "trained_phrasing": trained,
        }
        for combination, matching in read_requests(catalog).matches.items()
        for language in ("en", "zh")
        for trained in (True, False)
    ]
    columns = ["request", "combination", "matches", "language", "trained_combination", "trained_phrasing"]
    return pd.DataFrame(rows, columns=columns)

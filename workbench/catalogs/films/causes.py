"""What is planted in the simulated viewing: tables of causes, and the features and contexts they act on."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.catalogs.schema import mark_values

TASTE_GROUPS = {  # log weights of film features; a group's taste is the softmax of their sum over the catalog
    "science fiction": {"Sci-Fi": 4.0, "Fantasy": 0.8, "Thriller": 0.4, "Children": -2.0},
    "crime and noir": {"Crime": 2.8, "Film-Noir": 2.5, "Mystery": 1.4, "Thriller": 0.9, "Horror": -2.0, "Sci-Fi": -1.5},
    "family and animation": {"Animation": 3.0, "Children": 2.2, "Musical": 0.6, "Fantasy": 0.6, "Thriller": -2.0},
    "classic Hollywood": {"classic": 2.6, "USA": 2.0, "Musical": 0.8, "Western": 0.8, "Romance": 0.6, "Sci-Fi": -1.5},
    "European auteurs": {
        "continental Europe": 4.0,
        "Drama": 1.2,
        "Action": -2.0,
        "Animation": -2.0,
        "1960s": 0.8,
        "1970s": 0.5,
    },
    "Asian cinema": {"Asia": 4.2, "Animation": -1.5, "Drama": 0.5, "1990s": 0.4, "2000s": 0.4},
    "horror and thrillers": {"Horror": 4.2, "Thriller": 1.6, "Mystery": 0.8, "Children": -2.0, "Romance": -1.0},
    "big adventures": {"Adventure": 2.4, "Action": 2.4, "War": 0.6, "Western": 0.8, "classic": -1.5, "Animation": -2.0},
}
GROUP_SHARES = (0.15, 0.15, 0.12, 0.11, 0.12, 0.12, 0.10, 0.13)  # of viewers, by main group, in the order above
SECOND_GROUP_SHARE = 0.4  # of viewers have a second group, any other with equal chance ...
MAIN_WEIGHT = 0.7  # ... and then their main group keeps this weight

CONTEXT_EFFECTS = (  # film feature, context that must hold, change of the log probability
    ("Horror", {"time_of_day": "evening"}, 1.0),
    ("Horror", {"time_of_day": "day"}, -0.8),
    ("Thriller", {"time_of_day": "evening"}, 0.4),
    ("Animation", {"time_of_day": "day", "day_type": "weekend"}, 1.0),
    ("Children", {"time_of_day": "day", "day_type": "weekend"}, 0.6),
    ("Documentary", {"day_type": "weekday"}, 0.6),
    ("Action", {"day_type": "weekend", "time_of_day": "evening"}, 0.5),
    ("Romance", {"season": "winter"}, 0.6),
    ("classic", {"season": "winter"}, 0.6),
    ("Adventure", {"season": "summer"}, 0.6),
    ("Comedy", {"season": "summer"}, 0.4),
    ("Horror", {"season": "autumn"}, 0.6),
)
SEASONS = ("winter", "spring", "summer", "autumn")
FIRST_DAY = pd.Timestamp("2023-12-01", tz="UTC")
LAST_DAY = pd.Timestamp("2025-11-30", tz="UTC")  # two years: eight whole seasons, numbered 0 to 7
CONTEXT_SHARES = {"time_of_day": {"day": 0.4, "evening": 0.6}, "day_type": {"weekday": 0.6, "weekend": 0.4}}

REGIONS = {
    "continental Europe": "France Italy Germany Spain Sweden Denmark Poland USSR Russia Austria Belgium Czechia "
    "Hungary Greece Norway Finland Netherlands Romania Switzerland Portugal".split(),
    "Asia": ["Japan", "China", "Hong Kong", "Taiwan", "South Korea", "India", "Iran", "Thailand", "Vietnam"],
}
LAST_CLASSIC = 1964  # the last year of a "classic"
LIGHT_GENRES = ["Adventure", "Animation", "Children", "Comedy", "Fantasy", "Musical", "Romance"]
HEAVY_GENRES = ["Crime", "Drama", "Film-Noir", "Horror", "Mystery", "Thriller", "War"]
# Log effects of the film watched last: on the next of its series, the next by its director, films of the other tone.
NEXT_IN_SERIES, NEXT_BY_DIRECTOR, CONTRAST = 4.5, 3.5, 1.5


@dataclass(frozen=True)
class Effects:
    """How strongly each planted cause acts: 1 as in the bundled data, 0 switched off."""

    popularity: float = 1.0
    drift: float = 1.0
    taste: float = 1.0
    series: float = 1.0
    director: float = 1.0
    contrast: float = 1.0
    context: float = 1.0


def film_features(catalog: pd.DataFrame) -> pd.DataFrame:
    """Which film has which feature: genres, decades, countries, "continental Europe", "Asia", "classic", "light".

    Args:
        catalog: A catalog table with ``genres``, ``year`` and ``country``.

    Returns:
        A table indexed by ``item_id`` with one boolean column per feature.

    Example:
        >>> one = {"item_id": ["f1"], "genres": ["Crime|Drama"], "year": [1960], "country": ["France"]}
        >>> sorted(film_features(pd.DataFrame(one)).columns)
        ['1960s', 'Crime', 'Drama', 'France', 'classic', 'continental Europe']
    """
    country, year = catalog["country"], catalog["year"].astype(int)
    tables = [mark_values(catalog["genres"]).astype(bool)]
    tables += [pd.get_dummies((year // 10 * 10).astype(str) + "s"), pd.get_dummies(country)]
    tables += [country.isin(names).rename(region) for region, names in REGIONS.items()]
    tables += [(year <= LAST_CLASSIC).rename("classic")]
    light, heavy = (tables[0].reindex(columns=g, fill_value=False).sum(axis=1) for g in (LIGHT_GENRES, HEAVY_GENRES))
    tables += [(light >= heavy).rename("light")]
    features = pd.concat(tables, axis=1).set_axis(catalog["item_id"].astype(str), axis=0)
    return features.loc[:, features.any()]


def read_context(times: pd.DatetimeIndex) -> pd.DataFrame:
    """The context of each moment: time of day (evening from 18:00), type of day, season (winter from 1 December).

    Returns:
        One row per moment: ``time_of_day``, ``day_type``, ``season`` and ``number``, the season's place in the two
        simulated years (0 to 7).

    Raises:
        ValueError: If a moment lies outside the two years.

    Example:
        >>> read_context(pd.DatetimeIndex(["2024-12-07 20:15+00:00"])).astype(str).iloc[0].tolist()
        ['evening', 'weekend', 'winter', '4']
    """
    outside = times[(times < FIRST_DAY) | (times >= LAST_DAY + pd.Timedelta(days=1))]
    if len(outside):
        raise ValueError(
            f"timestamp {outside[0]} lies outside the simulated time, {FIRST_DAY:%Y-%m-%d} to {LAST_DAY:%Y-%m-%d}. "
            "Give time_of_day, day_type or season instead."
        )
    number = (times.year - FIRST_DAY.year) * 4 + times.month // 3 - 4
    return pd.DataFrame(
        {
            "time_of_day": np.where(times.hour >= 18, "evening", "day"),
            "day_type": np.where(times.day_of_week >= 5, "weekend", "weekday"),
            "season": np.array(SEASONS)[number % 4],
            "number": number,
        }
    )

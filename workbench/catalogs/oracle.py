"""The truth behind the bundled films: why a simulated viewer watches what they watch.

The films are real, everybody who watches them is simulated. One formula says how, and this file is that formula::

    p(film | history, context, viewer)  ~  exp(popularity + drift + taste + series + director + context)

and 0 for a film already in the history. Each term is a table below or a column of the catalog, so whatever a model, a
map or an attribution claims to have found can be held against what was planted.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

TASTE_GROUPS = {  # log weights of film features; a group's taste is the softmax of their sum over the catalog
    "science fiction": {"Sci-Fi": 4.0, "Fantasy": 0.8, "Thriller": 0.4, "Children": -2.0},
    "crime and noir": {"Crime": 2.8, "Film-Noir": 2.5, "Mystery": 1.4, "Thriller": 0.9, "Horror": -2.0, "Sci-Fi": -1.5},
    "family and animation": {"Animation": 3.0, "Children": 2.2, "Musical": 0.6, "Fantasy": 0.6, "Thriller": -2.0},
    "classic Hollywood": {"classic": 2.6, "USA": 2.0, "Musical": 0.8, "Western": 0.8, "Romance": 0.6, "Sci-Fi": -1.5},
    "European auteurs": {"Europe": 4.0, "Drama": 1.2, "Action": -2.0, "Animation": -2.0, "1960s": 0.8, "1970s": 0.5},
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
    "Europe": "UK France Italy Germany Spain Sweden Denmark Poland USSR Russia Austria Belgium Czechia Hungary Greece "
    "Norway Finland Ireland Netherlands Romania Switzerland Portugal".split(),
    "Asia": ["Japan", "China", "Hong Kong", "Taiwan", "South Korea", "India", "Iran", "Thailand", "Vietnam"],
}
LAST_CLASSIC = 1964  # the last year of a "classic"
TRANSITION_WINDOW = 3  # how many of the latest films a series or director effect looks back on
SERIES_NEXT, SERIES_OTHER, SAME_DIRECTOR = 4.5, 2.0, 2.0  # log effects


@dataclass(frozen=True)
class Effects:
    """How strongly each planted cause acts: 1 as in the bundled data, 0 switched off."""

    popularity: float = 1.0
    drift: float = 1.0
    taste: float = 1.0
    series: float = 1.0
    director: float = 1.0
    context: float = 1.0


def film_features(catalog: pd.DataFrame) -> pd.DataFrame:
    """Which film has which feature, True or False: genres, decades, countries, "Europe", "Asia" and "classic".

    Args:
        catalog: A catalog table with ``genres``, ``year`` and ``country``.

    Returns:
        A table indexed by ``item_id`` with one boolean column per feature.

    Example:
        >>> one = {"item_id": ["f1"], "genres": ["Crime|Drama"], "year": [1960], "country": ["France"]}
        >>> sorted(film_features(pd.DataFrame(one)).columns)
        ['1960s', 'Crime', 'Drama', 'Europe', 'France', 'classic']
    """
    country, year = catalog["country"], catalog["year"].astype(int)
    tables = [catalog["genres"].fillna("").str.get_dummies("|").astype(bool)]
    tables += [pd.get_dummies((year // 10 * 10).astype(str) + "s"), pd.get_dummies(country)]
    tables += [country.isin(names).rename(region) for region, names in REGIONS.items()]
    tables += [(year <= LAST_CLASSIC).rename("classic")]
    features = pd.concat(tables, axis=1).set_axis(catalog["item_id"].astype(str), axis=0)
    return features.loc[:, features.any()]


def read_context(timestamp: pd.Timestamp) -> dict[str, str]:
    """The time of day, type of day and season of a moment (evening from 18:00; winter from 1 December).

    Example:
        >>> read_context(pd.Timestamp("2024-12-07 20:15", tz="UTC"))
        {'time_of_day': 'evening', 'day_type': 'weekend', 'season': 'winter'}
    """
    return {
        "time_of_day": "evening" if timestamp.hour >= 18 else "day",
        "day_type": "weekend" if timestamp.dayofweek >= 5 else "weekday",
        "season": SEASONS[timestamp.month % 12 // 3],
    }


def season_number(timestamp: pd.Timestamp) -> int:
    """Which of the eight simulated seasons a moment falls in, 0 to 7.

    Raises:
        ValueError: If the moment lies outside the two simulated years.
    """
    if not FIRST_DAY <= timestamp < LAST_DAY + pd.Timedelta(days=1):
        raise ValueError(
            f"timestamp {timestamp} lies outside the simulated time, {FIRST_DAY:%Y-%m-%d} to {LAST_DAY:%Y-%m-%d}. "
            "Give time_of_day, day_type or season instead."
        )
    return (timestamp.year - FIRST_DAY.year) * 4 + timestamp.month // 3 - 4


@dataclass(frozen=True, eq=False)
class Films:
    """The films, the simulated viewers' true tastes and the strength of each cause: enough for any probability.

    Attributes:
        catalog: Catalog table with ``genres``, ``year``, ``country``, ``director`` and ``series``.
        taste_groups: One row per simulated viewer: ``user_id``, ``taste_group``, ``second_group`` (or missing),
            ``weight`` (of the main group, 0 to 1).
        effects: Strength of each cause.

    The tables are kept beside the arrays computed from them, because a probability read with one catalog's
    popularity and another catalog's order would be silently wrong.
    """

    catalog: pd.DataFrame
    taste_groups: pd.DataFrame
    effects: Effects = field(default_factory=Effects)

    def probability(
        self,
        item: str,
        history: Sequence[str],
        context: Mapping[str, object] | None = None,
        *,
        viewer: str | None = None,
    ) -> float:
        """True probability, 0 to 1, that the next film is `item`; see `probabilities` for the arguments."""
        return float(self.probabilities(history, context, viewer=viewer)[self.positions([item])[0]])

    def probabilities(
        self, history: Sequence[str], context: Mapping[str, object] | None = None, *, viewer: str | None = None
    ) -> np.ndarray:
        """True probability of every film being next, shape (n_items,), in catalog order; sums to 1.

        Args:
            history: Item ids, oldest first.
            context: Any of ``time_of_day``, ``day_type``, ``season``, or a ``timestamp`` that settles all three and
                the drift. What is not given is averaged over, with the simulator's own shares.
            viewer: A simulated viewer's ``user_id``: uses their true taste. Without it, the taste is inferred from
                the history by Bayes' rule over all kinds of viewer (contexts of the past unknown).

        Raises:
            ValueError: If an item, the viewer or a context value is unknown.
        """
        seen = self.positions(history)
        if viewer is None:
            kinds, belief = self._kinds[1], self._infer_kind(seen)
        else:
            kinds, belief = self._viewer_taste(viewer)[None], np.ones(1)
        cells, shares = self._select_cells(context or {})
        logits = kinds[:, None] + self._situation[cells] + self._score_transitions(seen)  # (kinds, cells, n_items)
        return np.einsum("k,c,kcn->n", belief, shares, normalise(logits, seen))

    def positions(self, items: Sequence[str]) -> np.ndarray:
        """Catalog positions of item ids, shape (len(items),).

        Raises:
            ValueError: If an item is not in the catalog.
        """
        found = self._index.get_indexer(pd.Index(list(items), dtype=object))
        if (found < 0).any():
            unknown = [item for item, place in zip(items, found, strict=True) if place < 0]
            raise ValueError(
                f"unknown items {unknown[:5]}: the films catalog has {self._index[0]} to {self._index[-1]}."
            )
        return found

    @cached_property
    def _index(self) -> pd.Index:
        return pd.Index(self.catalog["item_id"].astype(str), dtype=object)

    @cached_property
    def features(self) -> pd.DataFrame:
        """The catalog's features; see `film_features`."""
        return film_features(self.catalog)

    @cached_property
    def group_tastes(self) -> np.ndarray:
        """Each taste group's share of attention per film, shape (n_groups, n_items); rows sum to 1."""
        scores = np.zeros((len(TASTE_GROUPS), len(self.catalog)))
        for row, weights in enumerate(TASTE_GROUPS.values()):
            for feature in [name for name in weights if name in self.features]:
                scores[row] += weights[feature] * self.features[feature].to_numpy()
        return normalise(self.effects.taste * scores, [])

    @cached_property
    def _kinds(self) -> tuple[np.ndarray, np.ndarray]:
        """Prior (n_kinds,) and log taste (n_kinds, n_items) of every kind of viewer: one group, or a main and a second."""
        groups = range(len(TASTE_GROUPS))
        prior, tastes = [], []
        for main in groups:
            for second in groups:
                share = SECOND_GROUP_SHARE / (len(groups) - 1) if second != main else 1 - SECOND_GROUP_SHARE
                weight = MAIN_WEIGHT if second != main else 1.0
                prior.append(GROUP_SHARES[main] * share)
                tastes.append(np.log(weight * self.group_tastes[main] + (1 - weight) * self.group_tastes[second]))
        return np.array(prior), np.array(tastes)

    @cached_property
    def _truth(self) -> dict[str, tuple]:
        columns = self.taste_groups[["taste_group", "second_group", "weight"]].itertuples(index=False, name=None)
        return dict(zip(self.taste_groups["user_id"], columns, strict=True))

    def _viewer_taste(self, viewer: str) -> np.ndarray:
        if viewer not in self._truth:
            raise ValueError(
                f"unknown viewer {viewer!r}: there are {len(self._truth)} simulated viewers, v0001 onwards."
            )
        main, second, weight = self._truth[viewer]
        names = list(TASTE_GROUPS)
        taste = weight * self.group_tastes[names.index(main)]
        if weight < 1:
            taste = taste + (1 - weight) * self.group_tastes[names.index(second)]
        return np.log(taste)

    def _infer_kind(self, seen: np.ndarray) -> np.ndarray:
        """Posterior over the kinds of viewer after a history, shape (n_kinds,)."""
        prior, tastes = self._kinds
        log_belief = np.log(prior)
        for step, item in enumerate(seen):
            if item not in seen[:step]:  # a film watched again says nothing: the model gives repeats no chance
                logits = tastes + self._usual + self._score_transitions(seen[:step])
                log_belief = log_belief + np.log(normalise(logits, seen[:step])[:, item])
        return normalise(log_belief, [])

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every context there is: ``time_of_day``, ``day_type``, ``season``, ``number`` (0 to 7) and its ``share``."""
        rows = [
            {"time_of_day": time, "day_type": day, "season": SEASONS[n % 4], "number": n, "share": p * q / 8}
            for time, p in CONTEXT_SHARES["time_of_day"].items()
            for day, q in CONTEXT_SHARES["day_type"].items()
            for n in range(8)
        ]
        return pd.DataFrame(rows)

    @cached_property
    def _situation(self) -> np.ndarray:
        """Popularity, drift and context effects of every context cell, shape (n_cells, n_items)."""
        popularity, slope = self._draw_popularity()
        time = (self.cells["number"].to_numpy() - 3.5) / 3.5  # -1 to 1
        effects = np.zeros((len(self.cells), len(self.catalog)))
        for feature, wanted, strength in CONTEXT_EFFECTS:
            if feature in self.features:
                holds = np.all([self.cells[name] == value for name, value in wanted.items()], axis=0)
                effects += strength * np.outer(holds, self.features[feature])
        return (
            self.effects.popularity * popularity
            + self.effects.drift * np.outer(time, slope)
            + (self.effects.context * effects)
        )

    @cached_property
    def _usual(self) -> np.ndarray:
        return np.log(self.cells["share"].to_numpy() @ np.exp(self._situation))

    def _draw_popularity(self) -> tuple[np.ndarray, np.ndarray]:
        """Simulated log popularity and its slope over the two years, each (n_items,); fixed by title and year alone."""
        keys = [f"{title}|{year}" for title, year in zip(self.catalog["title"], self.catalog["year"], strict=True)]
        seeds = [int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") for key in keys]
        draws = np.array([np.random.default_rng(seed).normal(size=2) for seed in seeds])
        wide_release = self.catalog["country"].isin(["USA", "UK"]).to_numpy()
        return 0.9 * draws[:, 0] + 0.3 * wide_release, 0.5 * draws[:, 1]

    def _select_cells(self, context: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray]:
        wanted = dict(context)
        if "timestamp" in wanted:
            moment = pd.Timestamp(wanted.pop("timestamp"))
            moment = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
            wanted = {**read_context(moment), "number": season_number(moment), **wanted}
        keep = np.ones(len(self.cells), dtype=bool)
        for name, value in wanted.items():
            if name not in self.cells or value not in set(self.cells[name]):
                accepted = {key: sorted(set(self.cells[key])) for key in ("time_of_day", "day_type", "season")}
                raise ValueError(f"context {name}={value!r} is unknown; accepted: timestamp, or any of {accepted}.")
            keep &= (self.cells[name] == value).to_numpy()
        if not keep.any():
            raise ValueError(f"context {dict(context)} contradicts itself: drop the timestamp or the words beside it.")
        shares = self.cells["share"].to_numpy()[keep]
        return np.flatnonzero(keep), shares / shares.sum()

    @cached_property
    def transitions(self) -> np.ndarray:
        """Log effect of having just watched a row's film on a column's film, shape (2, n_items, n_items).

        The first table is the series effect (the next film of a series most, its other films less), the second the
        same-director effect.
        """
        n_items = len(self.catalog)
        names = self.catalog["series"].fillna("").to_numpy()
        same = (names[:, None] == names) & (names != "")[:, None] & ~np.eye(n_items, dtype=bool)
        series = np.where(same, SERIES_OTHER, 0.0)
        for name in set(names) - {""}:
            parts = np.flatnonzero(names == name)
            parts = parts[np.argsort(self.catalog["year"].to_numpy()[parts], kind="stable")]
            series[parts[:-1], parts[1:]] = SERIES_NEXT
        directors = self.catalog["director"].fillna("").str.get_dummies("|").to_numpy()
        shared = (directors @ directors.T > 0) & ~np.eye(n_items, dtype=bool)
        return np.stack([self.effects.series * series, self.effects.director * SAME_DIRECTOR * shared])

    def _score_transitions(self, seen: np.ndarray) -> np.ndarray:
        if len(seen) == 0:
            return np.zeros(len(self.catalog))
        return self.transitions[:, seen[-TRANSITION_WINDOW:]].max(axis=1).sum(axis=0)


def normalise(logits: np.ndarray, seen: Sequence[int]) -> np.ndarray:
    """Softmax over the last axis with the columns `seen` at 0; all zeros where everything is seen."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights[..., seen] = 0.0
    total = weights.sum(axis=-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


@dataclass(frozen=True)
class OracleRanker:
    """Ranks by the true probability: the best any ranker can do without knowing when the viewer watches next.

    A simulated viewer's own taste is known to it, the context of the next film is not (it is averaged over). For a
    user who is no simulated viewer the taste is inferred from the history.
    """

    films: Films

    def rank(
        self,
        histories: Mapping[str, Sequence[str]] | pd.DataFrame,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Rankings table: `user_id`, `item_id`, `rank` (1 = best), `score` (the true probability, 0 to 1).

        Args:
            histories: ``{user_id: [item_id, ...]}`` or an interactions table, oldest first.
            k: Length of each list, at least 1; shorter where fewer candidates are left.
            exclude_seen: Leave out what is in the history (its true probability is 0).
            candidates: Item ids to rank; every film when None.
        """
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least one place.")
        if isinstance(histories, pd.DataFrame):
            histories = {user: list(rows) for user, rows in histories.groupby("user_id", sort=False)["item_id"]}
        films = self.films
        pool = np.unique(films.positions(candidates)) if candidates is not None else np.arange(len(films.catalog))
        known = set(films.taste_groups["user_id"])
        item_ids = films.catalog["item_id"].astype(str).to_numpy()
        tables = []
        for user, history in histories.items():
            scores = films.probabilities(history, viewer=user if user in known else None).astype(np.float32)
            kept = np.setdiff1d(pool, films.positions(history)) if exclude_seen else pool
            best = kept[np.argsort(-scores[kept], kind="stable")[:k]]
            ranks = np.arange(1, len(best) + 1)
            tables.append(
                pd.DataFrame({"user_id": user, "item_id": item_ids[best], "rank": ranks, "score": scores[best]})
            )
        columns = ["user_id", "item_id", "rank", "score"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)

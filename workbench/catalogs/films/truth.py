"""The truth as one object: the true probability of any film after any history in any context."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from workbench.catalogs.films.causes import (
    CONTEXT_EFFECTS,
    CONTEXT_SHARES,
    CONTRAST,
    GROUP_SHARES,
    MAIN_WEIGHT,
    NEXT_BY_DIRECTOR,
    NEXT_IN_SERIES,
    SEASONS,
    SECOND_GROUP_SHARE,
    TASTE_GROUPS,
    Effects,
    film_features,
    read_context,
)
from workbench.catalogs.schema import mark_values


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
            kinds, belief = self.taste_of(viewer)[None], np.ones(1)
        cells, shares = self._select_cells(context or {})
        logits = kinds[:, None] + self.situation[cells] + self.score_transitions(seen)  # (kinds, cells, n_items)
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
        """Prior (n_kinds,) and log taste (n_kinds, n_items) of every kind of viewer: one group, or main and second."""
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

    def taste_of(self, viewer: str) -> np.ndarray:
        """A simulated viewer's log taste, shape (n_items,): a mixture of their groups' tastes."""
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
                logits = tastes + self._usual + self.score_transitions(seen[:step])
                log_belief = log_belief + np.log(normalise(logits, seen[:step])[:, item])
        return normalise(log_belief, [])

    def infer_group(self, history: Sequence[str]) -> str:
        """The taste group a history speaks for most, by Bayes' rule over all kinds of viewer: nobody can do better."""
        belief = self._infer_kind(self.positions(history)).reshape(len(TASTE_GROUPS), -1)  # (main, second)
        return list(TASTE_GROUPS)[int(belief.sum(axis=1).argmax())]

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

    def cells_of(self, contexts: pd.DataFrame) -> np.ndarray:
        """Row of `situation` for each row of a `read_context` table, shape (len(contexts),)."""
        names = ["time_of_day", "day_type", "season", "number"]
        return pd.MultiIndex.from_frame(self.cells[names]).get_indexer(pd.MultiIndex.from_frame(contexts[names]))

    @cached_property
    def situation(self) -> np.ndarray:
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
        return np.log(self.cells["share"].to_numpy() @ np.exp(self.situation))

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
            moment = pd.to_datetime([wanted.pop("timestamp")], utc=True)
            settled = read_context(moment).iloc[0].to_dict()
            wanted = {**settled, **wanted}
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
        """Log effect of having just watched a row's film on a column's film, shape (n_items, n_items).

        Series and director lead to their next film in order of year and title; contrast leads from a heavy film to
        the light ones and back.
        """
        order = np.lexsort([self.catalog["title"], self.catalog["year"]])
        steps = np.zeros((len(self.catalog), len(self.catalog)))
        causes = {"series": self.effects.series * NEXT_IN_SERIES, "director": self.effects.director * NEXT_BY_DIRECTOR}
        for column, strength in causes.items():
            leads = np.zeros(steps.shape, dtype=bool)  # two films with the same two directors count once
            for _, belongs in mark_values(self.catalog[column]).items():
                films = order[belongs.to_numpy()[order] == 1]
                leads[films[:-1], films[1:]] = True
            steps += strength * leads
        light = (
            self.features["light"].to_numpy() if "light" in self.features else np.zeros(len(self.catalog), dtype=bool)
        )
        return steps + self.effects.contrast * CONTRAST * (light[:, None] != light)

    def score_transitions(self, seen: Sequence[int]) -> np.ndarray:
        """Log effect of the film watched last (`seen`: catalog positions, oldest first) on every film, (n_items,)."""
        return self.transitions[seen[-1]] if len(seen) else np.zeros(len(self.catalog))


def normalise(logits: np.ndarray, seen: Sequence[int]) -> np.ndarray:
    """Softmax over the last axis with the columns `seen` at 0; all zeros where everything is seen."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    weights[..., seen] = 0.0
    total = weights.sum(axis=-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def draw(weights: np.ndarray, stream: np.random.Generator) -> int:
    """A position drawn in proportion to weights, by one uniform number (the same on every NumPy version)."""
    total = np.cumsum(weights)
    return min(int(np.searchsorted(total, stream.random() * total[-1], side="right")), len(weights) - 1)

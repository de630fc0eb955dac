"""The simulated viewers: who they are, when they watch, and what they pick, rate and say.

Each viewer has a random stream of their own, so the first fifty can be rebuilt without the others.
"""

from collections.abc import Iterable
from itertools import islice

import numpy as np
import pandas as pd

from workbench.catalogs.films.bundle import Simulation, read_catalog
from workbench.catalogs.films.causes import (
    CONTEXT_SHARES,
    FIRST_DAY,
    GROUP_SHARES,
    LAST_DAY,
    MAIN_WEIGHT,
    SECOND_GROUP_SHARE,
    TASTE_GROUPS,
    Effects,
    read_context,
)
from workbench.catalogs.films.reviews import write_review
from workbench.catalogs.films.truth import Films, draw, normalise

SEED = 20231201
FEWEST_EVENTS, MOST_EVENTS = 8, 120
REVIEW_SHARE = 0.25
FIRST_MONDAY = FIRST_DAY + pd.Timedelta(days=-FIRST_DAY.day_of_week % 7)
N_WEEKS = (LAST_DAY - FIRST_MONDAY).days // 7
COLUMNS = ["user_id", "item_id", "timestamp", "rating", "time_of_day", "day_type", "season", "review"]

AGE_BANDS = ("18-24", "25-34", "35-49", "50-64", "65+")
AGE_SHARES = np.array([0.2, 0.25, 0.25, 0.2, 0.1])
OLDER, YOUNGER = ("classic Hollywood", "European auteurs"), ("science fiction", "horror and thrillers")
REGION_NAMES = ("north", "east", "south", "west")  # drawn without any link to taste: a placebo


def simulate(
    catalog: pd.DataFrame | None = None, *, viewers: int = 2000, seed: int = SEED, effects: Effects | None = None
) -> Simulation:
    """Draw viewers and let each pick films by the true probability.

    Args:
        catalog: Films to watch; the bundled catalog when None.
        viewers: How many viewers. Viewer n is the same whatever the number of viewers.
        seed: Start of every random stream.
        effects: Strength of each planted cause, e.g. ``Effects(series=0)``; all at 1 when None.

    Raises:
        ValueError: If the catalog has too few films for the longest history.
    """
    catalog = read_catalog() if catalog is None else catalog
    if len(catalog) <= MOST_EVENTS:
        raise ValueError(f"the catalog has {len(catalog)} films; give more than {MOST_EVENTS}, the longest history.")
    streams = [np.random.default_rng([seed, number]) for number in range(viewers)]
    people = pd.DataFrame([draw_viewer(number, stream) for number, stream in enumerate(streams, start=1)])
    films = Films(catalog, people[["user_id", "taste_group", "second_group", "weight"]], effects or Effects())
    times = [draw_times(stream) for stream in streams]
    timestamps = FIRST_MONDAY + pd.to_timedelta(np.concatenate(times), unit="min")
    interactions = read_context(timestamps)
    contexts = zip(films.cells_of(interactions), interactions.to_dict("records"), strict=True)
    records = catalog.to_dict("records")
    watched = []
    for user, stream, moments in zip(people["user_id"], streams, times, strict=True):
        watched += watch_films(films, user, records=records, contexts=islice(contexts, len(moments)), stream=stream)
    picked = pd.DataFrame(watched, columns=["user_id", "item_id", "rating", "review"])
    interactions = pd.concat([interactions.assign(timestamp=timestamps), picked], axis=1)[COLUMNS]
    return Simulation(interactions, people[["user_id", "age_band", "region"]], films.taste_groups)


def draw_viewer(number: int, stream: np.random.Generator) -> dict[str, object]:
    """One simulated viewer: id, attributes and true taste. Age leans on taste; the region does not."""
    groups = list(TASTE_GROUPS)
    main = groups[draw(np.array(GROUP_SHARES), stream)]
    second = None
    if stream.random() < SECOND_GROUP_SHARE:
        others = [name for name in groups if name != main]
        second = others[draw(np.ones(len(others)), stream)]
    lean = 0.35 * ((main in OLDER) - (main in YOUNGER)) * np.arange(-2, 3)
    return {
        "user_id": f"v{number:04d}",
        "age_band": AGE_BANDS[draw(AGE_SHARES * np.exp(lean), stream)],
        "region": REGION_NAMES[draw(np.ones(len(REGION_NAMES)), stream)],
        "taste_group": main,
        "second_group": second,
        "weight": MAIN_WEIGHT if second else 1.0,
    }


def draw_times(stream: np.random.Generator) -> np.ndarray:
    """When one viewer watches: 8 to 120 different minutes in order, counted from the first Monday of the two years.

    A viewer has a first and a last week; in between, free hours come in bursts (log-normal gaps).
    """
    n_events = min(FEWEST_EVENTS + int(np.exp(2.8 + 0.8 * stream.normal())), MOST_EVENTS)
    gaps = np.cumsum(np.exp(1.2 * stream.normal(size=n_events)))
    first = stream.random() * 0.6
    last = first + (1 - first) * (0.5 + 0.5 * stream.random())
    week = ((first + (last - first) * gaps / gaps[-1]) * N_WEEKS).astype(int)
    weekend = stream.random(n_events) < CONTEXT_SHARES["day_type"]["weekend"]
    evening = stream.random(n_events) < CONTEXT_SHARES["time_of_day"]["evening"]
    day = np.where(weekend, 5 + 2 * stream.random(n_events), 5 * stream.random(n_events)).astype(int)
    minute = np.where(evening, 18 * 60 + 330 * stream.random(n_events), 10 * 60 + 470 * stream.random(n_events)).astype(
        int
    )
    minutes = np.sort((week * 7 + day) * 24 * 60 + minute)
    while (np.diff(minutes) <= 0).any():  # two films never start in the same minute
        minutes = np.sort(minutes + np.append(False, np.diff(minutes) <= 0))
    return minutes


def watch_films(
    films: Films, user: str, *, records: list[dict], contexts: Iterable[tuple[int, dict]], stream: np.random.Generator
) -> list[tuple[str, str, int, str]]:
    """One viewer's two years: each film drawn from its true probability, then rated and now and then reviewed.

    Args:
        films: The truth to draw from.
        user: The viewer's id.
        records: The catalog, one dict per film.
        contexts: Each moment's row of ``films.situation`` and its context words, oldest first.
        stream: The viewer's random stream.

    Returns:
        ``(user_id, item_id, rating, review)`` per moment.
    """
    taste, seen, rows = films.taste_of(user), [], []
    for cell, context in contexts:
        chances = normalise(taste + films.situation[cell] + films.score_transitions(seen), seen)
        place = draw(chances, stream)
        seen.append(place)
        liking = np.tanh((taste[place] + np.log(len(taste))) / 2)  # above 0: more to their taste than most films
        rating = int(np.clip(np.rint(3.6 + 0.9 * liking + 0.8 * stream.normal()), 1, 5))
        said = stream.random() < REVIEW_SHARE
        review = write_review(records[place], rating=rating, context=context, stream=stream) if said else ""
        rows.append((user, records[place]["item_id"], rating, review))
    return rows

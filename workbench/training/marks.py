"""Context and profile as words: what a run can be told of the moment and of the person.

At random places of a history the marks of an event stand before the item off which it is read, some of them left out,
so that the model reads any of them, or none, at the end of a prompt as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.language import Vocabulary
from workbench.language.vocabulary import Mark
from workbench.models.ranking import in_time_order
from workbench.training.config import TrainingConfig

AT, KEPT, PROFILES = 0.6, 0.9, 0.5  # share of events told of, of marks said there, of histories with a profile
MOST = 50  # values of a column


@dataclass(frozen=True, eq=False)
class Situations:
    """What is known of every training event and user, as ids of marks; -1 where nothing is.

    Attributes:
        events: Per user, (n_events, n_context_columns).
        users: (n_users, n_profile_columns).
    """

    events: list[np.ndarray]
    users: np.ndarray

    def draw(
        self, user: int, places: np.ndarray, rng: np.random.Generator, *, room: float = inf
    ) -> tuple[list[int], list[list[int]]]:
        """What one reading of these events is told: of the user, and of each event; ids of marks.

        Args:
            user: Number of the user.
            places: Which of the user's events are read, oldest first.
            rng: Decides what is told.
            room: Most marks; where there would be more, nothing is told of the oldest events.
        """
        profile, before = self.users[user], self.events[user][places]
        if not profile.size and not before.size:
            return [], [[]] * len(places)
        said = (rng.random((len(places), 1)) < AT) & (rng.random(before.shape) < KEPT) & (before >= 0)
        own = (rng.random() < PROFILES) & (rng.random(profile.shape) < KEPT) & (profile >= 0)
        behind = said[::-1].sum(1).cumsum()[::-1]  # marks of this event and all newer ones
        said &= (behind <= room - own.sum())[:, None]
        return profile[own].tolist(), [row[kept].tolist() for row, kept in zip(before, said, strict=True)]


def read_situations(split: Split, users: Sequence[str], vocabulary: Vocabulary) -> Situations:
    """Marks of all training events, in the order of each user's history, and of all users."""
    train = in_time_order(split.train)
    events = _ids(train, "context", vocabulary)
    codes = pd.Index(users, dtype=object).get_indexer(train["user_id"])
    order = np.argsort(codes, kind="stable")
    people = pd.DataFrame({"user_id": list(users)})
    if split.dataset.users is not None:
        # as text before anybody is missing: else a gap would turn 25 into 25.0, which is no mark
        people = people.merge(split.dataset.users.astype(str), on="user_id", how="left")
    return Situations(
        np.split(events[order], np.flatnonzero(np.diff(codes[order])) + 1), _ids(people, "profile", vocabulary)
    )


def find_marks(split: Split, config: TrainingConfig) -> tuple[Mark, ...]:
    """The marks of a run: the values of its context and profile columns in the training data, and its further tasks.

    Raises:
        ValueError: If a column is missing or has too many values.
    """
    users = split.dataset.users if split.dataset.users is not None else pd.DataFrame()
    marks: list[Mark] = []
    for part, table, columns in (("context", split.train, config.context), ("profile", users, config.profile)):
        for column in columns:
            if column not in table:
                raise ValueError(f"{part} column {column!r} is missing; there are {sorted(table.columns)}.")
            values = sorted(table[column].dropna().astype(str).unique())
            if len(values) > MOST:
                raise ValueError(
                    f"{part} column {column!r} has {len(values)} values, at most {MOST} can become words. Group them."
                )
            marks += [(part, column, value) for value in values if value]
    return (*marks, *([("task", "write", "review")] if config.reviews else []))


def _ids(table: pd.DataFrame, part: str, vocabulary: Vocabulary) -> np.ndarray:
    """Ids of the marks of each row, (n_rows, n_columns); -1 for none."""
    columns = list(vocabulary.known_marks(part))
    ids = np.full((len(table), len(columns)), -1)
    for place, column in enumerate(columns):
        known = {
            value: vocabulary.first_mark + number
            for number, (own, name, value) in enumerate(vocabulary.marks)
            if (own, name) == (part, column)
        }
        if column in table:
            ids[:, place] = table[column].astype(str).map(known).fillna(-1).to_numpy(dtype=int)
    return ids

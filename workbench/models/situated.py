"""A recommender that is told something about everybody, for whoever only knows histories: evaluation, for one."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import Histories


class Situated:
    """Answers ``rank`` like its recommender, with request, context or profile added.

    Attributes:
        recommender: Who ranks.
        said: ``request``, ``context`` and ``profile`` as ``recommender.rank`` takes them.
    """

    def __init__(self, recommender: GPT2Recommender, **said: Any) -> None:
        """Remember what to say."""
        self.recommender, self.said = recommender, said
        self.start, self.device = recommender.start, recommender.device

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The recommender's rankings table, see there.

        Example:
            >>> from workbench.models import start_recommender
            >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
            >>> wishing = Situated(start_recommender(catalog, layers=1, width=16), request="horror")
            >>> wishing.rank({"ann": ["a"]})["item_id"].tolist()
            ['b']
        """
        rules = {"k": k, "exclude_seen": exclude_seen, "candidates": candidates}
        return self.recommender.rank(histories, **rules, **self.said)


def contexts_of(events: pd.DataFrame, columns: Sequence[str]) -> Mapping[str, dict[str, str]]:
    """What the context of each user's event was, ``{user_id: {column: value}}``; one event per user.

    Of a value that is missing nothing is said.

    Example:
        >>> contexts_of(pd.DataFrame({"user_id": ["ann"], "item_id": ["a"], "season": ["winter"]}), ["season"])
        {'ann': {'season': 'winter'}}
    """
    told = events.set_index("user_id")[list(columns)].astype(str)  # as training does; what is missing stays so
    return {
        user: {column: value for column, value in own.items() if pd.notna(value)}
        for user, own in told.to_dict("index").items()
    }

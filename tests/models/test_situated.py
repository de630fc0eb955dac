"""A recommender that is told of everybody what held when they met their held-out item."""

import numpy as np
import pandas as pd
import pytest

from workbench.models import GPT2Recommender, Situated, contexts_of, start_recommender

CATALOG = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Cube"]})
HISTORIES = {"ann": ["a"], "bob": ["b"]}


@pytest.fixture
def recommender() -> GPT2Recommender:
    marks = [("context", "season", "winter"), ("context", "hour", "20.0")]
    return start_recommender(CATALOG, layers=1, width=16, heads=2, marks=marks)


def events(season: object, hour: object) -> pd.DataFrame:
    """One event each; ann's is known."""
    table = pd.DataFrame({"user_id": ["ann", "bob"], "item_id": ["b", "c"]})
    return table.assign(season=pd.Series(["winter", season], dtype=object), hour=[20.0, hour])


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_of_an_event_without_a_value_nothing_is_said_and_everybody_is_ranked(recommender, missing):
    contexts = contexts_of(events(missing, np.nan), ["season", "hour"])
    assert contexts == {"ann": {"season": "winter", "hour": "20.0"}, "bob": {}}
    ranked = Situated(recommender, context=contexts).rank(HISTORIES)
    alone = [
        recommender.rank({"ann": ["a"]}, context={"season": "winter", "hour": "20.0"}),
        recommender.rank({"bob": ["b"]}),
    ]
    pd.testing.assert_frame_equal(ranked, pd.concat(alone, ignore_index=True), atol=1e-5)


def test_a_value_that_was_not_learned_stays_an_error(recommender):
    contexts = contexts_of(events("monsoon", 20.0), ["season", "hour"])
    with pytest.raises(ValueError, match="has not learned the context season = 'monsoon'"):
        Situated(recommender, context=contexts).rank(HISTORIES)

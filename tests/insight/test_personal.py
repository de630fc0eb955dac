"""Lists held against their owners: everybody gets the list of somebody else as well."""

import numpy as np
import pandas as pd
import pytest

from workbench.catalogs import load_dataset
from workbench.catalogs.films import films_truth
from workbench.insight import exchange_lists, genre_fit, own_advantage, true_fit

HISTORIES = {"ann": ["000", "001"], "bob": ["007"], "cem": ["005", "004"]}


def test_everybody_meets_the_list_of_somebody_else_without_what_either_has_seen(tiny):
    lists = {}

    def fit(user, items):
        lists.setdefault(user, []).append(list(items))
        return float(len(lists[user]))

    table = exchange_lists(tiny, HISTORIES, fit=fit, request="horror", k=4)
    assert sorted(table["user_id"]) == sorted(table["other"]) == sorted(HISTORIES)
    assert (table["user_id"] != table["other"]).all()
    for user, other, shared in table[["user_id", "other", "shared"]].itertuples(index=False):
        own, their = lists[user]
        assert not (set(own) | set(their)) & (set(HISTORIES[user]) | set(HISTORIES[other]))
        assert len(own) == len(their) == 4 and shared == len(set(own) & set(their))
        ranking = tiny.rank({user: HISTORIES[user]}, request="horror", k=10)["item_id"]
        assert own == [item for item in ranking if item not in HISTORIES[other]][:4]


def test_the_advantage_is_the_mean_difference_with_its_interval():
    difference = own_advantage(pd.DataFrame({"own_fit": [0.5, 0.7, 0.6], "other_fit": [0.4, 0.4, 0.4]}))
    assert difference.mean == pytest.approx((0.1 + 0.3 + 0.2) / 3)
    assert 0.0999 < difference.low < difference.mean < difference.high < 0.3001  # of the three values


def test_the_true_fit_of_the_whole_catalog_is_one_and_of_what_was_seen_nothing():
    films = films_truth()
    items = films.catalog["item_id"].tolist()
    fit = true_fit(films, {"v0001": items[:3]})
    assert fit("v0001", items) == pytest.approx(1)
    assert fit("v0001", items[:3]) == 0


def test_genres_fit_where_they_are_the_same():
    catalog = pd.DataFrame({"item_id": list("abc"), "genres": ["Drama", "Drama|War", None]})
    fit = genre_fit(catalog, {"ann": ["a"]})
    assert [fit("ann", [item]) for item in "abc"] == pytest.approx([1, 1 / np.sqrt(2), 0])


def test_lists_of_shuffled_items_are_made_for_nobody(make_tiny):
    films = load_dataset("films")
    histories = {user: items.tolist()[:8] for user, items in films.interactions.groupby("user_id")["item_id"]}
    some, recommender = dict(list(histories.items())[:120]), make_tiny(films.catalog)
    rows = recommender.item_rows()  # the start lets items with the same genres begin alike
    rows.detach().copy_(rows.detach()[np.random.default_rng(0).permutation(len(rows))].clone())
    table = exchange_lists(recommender, some, fit=true_fit(films_truth(), some), request="drama")
    assert own_advantage(table).low < 0.005

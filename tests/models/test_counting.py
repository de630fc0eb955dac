"""The counting rankers: values by hand, tuning that looks only at validation, and the floor on real data."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalogs import Dataset, Split, leave_one_out, load_dataset
from workbench.evaluation import evaluate
from workbench.models import EASE, CoOccurrence, Popularity, Transitions, floor
from workbench.models.floor import tuning_users

ALL = [Popularity, Transitions, CoOccurrence, EASE]
ITEMS = list("abcdefghij")


def events(sequences: dict[str, str], *, days: dict[str, list[float]] | None = None) -> pd.DataFrame:
    """One event per letter; ``days`` gives their times, otherwise they only have an order."""
    rows = [(user, item, place) for user, sequence in sequences.items() for place, item in enumerate(sequence)]
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "position"])
    if days:
        times = [day for user in sequences for day in days[user]]
        table["timestamp"] = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(times, unit="D")
        table = table.drop(columns="position")
    return table


def scores_of(ranker, history: str, **rules) -> dict[str, float]:
    rankings = ranker.rank({"x": list(history)}, k=10, exclude_seen=False, **rules)
    return dict(zip(rankings["item_id"], rankings["score"], strict=True))


@pytest.fixture
def chain_split() -> Split:
    """30 users walk along the alphabet from a random letter; what comes next is certain."""
    rng = np.random.default_rng(0)
    starts = rng.integers(10, size=30)
    sequences = {
        f"u{row}": "".join(ITEMS[(first + step) % 10] for step in range(5)) for row, first in enumerate(starts)
    }
    catalog = pd.DataFrame({"item_id": ITEMS, "title": ITEMS})
    return leave_one_out(Dataset("chain", catalog, events(sequences)))


def test_popularity_counts_events_for_whoever_asks():
    popularity = Popularity().fit(events({"u": "ab", "v": "a", "w": "ac"}))
    assert scores_of(popularity, "") == scores_of(popularity, "b") == {"a": 3, "b": 1, "c": 1}


def test_popularity_with_a_half_life_forgets():
    train = events({"u": "aab"}, days={"u": [0, 10, 20]})
    scores = scores_of(Popularity(half_life=10).fit(train), "")
    assert scores == pytest.approx({"a": 1 / 4 + 1 / 2, "b": 1})


def test_a_half_life_needs_timestamps_and_tuning_without_them_does_not_try_one(chain_split):
    with pytest.raises(ValueError, match="needs timestamps"):
        Popularity(half_life=10).fit(events({"u": "ab"}))
    tuned = Popularity().tune(chain_split)
    assert tuned.settings == {"half_life": None}
    assert len(tuned.tuning) == 1


def test_transitions_are_smoothed_counts_of_what_came_next():
    ranker = Transitions(last=1, smoothing=2).fit(events({"u": "abab", "v": "ac"}))
    # after a: b twice, c once; shares of the 6 events: a 3/6, b 2/6, c 1/6
    assert scores_of(ranker, "ca") == pytest.approx(
        {"b": (2 + 2 * 2 / 6) / 5, "c": (1 + 2 * 1 / 6) / 5, "a": (0 + 2 * 3 / 6) / 5}
    )


def test_transitions_weigh_the_items_before_the_last_by_their_place():
    train = events({"u": "abab", "v": "ac"})
    one, two = Transitions(last=1, smoothing=2).fit(train), Transitions(last=2, smoothing=2).fit(train)
    after_b, after_a = scores_of(one, "b"), scores_of(one, "a")
    assert scores_of(two, "ab") == pytest.approx({item: after_b[item] + after_a[item] / 2 for item in "abc"})


def test_cooccurrence_counts_pairs_within_the_window():
    train = events({"u": "abc", "v": "acb"})
    settings = dict(source_power=0.0, target_power=0.0, last=1)
    ahead = CoOccurrence(window=1, symmetric=False, decay=False, **settings).fit(train)
    assert scores_of(ahead, "a") == pytest.approx({"b": 1, "c": 1, "a": -1 / 3})  # a has two events
    both = CoOccurrence(window=2, symmetric=True, decay=False, **settings).fit(train)
    assert scores_of(both, "c") == pytest.approx({"b": 2, "a": 2, "c": -1 / 3})
    near = CoOccurrence(window=2, symmetric=False, decay=True, **settings).fit(train)
    assert scores_of(near, "a") == pytest.approx({"b": 1 + 1 / 2, "c": 1 / 2 + 1, "a": -1 / 3})


def test_cooccurrence_discounts_popularity_and_weighs_recency():
    train = events({"u": "ab", "v": "ab", "w": "cb", "x": "ad"})  # counts: a 3, b 3, c 1, d 1
    ranker = CoOccurrence(window=1, symmetric=False, decay=False, source_power=0.5, target_power=1.0, last=2).fit(train)
    scores = scores_of(ranker, "ca")
    assert scores["b"] == pytest.approx((2 / 3**0.5 + (1 / 2) * 1 / 1**0.5) / 3)
    assert scores["d"] == pytest.approx((1 / 3**0.5) / 1)


def test_pairs_of_different_users_and_of_an_item_with_itself_do_not_count():
    train = pd.concat([events({"u": "ab"}), events({"v": "ccd"})])
    settings = dict(symmetric=False, decay=False, source_power=0.0, target_power=0.0, last=1)
    scores = scores_of(CoOccurrence(window=5, **settings).fit(train), "c")
    assert scores["d"] == 2  # from both places of c
    assert max(score for item, score in scores.items() if item != "d") < 0


def test_items_without_any_pair_follow_by_popularity_below_all_others():
    ranker = CoOccurrence(window=1, last=1).fit(events({"u": "ab", "v": "cd", "w": "c", "x": "cd"}))
    shown = ranker.rank({"x": ["a"]}, k=4)
    assert shown["item_id"].tolist() == ["b", "c", "d"]
    assert shown["score"].tolist() == pytest.approx([1 / 1, -1 / 4, -1 / 3])
    assert ranker.rank({"x": []}, k=4)["item_id"].tolist()[:2] == ["c", "d"]


def test_ease_solves_the_regression_it_promises():
    rng = np.random.default_rng(1)
    sequences = {f"u{row}": "".join(rng.choice(ITEMS, size=4, replace=False)) for row in range(25)}
    train = events(sequences)
    scores = scores_of(EASE(regularisation=5.0).fit(train, items=ITEMS), "ag")
    met = np.array([[item in sequence for item in ITEMS] for sequence in sequences.values()], dtype=float)
    for target, item in enumerate(ITEMS):  # each column is a ridge regression on all other columns
        others = [column for column in range(10) if column != target]
        left = met[:, others]
        ridge = np.linalg.solve(left.T @ left + 5 * np.eye(9), left.T @ met[:, target])
        history = np.array([ITEMS[column] in "ag" for column in others], dtype=float)
        assert scores[item] == pytest.approx(history @ ridge, abs=1e-4)


@pytest.mark.parametrize("ranker", ALL)
def test_the_answer_does_not_depend_on_the_order_of_the_rows_of_the_train_table(ranker):
    rng = np.random.default_rng(0)
    sequences = {f"u{row}": "".join(rng.choice(ITEMS, size=5, replace=False)) for row in range(12)}
    train = events(sequences)
    mixed = train.sample(frac=1, random_state=0)
    expected = ranker().fit(train, items=ITEMS).rank({"x": ["a", "b"], "y": []})
    pd.testing.assert_frame_equal(ranker().fit(mixed, items=ITEMS).rank({"x": ["a", "b"], "y": []}), expected)


@pytest.mark.parametrize("ranker", ALL)
@given(history=st.lists(st.sampled_from(ITEMS), max_size=12), k=st.integers(1, 12))
@settings(max_examples=15, deadline=None)
def test_nothing_seen_nothing_unknown_and_never_more_than_k(ranker, history, k):
    model = _fitted(ranker)
    rankings = model.rank({"x": history}, k=k)
    assert not set(rankings["item_id"]) & set(history)
    assert set(rankings["item_id"]) <= set(ITEMS)
    assert len(rankings) == min(k, 10 - len(set(history)))
    chosen = model.rank({"x": history}, k=k, candidates=["c", "h"])
    assert set(chosen["item_id"]) <= {"c", "h"} - set(history)


@cache
def _fitted(ranker):
    return ranker().fit(events({"u": "abcde", "v": "bdfhj", "w": "jihgf"}), items=ITEMS)


@pytest.mark.parametrize("ranker", ALL)
def test_an_empty_history_gets_the_popular_items(ranker):
    shown = ranker().fit(events({"u": "abc", "v": "ab", "w": "a"})).rank({"x": []}, k=3)
    assert shown["item_id"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("ranker", ALL)
def test_one_clear_error_for_what_cannot_be_counted_or_ranked(ranker):
    with pytest.raises(RuntimeError, match="call fit or tune first"):
        ranker().rank({"x": []})
    with pytest.raises(ValueError, match="no interactions to count"):
        ranker().fit(events({}))
    with pytest.raises(ValueError, match=r"\['b'\]"):
        ranker().fit(events({"u": "ab"}), items=["a"])
    with pytest.raises(ValueError, match="'a' twice"):
        ranker().fit(events({"u": "ab"}), items=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"\['zebra'\].*'x'"):
        ranker().fit(events({"u": "ab"})).rank({"x": ["a", "zebra"]})


@pytest.mark.parametrize(
    "build", [lambda: Popularity(half_life=0), lambda: EASE(regularisation=-1.0), lambda: Transitions(smoothing=0)]
)
def test_settings_that_mean_nothing_are_refused(build):
    with pytest.raises(ValueError, match="means nothing to .* above 0"):
        build()


@pytest.mark.parametrize("ranker", ALL)
def test_tuning_reports_what_evaluate_measures_and_keeps_the_best(chain_split, ranker):
    tuned = ranker().tune(chain_split)
    assert list(tuned.tuning.columns) == [*tuned.settings, "ndcg@10"]
    assert tuned.tuning["ndcg@10"].is_monotonic_decreasing
    table = evaluate({"tuned": tuned}, chain_split, on="validation", k=[10])
    assert table.loc["tuned", "ndcg@10"] == pytest.approx(tuned.tuning["ndcg@10"].iloc[0])
    again = ranker(**tuned.settings).fit(chain_split.train, items=ITEMS)
    histories = chain_split.histories()
    pd.testing.assert_frame_equal(again.rank(histories), tuned.rank(histories))


@pytest.mark.parametrize("ranker", ALL)
def test_tuning_never_looks_at_the_test_items(chain_split, ranker):
    other = chain_split.test.assign(item_id=chain_split.test["item_id"].to_numpy()[::-1])
    tuned, blind = ranker().tune(chain_split), ranker().tune(replace(chain_split, test=other))
    assert tuned.settings == blind.settings
    pd.testing.assert_frame_equal(tuned.tuning, blind.tuning)


def test_where_users_times_items_are_many_every_nth_user_tunes(chain_split, monkeypatch):
    users = chain_split.validation["user_id"].tolist()
    assert tuning_users(chain_split) == users
    monkeypatch.setattr(floor, "MOST_SCORES", len(users) * len(ITEMS) / 3)
    assert tuning_users(chain_split) == users[::3]
    few = replace(chain_split, validation=chain_split.validation.iloc[::3])
    for ranker in ALL:
        pd.testing.assert_frame_equal(ranker().tune(chain_split).tuning, ranker().tune(few).tuning)


def test_order_is_learned_by_those_who_look_at_it(chain_split):
    table = evaluate({ranker.__name__: ranker().tune(chain_split) for ranker in ALL}, chain_split, k=[1])
    assert table.loc["Transitions", "hit_rate@1"] == 1
    assert table.loc["Popularity", "hit_rate@1"] < 0.6


def test_a_grid_of_windows_gives_the_counts_that_each_window_gives_alone(chain_split):
    tuned = CoOccurrence().tune(chain_split)
    row = tuned.tuning.query("window == 50 and symmetric and decay").iloc[0]
    alone = CoOccurrence(**{name: row[name] for name in tuned.settings}).fit(chain_split.train, items=ITEMS)
    table = evaluate({"alone": alone}, chain_split, on="validation", k=[10])
    assert table.loc["alone", "ndcg@10"] == pytest.approx(row["ndcg@10"])


def test_a_split_without_validation_items_cannot_be_tuned_on(chain_split):
    with pytest.raises(ValueError, match=r"split\.validation is empty"):
        Popularity().tune(replace(chain_split, validation=chain_split.validation.iloc[:0]))


@pytest.mark.usefixtures("datasets_folder")
def test_the_floor_on_ml_100k_is_as_high_as_counting_can_make_it():
    split = leave_one_out(load_dataset("ml-100k"), ties="file")
    assert len(split.dataset.catalog) == 1682
    tuned = CoOccurrence().tune(split)
    assert len(tuned.tuning) >= 30
    table = evaluate({"counts": tuned, "popularity": Popularity().tune(split)}, split, k=[10])
    assert table.loc["counts", "ndcg@10"] >= 0.110
    assert 0.035 <= table.loc["popularity", "ndcg@10"] <= 0.050

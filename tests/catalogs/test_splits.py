"""Both splits: what is held out, what is known before it, and what the protocol says about leaks."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.catalogs import Dataset, leave_one_out, read_tables, temporal_split

ITEMS = pd.DataFrame({"item_id": list("abcdefgh"), "title": list("ABCDEFGH")})


def dataset_of(rows: list[tuple[str, str, int]]) -> Dataset:
    """Return a dataset of (user, item, day) rows; `row` remembers which event is which."""
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "day"])
    events["timestamp"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(events.pop("day"), unit="D")
    return read_tables(items=ITEMS, interactions=events.assign(row=range(len(rows))), name="tiny")


some_rows = st.lists(
    st.tuples(st.sampled_from("uvw"), st.sampled_from("abcdefgh"), st.integers(0, 9)), min_size=6, max_size=40
)


def check_no_leak(split) -> None:
    """Assert that parts are disjoint, that each user is asked once, and that histories are what came before."""
    parts = [part for part in (split.train, split.validation, split.test, split.between) if part is not None]
    rows = pd.concat(parts)["row"]
    assert rows.is_unique
    order = split.dataset.interactions
    for on, held_out in (("validation", split.validation), ("test", split.test)):
        assert held_out["user_id"].is_unique
        histories = split.histories(on)
        assert list(histories) == held_out["user_id"].tolist()
        for event in held_out.itertuples():
            own = order[order["user_id"] == event.user_id].reset_index(drop=True)
            place = own.index[own["row"] == event.row][0]
            assert histories[event.user_id] == own["item_id"].tolist()[:place]


@given(some_rows, st.sampled_from(["file", "shuffled"]), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_leave_one_out_never_leaks_and_loses_nothing(rows, ties, seed):
    dataset = dataset_of(rows)
    counts = dataset.interactions["user_id"].value_counts()
    if counts.max() < 3:
        return
    split = leave_one_out(dataset, ties=ties, seed=seed)
    check_no_leak(split)
    assert len(split.train) + len(split.validation) + len(split.test) == len(rows)
    assert set(split.test["user_id"]) == set(counts[counts >= 3].index)
    for user, own in dataset.interactions[dataset.interactions["user_id"].isin(split.test["user_id"])].groupby(
        "user_id"
    ):
        held_out = split.test.set_index("user_id").loc[user, "timestamp"]
        assert held_out == own["timestamp"].max()


@given(some_rows, st.floats(0.2, 0.95))
@settings(max_examples=60, deadline=None)
def test_a_temporal_split_fits_only_on_the_past(rows, at):
    dataset = dataset_of(rows)
    try:
        split = temporal_split(dataset, at=at)
    except ValueError as problem:
        assert "leaves no event" in str(problem)
        return
    check_no_leak(split)
    cut, earlier = (pd.Timestamp(split.protocol[name]) for name in ("cut", "validation_cut"))
    assert (split.train["timestamp"] < earlier).all() and earlier < cut
    assert (split.validation["timestamp"] >= earlier).all() and (split.validation["timestamp"] < cut).all()
    assert (split.test["timestamp"] >= cut).all()
    after = dataset.interactions[dataset.interactions["timestamp"] >= cut]
    assert split.test["row"].tolist() == after.drop_duplicates("user_id")["row"].tolist()
    assert split.protocol["train_after_test"] == 0


def test_the_last_event_is_test_and_the_one_before_validation():
    split = leave_one_out(dataset_of([("u", item, day) for day, item in enumerate("abcd")] + [("v", "e", 0)]))
    assert split.test["item_id"].tolist() == ["d"]
    assert split.validation["item_id"].tolist() == ["c"]
    assert split.train["item_id"].tolist() == ["a", "b", "e"]
    assert split.histories("validation") == {"u": ["a", "b"]}
    assert split.histories("test") == {"u": ["a", "b", "c"]}
    with pytest.raises(ValueError, match="'test' or 'validation', not 'train'"):
        split.histories("train")


def test_shuffled_ties_change_with_the_seed_and_only_within_a_time():
    rows = [("u", "a", 0), ("u", "b", 0)] + [("u", item, 1) for item in "cdefgh"]
    by_file = leave_one_out(dataset_of(rows))
    assert by_file.histories()["u"] == list("abcdefg") and by_file.test["item_id"].tolist() == ["h"]
    drawn = [leave_one_out(dataset_of(rows), ties="shuffled", seed=seed) for seed in range(8)]
    assert len({split.test["item_id"].iloc[0] for split in drawn}) > 1
    assert all(set(split.histories()["u"][:2]) == {"a", "b"} for split in drawn)
    again = leave_one_out(dataset_of(rows), ties="shuffled", seed=3)
    assert again.histories() == drawn[3].histories()
    assert drawn[3].protocol["ties"] == "shuffled, seed 3"


def test_the_protocol_measures_how_far_leave_one_out_leaks_time():
    # u's test event lies on day 2; v trains on days 5 and 6: two of the three train events come later. v's own test
    # event lies on day 8, after all three.
    split = leave_one_out(
        dataset_of(
            [("u", "a", 0), ("u", "b", 1), ("u", "c", 2), ("v", "d", 5), ("v", "e", 6), ("v", "f", 7), ("v", "g", 8)]
        )
    )
    assert split.protocol["train_after_test"] == pytest.approx((2 / 3 + 0) / 2)


def test_the_protocol_counts_tied_last_times_and_cold_items():
    rows = [("u", "a", 0), ("u", "b", 1), ("u", "c", 1), ("v", "a", 0), ("v", "b", 1), ("v", "a", 2)]
    protocol = leave_one_out(dataset_of(rows)).protocol
    assert protocol["tied_last_time"] == 1 / 2
    assert protocol["cold_items"] == 1  # "c" is never in train; "a" is
    assert protocol["cold_users"] == 0


def test_a_temporal_split_keeps_cold_users_and_everything_known_before_the_cut():
    days = "2024-01-11"  # day 10
    rows = [("u", "abcdefgh"[day], day) for day in range(8)] + [("u", "a", 10), ("u", "b", 11), ("new", "h", 12)]
    split = temporal_split(dataset_of(rows), at=days)
    # 8 events before the cut: the validation cut is at event floor(0.9 * 8) = 7, day 7.
    assert len(split.train) == 7 and split.validation["item_id"].tolist() == ["h"]
    assert split.test[["user_id", "item_id"]].to_numpy().tolist() == [["u", "a"], ["new", "h"]]
    assert split.histories() == {"u": list("abcdefgh"), "new": []}
    assert split.protocol["cold_users"] == 1 and split.protocol["cold_items"] == 1


def test_events_between_the_two_cuts_are_known_at_test_but_not_fitted_on():
    rows = [("u", "abcdefgh"[day % 8], day) for day in range(20)] + [("u", "a", 30)]
    split = temporal_split(dataset_of(rows), at="2024-01-25")
    assert len(split.train) == 18 and len(split.validation) == 1 and len(split.between) == 1
    assert len(split.histories()["u"]) == 20


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (1.5, "between 0 and 1"),
        (0, "between 0 and 1"),
        ("soon", "neither a quantile"),
        ("2030-01-01", "no event after it; the events run from 2024-01-01"),
        ("1990-01-01", "no event before it"),
    ],
)
def test_a_moment_that_cannot_split_is_refused(at, message):
    with pytest.raises(ValueError, match=message):
        temporal_split(dataset_of([("u", "a", 0), ("u", "b", 5), ("v", "c", 9)]), at=at)


def test_a_temporal_split_without_times_points_to_the_other_one():
    events = pd.DataFrame({"user_id": ["u"] * 3, "item_id": list("abc"), "position": [0, 1, 2]})
    dataset = read_tables(items=ITEMS, interactions=events)
    with pytest.raises(ValueError, match="use leave_one_out"):
        temporal_split(dataset)
    assert leave_one_out(dataset).protocol["train_after_test"] is None


def test_leave_one_out_refuses_short_histories_and_unknown_tie_rules():
    dataset = dataset_of([("u", "a", 0), ("u", "b", 1), ("v", "c", 2)])
    with pytest.raises(ValueError, match="the longest history of 'tiny' has 2"):
        leave_one_out(dataset)
    with pytest.raises(ValueError, match="'file' or 'shuffled', not 'random'"):
        leave_one_out(dataset, ties="random")


def test_a_million_interactions_split_in_seconds():
    draw = np.random.default_rng(0)
    users = np.sort(draw.integers(0, 6_000, 1_000_000))
    events = pd.DataFrame({"user_id": users, "item_id": draw.integers(0, 3_000, len(users)), "timestamp": users})
    items = pd.DataFrame({"item_id": range(3_000), "title": "x"})
    dataset = read_tables(items=items, interactions=events)
    start = time.process_time()
    leave_one_out(dataset)
    temporal_split(dataset)
    assert time.process_time() - start < 2 * 3

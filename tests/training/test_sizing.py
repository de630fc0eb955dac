"""Rules in the size of the data: stated, and such that known runs keep their length."""

from dataclasses import replace

import pandas as pd
import pytest

from workbench.catalogs import leave_one_out, load_dataset
from workbench.training import TrainingConfig, sizing
from workbench.training.batches import Sentences
from workbench.training.fine_tune import untrained
from workbench.training.keys import run_key


def histories(*lengths: int) -> pd.DataFrame:
    return pd.DataFrame({"user_id": [f"u{user}" for user, length in enumerate(lengths) for _ in range(length)]})


@pytest.mark.parametrize(("length", "windows"), [(163, 32), (28, 32), (20, 40), (8, 100)])
def test_a_step_holds_32_windows_or_as_many_as_hold_800_events(length, windows):
    assert sizing.windows_in_step(histories(length, length, length)) == windows == max(32, 800 // length)


@pytest.mark.parametrize(
    ("n_items", "n_events", "steps_per_epoch", "epochs"),
    [
        (570, 55_569, 63, 9),  # films: 560 / 63
        (1_682, 98_114, 35, 33),  # ml-100k: two thirds of 1,682, by 35
        (9_742, 99_616, 28, 36),  # ml-latest-small: two thirds of 9,742 would be 232 passes
        (12_101, 153_776, 192, 21),  # amazon-beauty-2014: 4,000 steps, by 192
        (3_416, 987_531, 269, 37),  # ml-1m-sasrec: 987,531 / 100, by 269
    ],
)
def test_a_run_is_as_long_as_its_items_and_its_events_ask_for(n_items, n_events, steps_per_epoch, epochs):
    assert sizing.epochs(n_items=n_items, n_events=n_events, steps_per_epoch=steps_per_epoch) == epochs


def test_more_events_never_make_a_shorter_run_or_a_higher_rate():
    steps = [
        100 * sizing.epochs(n_items=3_000, n_events=n_events, steps_per_epoch=100)
        for n_events in (10_000, 100_000, 1_000_000, 10_000_000)
    ]
    rates = [sizing.learning_rate(n) for n in steps]
    assert steps == sorted(steps) and rates == sorted(rates, reverse=True)


def test_all_items_stand_in_the_softmax_up_to_5_000_of_them():
    assert [sizing.negatives(n) for n in (570, 5_000, 5_001, 100_000)] == [0, 0, 1_024, 1_024]


def test_what_the_rule_says_is_what_a_run_does():
    split = leave_one_out(load_dataset("films"))
    config = TrainingConfig(layers=1, width=8)
    sentences = Sentences(untrained(split, base="small", spelling="atomic", config=config), split, config)
    assert (sentences.batch_users, sentences.steps_per_epoch, sentences.epochs) == (32, 63, 9)


def test_where_items_have_few_events_the_model_is_smaller_and_drops_more_unless_told_otherwise():
    split = leave_one_out(load_dataset("films"))
    sparse = replace(split, train=split.train.iloc[: 19 * len(split.dataset.catalog)])
    shapes = [
        (config.layers, config.width, config.dropout)
        for config in (sizing.sized(TrainingConfig(), of) for of in (split, sparse))
    ]
    assert shapes == [(2, 160, 0.15), (1, 128, 0.3)]
    told = sizing.sized(TrainingConfig(layers=3, width=32, dropout=0.0, batch_users=7), sparse)
    assert (told.layers, told.width, told.dropout, told.batch_users) == (3, 32, 0.0, 7)


def test_a_size_that_the_rule_gives_is_no_other_run_than_the_same_size_asked_for():
    split = leave_one_out(load_dataset("films"))
    keys = {
        run_key(split, base="small", spelling="atomic", config=TrainingConfig(batch_users=users))
        for users in (None, 32, 64)
    }
    assert len(keys) == 2

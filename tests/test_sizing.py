"""What a run is told where its settings are left open."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.catalogs import Split, leave_one_out, read_tables
from workbench.training import TrainingConfig, sizing


@pytest.fixture(scope="module")
def thirty() -> Split:
    """Thirty viewers of ten films, each film seen by all: 8 training events of each, 240 in all."""
    events = [(f"u{user}", f"f{(user + n) % 10}", n) for user in range(30) for n in range(10)]
    items = pd.DataFrame({"item_id": [f"f{n}" for n in range(10)], "title": [f"Film {n}" for n in range(10)]})
    return leave_one_out(
        read_tables(items=items, interactions=pd.DataFrame(events, columns=["user_id", "item_id", "position"]))
    )


class TestShape:
    def test_what_was_given_is_kept(self, thirty: Split) -> None:
        asked = TrainingConfig(layers=3, width=48, dropout=0.4, batch_users=7)
        assert sizing.sized(asked, thirty) == asked

    def test_what_was_left_open_is_the_rule_s(self, thirty: Split) -> None:
        chosen = sizing.sized(TrainingConfig(width=48), thirty)
        assert 30 * 8 / 10 >= sizing.FEW_EVENTS  # events of an item: enough
        assert (chosen.layers, chosen.width, chosen.dropout) == (2, 48, 0.15)
        assert chosen.batch_users == 100  # 800 events, 8 in a history

    @given(n_items=st.integers(1, 100_000), n_events=st.integers(1, 10**8))
    def test_more_events_of_the_same_items_never_shrink_the_model(self, n_items: int, n_events: int) -> None:
        one = sizing.shape_for(n_items=n_items, n_events=n_events)
        more = sizing.shape_for(n_items=n_items, n_events=2 * n_events)
        assert (more["layers"], more["width"]) >= (one["layers"], one["width"])

    def test_many_events_want_more_dropout_and_few_of_each_item_want_most(self) -> None:
        sizes = {"films": (570, 56_000), "ml-1m-sasrec": (3_416, 999_611 - 2 * 6_040), "sparse": (12_101, 150_000)}
        dropout = {name: sizing.shape_for(n_items=n, n_events=m)["dropout"] for name, (n, m) in sizes.items()}
        assert dropout == {"films": 0.15, "ml-1m-sasrec": 0.2, "sparse": 0.3}


class TestLength:
    @given(n_items=st.integers(1, 10**5), n_events=st.integers(1, 10**7), steps_per_epoch=st.integers(1, 10**5))
    def test_a_run_has_at_least_560_steps_and_one_for_every_100_events(
        self, n_items: int, n_events: int, steps_per_epoch: int
    ) -> None:
        epochs = sizing.epochs(n_items=n_items, n_events=n_events, steps_per_epoch=steps_per_epoch)
        assert epochs * steps_per_epoch >= max(560, n_events / 100)

    @given(steps=st.integers(1, 10**6))
    def test_a_longer_run_never_has_a_higher_rate(self, steps: int) -> None:
        assert sizing.learning_rate(2 * steps) <= sizing.learning_rate(steps)

    def test_negatives_are_drawn_only_of_many_items(self) -> None:
        assert (sizing.negatives(5_000), sizing.negatives(5_001)) == (0, 1_024)


class TestRepeats:
    @given(n_repeats=st.integers(0, 400))
    def test_items_are_met_once_up_to_one_repeat_in_a_hundred_events(self, n_repeats: int) -> None:
        users = [f"u{user}" for user in range(100) for _ in range(4)]
        items = [f"i{n if 4 * user + n >= n_repeats else 0}" for user in range(100) for n in range(4)]
        train = pd.DataFrame({"user_id": users, "item_id": items})
        assert sizing.few_repeats(train) == (train.duplicated().sum() <= 400 / 100)

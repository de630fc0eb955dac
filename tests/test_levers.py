"""One training run with changed settings: what a change changes, and that it ends with its run."""

import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import levers  # noqa: E402
from lever_tricks import TRICKS, gaps_of  # noqa: E402

from workbench.catalogs import Split, leave_one_out, read_tables  # noqa: E402
from workbench.models import GPT2Recommender  # noqa: E402
from workbench.models.repeats import read_before  # noqa: E402
from workbench.training import TrainingConfig, fine_tune, loss  # noqa: E402
from workbench.training.batches import Sentences  # noqa: E402
from workbench.training.fine_tune import untrained  # noqa: E402

WORDS = "layers=1 width=16 epochs=15 learning_rate=0.01 max_history=12 precision=fp32 dropout=0.0".split()
TINY = TrainingConfig(layers=1, width=16, epochs=3, learning_rate=0.01, max_history=4, precision="fp32", dropout=0.0)
PASSED = [0, 1, 5, 100, 7, 0, 3600]  # seconds between the events of everybody


@pytest.fixture(scope="module")
def row_of_films() -> Split:
    """Forty viewers who go along a row of twenty films, each from a place of their own; equal times are in the row."""
    times = 1_000_000_000 + np.cumsum([0, *PASSED])
    events = [(f"u{u}", f"f{(u + n) % 20}", time) for u in range(40) for n, time in enumerate(times)]
    events = pd.DataFrame(events, columns=["user_id", "item_id", "timestamp"])
    events["timestamp"] = pd.to_datetime(events["timestamp"], unit="s")
    genres = ["Horror", "Sci-Fi", "Drama", "Comedy", "War"]
    items = pd.DataFrame(
        {"item_id": [f"f{n}" for n in range(20)], "title": [f"Film {n}" for n in range(20)], "genres": genres * 4}
    )
    return leave_one_out(read_tables(items=items, interactions=events, name="row"))


@pytest.fixture(scope="module")
def usual(row_of_films: Split) -> GPT2Recommender:
    """A run as it always is."""
    return fine_tune(row_of_films, config=TINY)


def tuned_with(trick: str, value: float, split: Split) -> GPT2Recommender:
    """A run under a trick."""
    with TRICKS[trick](value, split):
        return fine_tune(split, config=TINY)


class TestSettings:
    def test_a_weight_counts_for_this_run_only(self, row_of_films: Split) -> None:
        usual = levers.pull(row_of_films, WORDS)
        without = levers.pull(row_of_films, [*WORDS, "weight.history=0", "weight.wish_after_history=0"])
        assert usual["train_loss"] + 0.3 < without["train_loss"]
        assert set(usual["wishes"]) == set(without["wishes"]) and max(usual["wishes"].values()) <= 1
        assert levers.pull(row_of_films, WORDS)["train_loss"] == usual["train_loss"]

    @pytest.mark.parametrize(
        ("word", "said"),
        [("weight.hopes=1", "hopes.*wish_after_history"), ("trick.hopes=1", "hopes.*average")],
    )
    def test_what_is_not_there_is_named(self, row_of_films: Split, word: str, said: str) -> None:
        with pytest.raises(KeyError, match=said):
            levers.pull(row_of_films, [word])


class TestTricks:
    @pytest.mark.parametrize("trick", TRICKS)
    def test_a_trick_changes_its_own_run(self, row_of_films: Split, usual: GPT2Recommender, trick: str) -> None:
        under = tuned_with(trick, 0.9 if trick == "average" else 0.2, row_of_films)
        history = {"new": ["f3", "f4"]}
        assert not np.array_equal(usual.log_probabilities(history), under.log_probabilities(history))

    def test_after_all_of_them_a_run_is_as_it_was(self, row_of_films: Split, usual: GPT2Recommender) -> None:
        with ExitStack() as stack:
            for trick in TRICKS.values():
                stack.enter_context(trick(0.5, row_of_films))
        history = {"new": ["f3", "f4"]}
        after = fine_tune(row_of_films, config=TINY)
        assert np.array_equal(usual.log_probabilities(history), after.log_probabilities(history))

    def test_a_cosine_divided_by_the_temperature_is_at_most_its_inverse(self, row_of_films: Split) -> None:
        under = tuned_with("cosine", 0.2, row_of_films)
        assert under.item_rows().norm(dim=1).detach().numpy() == pytest.approx(1)
        assert np.linalg.norm(under.states({"new": ["f3"]}), axis=1) == pytest.approx(1 / 0.2)

    def test_untied_rows_part(self, row_of_films: Split) -> None:
        table = tuned_with("untied", 1, row_of_films).model.transformer.wte
        assert not np.allclose(table.read.detach(), table.weight.detach(), atol=1e-3)

    def test_items_are_forgotten_in_training_only_and_as_often_as_told(self, row_of_films: Split) -> None:
        recommender = tuned_with("forget", 0.3, row_of_films)
        table, words = recommender.model.transformer.wte, recommender.vocabulary
        item, control = words.item_words.start, words.control("history")
        said = torch.tensor([[control, item]]).repeat(2_000, 1)
        table.train()
        forgotten = (table(said) == 0).all(dim=-1).float().mean(dim=0)
        assert forgotten[0] == 0 and forgotten[1] == pytest.approx(0.3, abs=0.05)
        table.eval()
        assert torch.equal(table(said), table.weight[said])

    def test_places_are_shifted_together_and_in_training_only(self, row_of_films: Split) -> None:
        table = tuned_with("shift", 1, row_of_films).model.transformer.wpe
        table.train()
        firsts = {tuple(torch.cdist(table(torch.arange(9)), table.weight).argmin(dim=1).tolist()) for _ in range(50)}
        assert len(firsts) > 9 and all(np.diff(places).tolist() == [1] * 8 for places in firsts)
        assert torch.equal(table.eval()(torch.arange(9)), table.weight[:9])

    def test_a_mean_that_forgets_everything_is_the_newest_weights(
        self, row_of_films: Split, usual: GPT2Recommender
    ) -> None:
        under = tuned_with("average", 0, row_of_films)
        assert under.log["validation_ndcg@10"].tolist() == usual.log["validation_ndcg@10"].tolist()

    def test_one_window_for_everybody(self, row_of_films: Split) -> None:
        with TRICKS["one_window"](1, row_of_films):
            some = Sentences(untrained(row_of_films, base="small", spelling="atomic", config=TINY), row_of_films, TINY)
        usual = Sentences(some.recommender, row_of_films, TINY)
        assert len(some.windows) == 40 and len(usual.windows) == 2 * 40  # six events each, windows of five

    def test_a_gap_is_that_before_the_event_and_never_that_before_the_target(self, row_of_films: Split) -> None:
        with TRICKS["gaps"](1, row_of_films):
            recommender = fine_tune(row_of_films, config=TINY)
            group = Sentences(recommender, row_of_films, TINY)[0]["history"]
        n_words = len(recommender.model.transformer.wte.weight)
        known = gaps_of(np.cumsum([0, *PASSED[:5]]) * 10**9)  # of the six events of training
        allowed = {(0, 0, *known[start + 1 : start + 4]) for start in (0, 1)}  # the control word, and a window's first
        assert {tuple(row) for row in (group["words"] // n_words)[:, :5].tolist()} <= allowed
        assert (group["words"] % n_words)[:, 0].unique().tolist() == [recommender.vocabulary.control("history")]

    def test_items_are_known_again_behind_their_gaps(self, row_of_films: Split) -> None:
        with TRICKS["gaps"](1, row_of_films):
            recommender = fine_tune(row_of_films, config=TINY)
            group = Sentences(recommender, row_of_films, TINY)[0]["history"]
            bare = group["words"] % len(recommender.model.transformer.wte.weight)
            rules = {"known": group["targets"] >= 0, "vocabulary": recommender.vocabulary}
            assert not torch.equal(group["words"], bare)
            assert torch.equal(loss.read_before(group["words"], **rules), read_before(bare, **rules))

"""Explanations against the truth and against the model: measures worked out by hand, curves by brute force."""

import json

import numpy as np
import pandas as pd
import pytest

from workbench.insight import attend, attribute
from workbench.insight.effects.explanations import (
    EXPLAINERS,
    MEASURES,
    KnownCase,
    agree,
    agree_by_chance,
    average_explanations,
    follow,
    know_cases,
    read_explanations,
    read_last_shares,
    score_explanations,
    share_of_last,
    true_effects,
    weigh_items,
)
from workbench.models import GPT2Recommender, start_recommender

IDS = [f"{row:03d}" for row in range(12)]


@pytest.fixture(scope="module")
def tiny() -> GPT2Recommender:
    """Two layers of random weights, with item rows far apart."""
    recommender = start_recommender(pd.DataFrame({"item_id": IDS, "title": IDS}), layers=2, width=16, heads=2)
    recommender.item_rows().detach().mul_(20)
    return recommender


class Counting:
    """A world in which an item's probability grows with the numbers in the history: p(x) ~ 1 + x * sum of rows."""

    def probabilities(self, history: list[str]) -> np.ndarray:
        weights = 1 + np.arange(12) * float(sum(int(item) for item in history))
        weights[[int(item) for item in history]] = 0
        return weights / weights.sum()


@pytest.fixture(scope="module")
def cases(tiny) -> list[KnownCase]:
    """Six recommendations after five items each."""
    rng = np.random.default_rng(0)
    histories = {f"u{n}": [IDS[row] for row in rng.permutation(12)[:5]] for n in range(6)}
    return know_cases(tiny, Counting(), histories)


class TestTruth:
    def test_effects_are_differences_of_true_log_probabilities(self):
        effects, world = true_effects(Counting(), ["001", "005"]), Counting()
        assert effects.shape == (2, 12)
        for row, without in enumerate((["005"], ["001"])):
            for item in (0, 3, 11):
                expected = np.log(world.probabilities(["001", "005"])[item] / world.probabilities(without)[item])
                assert effects[row, item] == pytest.approx(expected)

    def test_cases_are_first_recommendations_after_the_newest_items(self, tiny):
        histories = {"u": IDS[:8], "v": ["003"]}
        cases = know_cases(tiny, Counting(), histories, last=3)
        assert [case.history for case in cases] == [IDS[5:8], ["003"]]
        for case in cases:
            assert case.item_id == tiny.rank({"u": case.history}, k=1)["item_id"].item()
            row = IDS.index(case.item_id)
            np.testing.assert_allclose(case.effects, true_effects(Counting(), case.history)[:, row])

    def test_a_user_without_history_is_named(self, tiny):
        with pytest.raises(ValueError, match=r"1 user\(s\) have an empty history, the first is 'v'"):
            know_cases(tiny, Counting(), {"u": IDS[:3], "v": []})


class TestAgreement:
    @pytest.mark.parametrize(
        ("weights", "effects", "signed", "size", "earlier", "top"),
        [
            ([1, 2, 3], [10, 20, 30], 1, 1, 1, 1),
            ([3, 2, 1], [10, 20, 30], -1, -1, -1, 0),
            ([1, 2, 3], [-10, -20, -30], -1, 1, -1, 1),
            # ranks 1, 3, 2 against 1, 2, 3: 1 - 6 * (0 + 1 + 1) / (3 * (9 - 1))
            ([1, 3, 2], [10, 20, 30], 0.5, 0.5, 1, 0),
            ([5, 5, 5], [10, 20, 30], 0, 0, 0, 0),
            ([5], [10], 0, 0, 0, 1),
        ],
    )
    def test_is_spearmans_with_and_without_signs_and_the_last(self, weights, effects, signed, size, earlier, top):
        found = agree(np.array(weights, dtype=float), np.array(effects, dtype=float))
        assert found == pytest.approx({"signed": signed, "size": size, "earlier": earlier, "top": top})

    def test_by_chance_many_draws_lie_nearer_to_nothing_than_one(self):
        effects = np.arange(10.0)
        means = [agree_by_chance(effects, seed=seed)["signed"] for seed in range(30)]
        drawn = [agree(np.random.default_rng(seed).normal(size=10), effects)["signed"] for seed in range(30)]
        # one draw has a standard deviation of 1 / sqrt(10 - 1), a mean of 20 of them the 20th part of the variance
        assert np.std(means) < 2 / np.sqrt(9 * 20) < np.std(drawn)
        assert agree_by_chance(effects, seed=1) == agree_by_chance(effects, seed=1)

    def test_the_share_of_the_last_item_drops_signs(self):
        assert share_of_last(np.array([1.0, -2.0, -3.0])) == pytest.approx(3 / 6)
        assert share_of_last(np.zeros(3)) == 0


class TestFaithfulness:
    def log_odds(self, tiny, history, item, *, seen):
        scores = tiny.log_probabilities({"u": history})[0].astype(float)
        rivals = [row for row, one in enumerate(IDS) if one != item and one not in seen]
        return scores[IDS.index(item)] - np.log(np.exp(scores[rivals]).sum())

    def test_curves_equal_taking_away_and_putting_back_by_hand(self, tiny):
        history, weights = IDS[:3], np.array([0.2, 0.9, -0.5])  # the order is 001, 000, 002
        going = [["000", "001", "002"], ["000", "002"], ["002"], []]
        coming = [[], ["001"], ["000", "001"], ["000", "001", "002"]]
        down, up = ([self.log_odds(tiny, left, "009", seen=history) for left in path] for path in (going, coming))
        trapezoid = np.array([0.5, 1, 1, 0.5]) / 3
        assert follow(tiny, history, "009", weights=weights) == pytest.approx(
            {"deletion": (down[0] - np.array(down)) @ trapezoid, "insertion": (np.array(up) - up[0]) @ trapezoid},
            abs=1e-5,
        )

    def test_with_two_items_occlusion_finds_the_better_of_both_orders(self, tiny):
        scores = [follow(tiny, IDS[:2], item, weights=np.array([1.0, 2.0]))["deletion"] for item in IDS[4:]]
        others = [follow(tiny, IDS[:2], item, weights=np.array([2.0, 1.0]))["deletion"] for item in IDS[4:]]
        for item, one, other in zip(IDS[4:], scores, others, strict=True):
            weights = attribute(tiny, IDS[:2], item).df["effect"].to_numpy()
            assert follow(tiny, IDS[:2], item, weights=weights)["deletion"] == pytest.approx(max(one, other), abs=1e-5)


class TestScores:
    def test_every_method_is_measured_on_every_case(self, tiny, cases):
        scores = score_explanations(tiny, cases)
        assert list(scores["method"].unique()) == list(EXPLAINERS)
        assert (scores.groupby("method").size() == len(cases)).all()
        assert set(scores) == {"method", "case", *MEASURES}
        assert not scores.isna().any(axis=None)

    def test_the_truth_agrees_with_itself(self, tiny, cases):
        scores = score_explanations(tiny, cases, methods=["truth"], curves=False)
        assert scores[["signed", "size", "earlier", "top"]].to_numpy() == pytest.approx(1)
        assert "deletion" not in scores

    def test_weights_are_what_the_methods_say(self, tiny):
        known = (tiny, IDS[:4], "009")
        looked = attend(tiny, IDS[:4]).history_weights()["attention"]
        np.testing.assert_array_equal(weigh_items(*known, method="attention"), looked)
        rolled = attend(tiny, IDS[:4]).history_weights(rollout=True)["attention"]
        np.testing.assert_array_equal(weigh_items(*known, method="rollout"), rolled)
        effects = attribute(tiny, IDS[:4], "009", method="masking").df["effect"]
        np.testing.assert_array_equal(weigh_items(*known, method="masking"), effects)
        assert weigh_items(*known, method="most recent").tolist() == [1, 2, 3, 4]
        drawn = [weigh_items(*known, method="random", seed=seed).tolist() for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2] and len(drawn[0]) == 4

    def test_averages_are_means_with_intervals_around_them(self, tiny, cases):
        scores = score_explanations(tiny, cases, methods=["random", "most recent"], curves=False)
        table = average_explanations(scores)
        expected = scores[scores["method"] == "random"]["signed"].mean()
        assert table.loc["random", "signed"] == pytest.approx(expected)
        assert (table["signed_low"] < table["signed"]).all() and (table["signed"] < table["signed_high"]).all()
        assert table["cases"].tolist() == [6, 6]

    def test_a_saved_table_reads_as_it_was(self, tiny, cases, tmp_path):
        table = average_explanations(score_explanations(tiny, cases, methods=["random", "occlusion"]))
        rows = {method: row.to_dict() | {"key": "abc", "less": {}} for method, row in table.iterrows()}
        (tmp_path / "page.json").write_text(json.dumps({"models": {"trained": rows}}))
        again = read_explanations(tmp_path / "page.json")
        assert again.index.tolist() == [("trained", "random"), ("trained", "occlusion")]
        pd.testing.assert_frame_equal(again.droplevel("model").rename_axis("method"), table, check_dtype=False)


def test_shares_of_the_last_item_are_read_by_world_and_kind_of_last_film(tmp_path):
    told = {"last": 0.5, "last_low": 0.4, "last_high": 0.6}
    row = {"methods": {"truth": told, "occlusion": told | {"last": 0.45}}, "cases": 3, "key": "abc"}
    page = {"models": {}, "last": {"as bundled": {"series": row, "no step": row, "difference": row}}}
    (tmp_path / "page.json").write_text(json.dumps(page))
    table = read_last_shares(tmp_path / "page.json")
    assert table.loc[("as bundled", "series")].to_dict() == {
        **{"truth": 0.5, "truth_low": 0.4, "truth_high": 0.6},
        **{"occlusion": 0.45, "occlusion_low": 0.4, "occlusion_high": 0.6},
    }
    assert table.index.names == ["world", "last film"] and len(table) == 3

"""evaluate and compare: they only call ``rank``, ties earn nothing, "ahead" needs an interval without zero."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from workbench.evaluation import compare, evaluate
from workbench.evaluation.comparison import PairedDifference
from workbench.evaluation.metrics import mean_ranks, ndcg_values
from workbench.models import Popularity


def constant(n):
    return lambda history: np.zeros(n)


def oracle_for(split, items):
    """Scores the held-out item of whoever has this history 1 and all others 0."""
    answers = dict(zip(split.test["user_id"], split.test["item_id"], strict=True))
    by_history = {tuple(split.histories()[user]): items.index(answer) for user, answer in answers.items()}
    return lambda history: np.eye(len(items))[by_history[tuple(items[code] for code in history)]]


def test_an_oracle_gets_one_on_every_metric(random_split, fixed_scores):
    items = random_split.dataset.catalog["item_id"].tolist()
    table = evaluate({"oracle": fixed_scores(items, oracle_for(random_split, items))}, random_split, k=[1, 5])
    for name in ("hit_rate@1", "ndcg@1", "mrr@1", "hit_rate@5", "ndcg@5", "mrr@5"):
        assert table.loc["oracle", [name, f"{name}_low", f"{name}_high"]].tolist() == [1, 1, 1]


@pytest.mark.parametrize(("n_items", "mean_rank"), [(8, 2.0), (12, 4.0), (14, 5.0)])  # 5 seen, the rest tie
def test_an_all_equal_scorer_gets_the_value_of_the_mean_rank(make_split, fixed_scores, n_items, mean_rank):
    items = [f"{letter}x" for letter in "abcdefghijklmn"[:n_items]]
    split = make_split({"u": items[:6], "v": items[1:6] + items[:1]}, items=items)
    assert mean_rank == (n_items - 5 + 1) / 2
    table = evaluate({"equal": fixed_scores(items, constant(n_items))}, split, k=[5])
    assert table.loc["equal", "ndcg@5"] == pytest.approx(1 / math.log2(mean_rank + 1))
    assert table.loc["equal", "mrr@5"] == pytest.approx(1 / mean_rank)


def test_an_all_equal_scorer_on_a_large_catalog_earns_nothing(random_split, fixed_scores):
    items = random_split.dataset.catalog["item_id"].tolist()  # 25 unseen items tie: mean rank 13
    table = evaluate({"equal": fixed_scores(items, constant(30))}, random_split, k=[5, 10])
    assert table.loc["equal", ["hit_rate@5", "hit_rate@10"]].tolist() == [0, 0]


@pytest.mark.parametrize("levels", [1, 2, 3, 8, 1000])
@pytest.mark.parametrize("limit", [1, 3, 10])
def test_short_lists_give_the_ranks_of_the_full_catalog_whatever_the_ties(random_split, fixed_scores, levels, limit):
    items = random_split.dataset.catalog["item_id"].tolist()
    rng = np.random.default_rng(levels)
    drawn = {code: rng.integers(levels, size=30).astype(float) for code in range(30)}
    ranker = fixed_scores(items, lambda history: drawn[history[-1]])
    found = evaluate({"drawn": ranker}, random_split, k=[limit]).attrs["ranks"]["drawn"].ranks

    histories = random_split.histories()
    scores = np.stack([drawn[items.index(history[-1])] for history in histories.values()])
    allowed = np.array([[item not in history for item in items] for history in histories.values()])
    targets = np.array([items.index(item) for item in random_split.test["item_id"]])
    exact = mean_ranks(scores, targets=targets, allowed=allowed)
    assert found.tolist() == np.where(exact <= limit, exact, np.inf).tolist()


def test_only_users_whose_list_is_cut_inside_a_tie_are_asked_again(make_split, fixed_scores):
    items = [f"{a}{b}" for a in "abcdef" for b in "vwxyz"]
    split = make_split({"clear": items[:3], "tied": items[5:8]}, items=items)

    def score(history):
        return np.arange(30.0) if 0 in history else np.zeros(30)

    ranker = fixed_scores(items, score)
    evaluate({"some ties": ranker}, split, k=[10])
    assert ranker.asked == [(["clear", "tied"], 15), (["tied"], 20)]


def test_an_unranked_item_and_a_user_without_history_are_misses_and_stand_on_the_card(make_split, fixed_scores):
    split = make_split({"u": ["a", "b", "new"], "v": ["c"]}, items=["a", "b", "c", "d", "new"])
    ranker = fixed_scores(["a", "b", "c", "d"], constant(4))  # has never heard of "new"
    table = evaluate({"narrow": ranker}, split, k=[3])
    assert table.loc["narrow", "hit_rate@3"] == 0
    assert [users for users, _ in ranker.asked] == [["u"]]
    card = table.attrs["card"]
    assert card["cold users"] == "1, counted as misses"
    assert card["cold items"].startswith("2 ")  # "new", and "c" of the user with one event
    assert card["unknown to the ranker"] == {"narrow": 1}


def test_items_a_ranker_does_not_know_are_left_out_of_the_histories(random_split):
    train = random_split.train[random_split.train["item_id"] != "av"]
    assert "av" in {item for history in random_split.histories().values() for item in history}
    table = evaluate({"popularity": Popularity().fit(train)}, random_split)
    assert 0 < table.loc["popularity", "hit_rate@20"] < 1


def test_blocks_and_other_histories_reach_the_ranker(random_split, fixed_scores):
    items = random_split.dataset.catalog["item_id"].tolist()
    ranker = fixed_scores(items, oracle_for(random_split, items))
    backwards = {user: history[::-1] for user, history in random_split.histories().items()}
    with pytest.raises(KeyError):  # the oracle knows no reversed history: it was really given these
        evaluate({"oracle": ranker}, random_split, histories=backwards)
    with pytest.raises(ValueError, match="histories lacks 39 held-out"):
        evaluate({"oracle": ranker}, random_split, histories={"u0": ["av"]})


def test_coverage_is_the_share_of_the_catalog_in_the_first_k_places(make_split, fixed_scores):
    split = make_split({"u": ["a", "b", "c"], "v": ["a", "b", "d"]}, items=list("abcdefgh"))
    table = evaluate({"same": fixed_scores(list("abcdefgh"), lambda h: np.arange(8.0))}, split, k=[2, 5])
    assert table.loc["same", "coverage@2"] == 2 / 8  # g and h for both
    assert table.loc["same", "coverage@5"] == 5 / 8  # d to h: both have seen a and b


def test_columns_come_with_intervals_and_tables_can_be_joined(random_split):
    rankers = {"popularity": Popularity().fit(random_split.train)}
    table = evaluate(rankers, random_split, k=[5])
    names = ["hit_rate@5", "ndcg@5", "mrr@5", "coverage@5"]
    assert list(table.columns) == [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    assert table.index.name == "ranker"
    for name in names:
        assert table[f"{name}_low"].item() <= table[name].item() <= table[f"{name}_high"].item()
    assert len(pd.concat([table, evaluate(rankers, random_split, k=[5])])) == 2


def test_validation_uses_the_shorter_histories(random_split, fixed_scores):
    lengths = []

    def score(history):
        lengths.append(len(history))
        return np.zeros(30)

    items = random_split.dataset.catalog["item_id"].tolist()
    evaluate({"equal": fixed_scores(items, score)}, random_split, on="validation", k=[1])
    assert set(lengths) == {4}  # 6 events: 4 train, 1 validation, 1 test


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: table.drop(columns="score"), r"without \['score'\]"),
        (lambda table: table.iloc[::-1], "ranks 1, 2"),
        (lambda table: table.assign(score=-table["score"]), "rise along a list"),
        (lambda table: table.assign(item_id=table["item_id"].iloc[0]), "twice for user"),
        (lambda table: table.assign(user_id="nobody"), "'nobody'"),
    ],
)
def test_a_ranker_whose_answer_is_no_rankings_table_is_refused(random_split, fixed_scores, spoil, message):
    items = random_split.dataset.catalog["item_id"].tolist()
    ranker = fixed_scores(items, lambda history: np.arange(30.0))
    honest = ranker.rank
    ranker.rank = lambda *args, **rules: spoil(honest(*args, **rules))
    with pytest.raises(ValueError, match=message):
        evaluate({"spoilt": ranker}, random_split)


@pytest.mark.parametrize(
    ("rankers", "rules", "message"),
    [({}, {}, "at least one entry"), ({"p": None}, {"k": [0]}, "cut-off"), ({"p": None}, {"on": "train"}, "'train'")],
)
def test_a_question_without_sense_gives_one_clear_error(random_split, rankers, rules, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rankers, random_split, **rules)


def test_an_empty_test_table_is_refused(random_split):
    empty = replace(random_split, test=random_split.test.iloc[:0])
    with pytest.raises(ValueError, match=r"split\.test is empty"):
        evaluate({"popularity": Popularity().fit(random_split.train)}, empty)


def test_compare_is_the_mean_of_the_differences_user_by_user(random_split, fixed_scores):
    items = random_split.dataset.catalog["item_id"].tolist()
    oracle, popularity = fixed_scores(items, oracle_for(random_split, items)), Popularity().fit(random_split.train)
    result = compare(oracle, popularity, random_split)
    ranks = evaluate({"p": popularity}, random_split, k=[10]).attrs["ranks"]["p"].ranks
    assert result.mean == pytest.approx(np.mean(1 - ndcg_values(ranks, k=10)))
    assert 0 < result.low < result.mean < result.high
    assert result.n_users == 40
    assert str(result).startswith("FixedScores is ahead of Popularity: ndcg@10 differs by +")
    assert "is behind" in str(compare(popularity, oracle, random_split))


def test_measured_ranks_stand_in_for_their_ranker_and_seeds_are_averaged(random_split, fixed_scores):
    items = random_split.dataset.catalog["item_id"].tolist()
    rankers = {
        "oracle": fixed_scores(items, oracle_for(random_split, items)),
        "equal": fixed_scores(items, constant(30)),
    }
    ranks = evaluate(rankers, random_split, k=[10]).attrs["ranks"]
    result = compare(
        [ranks["oracle"], rankers["equal"]],
        rankers["equal"],
        random_split,
        metric="hit_rate",
        names=("two seeds", "equal"),
    )
    assert result.mean == result.low == result.high == (1 + 0) / 2
    assert str(result).startswith("two seeds (mean of 2 runs) is ahead of equal")
    with pytest.raises(ValueError, match="exact up to 10, not 20"):
        compare(ranks["oracle"], rankers["equal"], random_split, k=20)
    fewer = replace(random_split, test=random_split.test.iloc[1:])
    with pytest.raises(ValueError, match="other users"):
        compare(ranks["oracle"], rankers["equal"], fewer)


def test_a_ranker_is_not_told_apart_from_itself(random_split):
    popularity = Popularity().fit(random_split.train)
    assert "not told apart" in str(compare(popularity, popularity, random_split))


@pytest.mark.parametrize(
    ("low", "high", "verdict"), [(0.001, 0.1, "ahead of"), (-0.1, -0.001, "behind"), (0.0, 0.1, "not told apart from")]
)
def test_ahead_and_behind_need_an_interval_that_excludes_zero(low, high, verdict):
    result = PairedDifference(mean=(low + high) / 2, low=low, high=high, n_users=9, metric="ndcg", k=10)
    assert f"a is {verdict} b:" in str(result)


def test_an_unknown_metric_is_refused(random_split):
    with pytest.raises(ValueError, match=r"\['hit_rate', 'mrr', 'ndcg'\]"):
        compare(None, None, random_split, metric="auc")

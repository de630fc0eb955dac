"""Every leak check fires on a deliberately leaky example and stays silent on a clean one."""

import numpy as np
import pandas as pd
import pytest

from workbench.evaluation import check_leaks, evaluate
from workbench.models import Popularity

MODEL_CHECKS = [
    "held-out item in training events",
    "held-out item in training sentences",
    "seen items returned",
    "off-catalog items",
]
DATA_CHECKS = ["target in the prompt", "ID-order rule", "ties sorted by item id"]


def fired(leaks: pd.DataFrame) -> list[str]:
    return leaks.loc[leaks["fired"], "check"].tolist()


def one(leaks: pd.DataFrame, check: str) -> pd.Series:
    return leaks.set_index("check").loc[check]


@pytest.fixture
def clean_split(make_split):
    """50 users, 8 events each in pairs of equal time, 400 numbered items in random order."""
    rng = np.random.default_rng(1)
    sequences = {f"u{user}": [f"{item}" for item in rng.choice(400, size=8, replace=False)] for user in range(50)}
    times = {user: [0, 0, 1, 1, 2, 2, 3, 3] for user in sequences}
    return make_split(sequences, times=times, items=[str(number) for number in range(400)])


def sentences_of(table: pd.DataFrame) -> list[dict]:
    return [{"user_id": user, "item_ids": list(part)} for user, part in table.groupby("user_id")["item_id"]]


def test_a_clean_split_with_clean_rankings_and_sentences_fires_nothing(clean_split):
    rankings = Popularity().tune(clean_split).rank(clean_split.histories(), k=5)
    leaks = check_leaks(clean_split, rankings=rankings, sentences=sentences_of(clean_split.train))
    assert fired(leaks) == []
    assert set(leaks["check"]) == {*MODEL_CHECKS, *DATA_CHECKS}
    assert (leaks.set_index("check")["where"] == "model").reindex(MODEL_CHECKS).all()
    assert (leaks.set_index("check")["where"] == "data").reindex(DATA_CHECKS).all()


def test_held_out_events_among_the_train_events_are_found(clean_split):
    leaky = pd.concat([clean_split.train, clean_split.test.iloc[:7]], ignore_index=True)
    leaks = check_leaks(type(clean_split)(clean_split.dataset, leaky, clean_split.validation, clean_split.test))
    found = one(leaks, "held-out item in training events")
    assert (found["count"], found["share"]) == (7, 7 / 50)
    assert found["finding"].startswith("7 of 50 held-out event(s)")


def test_an_item_met_again_is_a_finding_about_the_data_and_no_leak_of_the_split(make_split):
    split = make_split({"u": ["a", "b", "c", "a"], "v": ["a", "b", "c", "d"]})
    leaks = check_leaks(split)
    assert fired(leaks) == ["target in the prompt"]
    assert one(leaks, "target in the prompt")["count"] == 1


def test_held_out_items_in_the_users_own_sentences_are_found(clean_split):
    everything = pd.concat([clean_split.train, clean_split.validation, clean_split.test])
    leaks = check_leaks(clean_split, sentences=sentences_of(everything))
    assert one(leaks, "held-out item in training sentences")["count"] == 50 + 50  # validation and test
    as_table = check_leaks(clean_split, sentences=everything[["user_id", "item_id"]])
    assert one(as_table, "held-out item in training sentences")["count"] == 100


def test_the_held_out_item_of_one_user_may_stand_in_the_sentences_of_another(make_split):
    split = make_split({"u": ["a", "b", "c"], "v": ["c", "d", "a"]})
    sentences = [{"user_id": "u", "item_ids": ["a"]}, {"user_id": "v", "item_ids": ["c"]}, {"item_ids": ["a", "c"]}]
    assert fired(check_leaks(split, sentences=(one for one in sentences))) == []


def test_seen_items_in_rankings_are_found(clean_split):
    rankings = Popularity().tune(clean_split).rank(clean_split.histories(), k=400, exclude_seen=False)
    found = one(check_leaks(clean_split, rankings=rankings), "seen items returned")
    assert found["fired"]
    assert found["count"] == 50 * 7  # every history in full


def test_items_outside_the_catalog_are_found(clean_split):
    rankings = pd.DataFrame({"user_id": ["u0", "u1"], "item_id": ["no such film", "999"], "rank": 1, "score": 0.0})
    assert one(check_leaks(clean_split, rankings=rankings), "off-catalog items")["count"] == 2


def test_ids_that_count_up_with_time_are_found(make_split):
    starts = np.random.default_rng(0).permutation(90)[:30]
    sequences = {f"u{start}": [f"item {start + step}" for step in range(5)] for start in starts}
    leaks = check_leaks(make_split(sequences, items=[f"item {number}" for number in range(100)]))
    found = one(leaks, "ID-order rule")
    assert (found["count"], found["share"], found["fired"]) == (30, 1.0, True)
    assert "chance is 1.00%" in found["finding"]


def test_ids_that_are_words_are_not_asked_for_an_order(make_split):
    assert "ID-order rule" not in check_leaks(make_split({"u": ["a", "b", "c"]}))["check"].tolist()


@pytest.mark.parametrize("falling", [False, True])
def test_ties_in_the_order_of_the_ids_are_found_numbers_as_numbers(make_split, falling):
    rng = np.random.default_rng(0)
    picked = {f"u{user}": sorted(rng.choice(400, size=8, replace=False), reverse=falling) for user in range(10)}
    sequences = {user: [str(item) for item in items] for user, items in picked.items()}
    split = make_split(
        sequences, times={user: [0] * 4 + [1] * 4 for user in sequences}, items=[str(item) for item in range(400)]
    )
    found = one(check_leaks(split), "ties sorted by item id")
    assert found["fired"]
    assert found["share"] == (0.0 if falling else 1.0)
    assert "60 neighbouring pairs" in found["finding"]  # 10 users, 2 times, 3 pairs each


def test_ties_of_word_ids_are_compared_as_text(make_split):
    words = [f"{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]
    sequences = {f"u{row}": words[row : row + 5] for row in range(10)}
    found = one(check_leaks(make_split(sequences, times={u: [7] * 5 for u in sequences})), "ties sorted by item id")
    assert found["fired"]


def test_rankings_without_their_columns_are_refused(clean_split):
    with pytest.raises(ValueError, match=r"rankings lacks the columns \['item_id'\]"):
        check_leaks(clean_split, rankings=pd.DataFrame({"user_id": ["u0"]}))
    with pytest.raises(ValueError, match="sentences lacks"):
        check_leaks(clean_split, sentences=pd.DataFrame({"user_id": ["u0"]}))


def test_findings_stand_on_the_card_the_rankers_faults_among_them(make_split):
    class Careless(Popularity):
        def rank(self, histories, *, exclude_seen=True, **rules):
            return super().rank(histories, exclude_seen=False, **rules)

    split = make_split({"u": ["a", "b", "c", "a"], "v": ["a", "b", "c", "d"]})
    findings = evaluate({"careless": Careless().fit(split.train)}, split).attrs["card"]["findings"]
    assert any("already stand in the user's history" in finding for finding in findings)
    assert "careless returned 4 item(s) that the user has already seen" in findings  # a and b, for u and v

"""The protocol card says how the numbers were made, and shows it as safe HTML."""

import json

from workbench.evaluation import card_html, evaluate
from workbench.models import Popularity, Transitions


class Unknown:
    """A ranker that says about itself what a fine-tuned model would say."""

    start, device, seed = "random", "cuda:0", 7

    def __init__(self, popularity):
        self.rank = popularity.rank


def test_the_card_names_every_choice(random_split):
    popularity = Popularity().fit(random_split.train)
    rankers = {"popularity": popularity, "model": Unknown(popularity)}
    card = evaluate(rankers, random_split, on="validation", seed=3).attrs["card"]
    assert card["dataset"] == "by hand"
    assert card["version"] == "1"
    assert card["filter"] == "nothing <was> done"
    assert card["split"].startswith("leave_one_out")
    assert card["measured on"] == "validation, 40 users"
    assert card["ties in time"] == "file order"
    assert card["ties in score"] == "mean rank"
    assert card["candidates"] == "all 30 items"
    assert card["start"] == {"popularity": "counts", "model": "random"}
    assert card["device"] == {"popularity": "CPU", "model": "cuda:0"}
    assert card["seeds"] == {"bootstrap": 3, "model": 7}
    assert card["settings"] == {"popularity": {"half_life": None}}
    assert set(card["seconds"]) == {"popularity", "model"}
    assert card["floors"] == ["popularity"]
    assert json.loads(json.dumps(card)) == card


def test_a_table_without_a_floor_says_so(random_split):
    model = Unknown(Popularity().fit(random_split.train))
    assert evaluate({"model": model}, random_split).attrs["card"]["floors"] == "no floor"
    both = {"model": model, "counts": Transitions().fit(random_split.train)}
    assert evaluate(both, random_split).attrs["card"]["floors"] == ["counts"]


def test_choices_of_the_call_stand_on_the_card(random_split):
    items = random_split.dataset.catalog["item_id"].tolist()
    popularity = Popularity().fit(random_split.train, items=items)
    card = evaluate({"p": popularity}, random_split, exclude_seen=False, candidates=items[:9]).attrs["card"]
    assert card["seen items"] == "not removed"
    assert card["candidates"] == "9 given items"


def test_train_events_later_than_the_test_event_are_counted(make_split):
    # u is tested at time 2, v at 12: of the train events 0 (u) and 10 (v) half and none come later
    split = make_split({"u": list("abc"), "v": list("abc")}, times={"u": [0, 1, 2], "v": [10, 11, 12]})
    card = evaluate({"p": Popularity().fit(split.train)}, split).attrs["card"]
    assert card["train events later than the test event"] == f"{(1 / 2 + 0) / 2:.1%}"


def test_events_without_timestamps_have_no_later_and_earlier(make_split):
    split = make_split({"u": list("abc"), "v": list("bca")})
    for table in (split.train, split.validation, split.test):
        table["position"] = range(len(table))
        del table["timestamp"]
    card = evaluate({"p": Popularity().fit(split.train)}, split).attrs["card"]
    assert card["train events later than the test event"] == "not known: no timestamps"


def test_texts_are_escaped(random_split):
    card = evaluate({"<img src=x>": Popularity().fit(random_split.train)}, random_split).attrs["card"]
    page = card_html(card)
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert "nothing &lt;was&gt; done" in page
    assert page.count("<tr>") == len(card)

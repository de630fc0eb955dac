"""The figures of written lists: what was measured keeps the limits, and what is wrong or missing is noticed."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import generation  # noqa: E402
from records import RESULTS  # noqa: E402

from workbench.catalogs import leave_one_out, load_dataset  # noqa: E402

SHAPE = {"layers": 1, "width": 16, "heads": 2}


@pytest.fixture(scope="module", params=generation.SPELLINGS)
def small(request):
    """Three hundred made-up items in each spelling; shared between tests, so none may change it."""
    recommender = generation.in_spelling(generation.made_up_catalog(300), request.param, **SHAPE)
    recommender.model.transformer.wte.weight.detach().mul_(10)
    return recommender


def test_what_was_measured_keeps_the_limits_of_today():
    measured = json.loads((RESULTS / "generation.json").read_text("utf-8"))
    assert measured["limits"] == generation.LIMITS
    assert generation.over_limit(measured) == []


def test_a_figure_that_is_missing_or_no_number_keeps_no_limit():
    assert len(generation.over_limit({})) == sum(len(names) for names in generation.LIMITED.values())
    row = {"trie_share": float("nan")}
    assert "trie, atomic: trie_share is nan" in generation.over_limit({"trie, atomic": row})
    assert set(generation.LIMITS) == {name for names in generation.LIMITED.values() for name in names}


def test_every_flaw_of_a_list_is_counted():
    histories = {"u": ["a", "b"], "v": []}
    pairs = [("u", "c"), ("u", "c"), ("u", "a"), ("v", "a"), ("v", None), ("v", "z")]
    table = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    flaws = generation.find_flaws(table, histories, items=("a", "b", "c"))
    assert flaws == {"off_catalog": 2, "seen": 1, "twice": 1, "short": (3 - 2) + 3 - 6}


def test_lists_are_written_and_timed(small):
    items = small.vocabulary.spelling.items
    histories = {f"u{number}": list(items[number : number + 5]) for number in range(20)}
    row = generation.write_lists(small, histories, width=None)
    assert [row[name] for name in ("off_catalog", "seen", "twice", "short", "lists")] == [0, 0, 0, 0, 20]
    assert 0 <= row["seconds"] < 60
    assert row["prompt_words"] == pytest.approx(1 + 5 * words_each(small, histories), abs=0.05)


def words_each(recommender, histories):
    """Words of the items that stand in histories, on average."""
    spelled = dict(zip(recommender.vocabulary.spelling.items, recommender.vocabulary.spelled, strict=True))
    return np.mean([len(spelled[item]) for own in histories.values() for item in own])


def test_the_price_of_the_trie_is_that_of_as_many_words(small):
    row = generation.price_trie(small, beams=4, repeats=2)
    assert 1 <= row["words"] <= small.vocabulary.trie.longest and row["edges"] == len(small.vocabulary.trie.words)
    assert row["with_ms"] > 0 and row["without_ms"] > 0 and -1 < row["trie_share"] < 10


def test_what_a_beam_misses_is_counted_against_the_exact_list(small, monkeypatch):
    histories = {"u": [], "v": ["i00007"]}
    monkeypatch.setattr(generation, "WIDE", (10, 300))
    row = generation.miss_best(small, histories)
    assert row["users"] == 2 and row["missed_at_300"] == 0
    exact = small.rank(histories, k=10)
    narrow = small.generate(histories, k=10, width=10)
    both = len(exact.merge(narrow, on=["user_id", "item_id"]))
    assert row["missed_at_10"] == pytest.approx(1 - both / 20)


def test_histories_are_beginnings_and_always_the_same():
    split = leave_one_out(load_dataset("films"))
    whole = list(split.histories(on="test").values())
    cut = generation.cut_histories(split, n=50)
    assert all(own == whole[number][: len(own)] for number, own in enumerate(cut.values()))
    assert cut == generation.cut_histories(split, n=50) and len({len(own) for own in cut.values()}) > 5


def test_a_row_that_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "write_lists", lambda *_, **__: dict.fromkeys(generation.KEPT, 0))
    monkeypatch.setattr(generation, "LISTS", 20)
    first = generation.measure(["lists"], results=tmp_path)
    monkeypatch.setattr(generation, "write_lists", lambda *_, **__: pytest.fail("measured again"))
    assert generation.measure(["lists"], results=tmp_path) == first
    real = generation.in_spelling
    monkeypatch.setattr(generation, "in_spelling", lambda catalog, how, **shape: real(catalog[::-1], how, **shape))
    with pytest.raises(pytest.fail.Exception, match="measured again"):  # other words are another measurement
        generation.measure(["lists"], results=tmp_path)
    assert {line.split(",")[0] for line in generation.over_limit(first)} == {"trie", "recall"}


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(SystemExit, match="'speed' is not measured here; choose of lists, trie, recall"):
        generation.main(["speed"])

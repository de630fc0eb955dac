"""The standings: rows that can be computed again from what was kept, changed data, and one table from the files."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import standings  # noqa: E402
import standings_table  # noqa: E402
from records import RESULTS, Page  # noqa: E402

from workbench.catalogs import Split, leave_one_out, load_dataset, read_tables  # noqa: E402
from workbench.evaluation import ndcg  # noqa: E402

TINY = {"epochs": 8, "learning_rate": 0.01, "layers": 1, "width": 16, "batch_users": 16, "wishes": 4, "dropout": 0.0}
PLAN = standings.Plan(seeds=(0, 1), settings=tuple(TINY.items()), cold=True, permuted=True)
PAGES = [name for name in standings_table.DATASETS if (RESULTS / f"{name}.json").is_file()]


@pytest.fixture(scope="module")
def ring() -> Split:
    """Ninety walkers round a ring of thirty films, each a step further; twelve end at one of six others."""
    events = [(f"u{user}", f"f{(user + step) % 30}", step) for user in range(90) for step in range(4 + user % 4)]
    events += [(f"u{user}", f"f{30 + user % 6}", 9) for user in range(12)]
    items = pd.DataFrame({"item_id": [f"f{n}" for n in range(36)], "title": [f"Film {n}" for n in range(36)]})
    items["genres"] = ["Horror", "Drama", "War"] * 12
    events = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return leave_one_out(read_tables(items=items, interactions=events, name="ring"))


@pytest.fixture(scope="module")
def page(ring: Split, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Everything that a plan can ask for, measured on the ring."""
    folder = tmp_path_factory.mktemp("standings")
    standings.stand(ring, PLAN, results=folder, runs=folder / "runs")
    return Page(folder / "ring.json")


def test_every_row_that_the_plan_asks_for_is_there(page: Page) -> None:
    assert {
        "GPT-2",
        "GPT-2, seed 0, and co-occurrence",
        "GPT-2, 2 seeds",
        "GPT-2, 2 seeds, and co-occurrence",
        "GPT-2 without texts",
        "GPT-2, permuted ids",
        *standings.FLOORS,
    } == set(page.figures["rankers"])
    assert page.figures["leaks"]["behaves"]


@pytest.mark.parametrize("name", ["GPT-2, seed 0", "GPT-2, 2 seeds", "GPT-2, 2 seeds, and co-occurrence"])
def test_a_row_computed_from_its_lists_is_the_row(page: Page, ring: Split, name: str) -> None:
    row = (page.figures["rankers"] | page.figures["runs"])[name]
    assert standings.recomputed(page, ring, name) == pytest.approx(row["ndcg@10"], abs=1e-6)
    assert ndcg(page.ranks[name].to_numpy(float), k=10) == pytest.approx(row["ndcg@10"], abs=1e-6)


def test_a_finished_page_measures_nothing_again(page: Page, ring: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("finished_run", "leak_row", "row_of"):
        monkeypatch.setattr(standings, name, lambda *_, **__: lambda: pytest.fail("measured again"))
    again = standings.stand(ring, PLAN, results=page.path.parent, runs=page.path.parent / "runs")
    assert again["rankers"] == page.figures["rankers"]


def test_the_cold_slice_is_the_same_figure_for_fewer_users(page: Page, ring: Split) -> None:
    cold = page.figures["cold"]
    events = ring.test["item_id"].map(ring.train["item_id"].value_counts()).fillna(0).to_numpy()
    users = ring.test["user_id"][events <= 5]
    ranks = page.ranks.loc[users, "GPT-2, seed 0"].to_numpy(float)
    assert cold["users"] == len(users) >= 12
    assert cold["GPT-2, seed 0"]["ndcg@10"] == pytest.approx(ndcg(ranks, k=10))


def test_a_catalog_without_texts_has_bare_ids_and_the_same_events(ring: Split) -> None:
    bare = standings.without_texts(ring)
    assert bare.dataset.catalog["title"].tolist() == ring.dataset.catalog["item_id"].tolist()
    assert list(bare.dataset.catalog) == ["item_id", "title"] and bare.train is ring.train


def test_the_table_holds_every_row_of_the_files_the_best_first(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings_table, "DATASETS", ("ring",))
    text = standings_table.standings(page.path.parent)
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")][1:]
    table = {line[0].removeprefix("| "): line[1] for line in lines[: len(page.figures["rankers"])]}
    assert table == {name: f"{row['ndcg@10']:.4f}" for name, row in page.figures["rankers"].items()}
    figures = [float(value) for value in table.values()]
    assert figures == sorted(figures, reverse=True)


def test_a_peer_whose_search_was_cut_short_is_said_to_be() -> None:
    search = [{"ended": "out of time"}, {"ended": "all epochs"}, {"ended": "out of time"}]
    row = {"ndcg@10": 0.1, "ndcg@10_low": 0.0, "ndcg@10_high": 0.2, "settings": {"width": 8}, "search": search}
    assert "width 8; 3 settings tried, 2 of them out of time" in standings_table.line("a peer", row)


def test_the_table_beside_the_results_is_the_one_that_the_files_give() -> None:
    written = (RESULTS / "standings.md").read_text("utf-8")
    assert written == standings_table.standings(RESULTS), "run python benchmarks/standings_table.py"


@pytest.mark.parametrize("dataset", PAGES)
def test_rows_of_the_results_are_what_their_lists_give(dataset: str, request: pytest.FixtureRequest) -> None:
    page = Page(RESULTS / f"{dataset}.json")
    rows = page.figures["rankers"] | page.figures["runs"]
    kept = [name for name in rows if f"{name} 1" in page.lists]
    if kept and dataset != "films":
        request.getfixturevalue("datasets_folder")
    split = leave_one_out(load_dataset(dataset)) if kept else None
    for name in kept:
        assert standings.recomputed(page, split, name) == pytest.approx(rows[name]["ndcg@10"], abs=1e-6), name


def test_no_row_of_the_results_comes_from_a_leak() -> None:
    for dataset in PAGES:
        leaks = json.loads((RESULTS / f"{dataset}.json").read_text("utf-8")).get("leaks")
        assert leaks is None or leaks["behaves"], f"{dataset}: {leaks['finding']}"

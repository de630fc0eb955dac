"""The benchmarks measure what they say: resumed rows, kept ranks, placebos that can fail, swaps that are wrong."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import explain  # noqa: E402
import prove_data  # noqa: E402
import prove_notebooks  # noqa: E402
import quality  # noqa: E402
import swapped  # noqa: E402
import wishes  # noqa: E402
from records import Page, fingerprint  # noqa: E402

from workbench.catalogs import Split, leave_one_out, load_dataset, read_tables  # noqa: E402
from workbench.catalogs.films import Films, films_truth  # noqa: E402
from workbench.evaluation import PairedDifference, evaluate, ndcg  # noqa: E402
from workbench.language.requests import held_out  # noqa: E402
from workbench.models import GPT2Recommender, Popularity, Transitions  # noqa: E402
from workbench.training import TrainingConfig, saved_run  # noqa: E402

TINY = TrainingConfig(
    epochs=30,
    learning_rate=1e-2,
    layers=1,
    width=16,
    batch_users=16,
    wishes=4,
    wishes_after_history=2,
    descriptions=0,
    max_history=12,
    validate_every=3,
    dropout=0.0,
    precision="fp32",
)
RESULTS = [BENCHMARKS / "results" / f"{name}.json" for name in ("films", "ml-100k")]


@pytest.fixture(scope="module")
def circle() -> Split:
    """120 viewers who jump about a row of 40 films and each time see three in a row, more often early ones.

    What they see last is certain, but only for a ranker that knows which film came just before.
    """
    rng, events = np.random.default_rng(0), []
    for user in range(120):
        films: list[int] = []
        while len(set(films)) < 6 + 3 * (user % 2):
            starts = rng.integers(0, 38, size=(2, 2 + user % 2)).min(axis=0)
            films = (starts[:, None] + np.arange(3)).ravel().tolist()
        events += [(f"u{user}", f"f{film}", step) for step, film in enumerate(films)]
    genres = ["Horror", "Sci-Fi", "Drama", "Comedy", "War"]
    items = pd.DataFrame(
        {"item_id": [f"f{n}" for n in range(40)], "title": [f"Film {n}" for n in range(40)], "genres": genres * 8}
    )
    events = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return leave_one_out(read_tables(items=items, interactions=events, name="circle"))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pages and runs of these tests are."""
    return tmp_path_factory.mktemp("benchmarks")


@pytest.fixture(scope="module")
def figures(circle: Split, workplace: Path) -> dict:
    """Everything measured on the circle, two seeds."""
    return quality.measure(circle, seeds=(0, 1), config=TINY, results=workplace, runs=workplace / "runs")


@pytest.fixture(scope="module")
def recommender(circle: Split, workplace: Path, figures: dict) -> GPT2Recommender:
    """The run of seed 0; opened from disk, so each test may spoil its own."""
    return saved_run(circle, config=TINY, folder=workplace / "runs")


class TestQuality:
    def test_every_row_is_there_with_its_interval(self, figures: dict) -> None:
        assert set(figures["rankers"]) == {*quality.FLOORS, *quality.MODELS}
        for row in figures["rankers"].values():
            assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
            assert row["seconds"] >= 0

    def test_what_is_certain_is_learned(self, figures: dict) -> None:
        assert figures["rankers"]["transitions"]["ndcg@10"] > 0.95
        assert figures["rankers"]["GPT-2"]["ndcg@10"] > figures["rankers"]["popularity"]["ndcg@10"] + 0.3

    def test_the_mean_over_seeds_is_the_mean_of_the_kept_ranks(self, figures: dict, workplace: Path) -> None:
        ranks = pd.read_parquet(workplace / "circle-ranks.parquet")
        by_hand = [ndcg(ranks[f"GPT-2, seed {seed}"], k=10) for seed in (0, 1)]
        assert figures["rankers"]["GPT-2"]["ndcg@10"] == pytest.approx(sum(by_hand) / 2)
        assert figures["rankers"]["GPT-2"]["spread"] == pytest.approx(abs(by_hand[0] - by_hand[1]))

    def test_a_second_call_measures_nothing_again(
        self, figures: dict, circle: Split, workplace: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quality, "evaluate", None)  # calling it would raise
        monkeypatch.setattr(quality, "evaluate_requests", None)
        again = quality.measure(circle, seeds=(0, 1), config=TINY, results=workplace, runs=workplace / "runs")
        assert again["runs"] == figures["runs"] and again["differences"] == figures["differences"]

    def test_a_row_of_other_data_is_measured_again(self, circle: Split, tmp_path: Path) -> None:
        page, made = Page(tmp_path / "p.json"), []

        def make() -> tuple:
            made.append(len(made))
            return {}, None

        for key in ("a", "a", "b"):
            page.once("rows", "x", key=key, make=make)
        assert len(made) == len({"a", "b"})
        fewer = replace(circle, test=circle.test.iloc[1:])
        assert fingerprint(circle, "x") != fingerprint(fewer, "x") != fingerprint(fewer, "y")

    def test_what_is_stopped_in_the_middle_keeps_the_rows_before(self, circle: Split, tmp_path: Path) -> None:
        def stop() -> tuple:
            raise KeyboardInterrupt

        page = Page(tmp_path / "p.json")
        page.once("rows", "x", key="a", make=lambda: ({"value": 1}, None))
        with pytest.raises(KeyboardInterrupt):
            page.once("rows", "y", key="a", make=stop)
        assert list(Page(tmp_path / "p.json").figures["rows"]) == ["x"]
        assert [path.name for path in tmp_path.iterdir()] == ["p.json"]

    def test_an_interrupted_training_is_no_result(self, circle: Split, monkeypatch: pytest.MonkeyPatch) -> None:
        class Interrupted:
            record = {"ended": "interrupted; the best so far is kept"}

        monkeypatch.setattr(quality, "saved_run", lambda *_, **__: Interrupted())
        with pytest.raises(KeyboardInterrupt):
            quality.finished_run(circle, config=TINY)

    def test_the_card_collects_what_is_said_of_each_ranker(self, figures: dict) -> None:
        card = figures["protocol"]
        assert set(card["seconds"]) == {
            *quality.FLOORS,
            *(f"{name}, seed {s}" for name in quality.MODELS for s in (0, 1)),
        }
        assert card["floors"] == list(quality.FLOORS)

    @pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
    def test_published_figures_follow_from_the_published_ranks(self, path: Path) -> None:
        page = Page(path)
        assert page.figures, f"{path.name} is missing; run python benchmarks/quality.py {path.stem}"
        rows = page.figures["rankers"] | page.figures.get("runs", {})
        kept = [name for name in rows if name in page.ranks]
        assert "co-occurrence" in kept
        for name in kept:
            assert ndcg(page.ranks[name].to_numpy(float), k=10) == pytest.approx(rows[name]["ndcg@10"], abs=1e-6)
        assert max(file.stat().st_size for file in path.parent.iterdir()) < 3_000_000  # lists of 22,363 users


class TestWishes:
    def test_a_wish_asks_for_what_the_held_out_item_has_in_words_that_were_trained(self, circle: Split) -> None:
        drawn = wishes.draw_wishes(circle)
        genres = circle.dataset.catalog["genres"]
        assert len(drawn) > 0
        for wish in drawn.itertuples():
            assert wish.combination == (("genres", genres[wish.target]),) and not held_out(wish.combination)
        targets = circle.dataset.catalog["item_id"].to_numpy()[drawn["target"]]
        assert (
            dict(zip(drawn.index, targets, strict=True)).items()
            <= dict(zip(circle.test["user_id"], circle.test["item_id"], strict=True)).items()
        )

    def test_ranking_by_history_and_then_filtering_is_what_rank_does_with_candidates(
        self, circle: Split, recommender: GPT2Recommender
    ) -> None:
        drawn = wishes.draw_wishes(circle)
        values = wishes.wish_ndcg(recommender, circle, drawn)
        catalog, histories = circle.dataset.catalog, circle.histories()
        for user, wish in list(drawn.iterrows())[:10]:
            matching = catalog.loc[catalog["genres"] == wish["combination"][0][1], "item_id"].tolist()
            for way, rules in (("filter", {"candidates": matching}), ("both", {"request": wish["request"]})):
                listed = recommender.rank({user: histories[user]}, k=10, **rules)
                place = listed.loc[listed["item_id"] == catalog["item_id"][wish["target"]], "rank"].tolist()
                assert values.loc[user, way] == pytest.approx(1 / np.log2(place[0] + 1) if place else 0.0)

    def test_the_finding_says_ahead_only_where_the_interval_does(
        self, circle: Split, recommender: GPT2Recommender
    ) -> None:
        found = wishes.compare_ways([recommender], circle)
        for other, name in wishes.OTHERS.items():
            difference = found["ways"][f"both - {other}"]
            sure = {"ahead of": difference["low"] > 0, "behind": difference["high"] < 0}
            told = {word for word in sure if f"{word} {name}" in found["finding"]}
            assert told == {word for word, holds in sure.items() if holds} and name in found["finding"]


class TestPlacebos:
    def test_on_an_honest_model_every_placebo_behaves(self, circle: Split, workplace: Path, figures: dict) -> None:
        page = prove_data.prove(circle, seeds=(0, 1, 2), config=TINY, results=workplace, runs=workplace / "runs")
        assert {name: row["behaves"] for name, row in page["placebos"].items()} == {
            "leaks": True,
            "permuted ids": True,
            "histories shuffled at test": True,
            "histories shuffled in training and at test": True,
            "random next items": True,
        }
        assert (
            json.loads((workplace / "placebos-circle.json").read_text("utf-8"))["placebos"].keys()
            == page["placebos"].keys()
        )

    def test_each_sentence_is_held_against_its_own_user_whoever_came_first(
        self, circle: Split, recommender: GPT2Recommender
    ) -> None:
        events = circle.dataset.interactions
        last_first = events.assign(position=events["position"] - 100 * events["user_id"].str[1:].astype(int))
        split = leave_one_out(replace(circle.dataset, interactions=last_first))
        assert prove_data.leak_row(recommender, split)["behaves"]

    def test_a_ranker_blind_to_order_is_caught(self, circle: Split) -> None:
        blind = Popularity().fit(circle.train, items=circle.dataset.catalog["item_id"])
        true = prove_data.ranks_of(blind, circle)
        shuffled = prove_data.ranks_of(blind, circle, histories=prove_data.shuffled_histories(circle, seed=0))
        assert not prove_data.falling_row([true], shuffled, circle)["behaves"]

    def test_a_model_that_knows_the_answer_without_data_is_caught(self, circle: Split) -> None:
        items = circle.dataset.catalog["item_id"]
        floor = prove_data.ranks_of(Popularity().fit(circle.train, items=items), circle)
        knowing = prove_data.ranks_of(Transitions().fit(circle.train, items=items), circle)
        assert not prove_data.random_row(knowing, floor, circle)["behaves"]

    def test_figures_that_move_with_the_ids_are_caught(self) -> None:
        moved = PairedDifference(mean=0.03, low=0.01, high=0.05, n_users=100, metric="ndcg", k=10)
        assert not prove_data.stays(moved, spread=0.02)["behaves"]
        assert prove_data.stays(moved, spread=0.04)["behaves"]
        assert prove_data.stays(replace(moved, low=-0.01), spread=0.0)["behaves"]

    def test_permuted_ids_change_names_and_nothing_else(self, circle: Split) -> None:
        permuted, new_ids = prove_data.permuted_split(circle, seed=3)
        counting = Transitions(last=3)
        before = prove_data.ranks_of(counting.fit(circle.train, items=circle.dataset.catalog["item_id"]), circle)
        items = permuted.dataset.catalog["item_id"]
        after = prove_data.renamed(
            prove_data.ranks_of(counting.fit(permuted.train, items=items), permuted), circle, new_ids
        )
        assert after.ranks.tolist() == before.ranks.tolist()
        assert items.is_monotonic_increasing and permuted.test["user_id"].tolist() == sorted(new_ids.values())
        assert sum(old != new for old, new in new_ids.items()) > 100

    def test_shuffling_keeps_each_users_items_and_random_items_keep_only_the_lengths(self, circle: Split) -> None:
        shuffled, drawn = prove_data.shuffled_split(circle, seed=0).train, prove_data.random_split(circle, seed=0)
        random = drawn.train
        assert (drawn.dataset.catalog["title"] == circle.dataset.catalog["item_id"]).all()
        assert set(drawn.dataset.catalog) == {"item_id", "title"}
        sets = [table.groupby("user_id")["item_id"].agg(sorted).to_dict() for table in (circle.train, shuffled)]
        assert sets[0] == sets[1]
        assert (shuffled["item_id"] != circle.train["item_id"]).mean() > 0.5
        lengths = [table.groupby("user_id").size().to_dict() for table in (circle.train, random)]
        assert lengths[0] == lengths[1] and not random.duplicated(["user_id", "item_id"]).any()


class Circle:
    """The truth about the circle: the film after the last one, nearly always."""

    def probabilities(self, history: list[str]) -> np.ndarray:
        weights = 1 + np.array([sum(int(film[1:]) % 5 == n % 5 for film in history) for n in range(40)])
        weights = weights.astype(float)
        weights[(int(history[-1][1:]) + 1) % 40 if history else 0] += 1000
        return weights / weights.sum()


@pytest.fixture(scope="module")
def explained(circle: Split, recommender: GPT2Recommender, tmp_path_factory: pytest.TempPathFactory) -> Page:
    page = Page(tmp_path_factory.mktemp("explain") / "explain-circle.json")
    models = {"trained": recommender} | explain.untaught(recommender)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explain, "EXPLAINERS", ("random", "most recent", "attention", "occlusion"))
        explain.measure(page, circle, Circle(), models, key="k", n=20)
    return page


class TestExplain:
    def test_every_model_and_method_has_its_row_with_differences_to_the_references(self, explained: Page) -> None:
        methods = ["truth", "random", "most recent", "attention", "occlusion"]
        assert {model: list(rows) for model, rows in explained.figures["models"].items()} == dict.fromkeys(
            ("trained", "usual start", "plain chance"), methods
        )
        rows = explained.figures["models"]["trained"]
        less = rows["occlusion"]["less"]
        assert set(less) == {"random", "attention"} and set(rows["random"]["less"]) == {"attention"}
        gap = rows["occlusion"]["signed"] - rows["attention"]["signed"]
        assert less["attention"]["signed"]["mean"] == pytest.approx(gap)
        assert less["attention"]["signed"]["low"] <= gap <= less["attention"]["signed"]["high"]

    def test_what_the_model_learned_is_found_in_it_and_not_in_one_that_learned_nothing(self, explained: Page) -> None:
        trained, chance = (explained.figures["models"][model] for model in ("trained", "plain chance"))
        assert trained["occlusion"]["less"]["random"]["top"]["low"] > 0
        assert trained["occlusion"]["less"]["random"]["deletion"]["low"] > 0
        assert trained["occlusion"]["signed"] > chance["occlusion"]["signed"]

    def test_a_second_call_measures_nothing_again(
        self, explained: Page, circle: Split, recommender: GPT2Recommender
    ) -> None:
        again = Page(explained.path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(explain, "EXPLAINERS", ("random", "occlusion"))
            patch.setattr(explain, "know_cases", None)  # calling it would raise
            explain.measure(again, circle, Circle(), {"trained": recommender}, key="k", n=20)
        assert again.figures == explained.figures

    def test_groups_are_told_apart_by_what_the_last_film_leads_to(self) -> None:
        split = leave_one_out(load_dataset("films"))
        found = explain.groups(split)
        catalog = split.dataset.catalog.set_index("item_id")
        step = Films(films_truth().catalog, films_truth().taste_groups).transitions
        assert min(map(len, found.values())) >= 100
        for history in list(found["series"].values())[:20]:
            following = explain.next_in_series(split.dataset.catalog)[history[-1]]
            series = catalog.loc[[history[-1], following], "series"].tolist()
            assert series[0] == series[1] and following not in history
            assert catalog["year"][history[-1]] <= catalog["year"][following]
        for history in list(found["no step"].values())[:20]:
            assert step[catalog.index.get_loc(history[-1])].max() == 1.5  # nothing but the change of tone

    def test_without_steps_the_last_film_leads_nowhere_but_to_the_other_tone(self) -> None:
        split, truth = explain.without_steps(leave_one_out(load_dataset("films")))
        assert split.dataset.name == "films-without-steps"
        assert set(np.unique(truth.transitions)) == {0.0, 1.5}


class TestSwaps:
    def test_popularity_answers_everything_with_the_shares_of_the_items(
        self, circle: Split, recommender: GPT2Recommender
    ) -> None:
        swapped.answer_popularity(recommender, circle)
        counts = circle.train["item_id"].value_counts().reindex(circle.dataset.catalog["item_id"], fill_value=0) + 0.5
        chances = np.exp(recommender.log_probabilities({"a": ["f1", "f2"], "b": []}))
        left = counts.drop(["f1", "f2"]).reindex(counts.index, fill_value=0)  # nobody meets a film twice
        assert chances == pytest.approx(np.stack([left / left.sum(), counts / counts.sum()]), rel=1e-4)

    @pytest.mark.parametrize("swap", ["popularity", "random weights", "shuffled item rows"])
    def test_a_swapped_recommender_is_much_worse_and_saves_and_loads_like_any_other(
        self, swap: str, circle: Split, workplace: Path, tmp_path: Path, figures: dict
    ) -> None:
        wrong = swapped.swapping(saved_run, swapped.SWAPS[swap])(circle, config=TINY, folder=workplace / "runs")
        good = figures["runs"]["GPT-2, seed 0"]["ndcg@10"]
        assert evaluate({"x": wrong}, circle, k=[10]).loc["x", "ndcg@10"] < good - 0.3
        assert len(wrong.log) and wrong.record["dataset"] == "circle"
        again = GPT2Recommender.load(wrong.save(tmp_path / "run"))
        assert again.rank({"a": ["f1"]}).equals(wrong.rank({"a": ["f1"]}))

    def test_each_assertion_is_tried_and_tells_how_it_went(self, capsys: pytest.CaptureFixture) -> None:
        exec(prove_notebooks.one_by_one('x = 1\nassert x == 2, "it is two"\nassert x == 1, f"it is {x}"\nassert x'), {})
        told = [json.loads(line.removeprefix(prove_notebooks.MARK)) for line in capsys.readouterr().out.splitlines()]
        assert told == [["it is two", False], ["it is 1", True], ["x", True]]

    def test_a_closing_cell_without_assertions_is_refused(self) -> None:
        with pytest.raises(ValueError, match="asserts nothing"):
            prove_notebooks.one_by_one("print(1)")

    def test_every_model_notebook_is_in_the_table(self) -> None:
        texts = {path.stem: path.read_text("utf-8") for path in (BENCHMARKS.parent / "notebooks").glob("*.ipynb")}
        training = {name for name, text in texts.items() if "saved_run(" in text or "fine_tune(" in text}
        assert training - {"00_start_here"} == set(prove_notebooks.NOTEBOOKS)

    def test_a_swap_turns_a_claim_of_a_notebook_red(self, tmp_path: Path) -> None:
        cells = [
            "from workbench.training import saved_run",
            'assert not hasattr(saved_run, "__wrapped__"), "it is the true function"\nassert 1 == 1, "one is one"',
        ]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(notebook, tmp_path / "02_claims.ipynb")
        row = prove_notebooks.prove(tmp_path / "02_claims.ipynb", swap="popularity", dataset="films")
        expected = {"green": ["one is one"], "red": ["it is the true function"], "error": "", "as_it_should": True}
        assert row == expected

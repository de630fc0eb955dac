"""Peers are measured by our rules: no test item leaves the house, and what comes back is scored like any other list."""

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import peers  # noqa: E402
from records import Page, seconds_to_reach  # noqa: E402
from standings_table import weaker_best  # noqa: E402

from workbench.catalogs import Split, leave_one_out, load_dataset  # noqa: E402
from workbench.evaluation import evaluate, ndcg  # noqa: E402
from workbench.models import Popularity  # noqa: E402
from workbench.training import TrainingConfig  # noqa: E402

PUBLISHED = sorted((BENCHMARKS / "results").glob("peers-*.json"))
COUNTING = """
from exchange import answer, own_measures, read, search


def start(settings):
    counts = question.train["item_id"].value_counts()

    def lists(on):
        known, rows = question.known(on).groupby("user_id")["item_id"].agg(set), []
        for user in question.asked(on):
            new = counts[~counts.index.isin(known[user])][: question.places]
            rows += [(user, item, rank, count) for rank, (item, count) in enumerate(new.items(), 1)]
        return pd.DataFrame(rows, columns=["user_id", "item_id", "rank", "score"])

    for epoch in (1, 2):
        yield epoch, own_measures(lists("validation"), question.validation)["ndcg@10"], lambda: lists


import pandas as pd

question = read()
courses = search(question, start, patience=1)
answer(question, courses, measures=own_measures, library="counting", device="CPU", at_test="counts of train")
"""
BROKEN = """
import sys
from pathlib import Path
Path(sys.argv[2], "test.parquet").write_text("half")
print("epoch 1")
sys.exit("the loss is not a number")
"""


@pytest.fixture(scope="module")
def split() -> Split:
    """Sixty viewers of the bundled films."""
    dataset = load_dataset("films")
    events = dataset.interactions
    some = events["user_id"].isin(events["user_id"].unique()[:60])
    return leave_one_out(replace(dataset, name="some-films", interactions=events[some].reset_index(drop=True)))


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where the peers' scripts count how popular films are, run by this Python."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    exchange = (BENCHMARKS / "peer_scripts" / "exchange.py").read_text("utf-8")
    (scripts / "exchange.py").write_text(exchange, "utf-8")
    for family in ("implicit", "rectools"):
        (scripts / f"{family}.txt").write_text("nothing==1\n")
        (scripts / f"{family}_models.py").write_text(COUNTING)
    monkeypatch.setattr(peers, "SCRIPTS", scripts)
    monkeypatch.setattr(peers, "BUILD", tmp_path / "build")
    monkeypatch.setattr(peers, "environment", lambda family: Path(sys.executable))
    monkeypatch.setattr(peers, "grid_of", lambda peer, split: [{"number": 1}, {"number": 2}])
    return tmp_path


def exchange_module():
    spec = importlib.util.spec_from_file_location("peer_exchange", BENCHMARKS / "peer_scripts" / "exchange.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["peer_exchange"] = module
    spec.loader.exec_module(module)
    return module


class TestExport:
    def test_no_test_item_leaves_the_house(self, split: Split, tmp_path: Path) -> None:
        folder = peers.export_split(split, tmp_path / "split")
        tables = {path.stem: pd.read_parquet(path) for path in folder.iterdir()}
        assert {name: list(table) for name, table in tables.items()} == {
            "train": ["user_id", "item_id"],
            "validation": ["user_id", "item_id"],
            "users": ["user_id"],
        }
        told = pd.concat([tables["train"], tables["validation"]])
        known = split.histories()
        assert told.groupby("user_id", sort=False)["item_id"].agg(list).reindex(list(known)).to_dict() == known
        assert not len(told.merge(split.test[["user_id", "item_id"]]))

    def test_a_peer_knows_the_histories_that_our_rankers_get(self, split: Split, tmp_path: Path) -> None:
        folder = peers.export_split(split, tmp_path)
        tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in ("train", "validation")}
        users = split.test["user_id"].tolist()
        question = exchange_module().Question("als", 0, [], 1.0, 40, 1, **tables, users=users)
        for on in ("validation", "test"):
            known = question.known(on).groupby("user_id")["item_id"].agg(list)
            assert {user: known[user] for user in question.asked(on)} == split.histories(on)


class TestAnswers:
    def test_lists_that_cross_the_border_are_scored_like_the_ranker_itself(self, split: Split, tmp_path: Path) -> None:
        items = split.dataset.catalog["item_id"]
        popularity = Popularity().fit(split.train, items=items)  # counts are small, so many scores tie
        popularity.rank(split.histories(), k=peers.PLACES).to_parquet(tmp_path / "lists.parquet", index=False)
        answers = peers.Answers(pd.read_parquet(tmp_path / "lists.parquet"), items=items.tolist())
        table = evaluate({"itself": popularity, "its lists": answers}, split, k=peers.K)
        assert table.loc["its lists"].to_dict() == table.loc["itself"].to_dict()
        assert table.loc["itself", "ndcg@10"] > 0

    def test_a_seen_item_in_the_lists_is_a_finding_on_the_card(self, split: Split) -> None:
        histories = split.histories()
        rows = [(user, history[0], 1, 1.0) for user, history in histories.items()]
        lists = pd.DataFrame(rows, columns=["user_id", "item_id", "rank", "score"])
        answers = peers.Answers(lists, items=split.dataset.catalog["item_id"].tolist())
        card = evaluate({"rude": answers}, split, k=peers.K).attrs["card"]
        assert any("already seen" in finding for finding in card["findings"])

    def test_what_the_lists_cannot_answer_is_refused(self, split: Split) -> None:
        answers = peers.Answers(pd.DataFrame(columns=["user_id", "item_id", "rank", "score"]), items=[])
        for rules in ({"exclude_seen": False}, {"candidates": ["a"]}):
            with pytest.raises(ValueError, match="nothing else can be answered"):
                answers.rank({"u": ["a"]}, **rules)


class TestRows:
    def test_a_row_holds_our_figures_the_peers_own_and_how_far_they_agree(self, split: Split, counting: Path) -> None:
        figures = peers.measure(split, peers=["als"], results=counting, cap_minutes=1)
        row = figures["peers"]["implicit ALS, seed 0"]
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
        assert row["settings"] in peers.grid_of("als", split) and len(row["search"]) == len(peers.grid_of("als", split))
        assert row["at_test"] == "counts of train" and row["users_per_second"] > 0 and row["peak_mb"] > 0
        assert row["validation_metrics"]["ours"].keys() == {"ndcg@10", "hit_rate@10"}
        assert figures["protocol"]["measured on"] == f"test, {len(split.test)} users"
        kept = Page(counting / "peers-some-films.json").ranks["implicit ALS, seed 0"]
        assert ndcg(kept.to_numpy(float), k=10) == pytest.approx(row["ndcg@10"], abs=1e-6)
        assert f"| implicit ALS, seed 0 | {row['ndcg@10']:.4f} |" in "\n".join(peers.side_by_side(figures))

    def test_the_first_seed_searches_and_the_others_train_what_it_chose(self, split: Split, counting: Path) -> None:
        figures = peers.measure(split, peers=["bpr"], seeds=(3, 4), results=counting, cap_minutes=1)
        first, second = (figures["peers"][f"implicit BPR, seed {seed}"] for seed in (3, 4))
        assert len(first["search"]) == 2
        assert [one["settings"] for one in second["search"]] == [first["settings"]] == [second["settings"]]

    def test_gpt2_is_a_row_beside_the_peers_and_told_apart_from_them_user_by_user(
        self, split: Split, counting: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        small = TrainingConfig(epochs=2, layers=1, width=32, wishes=0, wishes_after_history=0, descriptions=0)
        monkeypatch.setattr(peers.peers_gpt2, "settings", lambda seed, seconds: replace(small, seed=seed))
        figures = peers.measure(split, peers=["gpt2", "sasrec"], results=counting, cap_minutes=1)
        row, other = (figures["peers"][name] for name in ("GPT-2, seed 0", "RecTools SASRec, seed 0"))
        assert row["settings"]["width"] == 32 and row["ended"] == "finished" and row["peak_mb"] > 100
        assert max(point["ndcg@10"] for point in row["curve"]) == row["search"][0]["validation_ndcg@10"]
        assert row["validation_metrics"]["most"] < 1e-6
        difference = figures["differences"]["GPT-2 - RecTools SASRec"]
        assert difference["mean"] == pytest.approx(row["ndcg@10"] - other["ndcg@10"], abs=1e-6)

    def test_a_finished_row_is_not_measured_again(
        self, split: Split, counting: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules = {"peers": ["ease"], "seeds": (0, 1), "results": counting, "cap_minutes": 1}
        first = peers.measure(split, **rules)
        monkeypatch.setattr(peers, "ask", None)  # calling it would raise
        assert peers.measure(split, **rules) == json.loads(json.dumps(first))
        assert list(first["peers"]) == ["RecTools EASE"]  # without chance one row, whatever the seeds
        with pytest.raises(TypeError):
            peers.measure(split, **rules | {"cap_minutes": 2})  # another budget is another measurement

    def test_a_peers_failure_is_one_sentence_with_its_last_lines_and_no_row(
        self, split: Split, counting: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rules = {"results": counting, "cap_minutes": 1}
        peers.measure(split, peers=["ease"], **rules)
        (counting / "scripts" / "implicit_models.py").write_text(BROKEN)
        with pytest.raises(peers.PeerError) as caught:
            peers.measure(split, peers=["als"], **rules)
        lines = str(caught.value).splitlines()
        assert lines[0] == "implicit ALS, seed 0, ended with code 1; the last lines were:"
        assert [line.strip() for line in lines[1:]] == ["epoch 1", "the loss is not a number"]
        page = Page(counting / "peers-some-films.json")
        assert list(page.figures["peers"]) == list(page.ranks) == ["RecTools EASE"]
        monkeypatch.setattr(peers, "load_dataset", lambda name: split.dataset)
        monkeypatch.setattr(peers, "measure", lambda *_, **__: (_ for _ in ()).throw(caught.value))
        assert peers.main(["films"]) == 1 and "the loss is not a number" in capsys.readouterr().out


class TestEnvironments:
    @pytest.mark.parametrize("path", sorted((BENCHMARKS / "peer_scripts").glob("*.txt")), ids=lambda path: path.stem)
    def test_every_requirement_is_one_exact_version(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines()
        assert lines and all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)

    def test_every_peer_has_its_script_and_its_versions(self) -> None:
        for peer in [peer for peer in peers.PEERS.values() if peer.family != "workbench"]:  # whose house this is
            for name in (f"{peer.family}_models.py", f"{peer.family}.txt"):
                assert (BENCHMARKS / "peer_scripts" / name).is_file()

    @pytest.mark.parametrize("path", sorted((BENCHMARKS / "peer_scripts").glob("*.py")), ids=lambda path: path.stem)
    def test_the_scripts_need_nothing_of_ours(self, path: Path) -> None:
        assert not re.search(r"^\s*(from|import) workbench", path.read_text("utf-8"), re.MULTILINE)

    def test_an_environment_is_made_once_per_list_of_versions(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        monkeypatch.setattr(peers, "SCRIPTS", tmp_path / "scripts")
        monkeypatch.setattr(peers, "BUILD", tmp_path)

        def run(command: list, *, doing: str) -> None:
            (tmp_path / "some").mkdir(exist_ok=True)
            made.append(doing)

        monkeypatch.setattr(peers, "run", run)
        (tmp_path / "scripts").mkdir()
        for versions in ("a==1\n", "a==1\n", "a==2\n"):
            (tmp_path / "scripts" / "some.txt").write_text(versions)
            peers.environment("some")
        assert made == 2 * ["making the environment of some", "installing some.txt"]


class TestSearch:
    """The search that every script shares, on courses whose quality is written down."""

    def search(self, qualities: list[list[float]], *, patience: int = 2, seconds: float = 60.0) -> list:
        def start(settings: dict):
            for epoch, quality in enumerate(qualities[settings["n"]], 1):
                yield epoch, quality, lambda epoch=epoch: epoch

        exchange = exchange_module()
        grid = [{"n": n} for n in range(len(qualities))]
        empty = pd.DataFrame({"user_id": [], "item_id": []})
        question = exchange.Question("als", 0, grid, seconds, 40, 1, empty, empty, [])
        return exchange.search(question, start, patience=patience)

    def test_the_best_moment_of_the_best_configuration_is_kept(self) -> None:
        best, other = self.search([[0.1, 0.2], [0.1, 0.5, 0.3, 0.4, 0.9]])
        assert (best.settings, best.best, best.lists) == ({"n": 1}, 0.5, 2)  # patience ends before the 0.9
        assert best.ended == "no better for 2 validations" and other.ended == "all epochs" and other.lists is None

    def test_without_time_every_configuration_still_takes_one_step_and_the_row_says_so(self) -> None:
        best, other = self.search([[0.1, 0.9], [0.2, 0.3]], seconds=0.0)
        assert best.summary()["ended"] == other.summary()["ended"] == "out of time"
        assert [len(course.curve) for course in (best, other)] == [1, 1] and best.settings == {"n": 1}

    def test_own_measures_agree_with_evaluate(self, split: Split) -> None:
        items = split.dataset.catalog["item_id"]
        popularity = Popularity().fit(split.train, items=items)
        lists = popularity.rank(split.histories("validation"), k=peers.PLACES)
        lists["score"] = -lists["rank"].astype(float)  # ties broken by the order of the list, as the peers do
        answers = peers.Answers(lists, items=items.tolist())
        ours = evaluate({"lists": answers}, split, on="validation", k=peers.K).loc["lists"]
        theirs = exchange_module().own_measures(lists, split.validation)
        assert theirs == pytest.approx({name: ours[name] for name in theirs})


class TestCurve:
    def test_time_to_quality_is_the_first_validation_that_reaches_it(self) -> None:
        curve = [{"seconds": s, "ndcg@10": q} for s, q in ((10, 0.05), (20, 0.09), (30, 0.08), (40, 0.11))]
        asked = {0.05: 10, 0.06: 20, 0.09: 20, 0.1: 40, 0.12: None}
        assert {ndcg: seconds_to_reach(curve, ndcg) for ndcg in asked} == asked
        assert seconds_to_reach([], 0.0) is None

    def test_both_are_timed_to_the_best_of_the_weaker_one(self) -> None:
        rows = {
            "GPT-2, seed 1": [0.1, 0.3, 0.2],
            "RecTools SASRec, seed 1": [0.25, 0.1],
            "implicit BPR, seed 1": [0.05],
        }
        rows = {name: {"curve": [{"ndcg@10": quality} for quality in curve]} for name, curve in rows.items()}
        assert weaker_best(rows, seed="seed 1") == 0.25  # SASRec's
        assert weaker_best(rows, seed="seed 0") is None


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
class TestPublished:
    def test_figures_follow_from_the_kept_ranks(self, path: Path) -> None:
        page = Page(path)
        assert set(page.figures["peers"]) == set(page.ranks)
        for name, row in page.figures["peers"].items():
            assert ndcg(page.ranks[name].to_numpy(float), k=10) == pytest.approx(row["ndcg@10"], abs=1e-6)
            assert row["ndcg@10"] <= row["hit_rate@10"] and np.isfinite(row["seconds"])

    def test_the_libraries_own_metrics_agree_with_ours_on_the_same_lists(self, path: Path) -> None:
        for row in Page(path).figures["peers"].values():
            assert row["validation_metrics"]["most"] < 1e-6

    def test_no_peer_returned_what_it_should_not(self, path: Path) -> None:
        found = Page(path).figures["protocol"]["findings"]
        of_the_file = '"largest id seen + 1"'  # how ids were given out is no peer's doing
        assert [finding for finding in found if not finding.startswith(of_the_file)] == []

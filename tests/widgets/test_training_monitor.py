"""The training monitor without a browser: buttons are pressed, and weights, curves, lists and sentences follow.

Run as a program, ``test_training_monitor.py FOLDER STEP``, it trains through a monitor and kills itself at that step.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch

from workbench import plots
from workbench.catalogs import Split, leave_one_out, read_tables
from workbench.models import GPT2Recommender
from workbench.pages import outside_loads, render_page
from workbench.training import TrainingConfig, fine_tune, saved_run, watch
from workbench.widgets.training import controls, plan, training_monitor
from workbench.widgets.training.lists import WatchedLists
from workbench.widgets.training.training_monitor import TrainingMonitor

NASTY = "<img src=x onerror=alert(1)>"
FLOORS = {"popularity": 0.2, "co-occurrence": 0.3}
CONFIG = TrainingConfig(
    epochs=8, validate_every=2, layers=2, width=16, batch_users=8, wishes=4, wishes_after_history=2, precision="fp32"
)
STEPS = 8 * 3  # 8 epochs of 20 users, 8 in a step


def world() -> Split:
    """20 users and 15 items, one of them with a title that is HTML."""
    items = pd.DataFrame({"item_id": [f"f{i}" for i in range(15)], "title": [NASTY, *(f"Film {i}" for i in range(14))]})
    items["year"], items["genres"] = 2001, ["Drama", "Comedy|War", "Horror"] * 5
    events = [(f"u{u}", f"f{(u * step + 7 * u) % 15}", step) for u in range(20) for step in range(3 + u % 9)]
    interactions = pd.DataFrame(events, columns=["user_id", "item_id", "position"])
    return leave_one_out(read_tables(items=items, interactions=interactions, name="tiny"))


def train_and_die(folder: Path, step: int) -> None:
    """Train through a monitor, with a checkpoint at every step, until SIGKILL."""
    torch.set_num_threads(1)
    watch.SAVE_SECONDS = 0.0
    monitor = TrainingMonitor(world(), config=CONFIG, folder=folder)
    at_step(monitor, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
    monitor.controls.start.click()
    monitor.worker.wait(60)


def at_step(monitor: TrainingMonitor, step: int, act) -> list[int]:  # noqa: ANN001
    """Do something when a step is reported; the steps that were."""
    follow, steps = monitor._follow, []

    def follow_and_act(progress):
        steps.append(progress.step)
        follow(progress)
        if progress.step == step:
            act()

    monitor._follow = follow_and_act
    return steps


@pytest.fixture(scope="module")
def split() -> Split:
    return world()


@pytest.fixture(scope="module")
def uninterrupted(split) -> GPT2Recommender:
    return fine_tune(split, config=CONFIG)


@pytest.fixture
def monitor(split, tmp_path) -> TrainingMonitor:
    return TrainingMonitor(split, config=CONFIG, folder=tmp_path / "run", floors=FLOORS)


@pytest.fixture(scope="module")
def finished(split, tmp_path_factory) -> TrainingMonitor:
    """A monitor after a whole run, watching a user who knows the title that is HTML; no test may press its buttons."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    monitor = TrainingMonitor(split, config=CONFIG, folder=folder, floors=FLOORS, watch_user="u0")
    press(monitor, "start")
    return monitor


@pytest.fixture
def displayed(monkeypatch) -> list:
    """What is displayed, updates in place of what they update."""
    shown = []

    class Handle:
        def __init__(self) -> None:
            self.place = len(shown) - 1

        def update(self, what, raw=False) -> None:
            shown[self.place] = what

    def display(what, raw=False, display_id=None):
        shown.append(what)
        return Handle() if display_id else None

    for module in (training_monitor, controls):
        monkeypatch.setattr(module, "display", display)
    return shown


class Tags(HTMLParser):
    """Which tags a piece of HTML opens, with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, dict] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found[tag] = self.found.get(tag, {}) | dict(attrs)


def press(monitor: TrainingMonitor, name: str) -> None:
    getattr(monitor.controls, name).click()
    assert monitor.worker.wait(60)


def stopped(monitor: TrainingMonitor, step: int) -> TrainingMonitor:
    """The monitor after Start, and Stop at a step."""
    at_step(monitor, step, monitor.controls.stop.click)
    press(monitor, "start")
    del monitor._follow
    return monitor


def said(monitor: TrainingMonitor) -> str:
    return monitor.status.value.split(">", 1)[1].removesuffix("</span>")


def difference(ours: GPT2Recommender, theirs: GPT2Recommender) -> float:
    pairs = zip(ours.model.state_dict().values(), theirs.model.state_dict().values(), strict=True)
    return max((a - b).abs().max().item() for a, b in pairs)


def offered(monitor: TrainingMonitor) -> list[str]:
    return [button.description for button in monitor.controls.row.children if not button.disabled]


def test_the_first_state_says_what_to_do_and_shows_floors_before_there_are_curves(monitor, tmp_path):
    assert said(monitor) == f"idle: press Start to train. The run will be saved in {tmp_path / 'run'}."
    assert offered(monitor) == ["Start", "Stop"]
    notes = [note.text for note in monitor.curves.layout.annotations]
    assert "popularity 0.200" in notes and "co-occurrence 0.300" in notes
    assert [len(curve.x) for curve in monitor.curves.data] == [0, 0]
    assert monitor.curves.layout.xaxis.range[1] == pytest.approx(1.03 * 8)
    assert "nothing was validated yet" in monitor.alt.value and monitor.log.empty and monitor.recommender is None


def test_a_run_is_shown_and_has_the_weights_it_has_without_a_monitor(finished, uninterrupted):
    assert difference(finished.recommender, uninterrupted) == 0
    pd.testing.assert_frame_equal(finished.log.drop(columns="seconds"), uninterrupted.log.drop(columns="seconds"))
    loss, quality = finished.curves.data
    assert list(loss.y) == finished.log["train_loss"].tolist()
    assert list(quality.y) == finished.log["validation_ndcg@10"].tolist()
    assert f"<b>best {max(quality.y):.3f}</b>" in [note.text for note in finished.curves.layout.annotations]
    assert sorted({line.y0 for line in finished.curves.layout.shapes}) == [0.2, 0.3]
    bar = Tags(finished.bar.value).found["div"]
    assert (bar["role"], bar["aria-valuenow"]) == ("progressbar", "100")
    assert all(words in finished.bar.value for words in ("epoch 8.0 of 8", "words/s", "cpu fp32", "B</"))  # MB or GB
    assert said(finished).startswith("finished: all epochs; best NDCG@10 0.") and finished.standing == "finished"
    assert difference(GPT2Recommender.load(finished.plan.folder), finished.recommender) == 0
    assert offered(finished) == ["Start over", "Stop"]


def test_the_page_changes_at_most_twice_a_second_while_it_runs(monitor):
    changes, begun = [], time.monotonic()
    monitor.bar.observe(changes.append, "value")
    monitor.words.observe(changes.append, "value")
    steps = at_step(monitor, STEPS, lambda: None)
    press(monitor, "start")
    assert steps == list(range(1, STEPS + 1))
    assert len(changes) <= 2 * (2 * (time.monotonic() - begun) + 4)  # both regions; besides, the beginning and the end


def test_stop_ends_the_run_within_one_step_and_labels_the_result_as_partial(monitor, tmp_path):
    steps = at_step(monitor, 9, monitor.controls.stop.click)
    press(monitor, "start")
    assert steps[-1] == 10
    assert said(monitor).startswith("partial: stopped at epoch 3.3 of 8; best NDCG@10 0.")
    assert "Partial: stopped at epoch 3.3 of 8." in monitor.figure().layout.meta["caption"]
    assert monitor.standing == "partial" and monitor.recommender.record["ended"].startswith("stopped")
    assert len(monitor.recommender.rank({"somebody": ["f1"]}, k=5)) == 5
    assert offered(monitor) == ["Start over", "Stop", "Resume"]
    assert [path.name for path in tmp_path.iterdir()] == ["run.partial"]


def test_a_run_may_be_stopped_before_its_first_validation(monitor):
    stopped(monitor, 1)
    assert "; no validation; the newest weights are kept. Resume" in said(monitor)
    assert monitor.recommender is not None and monitor.log.empty


def test_resume_goes_on_and_ends_with_the_weights_of_an_uninterrupted_run(monitor, uninterrupted, tmp_path):
    stopped(monitor, 9)
    before = dict(monitor.lists.lists)
    steps = at_step(monitor, 0, lambda: None)
    press(monitor, "resume")
    assert steps == list(range(11, STEPS + 1)) and before.keys() < monitor.lists.lists.keys()
    assert difference(monitor.recommender, uninterrupted) <= 1e-6
    pd.testing.assert_frame_equal(monitor.log.drop(columns="seconds"), uninterrupted.log.drop(columns="seconds"))
    assert list(monitor.lists.lists) == monitor.log["step"].tolist() == [6, 12, 18, 24]
    assert monitor.standing == "finished" and [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is not there on Windows")
def test_after_a_kill_a_new_monitor_offers_to_resume_and_ends_with_the_same_ranking(split, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    program = [sys.executable, __file__, str(folder), "14"]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False, env=here)
    assert done.returncode == -signal.SIGKILL, done.stderr

    monitor = TrainingMonitor(split, config=CONFIG, folder=folder)
    assert "a run that is not finished lies here, stopped at step 13. Resume goes on from there" in said(monitor)
    assert monitor.log["step"].tolist() == [6, 12] and [len(curve.x) for curve in monitor.curves.data] == [2, 2]
    assert offered(monitor) == ["Start over", "Stop", "Resume"] and monitor.standing == "partial"
    press(monitor, "resume")
    histories = split.histories(on="test")
    pd.testing.assert_frame_equal(monitor.recommender.rank(histories), uninterrupted.rank(histories))
    assert monitor.df["entered"].isna().tolist() == [True, True, False, False]  # another kernel saw the first two
    assert "not seen" in monitor.words.value


def test_start_over_throws_a_partial_run_away(monitor, uninterrupted):
    stopped(monitor, 9)
    steps = at_step(monitor, 0, lambda: None)
    press(monitor, "start")
    assert steps[0] == 1 and difference(monitor.recommender, uninterrupted) == 0
    assert list(monitor.lists.lists) == [6, 12, 18, 24]


def test_a_second_monitor_of_the_same_run_takes_over_from_the_first(monitor, split, uninterrupted):
    second = TrainingMonitor(split, config=CONFIG, folder=monitor.plan.folder)
    at_step(monitor, 9, lambda: second.worker.ask("on"))
    steps = at_step(second, 0, lambda: None)
    press(monitor, "start")
    assert second.worker.wait(60)
    assert monitor.standing == "partial" and second.standing == "finished" and steps[0] > 9
    assert difference(second.recommender, uninterrupted) <= 1e-6


def test_stop_is_never_asleep_and_says_so_when_nothing_runs(monitor):
    press(monitor, "stop")
    assert said(monitor).startswith("idle: nothing runs. press Start to train.")
    states = []
    monitor.worker._tell = lambda state, tell=monitor.worker._tell: (tell(state), states.append(offered(monitor)))
    press(monitor, "start")
    assert all("Stop" in names for names in states) and ["Stop"] in states


def test_every_button_has_a_label_and_a_tooltip(monitor):
    for button in monitor.controls.row.children:
        assert button.description and len(button.tooltip) > 10


def test_a_finished_run_is_read_from_disk_and_shown(finished, split):
    again = TrainingMonitor(split, config=CONFIG, folder=finished.plan.folder)
    assert "a finished run was read from" in said(again) and again.worker.number == 0
    assert difference(again.recommender, finished.recommender) == 0
    pd.testing.assert_frame_equal(again.log, finished.log)
    other = TrainingMonitor(split, config=replace(CONFIG, seed=1), folder=finished.plan.folder)
    assert other.recommender is None  # a run, but not this one


def test_without_a_folder_the_run_lies_where_saved_run_looks(split, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path))
    monitor = TrainingMonitor(split, config=CONFIG, live=False)
    assert [path.name for path in tmp_path.iterdir()] == [monitor.plan.folder.name]
    assert difference(saved_run(split, config=CONFIG), monitor.recommender) == 0
    assert len(list(tmp_path.iterdir())) == 1


def test_the_code_makes_the_same_run(finished, split):
    assert finished.copy.text == finished.code and f"folder={str(finished.plan.folder)!r}" in finished.code
    space = {"split": split}
    exec(finished.code.replace(", folder=", ", folder=None and "), space)
    assert difference(space["recommender"], finished.recommender) == 0


def test_a_folder_that_holds_something_else_is_a_sentence_with_the_fix_first(split, tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    monitor = TrainingMonitor(split, config=CONFIG, folder=tmp_path)
    fix = f"failed: Name another folder: {tmp_path} is no saved run, and saving would delete what it holds."
    assert said(monitor) == fix
    monitor.say("idle")
    press(monitor, "start")
    assert said(monitor) == fix and monitor.standing == "failed" and offered(monitor) == ["Start", "Stop"]
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_an_error_in_the_middle_is_told_and_what_was_done_can_be_resumed(monitor, monkeypatch, uninterrupted):
    monkeypatch.setattr(watch, "SAVE_SECONDS", 0.0)
    at_step(monitor, 9, lambda: 1 / 0)
    press(monitor, "start")
    assert said(monitor).startswith("failed: ZeroDivisionError: division by zero Resume goes on from there")
    del monitor._follow
    press(monitor, "resume")
    assert difference(monitor.recommender, uninterrupted) <= 1e-6


def test_when_memory_runs_out_the_batch_is_halved_and_the_code_says_so(monitor, monkeypatch):
    real, calls = plan.fine_tune, []

    def short_of_memory(split, **settings):
        calls.append(settings["config"].batch_users)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(split, **settings)

    monkeypatch.setattr(plan, "fine_tune", short_of_memory)
    press(monitor, "start")
    assert calls == [8, 4] and "batch_users=4" in monitor.code == monitor.copy.text
    assert said(monitor).startswith("finished") and "half the batch" in said(monitor)


def test_when_half_the_batch_is_still_too_much_the_sentence_says_what_to_ask_for(monitor, monkeypatch):
    def short_of_memory(split, **settings):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(plan, "fine_tune", short_of_memory)
    press(monitor, "start")
    assert said(monitor) == "failed: Give batch_users below 4, or a smaller width: memory ran out."


def test_a_split_without_validation_is_trained_and_shown(split, tmp_path):
    unvalidated = replace(split, validation=split.validation.head(0))
    monitor = TrainingMonitor(unvalidated, config=CONFIG, folder=tmp_path / "run")
    press(monitor, "start")
    assert "; no validation. Saved in" in said(monitor)
    assert "nothing to validate on" in monitor.alt.value and "Held out" not in monitor.words.value


def test_a_second_click_on_start_changes_nothing(monitor, uninterrupted):
    steps = at_step(monitor, 9, monitor.controls.start.click)
    press(monitor, "start")
    assert steps == list(range(1, STEPS + 1)) and monitor.worker.number == 1


def test_lists_say_what_entered_what_left_and_how_ranks_moved(split):
    lists = WatchedLists(split, "u7")
    ranked = pd.DataFrame({"user_id": "u7", "item_id": ["f1", "f2", "f3"], "rank": [1, 2, 3], "score": np.log(0.25)})
    lists.lists = {3: ranked, 6: ranked.assign(item_id=["f3", "f2", "f9"])}
    log = pd.DataFrame(
        {"step": [3, 6], "epoch": [1.0, 2.0], "train_loss": 2.0, "validation_ndcg@10": 0.1, "seconds": 1}
    )
    title = {"f1": "Film 0 (2001)", "f2": "Film 1 (2001)", "f3": "Film 2 (2001)", "f9": "Film 8 (2001)"}
    changes = lists.changes(log)
    assert changes["entered"].tolist() == [[title["f1"], title["f2"], title["f3"]], [title["f9"]]]
    assert changes["left"].tolist() == [None, [title["f1"]]]
    newest = lists.newest()
    assert [text.split(",")[0] for text in newest["change"]] == ["up 2", "=", "new"]
    assert newest["probability"].tolist() == pytest.approx([0.25] * 3)
    shown = lists.to_html(log)
    assert "25.0 %" in shown and "List after epoch 2.0" in shown and shown.count("<table") == 2


def test_the_watched_user_is_one_who_has_a_held_out_item(split):
    with pytest.raises(ValueError, match="user 'nobody' has no held-out item here. Choose one who has, such as 'u"):
        TrainingMonitor(split, config=CONFIG, watch_user="nobody")
    lists = WatchedLists(split, "u7")
    assert lists.history == split.histories(on="validation")["u7"]
    assert lists.held_out not in lists.history


def test_titles_stay_text_everywhere(finished):
    everything = [finished.words.value, finished.bar.value, finished.status.value, finished.alt.value]
    everything.append(finished._repr_mimebundle_()["text/html"])
    assert f"the newest {escape(NASTY)} (2001)" in finished.words.value
    assert not any("img" in Tags(text).found for text in everything)


def test_the_view_and_a_copy_of_it_are_displayed_and_the_copy_follows_the_run(monitor, displayed):
    monitor._ipython_display_()
    view, words, chart = displayed
    assert "application/vnd.jupyter.widget-view+json" in view and "text/html" not in view
    assert "press Start to train" in words.data and chart["application/vnd.plotly.v1+json"]["data"][0]["y"] == []
    at_step(monitor, 13, lambda: monitor._draw())
    press(monitor, "start")
    view, words, chart = displayed
    assert "finished: all epochs" in words.data and "Validation by validation" in words.data
    assert "window.Plotly" in chart["text/html"]


def test_a_page_of_a_finished_run_needs_no_kernel_and_no_network(finished, displayed):
    finished._ipython_display_()
    cell = nbformat.v4.new_code_cell("monitor")
    data = [what if isinstance(what, dict) else {"text/html": what.data} for what in displayed]
    cell.outputs = [nbformat.v4.new_output("display_data", data=part) for part in data]
    page = render_page(nbformat.v4.new_notebook(cells=[cell]), name="one run")
    assert "plotly.js v" in page and "finished: all epochs" in page and outside_loads(page) == []


def test_the_mime_bundle_carries_status_curves_and_tables(finished):
    bundle = finished._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert all(words in bundle["text/html"] for words in ("window.Plotly", "finished: ", "List after epoch 8.0"))
    assert bundle["text/plain"].startswith("Two curves over 8.0 epochs")


def test_the_static_twin_trains_at_once_and_is_two_plain_outputs(split, tmp_path, displayed, uninterrupted):
    twin = TrainingMonitor(split, config=CONFIG, folder=tmp_path / "run", floors=FLOORS, live=False)
    assert twin.standing == "finished" and difference(twin.recommender, uninterrupted) == 0
    twin._ipython_display_()
    figure, words = displayed
    assert type(figure) is go.Figure and len(figure.data[0].x) == 4
    assert "List after epoch 8.0" in words.data and "finished: all" in words.data and len(twin.children) == 0
    again = TrainingMonitor(split, config=CONFIG, folder=tmp_path / "run", live=False)
    assert again.worker.number == 0 and difference(again.recommender, twin.recommender) == 0  # read, not trained


def test_a_view_is_saved_as_picture_and_table(finished, tmp_path):
    assert "plotly.js v" in plots.save(finished, tmp_path / "view.html").read_text("utf-8")
    assert len(pd.read_csv(plots.save(finished, tmp_path / "view.csv"))) == 4


def test_curves_of_a_run_that_goes_on_reach_to_its_planned_end(uninterrupted):
    empty = plots.learning_curves(uninterrupted.log.head(0), FLOORS, epochs=8)
    assert "No validation yet." in empty.layout.meta["caption"] and empty.layout.yaxis2.range[1] > 0.3
    going = plots.learning_curves(uninterrupted.log.head(2), epochs=8, note="Partial: half.")
    assert going.layout.xaxis2.range[1] == pytest.approx(1.03 * 8)
    assert going.layout.meta["caption"].endswith("Floors: none given. Partial: half.")
    unmeasured = plots.learning_curves(uninterrupted.log.assign(**{"validation_ndcg@10": np.nan}), epochs=8)
    assert "nothing to validate on" in unmeasured.layout.meta["alt"]


if __name__ == "__main__":
    train_and_die(Path(sys.argv[1]), int(sys.argv[2]))

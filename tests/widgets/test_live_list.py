"""The playground at work: in its own thread, word by word, stopped, and where no kernel is."""

import gc
import json
import time
from threading import Event

import nbformat
import numpy as np
import pandas as pd
import psutil
from ipywidgets.embed import dependency_state
from ipywidgets.widgets.widget import _instances

from workbench.language import Prompt
from workbench.pages import render_page
from workbench.widgets.playground.live_list import FRAME
from workbench.widgets.playground.prompt_playground import PromptPlayground

HISTORY = ("002", "003", "004")


def status(view: PromptPlayground) -> str:
    return view.status.value.split(">", 1)[1].rsplit("<", 1)[0]


def same_list(rankings: pd.DataFrame, df: pd.DataFrame) -> bool:
    return rankings["item_id"].tolist() == df["item_id"].tolist() and np.allclose(rankings["score"], df["score"])


def test_the_live_view_carries_the_same_html_and_an_exported_page_shows_it_once(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    bundle = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and "Film 2 (1972)" in bundle["text/html"]
    still = nbformat.v4.new_output("display_data", {"text/html": view._hidden_still()})
    view_only = nbformat.v4.new_output(
        "display_data", {name: each for name, each in bundle.items() if name.endswith("widget-view+json")}
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("playground", outputs=[view_only, still])])
    page = render_page(notebook, name="playground")
    assert page.count(f">{view.df['title'][1].replace('<', '&lt;')}") == 1 and "10 of 24 items shown" in page


def test_a_live_view_answers_in_its_own_thread_and_the_newest_letter_wins(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    begun = time.perf_counter()
    for end in range(1, 31):
        view.controls.request.value = "something slow on a space station"[:end]
    assert time.perf_counter() - begun < 2
    assert view.worker.wait(20)
    assert same_list(tiny.generate(view.prompt), view.df) and view.slate.number == 31


def test_letters_are_waited_for_where_an_answer_takes_more_than_one_pass(titles, live):
    view = live(titles)
    for end in range(1, 8):
        view.controls.request.value = "funny film"[:end]
    assert view.worker.wait(20)
    assert view.history_log["request"].tolist() == ["", "funny f"]  # what came in between was never begun


class Slow:
    """Slows a model down: every pass waits a little."""

    def __init__(self, recommender, seconds):
        self.handle = recommender.model.register_forward_pre_hook(lambda *_: time.sleep(seconds))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.handle.remove()


def test_a_slate_is_shown_while_it_is_written_and_stop_keeps_what_is_there(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    seen, lines = [], []
    view.slate.observe(lambda change: seen.append(len(change["new"][0]["rows"])), "lists")
    view.slate.observe(lambda change: lines.append(change["new"]), "stream")
    with Slow(tiny, 0.1):
        view.controls.how.value = "greedy"
        while len(seen) < 3:
            time.sleep(0.01)
        assert "running" in status(view)
        begun = time.perf_counter()
        view.controls.stop.click()
        assert view.worker.wait(10) and time.perf_counter() - begun < 1
    assert seen[0] == 1 and 1 < len(view.df) < 10
    assert view.slate.lists[0]["caption"] == "Run this run, partial"
    assert f"Partial: stopped after {len(view.df)} of 10." in view.slate.notes
    assert "lost to “" in lines[0] and "stopped before it was complete" in view.code
    whole = tiny.generate(view.prompt, how="greedy")
    assert whole["item_id"].tolist()[: len(view.df)] == view.df["item_id"].tolist()


class Halfway:
    """Begins a slate and holds the model in the middle of a word until the block ends; ``captions`` go on growing."""

    def __init__(self, view: PromptPlayground, words: int):
        self.view, self.words, self.captions = view, words, []
        self.inside, self.go = Event(), Event()

    def __enter__(self):
        model, slate = self.view.runs.open("this run").model, self.view.slate
        slate.observe(lambda change: self.captions.append(change["new"][0]["caption"]), "lists")
        self.handle = model.register_forward_pre_hook(self.wait)
        self.view.controls.how.value = "greedy"
        assert self.inside.wait(10) and self.captions == [f"Being written: {n + 1} of 10" for n in range(self.words)]
        return self

    def wait(self, *_):
        time.sleep(FRAME + 0.01)  # every word is drawn
        if len(self.captions) == self.words and not self.inside.is_set():
            self.inside.set()
            self.go.wait(10)

    def __exit__(self, *_):
        self.go.set()
        assert self.view.worker.wait(10)
        self.handle.remove()


def test_the_last_word_of_a_slate_that_was_overtaken_is_not_drawn(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    with Halfway(view, 4) as slate:
        view.controls.k.value = 3
    assert slate.captions[4:] == [*(f"Being written: {n} of 3" for n in (1, 2, 3)), "Run this run"]


def test_nothing_is_said_to_run_once_stop_was_pressed(tiny, live):
    view, said = live(tiny, prompt=Prompt(HISTORY)), []
    with Halfway(view, 2) as slate:
        view.controls.stop.click()
        assert "stopping" in status(view)
        view.status.observe(lambda change: said.append(change["new"]), "value")
    assert len(said) == 1 and "idle" in said[0] and slate.captions[2:] == ["Run this run, partial"]


def test_when_stop_drops_what_waits_behind_a_slate_the_list_before_comes_back(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    df, lists = view.df, view.slate.lists
    with Halfway(view, 2) as slate:
        view.controls.k.value = 5
        view.controls.stop.click()
    assert view.slate.lists == lists and view.slate.stream == "" and view.df.equals(df)
    assert slate.captions[2:] == ["Run this run"] and "stopped before anything was written" in status(view)


def test_stop_before_anything_is_there_keeps_the_old_list(titles, live):
    view = live(titles)
    before = view.df
    view.controls.request.value = "funny"  # waits for more letters
    view.controls.stop.click()
    assert view.worker.wait(10)
    assert "stopped before anything was written" in status(view) and view.df.equals(before)
    view.controls.stop.click()
    assert "nothing runs" in status(view)


def test_why_can_be_stopped_and_then_gives_no_reason(titles, live):
    view = live(titles, prompt=Prompt(HISTORY))
    before, read = view.df, []
    count = titles.model.transformer.register_forward_pre_hook(lambda *_: read.append(1) or time.sleep(0.02))
    item = before["item_id"][0]
    view.slate.asked = [0, item]
    assert view.worker.wait(10) and view.slate.why
    whole, read[:] = len(read), []
    view.slate.asked = [0, item]
    end = time.monotonic() + 10
    while not read and time.monotonic() < end:
        time.sleep(0.001)
    view.controls.stop.click()
    assert view.worker.wait(10)
    count.remove()
    assert view.slate.why == "" and view.df.equals(before) and len(read) < whole / 2
    view.slate.asked = [0, item]
    assert view.worker.wait(10) and view.slate.why


def test_an_error_of_the_model_is_told_and_the_next_letter_works(tiny, live, monkeypatch):
    view = live(tiny, prompt=Prompt(HISTORY))
    before = view.df
    monkeypatch.setattr(tiny.model.transformer, "forward", lambda *_, **__: 1 / 0)
    view.controls.request.value = "s"
    assert view.worker.wait(10) and "ZeroDivisionError" in status(view) and view.df.equals(before)
    monkeypatch.undo()
    view.controls.request.value = "sl"
    assert view.worker.wait(10) and same_list(tiny.generate(Prompt(HISTORY, "sl")), view.df)


def test_a_thousand_changes_do_not_grow_the_view(tiny, make_run):
    view = PromptPlayground({"a": tiny, "b": make_run(seed=3)}, prompt=Prompt(HISTORY), live=False)

    def change(times):
        for step in range(times):
            view.controls.request.value = f"slow film {step % 50}"
            if step % 50 == 0:
                view.controls.run.value = "ab"[step // 50 % 2]
        view.controls.run.value = "a"
        gc.collect()
        return len(_instances), psutil.Process().memory_info().rss

    widgets, used = change(200)
    widgets_after, used_after = change(1_000)
    assert widgets_after == widgets and used_after - used < 30e6
    assert len(view.history_log) == 1_000


def test_no_state_of_the_view_is_larger_than_a_megabyte(tiny, live):
    view = live(tiny, prompt=Prompt(HISTORY))
    parts = dependency_state(view, drop_defaults=False).values()
    kept = [{name: held for name, held in part["state"].items() if name not in ("_esm", "_css")} for part in parts]
    assert len(kept) > 60 and len(json.dumps(kept)) < 1_000_000

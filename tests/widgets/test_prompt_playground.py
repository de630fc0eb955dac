"""The playground without a browser: controls are set, and the list, its changes, the code and the words follow."""

import shutil
import threading
import time
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch

from workbench.language import Prompt, PromptTemplate
from workbench.models import GPT2Recommender
from workbench.models.generation import Decoding
from workbench.widgets.playground.prompt_playground import PromptPlayground
from workbench.widgets.playground.work import Listed, ListMaker, Order, Side, fit, say_cut

NASTY = "<img src=x onerror=alert(1)>"
IDS = [f"{row:03d}" for row in range(24)]
HISTORY = ("002", "003", "004")
WILD = Decoding(how="sample", temperature=20, constrain=False)  # any word at all


@pytest.fixture
def playground(tiny):
    """Plain: every call is answered before it returns."""
    return PromptPlayground(tiny, prompt=Prompt(history=HISTORY), live=False)


class Tags(HTMLParser):
    """Which tags a piece of HTML opens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.add(tag)


def status(view: PromptPlayground) -> str:
    return view.status.value.split(">", 1)[1].rsplit("<", 1)[0]


def run_code(code: str, **space) -> pd.DataFrame:
    exec(code, space)
    return space["rankings"]


def same_list(rankings: pd.DataFrame, df: pd.DataFrame) -> bool:
    return rankings["item_id"].tolist() == df["item_id"].tolist() and np.allclose(rankings["score"], df["score"])


def test_the_first_list_is_what_generate_returns_and_it_is_there_at_once(playground, tiny):
    assert same_list(tiny.generate(Prompt(history=HISTORY), k=10), playground.df)
    assert playground.df["rank"].tolist() == list(range(1, 11)) and set(playground.df["change"]) == {""}
    assert "CPU · " in status(playground) and " words/s · " in status(playground) and "seed 0" in status(playground)
    assert "10 of 24 items shown; run this run: not trained, start random, cpu" in playground.caption.value


def test_every_letter_of_a_request_is_answered_and_numbered(playground, tiny):
    numbers = []
    for text in ("s", "sl", "slow"):
        playground.controls.request.value = text
        numbers.append(playground.slate.number)
        assert same_list(tiny.generate(Prompt(history=HISTORY, request=text)), playground.df)
    assert numbers == [2, 3, 4] == playground.history_log["number"].tolist()[1:]
    assert playground.history_log["request"].tolist() == ["", "s", "sl", "slow"]


def test_a_title_in_either_language_is_found_and_enter_adds_the_first(playground):
    search = playground.controls.search
    search.text = "太空"
    assert search.hits == [["001", "Solaris (1971) 飞向太空"]]
    search.taken = [1, "太空", ""]
    assert playground.prompt.history == (*HISTORY, "001")
    assert (search.text, search.hits, search.cleared) == ("", [], 2)  # Reset empties it once, at the beginning
    assert playground.controls.history.rows[0] == ["4", "Solaris (1971) 飞向太空"]
    search.taken = [2, "Film", "007"]  # another hit than the first
    assert playground.prompt.history[-1] == "007"


def test_what_is_not_found_is_told_and_changes_nothing(playground):
    before = playground.df
    playground.controls.search.taken = [1, NASTY + "?", ""]
    assert "no title and no id holds" in status(playground) and Tags(playground.status.value).found == {"span"}
    assert playground.df.equals(before) and playground.prompt.history == HISTORY


def test_history_is_reordered_and_shortened_by_rows_and_buttons(playground, tiny):
    controls = playground.controls
    assert controls.history.chosen == 0  # the newest
    controls.down.click()
    assert playground.prompt.history == ("002", "004", "003") and controls.history.chosen == 1
    controls.history.chosen = 2
    controls.up.click()
    controls.up.click()
    controls.up.click()  # already at the top
    assert playground.prompt.history == ("004", "003", "002") and controls.history.chosen == 0
    controls.remove.click()
    assert playground.prompt.history == ("004", "003")
    assert same_list(tiny.generate(Prompt(history=("004", "003"))), playground.df)
    controls.remove.click()
    controls.remove.click()
    controls.remove.click()
    assert playground.prompt.history == () and "choose a row of the history first" in status(playground)


def test_only_what_the_run_has_learned_is_offered_and_any_says_nothing(playground, tiny):
    marks = playground.controls.marks
    assert {name: [label for label, _ in each.options] for name, each in marks.items()} == {
        ("context", "time_of_day"): ["any", "day", "evening"],
        ("profile", "region"): ["any", "north"],
    }
    marks["context", "time_of_day"].value = "evening"
    marks["profile", "region"].value = "north"
    said = {"context": {"time_of_day": "evening"}, "profile": {"region": "north"}}
    assert playground.prompt == Prompt(HISTORY, "", **said)
    assert same_list(tiny.generate(playground.prompt), playground.df)
    marks["context", "time_of_day"].value = ""
    assert playground.prompt.context == {}


def test_changes_are_in_words_and_say_what_left(playground):
    before = playground.df["item_id"].tolist()
    playground.controls.request.value = "a slow film"
    after = playground.df.set_index("item_id")["change"]
    for item, change in after.items():
        moved = before.index(item) - after.index.get_loc(item) if item in before else None
        assert change == (
            "new" if moved is None else "=" if not moved else f"{'up' if moved > 0 else 'down'} {abs(moved)}"
        )
    kept = len(set(before) & set(after.index))
    assert any(note.startswith(f"Agreement with the last list: {kept} of 10") for note in playground.slate.notes)
    assert any(note.startswith("Left the list: ") for note in playground.slate.notes) == (kept < 10)
    assert [row["change"] for row in playground.slate.lists[0]["rows"]] == after.tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("whole prompt", "<history> 002 003 004 <request> slow film <recommend>"),
        ("history only", "<history> 002 003 004"),
        ("request only", "<request> slow film <recommend>"),
        ("short", "<history> 004 <request> slow film <recommend>"),
    ],
)
def test_templates_decide_what_is_read(tiny, name, expected):
    short = PromptTemplate(max_history=1, max_history_with_request=1)
    view = PromptPlayground(tiny, prompt=Prompt(HISTORY, "slow film"), templates={"short": short}, live=False)
    view.controls.template.value = name
    units = view._shown.first.units.drop_duplicates("unit")
    assert " ".join(units["item_id"].fillna(units["label"])) == expected
    assert [label for _, label, _ in view.line.units] == units["label"].tolist()
    assert same_list(tiny.with_template(view.template).generate(view.prompt), view.df)
    only = "the {}, which this template leaves out"
    cut = {
        "history only": only.format("request"),
        "request only": only.format("history"),
        "short": "the oldest 2 items",
    }
    assert cut.get(name, "nothing cut") in view.line.said


def test_the_newest_five_are_five_items_under_every_spelling(tiny, titles):
    for run in (tiny, titles):
        view = PromptPlayground(run, prompt=Prompt(tuple(IDS[:9])), live=False)
        view.controls.template.value = "newest 5 items"
        units = view._shown.first.units.drop_duplicates("unit")
        assert units["item_id"].dropna().tolist() == IDS[4:9]


def test_settings_that_do_not_apply_are_disabled_and_put_back(playground, tiny):
    controls = playground.controls
    assert [each.disabled for each in controls.numbers] == [False, False, True, True, True, True]
    controls.how.value = "sample"
    controls.temperature.value, controls.top_p.value, controls.seed.value = 0.7, 0.9, 5
    assert playground.decoding == Decoding(how="sample", temperature=0.7, top_p=0.9, seed=5)
    assert same_list(tiny.generate(playground.prompt, how="sample", temperature=0.7, top_p=0.9, seed=5), playground.df)
    controls.how.value = "greedy"
    assert playground.decoding == Decoding(how="greedy") and controls.temperature.disabled
    controls.diversity.value = 0.5
    assert playground.decoding == Decoding(how="greedy", diversity=0.5) and not controls.width.disabled
    controls.how.value = "beam"
    assert playground.decoding == Decoding()
    controls.k.value = 60
    assert controls.width.value == 60 and playground.decoding == Decoding(k=60)
    controls.width.value = 70
    assert playground.decoding == Decoding(k=60, width=70)


@pytest.mark.parametrize(
    ("control", "value", "told"),
    [
        ("temperature", 0, "temperature is 0; it must be above 0"),
        ("top_p", 2, "top_p is 2; it must be above 0 and at most 1"),
        ("k", 0, "k is 0; ask for at least 1 item"),
        ("seed", -1, "seed is -1; it must be 0 or more"),
    ],
)
def test_impossible_settings_are_a_sentence_and_go_back(tiny, control, value, told):
    view = PromptPlayground(tiny, decoding=Decoding(how="sample"), live=False)
    before, widget = view.df, getattr(view.controls, control)
    old = widget.value
    widget.value = value
    assert status(view).startswith("failed: ") and told in status(view)
    assert widget.value == old and view.df.equals(before)


def test_the_hint_stands_where_nothing_is_said_and_goes_with_the_first_word(tiny):
    view = PromptPlayground(tiny, live=False)
    assert any("Add a film to the history, or type what you feel like." in note for note in view.slate.notes)
    assert len(view.df) == 10
    view.controls.request.value = "slow"
    assert not any("Add a film" in note for note in view.slate.notes)


@pytest.mark.parametrize("text", ["Привет, мир", "🚀🚀🚀", "日本語の映画を"])
def test_characters_that_are_read_byte_by_byte_are_told(playground, text):
    playground.controls.request.value = text
    assert any("byte by byte" in note for note in playground.slate.notes) and len(playground.df) == 10


def test_a_request_in_known_letters_is_not_called_unknown(playground):
    playground.controls.request.value = "slow science fiction 飞向太空"
    assert not any("byte by byte" in note for note in playground.slate.notes)


def test_a_hundred_thousand_characters_are_quick_and_the_cut_is_told(playground):
    playground.controls.request.value = "warm"
    begun = time.perf_counter()
    playground.controls.request.value = "slow film " * 10_000
    assert time.perf_counter() - begun < 2
    assert "the last at least " in playground.line.said and "pieces of the request" in playground.line.said
    assert len(playground.history_log["request"].iloc[-1]) == 200


def test_what_is_typed_as_html_stays_text(playground):
    playground.controls.request.value = NASTY
    playground.add("000")
    assert NASTY in playground.slate.lists[0]["rows"][0]["title"] or NASTY in playground.still()[0]
    assert "img" not in Tags(playground.still()[1]).found
    assert "img" not in Tags(playground.status.value + playground.caption.value).found
    assert run_code(playground.code, recommender=playground.runs.open("this run")) is not None


def test_more_items_than_the_catalog_has_are_as_many_as_there_are(playground):
    playground.controls.k.value = 1_000_000
    assert len(playground.df) == 24 - 3
    assert (
        "21 of the 1,000,000 items asked for: the catalog of 24 has no more that may be shown."
        in playground.slate.notes
    )


def test_when_everything_is_seen_a_sentence_says_what_to_do(tiny):
    view = PromptPlayground(tiny, prompt=Prompt(tuple(IDS)), live=False)
    assert view.df.empty and any("nothing is left to recommend. Remove one." in note for note in view.slate.notes)
    view.remove(0)
    assert view.df["item_id"].tolist() == ["000"]


def test_words_that_spell_no_item_are_shown_as_such(tiny):
    view = PromptPlayground(tiny, prompt=Prompt(HISTORY), decoding=WILD, live=False)
    assert "(no item)" in view.df["title"].tolist() and view.decoding.constrain is False
    missing = view.df["title"] == "(no item)"
    assert view.df.loc[missing, "item_id"].isna().all() and "constrain=False" in view.code
    view.slate.asked = [0, ""]
    assert "no item was written in this place" in status(view)


@pytest.mark.parametrize("how", ["beam", "greedy"])
def test_lists_with_places_without_an_item_and_items_named_twice_stand_beside_each_other(tiny, titles, how):
    free = Decoding(how=how, constrain=False, k=5)
    view = PromptPlayground({"t": titles, "a": tiny}, prompt=Prompt(HISTORY), decoding=free, live=False)
    view.controls.compare.value = "run a"
    assert status(view).startswith("idle") and view.df["item_id"].isna().sum() > 1
    written = view.compared["item_id"].tolist()
    named = list(dict.fromkeys(written))
    assert (len(named) < len(written)) == (how == "greedy")  # a slate without a trie writes the best item every time
    assert f"Agreement of both lists: 0 of {len(named)}, " in " ".join(view.slate.notes)
    assert view.compared["change"].tolist() == ["only here"] * len(named) + [""] * (len(written) - len(named))
    assert [row["change"] for row in view.slate.lists[1]["rows"]] == view.compared["change"].tolist()
    view.controls.compare.value = "none"
    view.controls.run.value = "a"
    assert status(view).startswith("idle") and view.df["item_id"].tolist() == written
    view.controls.compare.value = "run t"
    label = view.df.set_index("item_id")["title"].groupby(level=0).first()[named[0]]
    assert f"only in the first: {label}" in " ".join(view.slate.notes)
    view.controls.pin.click()
    view.controls.request.value = "slow"
    assert status(view).startswith("idle") and view.compared["item_id"].tolist() == written


def test_runs_are_opened_when_first_chosen_and_spellings_choose_among_them(tiny, tmp_path, make_run):
    folder = make_run(spelling="title").save(tmp_path / "titles")
    view = PromptPlayground({"words": tiny, "titles": folder, "again": make_run(seed=3)}, live=False)
    assert [label for label, _ in view.controls.spelling.options] == ["one word", "title"]
    assert view.runs.opened("titles") is None
    view.controls.spelling.value = "title"
    assert view.controls.run.value == "titles" and view.runs.opened("titles") is not None
    assert same_list(GPT2Recommender.load(folder).generate(Prompt(), k=10), view.df)
    assert not view.controls.marks and "has learned no context" in view.controls._no_marks.value
    view.controls.run.value = "again"
    assert view.controls.spelling.value == "atomic"


def test_a_run_deleted_while_open_is_a_sentence_and_the_old_list_stays(tiny, tmp_path, make_run):
    folder = make_run(spelling="title").save(tmp_path / "gone")
    view = PromptPlayground({"words": tiny, "gone": folder}, live=False)
    before = view.df
    shutil.rmtree(folder)
    view.controls.run.value = "gone"
    assert status(view).startswith("failed: the run &#x27;gone&#x27; cannot be opened: ")
    assert status(view).endswith("The list shown is the one before.")
    assert view.controls.run.value == "words" and view.df.equals(before)
    assert view.slate.lists[0]["caption"] == "Run words"
    view.controls.compare.value = "run gone"
    assert view.compared is None and any("Nothing stands beside the list" in note for note in view.slate.notes)


def test_context_a_run_has_not_learned_is_left_out_there(tiny, make_run):
    prompt = Prompt(HISTORY, context={"time_of_day": "day"})
    other = make_run(seed=3)
    view = PromptPlayground({"a": tiny, "b": other}, prompt=prompt, live=False)
    view.controls.compare.value = "run b"
    assert same_list(other.generate(Prompt(HISTORY)), view.compared)
    view.controls.run.value = "b"
    assert view.prompt == Prompt(HISTORY) and view.controls.compare.value == "none"


def test_two_runs_stand_beside_each_other_with_the_moves_between_them(tiny, make_run):
    other = make_run(seed=3)
    view = PromptPlayground({"a": tiny, "b": other}, prompt=Prompt(HISTORY), live=False)
    assert view.controls.compare.options == ("none", "run b") and view.compared is None
    view.controls.compare.value = "run b"
    assert same_list(tiny.generate(Prompt(HISTORY)), view.df) and same_list(
        other.generate(Prompt(HISTORY)), view.compared
    )
    first = view.df["item_id"].tolist()
    for place, (item, change) in enumerate(zip(view.compared["item_id"], view.compared["change"], strict=True)):
        moved = first.index(item) - place if item in first else None
        assert change == (
            "only here" if moved is None else "=" if not moved else f"{'up' if moved > 0 else 'down'} {abs(moved)}"
        )
    assert [part["caption"] for part in view.slate.lists] == ["Run a", "Run b: moves against the first list"]
    assert any(note.startswith("Agreement of both lists: ") for note in view.slate.notes)


def test_a_pinned_prompt_stays_while_the_prompt_goes_on(playground, tiny):
    playground.controls.request.value = "slow"
    playground.controls.pin.click()
    assert playground.controls.compare.value == "prompt A"
    playground.controls.request.value = "funny"
    assert same_list(tiny.generate(Prompt(HISTORY, "slow")), playground.compared)
    assert same_list(tiny.generate(Prompt(HISTORY, "funny")), playground.df)
    assert [part["caption"] for part in playground.slate.lists] == [
        "The prompt as it is",
        "Prompt A: moves against the first list",
    ]


def test_why_is_answered_by_the_sentence_of_the_attribution(playground, tiny):
    from workbench.insight import attribute

    item, before = playground.df["item_id"][2], playground.df
    playground.slate.asked = [0, item]
    assert playground.slate.why == attribute(tiny, HISTORY, item).sentence
    assert playground.slate.asked == [] and playground.df.equals(before)
    assert len(playground.history_log) == 1  # no other list was made
    playground.controls.request.value = "slow"
    assert playground.slate.why == ""


def test_why_of_nothing_said_is_a_sentence(tiny):
    view = PromptPlayground(tiny, live=False)
    view.slate.asked = [0, view.df["item_id"][0]]
    assert view.slate.why.startswith("No reason can be given: history and request are both empty")


def test_why_says_where_the_catalog_has_too_many_items_to_score_each(titles, monkeypatch):
    monkeypatch.setattr("workbench.models.gpt2.EXACT", 23)
    view = PromptPlayground(titles, prompt=Prompt(HISTORY), live=False)
    monkeypatch.setattr(titles.model.transformer, "forward", lambda *_, **__: 1 / 0)  # nothing is read for it
    view.slate.asked = [0, view.df["item_id"][0]]
    assert view.slate.why == "No reason can be given: 24 items of several words are too many to score each."


def test_reset_brings_the_first_view_back(playground):
    first = playground.prompt, playground.template, playground.decoding, playground.code
    controls = playground.controls
    controls.request.value, controls.how.value, controls.template.value = "slow", "sample", "request only"
    controls.seed.value, controls.marks["profile", "region"].value = 4, "north"
    playground.add("010")
    controls.pin.click()
    controls.reset.click()
    assert (playground.prompt, playground.template, playground.decoding, playground.code) == first
    assert controls.compare.options == ("none",) and playground.compared is None


def test_the_prompt_can_be_set_from_python(playground, tiny):
    prompt = Prompt(("005",), "funny", {"time_of_day": "day"})
    playground.prompt = prompt
    assert playground.prompt == prompt and same_list(tiny.generate(prompt), playground.df)
    with pytest.raises(ValueError, match="no such film"):
        playground.prompt = Prompt(("no such film",))
    with pytest.raises(ValueError, match="has not learned the context"):
        PromptPlayground(tiny, prompt=Prompt(context={"time_of_day": "noon"}), live=False)


def test_list_and_template_are_saved_by_suffix(playground, tmp_path):
    for name in ("list.csv", "list.parquet", "list.html", "template.json"):
        playground.controls.file.value = str(tmp_path / name)
        playground.controls.keep.click()
        assert status(playground).startswith("saved ")
    assert (
        pd.read_csv(tmp_path / "list.csv", dtype={"item_id": str})["item_id"].tolist()
        == playground.df["item_id"].tolist()
    )
    assert pd.read_parquet(tmp_path / "list.parquet")["title"].tolist() == playground.df["title"].tolist()
    assert "img" not in Tags((tmp_path / "list.html").read_text("utf-8")).found
    assert PromptTemplate.load(tmp_path / "template.json") == playground.template
    playground.controls.file.value = "list.png"
    playground.controls.keep.click()
    assert "must end in .csv, .parquet or .html" in status(playground)


def test_what_is_wrong_at_the_beginning_is_an_error_at_once(tiny, tmp_path):
    with pytest.raises(ValueError, match="there is no run"):
        PromptPlayground({})
    with pytest.raises(TypeError, match="give a GPT2Recommender or its folder"):
        PromptPlayground({"a": 3})
    with pytest.raises(ValueError, match="cannot be opened"):
        PromptPlayground(tmp_path / "nothing")
    with pytest.raises(ValueError, match="no such film"):
        PromptPlayground(tiny, prompt=Prompt(("no such film",)))


def test_a_template_that_is_too_long_for_the_model_is_a_sentence(tiny):
    long = PromptTemplate(max_history=5_000)
    view = PromptPlayground(tiny, templates={"long": long}, prompt=Prompt(tuple(IDS) * 20), live=False)
    before = view.df
    view.controls.template.value = "long"
    assert "choose another template: this one lets 481 words through, and &#x27;this run&#x27; reads 255" in status(
        view
    )
    assert view.df.equals(before)


def test_the_plain_view_is_prompt_list_and_caption_as_html_and_no_widget(playground):
    bundle = playground._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"} and playground.figure() is None
    for text in (
        playground.df["title"][0].replace("<", "&lt;").replace(">", "&gt;"),
        "Film 2 (1972)",
        "10 of 24 items",
    ):
        assert text in bundle["text/html"]
    assert Tags(bundle["text/html"]).found == {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


def test_memory_that_runs_out_once_halves_the_beam(tiny):
    view = PromptPlayground(tiny, prompt=Prompt(HISTORY), live=False)
    fails = [torch.OutOfMemoryError("CUDA out of memory")]
    make_list = ListMaker.make_list

    def fail_once(self, *given, **more):
        if fails:
            raise fails.pop()
        return make_list(self, *given, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ListMaker, "make_list", fail_once)
        view.controls.width.value = 22
    assert any("out of memory" in note for note in view.slate.notes) and "width=11" in view.code
    assert fit(Decoding(k=10, width=12), 24, halved=True).width == 10


def test_say_cut_counts_oldest_items_and_last_pieces(tiny):
    long = Prompt(history=tuple(IDS), request="slow film " * 30)
    assert say_cut(tiny, Prompt(history=HISTORY)) == ""
    told = say_cut(tiny.with_template(PromptTemplate(max_history_with_request=2, max_request=3)), long)
    assert told.startswith("the oldest 22 items of the history and the last ") and told.endswith(
        "pieces of the request"
    )


def test_the_maker_keeps_no_state_between_orders(tiny):
    from workbench.widgets.playground.runs import Runs

    maker = ListMaker(Runs({"a": tiny}), {})
    order = Order((Side("a", Prompt(HISTORY), "whole prompt"),), Decoding(how="sample", seed=2))
    lists = [maker.make(order, threading.Event()).lists[0] for _ in range(2)]
    assert all(isinstance(listed, Listed) for listed in lists) and lists[0].df.equals(lists[1].df)


def test_a_run_chosen_while_an_answer_is_being_shown_stays_chosen(tiny, titles):
    playground = PromptPlayground({"one": tiny, "two": titles}, live=False)
    with playground.unheard():  # its hand waits for the lock that the answer holds
        playground.controls.run.value = "two"
        playground._settle()
    assert playground.controls.run.value == "two"

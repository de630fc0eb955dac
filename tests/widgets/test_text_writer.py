"""The text writer without a browser: buttons are pressed, and the text, its check, the verdict and the words follow."""

import time
from html.parser import HTMLParser

import pandas as pd
import pytest

from workbench import plots
from workbench.evaluation.texts import LEAST
from workbench.insight.text_floor import is_chinese
from workbench.language import Prompt
from workbench.models import GPT2Recommender, start_recommender
from workbench.models.generation import write_text
from workbench.models.generation.texts import Piece, Text
from workbench.widgets import TextWriter
from workbench.widgets.writer import check
from workbench.widgets.writer.check import FLOOR, RUN, TextCheck
from workbench.widgets.writer.live_text import FIRST, KEPT
from workbench.widgets.writer.words import EMPTY, UNMEASURED, Written, draft_html, text_html

NASTY = "<img src=x onerror=alert(1)>"
IDS = [f"{row:03d}" for row in range(24)]
CATALOG = pd.DataFrame({"item_id": IDS, "title": [NASTY, "Solaris", *(f"Film {n}" for n in range(2, 24))]})
CATALOG = CATALOG.assign(
    title_zh=[None, "飞向太空", *(f"第{n}部" for n in range(2, 24))],
    genres=["Sci-Fi" if n % 2 else "Horror" for n in range(24)],
    description=[
        f"A {'sci-fi' if n % 2 else 'horror'} film number {n} that one sees late at night." for n in range(24)
    ],
)
PROMPT = Prompt(history=("002", "003"), request="something slow")
REVIEWS = pd.DataFrame({"item_id": ["001", "002", "nowhere"], "review": ["Slow sci-fi.", "Pure horror.", "Lost."]})
MEASURE = 6  # texts, where any number will do


@pytest.fixture(scope="module")
def tiny() -> GPT2Recommender:
    """Has the mark of reviews, so that every task can be asked."""
    return start_recommender(CATALOG, layers=1, width=16, heads=2, max_history=12, marks=[("task", "write", "review")])


@pytest.fixture
def writer(tiny):
    """Plain: every call is answered before it returns."""
    return TextWriter(tiny, item="001", prompt=PROMPT, live=False)


@pytest.fixture
def live():
    """Makes live ones and closes them."""
    made = []

    def make_live(*given, **more):
        made.append(TextWriter(*given, **more))
        return made[-1]

    yield make_live
    for each in made:
        each.worker.close()


@pytest.fixture
def slow(tiny):
    """Makes every pass of the model wait a little."""
    handle = tiny.model.register_forward_pre_hook(lambda *_: time.sleep(0.01))
    yield
    handle.remove()


class Tags(HTMLParser):
    """Which tags a piece of HTML opens, and all its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found, self.text, self.titles = [], "", []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]

    def handle_data(self, data: str) -> None:
        self.text += data


def status(view: TextWriter) -> str:
    return Tags(view.status.value).text


def wait_until(true) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("task", "asked"),
    [
        ("describe", {"item": "001"}),
        ("explain", {"item": "001", "prompt": PROMPT}),
        ("review", {"item": "001"}),
        ("finish", {"sentence": "A film about"}),
    ],
)
def test_the_text_is_what_write_text_writes_with_the_same_settings(writer, tiny, task, asked):
    controls = writer.controls
    controls.task.value, controls.sentence.value, controls.length.value = task, "A film about", 15
    controls.temperature.value, controls.top_p.value, controls.seed.value = 1.3, 0.8, 7
    controls.write.click()
    settings = {"length": 15, "how": "sample", "temperature": 1.3, "top_p": 0.8, "seed": 7}
    assert writer.text == write_text(tiny, task, **asked, **settings)
    assert status(writer).startswith(f"idle: {len(writer.text.pieces)} pieces, ended by")
    before = writer.text
    controls.write.click()
    assert writer.text == before
    controls.seed.value = 8
    controls.write.click()
    assert writer.text != before


def test_greedy_needs_no_chance_and_what_does_not_apply_is_disabled(writer, tiny):
    controls = writer.controls
    controls.how.value = "greedy"
    assert controls.seed.disabled and controls.temperature.disabled and controls.sentence.disabled
    controls.temperature.value = 0  # disabled, so it says nothing
    controls.write.click()
    assert writer.text == write_text(tiny, "describe", item="001", how="greedy")
    controls.task.value = "finish"
    assert not controls.sentence.disabled and controls.search.layout.visibility == "hidden"
    controls.reset.click()
    assert (controls.task.value, controls.how.value, controls.temperature.value) == ("describe", "sample", 1)
    assert controls.search.layout.visibility == "visible" and not controls.seed.disabled


@pytest.mark.parametrize("task", ["describe", "explain", "finish"])
def test_the_code_writes_the_same_text_in_a_fresh_kernel(tiny, tmp_path, task):
    tiny.save(tmp_path / "run")
    recommender = GPT2Recommender.load(tmp_path / "run")
    sentence = 'It\'s "slow",\n<b>{x}</b> 太空 🚀 \\'
    writer = TextWriter(recommender, item="001", task=task, sentence=sentence, prompt=PROMPT, live=False)
    space = {}
    exec(writer.code, space)
    assert space["written"] == writer.text and writer.code == writer.copy.text


def test_of_a_run_without_a_folder_the_code_says_so_and_works_beside_the_run(writer, tiny):
    tiny.folder = None
    assert "lies in no folder" in writer.code
    space = {"recommender": tiny}
    exec(writer.code, space)
    assert space["written"] == writer.text


def test_every_piece_has_its_probability_in_the_table_below_and_as_a_title(writer):
    assert list(writer.df) == ["piece", "probability"] and writer.df["probability"].between(0, 1).all()
    assert "".join(writer.df["piece"]) == writer.text.text
    shown = Tags(writer.page.value)
    chances = [f"{chance:.1%}".replace("%", " %") for chance in writer.df["probability"]]
    assert shown.titles == chances
    assert shown.found.count("tr") == 1 + len(chances) and all(chance in shown.text for chance in chances)


def test_how_probable_a_piece_was_is_shown_by_the_line_and_not_by_colour():
    pieces = tuple(Piece(f"w{n}", chance) for n, chance in enumerate((0.05, 0.3, 0.7, 0.95)))
    html = text_html(Written(Text("", "describe", "a", pieces, False, True), QUESTION, "", [], ""))
    lines = [html.split(f">w{n}<")[0].rsplit("border-bottom:", 1)[1].split(" currentColor")[0] for n in range(4)]
    assert lines == ["1px dotted", "1px solid", "2px solid", "3px solid"]


QUESTION = {"task": "describe", "item": "a", "length": 9, "how": "greedy"}


def test_text_and_titles_are_escaped_before_they_become_html(tiny):
    assert Tags(draft_html(NASTY, NASTY)).found.count("img") == 0
    text = Text(NASTY, "finish", "", (Piece(NASTY, 0.5),), False, True, begun=NASTY)
    html = text_html(Written(text, QUESTION, NASTY, [NASTY], NASTY))
    assert "img" not in Tags(html).found and NASTY in Tags(html).text
    writer = TextWriter(tiny, task="finish", sentence=f"{NASTY}</span><script>", item="000", live=False)
    writer.controls.task.value = "describe"
    for view in (writer, TextWriter(tiny, item="000", prompt=Prompt(("000",), NASTY), task="explain", live=False)):
        parts = [view.page, view.check, view.verdict_line, view.status, view._about]
        for html in [*(part.value for part in parts), view.still()[1]]:
            assert not {"img", "script"} & set(Tags(html).found)
    assert NASTY in Tags(view._about.value).text


def test_a_title_is_found_and_one_that_was_only_typed_is_meant_all_the_same(writer):
    search = writer.controls.search
    search.text = "太空"
    assert search.hits == [["001", "Solaris 飞向太空"]]
    search.taken = [1, "Film", "007"]
    assert writer.item == "007" and search.text == "" and "About Film 7 第7部." in writer._about.value
    search.text = "Film 9"
    writer.controls.write.click()
    assert writer.text.item_id == writer.item == "009"


def test_without_anything_to_write_about_the_view_says_what_to_do(tiny):
    writer = TextWriter(tiny, live=False)
    assert writer.text is None and writer.df.empty and writer.code.startswith("#") and status(writer) == FIRST
    assert EMPTY in writer.page.value and [value for _, value in writer.controls.task.options] == [
        "describe",
        "review",
        "finish",
    ]
    writer.controls.write.click()
    assert status(writer) == "failed: search an item first: there is nothing to write about."


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"temperature": 0}, "failed: temperature is 0; it must be above 0."),
        ({"temperature": float("nan")}, "failed: temperature is nan"),
        ({"top_p": 1.5}, "failed: top_p is 1.5"),
        ({"length": 0}, "failed: length is 0"),
        ({"length": 10**6}, "failed: length is 1000000; the model reads"),
        ({"seed": -1}, "failed: seed is -1"),
        ({"seed": 2**70}, "failed: seed is"),
        ({"task": "finish"}, "failed: type the beginning of a sentence first"),
        ({"task": "finish", "sentence": " \n "}, "failed: type the beginning of a sentence first"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence_and_the_next_text_is_written(writer, settings, says):
    before, kept = writer.text, writer.page.value
    for name, value in settings.items():
        getattr(writer.controls, name).value = value
    writer.controls.write.click()
    assert status(writer).startswith(says) and "Traceback" not in status(writer)
    assert writer.text is before and writer.page.value == kept
    writer.controls.reset.click()
    writer.controls.write.click()
    assert status(writer).startswith("idle: ") and writer.text == before


def test_an_unknown_item_is_told_and_changes_nothing(writer, tiny):
    for taken in ([1, NASTY + "?", ""], [2, "", "nowhere"], [3, "🚀" * 1_000, ""]):
        writer.controls.search.taken = taken
        assert status(writer).startswith("failed: ") and writer.item == "001" and len(status(writer)) < 300
    with pytest.raises(ValueError, match="nowhere"):
        TextWriter(tiny, item="nowhere", live=False)
    with pytest.raises(ValueError, match="explain needs prompt="):
        TextWriter(tiny, item="001", task="explain", live=False)


@pytest.mark.parametrize("sentence", ["🚀👩‍👩‍👧", "a film " * 15_000, NASTY, "\x00\u202e\ud800"])
def test_any_sentence_can_be_finished(writer, sentence):
    writer.controls.task.value, writer.controls.sentence.value = "finish", sentence
    writer.controls.write.click()
    assert writer.text.task == "finish" and status(writer).startswith("idle: ")
    assert ("Not read" in writer.page.value) == (len(sentence) > 10_000) and len(writer.page.value) < 100_000


def test_the_check_says_what_a_text_names_and_what_the_floor_names(tiny):
    writer = TextWriter(tiny, item="001", reviews=REVIEWS, live=False)
    said = writer._maker._explain(Text("A horror film of science fiction.", "describe", "001", (), False, True))
    assert said[0] == (
        "This text names 2 attributes: Sci-Fi (true of Solaris 飞向太空); Horror (not true of Solaris 飞向太空). "
        "It is shorter than a run of 8 words."
    )
    assert "the most similar other item, Film 3 第3部, names 1 attribute: Sci-Fi (true of" in said[1]
    assert said[1].endswith(f"“{CATALOG['description'][3]}”")
    own = writer._maker._explain(Text(CATALOG["description"][1], "describe", "001", (), False, True))
    assert "Of its runs of 8 words, 100.0 % stand in a text that training read." in own[0]
    review = writer._maker._explain(Text("Dull.", "review", "001", (), False, True))
    assert "names no attribute" in review[0] and review[1].endswith("“Pure horror.”") and len(review) == 2


def test_what_cannot_be_checked_says_why(writer, tiny):
    writer.controls.task.value, writer.controls.sentence.value = "finish", "A film"
    writer.controls.write.click()
    assert "Not checked: a sentence is about no item" in writer.check.value
    writer.controls.task.value = "review"
    writer.controls.write.click()
    assert "Held against descriptions" in writer.check.value
    one = TextWriter(tiny, item="001", task="review", reviews=REVIEWS.head(1), live=False)
    assert "Not checked: copy_nearest needs the text of another item" in one.check.value
    with pytest.raises(ValueError, match="lacks the column 'review'"):
        TextWriter(tiny, reviews=REVIEWS[["item_id"]], live=False)


def test_a_text_is_shown_while_it_is_written_and_stop_keeps_what_is_there(tiny, live, slow):
    writer = live(tiny)
    seen = []
    writer.page.observe(lambda change: seen.append(Tags(change["new"]).text), "value")
    writer.choose("001")
    writer.controls.write.click()
    wait_until(lambda: len(seen) > 2)
    assert "Being written:" in seen[1] and len(seen[0]) <= len(seen[1]) and "running" in status(writer)
    begun = time.perf_counter()
    writer.controls.stop.click()
    assert writer.worker.wait(5) and time.perf_counter() - begun < 0.5
    count = len(writer.df)
    assert writer.text.stopped and 0 < count < 60
    assert status(writer).startswith(f"idle: partial: stopped after {count} piece")
    assert "Partial: Description of Solaris" in writer.page.value and "the text is partial" in writer.check.value
    assert "stopped before it was complete" in writer.code
    assert write_text(tiny, "describe", item="001", length=60).text.startswith(writer.text.text)
    writer.controls.stop.click()
    assert "nothing runs" in status(writer)


def test_the_newest_text_wins(tiny, live, slow):
    writer = live(tiny)
    writer.controls.length.value = 20
    for item in ("002", "003", "004"):
        writer.choose(item)
        writer.write()
    assert writer.worker.wait(10)
    assert writer.text.item_id == "004" and not writer.text.stopped and "Description of Film 4" in writer.page.value


def test_an_error_of_the_model_is_told_and_the_thread_lives_on(tiny, live, monkeypatch):
    writer = live(tiny, item="001")
    before = writer.text
    with monkeypatch.context() as patch:
        patch.setattr(tiny.model.transformer, "forward", lambda *_, **__: 1 / 0)
        writer.controls.write.click()
        assert writer.worker.wait(10) and "ZeroDivisionError" in status(writer) and KEPT.strip() in status(writer)
    assert writer.text is before and "Description of Solaris" in writer.page.value
    writer.controls.write.click()
    assert writer.worker.wait(10) and status(writer).startswith("idle: ") and writer.text == before


def test_measure_gives_a_verdict_on_the_run(writer):
    assert writer.verdict == UNMEASURED and UNMEASURED in writer.verdict_line.value
    said = []
    writer.status.observe(lambda change: said.append(Tags(change["new"]).text), "value")
    text = writer.text
    writer.controls.texts.value = MEASURE
    writer.controls.measure.click()
    assert [each for each in said if "of" in each][1] == f"running: 1 of {MEASURE} texts"
    assert writer.verdict.startswith("This run is a demonstration only: ") and writer.verdict in Tags(
        writer.verdict_line.value
    ).text.replace("\n", "")
    assert f"{MEASURE} descriptions" in writer.verdict and writer.text is text
    assert writer.measured.table.index.tolist() == [RUN, FLOOR] and writer.verdict in writer.still()[0]
    before = writer.measured.table
    writer.controls.measure.click()
    pd.testing.assert_frame_equal(writer.measured.table, before)  # the same texts, whatever was set
    writer.controls.texts.value = 0
    writer.controls.measure.click()
    assert status(writer).startswith("failed: texts is 0;") and writer.measured.table.equals(before)


def test_a_run_that_writes_the_truth_is_above_the_floor(tiny, monkeypatch):
    genres = dict(zip(IDS, CATALOG["genres"], strict=True))
    catalog = CATALOG.assign(description="A horror film.")  # what the floor can copy is true of every other item
    truth = start_recommender(catalog, layers=1, width=16, heads=2)
    monkeypatch.setattr(
        check, "write_text", lambda *_, item, **__: Text(f"Of {genres[item]}.", "describe", item, (), False, True)
    )
    writer = TextWriter(truth, live=False)
    writer.measure()
    assert writer.measured.n_texts == len(IDS) >= LEAST  # of 60 that were asked for, as many as there are
    assert writer.verdict.startswith("This run is above the floor nearest copy: it names attributes, 100.0% of them")


def test_measuring_can_be_stopped_and_keeps_the_whole_texts(tiny, live, slow, monkeypatch):
    monkeypatch.setattr(check, "LENGTH", 10)
    writer = live(tiny)
    writer.controls.measure.click()
    wait_until(lambda: "of 24 texts" in status(writer) and "running: 0" not in status(writer))
    writer.controls.stop.click()
    assert writer.worker.wait(5)
    done = writer.measured.n_texts
    assert 1 <= done < 24 and f"stopped after {done} of 24 texts" in writer.verdict
    assert "demonstration only" in writer.verdict and status(writer).startswith(f"idle: {done} of 24 texts measured")


def test_stop_before_the_first_text_leaves_the_run_unmeasured(tiny, live, slow):
    writer = live(tiny)
    writer.controls.measure.click()
    writer.controls.stop.click()
    assert writer.worker.wait(5)
    assert writer.verdict == UNMEASURED and "stopped before anything was written" in status(writer)


def test_the_floor_speaks_the_language_of_the_text(tiny):
    catalog = CATALOG.assign(description_zh=[f"第{n}部恐怖片" for n in range(24)])
    both = start_recommender(catalog, layers=1, width=16, heads=2)
    texts = pd.DataFrame({"item_id": ["001", "001"], "text": ["恐怖", "horror"]}, index=[7, 9])
    scores = TextCheck(both).score(texts)
    assert [is_chinese(text) for text in scores[FLOOR]["text"]] == [True, False]
    assert scores[RUN]["named"].tolist() == [1, 1]  # said in Chinese, it is the same genre


def test_without_a_kernel_a_page_shows_everything_and_the_pieces_can_be_saved(writer, tmp_path):
    bundle = writer._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    shown = Tags(bundle["text/html"]).text
    for part in (writer.text.text, "Description of Solaris", "Floor: the text of", UNMEASURED):
        assert part in shown
    page = plots.save(writer, tmp_path / "text.html").read_text("utf-8")
    assert "Description of Solaris" in page and "<script" not in page
    assert len(pd.read_csv(writer.save(tmp_path / "text.csv"), keep_default_na=False)) == len(writer.df)
    with pytest.raises(ValueError, match="must end in"):
        writer.save(tmp_path / "text.png")


def test_the_live_view_carries_the_same_html(tiny, live):
    bundle = live(tiny, item="001")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle and "Description of Solaris" in bundle["text/html"]

"""The attention viewer without a browser: controls are set, and picture, table and selection follow."""

import json
from html import escape
from html.parser import HTMLParser

import nbformat
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from ipywidgets.embed import dependency_state

from workbench import plots
from workbench.insight import attend, attribute, name_heads, weigh_history
from workbench.models import GPT2Recommender, start_recommender
from workbench.pages import outside_loads, render_page
from workbench.widgets import AttentionViewer

NASTY = "<img src=x onerror=alert(1)>"
IDS = [f"{row:03d}" for row in range(14)]
CATALOG = pd.DataFrame({"item_id": IDS, "title": [NASTY, "Amélie", *(f"Film {n}" for n in range(2, 14))]})
CATALOG = CATALOG.assign(
    year=[2000 + n for n in range(14)], title_zh=[None, "天使爱美丽", *(f"第{n}部" for n in range(2, 14))]
)
HISTORY = IDS[:6]


@pytest.fixture(scope="module")
def tiny() -> GPT2Recommender:
    """Two layers of random weights, with item rows far apart; no test may change it."""
    recommender = start_recommender(CATALOG, layers=2, width=16, heads=2, max_history=12)
    recommender.item_rows().detach().mul_(20)
    return recommender


@pytest.fixture
def viewer(tiny: GPT2Recommender) -> AttentionViewer:
    return AttentionViewer(tiny, HISTORY)


class Tags(HTMLParser):
    """Which tags a piece of HTML opens."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.add(tag)


def cells(viewer: AttentionViewer) -> np.ndarray:
    return np.nan_to_num(np.asarray(viewer.heat.data[0].z, dtype=float))


def state_size(viewer: AttentionViewer) -> int:
    """Bytes of the state of a view and of all its parts, without the scripts and styles that all views share."""
    parts = dependency_state(viewer, drop_defaults=False).values()
    kept = [{name: held for name, held in part["state"].items() if name not in ("_esm", "_css")} for part in parts]
    assert len(kept) > 30  # all of them, not the column alone
    return len(json.dumps([kept, [part.get("buffers") for part in parts]]))


def test_the_first_view_is_the_mean_for_the_first_of_the_ranking(viewer, tiny):
    first = tiny.rank({"u": HISTORY}, k=1)["item_id"][0]
    attention = attend(tiny, HISTORY, item=first)
    np.testing.assert_allclose(cells(viewer), np.tril(attention.matrix()), atol=1e-6)
    pd.testing.assert_frame_equal(viewer.df, weigh_history(attention, attribute(tiny, HISTORY, first)))
    row = viewer.selected.iloc[0]
    assert (row["item_id"], row["rank"], row["unit"], row["reading"]) == (first, 1, 6, "Film 5 (2005)")
    assert "idle" in viewer.status.value


def test_a_head_is_chosen_among_all_sorted_by_how_informative_it_is(viewer, tiny):
    named = name_heads(tiny, {"u": HISTORY})
    assert [head for _, head in viewer.controls.head.options] == list(zip(named["layer"], named["head"], strict=True))
    assert viewer.controls.head.options[0][0].startswith(f"layer {named['layer'][0]}, head {named['head'][0]}: ")
    assert viewer.controls.head.disabled
    viewer.controls.show.value = "one head"
    assert not viewer.controls.head.disabled
    viewer.controls.head.value = (1, 0)
    np.testing.assert_allclose(cells(viewer), np.tril(viewer.attention.weights[1, 0]), atol=1e-6)
    assert viewer.heat.layout.title.text == "<b>Where the model looked: layer 1, head 0</b>"
    assert viewer.df["attention"].tolist() == pytest.approx(viewer.attention.weights[1, 0, -1, 1:].tolist())
    assert viewer.selected[["layer", "head"]].values.tolist() == [[1, 0]]
    viewer.controls.show.value = "rollout"
    np.testing.assert_allclose(cells(viewer), np.tril(viewer.attention.matrix(rollout=True)), atol=1e-6)
    assert viewer.selected["rollout"][0] and viewer.controls.head.disabled


def test_names_measured_on_many_histories_may_be_given(tiny):
    heads = name_heads(tiny, {f"u{n}": IDS[n : n + 6] for n in range(5)}).assign(name="looks at Alien")
    viewer = AttentionViewer(tiny, HISTORY, heads=heads)
    assert all("looks at Alien" in label for label, _ in viewer.controls.head.options)


def test_another_target_has_other_effects_and_the_same_attention(viewer, tiny):
    before = cells(viewer), viewer.df
    _, item = viewer.controls.target.options[3]
    viewer.controls.target.value = item
    np.testing.assert_array_equal(cells(viewer), before[0])
    assert viewer.df["attention"].equals(before[1]["attention"])
    assert viewer.df["effect"].tolist() == attribute(tiny, HISTORY, item).df["effect"].tolist()
    assert viewer.selected["item_id"].tolist() == [item] and viewer.selected["rank"].tolist() == [4]
    assert f"Recommending {viewer.selected['title'][0]}: rank 4, " in viewer.heat.layout.meta["caption"]


def test_the_first_ten_of_the_ranking_are_offered_and_any_item_is_found_by_title_in_two_languages(viewer, tiny):
    ranking = tiny.rank({"u": HISTORY}, k=10)["item_id"].tolist()
    assert [item for _, item in viewer.controls.target.options] == ranking
    for text in ("amelie", "天使", "001"):
        viewer.controls.search.value = text
        assert viewer.controls.target.options == (("Amélie (2001)", "001"),)
        assert viewer.selected["item_id"].tolist() == ["001"]  # of the history, and still a question
    viewer.controls.search.value = "film"
    assert len(viewer.controls.target.options) == 10 and viewer.controls.target.value == "002"
    viewer.controls.search.value = " "
    assert viewer.controls.target.value == ranking[0]


def test_a_search_that_finds_nothing_is_told_inside_the_view_and_changes_nothing(viewer):
    before = viewer.selected
    viewer.controls.search.value = NASTY + "?"
    assert "no title and no id holds" in viewer.status.value
    assert viewer.controls.search.value == NASTY + "?"  # to be mended, not to be typed again
    assert Tags(viewer.status.value).found == {"span"}
    pd.testing.assert_frame_equal(viewer.selected, before)


def test_the_last_places_are_shown_and_counted(viewer):
    viewer.controls.last.value = 3
    assert cells(viewer).shape == (3, 4)
    assert "Showing 3 of 7 places" in viewer.heat.layout.meta["caption"] and "Showing 3 of 6." in viewer.words.value
    assert len(viewer.df) == 6


def test_a_long_history_says_what_was_read(tiny):
    viewer = AttentionViewer(tiny, HISTORY * 5)
    assert "The prompt read 12 of 30 items of the history." in viewer.words.value
    assert len(viewer.df) == 12 and viewer.controls.last.max == 13


def test_a_row_is_chosen_by_control_or_by_click_and_framed(viewer):
    viewer.controls.reading.value = 3
    assert viewer.df["unit"].tolist() == [1, 2, 3]  # what comes later cannot be looked at
    assert viewer.df["attention"].tolist() == pytest.approx(viewer.attention.matrix()[3, 1:4].tolist())
    assert viewer.df["effect"].isna().all()  # an effect is one on the end of the prompt
    assert "read off at the end of the prompt" in viewer.words.value
    (frame,) = viewer.heat.layout.shapes
    assert (frame.y0, frame.y1, frame.x1) == (2.5, 3.5, 3.5)
    viewer._click(viewer.heat.data[0], type("Points", (), {"ys": [5]}), None)
    assert viewer.selected["reading"].tolist() == ["Film 4 (2004)"] and viewer.controls.reading.value == 5
    viewer.controls.last.value = 1  # the frame's row is out of sight
    assert [frame.visible for frame in viewer.heat.layout.shapes] == [False]


def test_a_row_can_still_be_clicked_after_other_answers(viewer):
    (clicked,) = viewer.heat.data
    viewer.controls.show.value = "rollout"
    viewer.controls.target.index = 2
    viewer.controls.last.value = 4
    assert viewer.heat.data == (clicked,)  # the trace that hears clicks, not a new one
    assert np.shape(clicked.z) == (4, 5) and clicked.showscale is False


def test_reset_brings_the_first_view_back(viewer):
    first = viewer.selected, viewer.df, cells(viewer), viewer.code
    controls = viewer.controls
    controls.search.value, controls.show.value, controls.reading.value, controls.last.value = "film", "rollout", 2, 2
    controls.reset.click()
    pd.testing.assert_frame_equal(viewer.selected, first[0])
    pd.testing.assert_frame_equal(viewer.df, first[1])
    np.testing.assert_array_equal(cells(viewer), first[2])
    assert viewer.code == viewer.copy.text == first[3]


@pytest.mark.parametrize("request_", [None, "a 'slow' film\n科幻"])
def test_the_code_gives_what_is_seen(tiny, request_):
    viewer = AttentionViewer(tiny, HISTORY, request=request_)
    viewer.controls.show.value, viewer.controls.target.index, viewer.controls.last.value = "one head", 2, 4
    space = {"recommender": tiny}
    exec(viewer.code, space)
    pd.testing.assert_frame_equal(space["weights"], viewer.df)
    np.testing.assert_allclose(np.nan_to_num(space["figure"].data[0].z), cells(viewer))


def test_request_words_are_weighed_like_items(tiny):
    viewer = AttentionViewer(tiny, [], request="slow 科幻")
    assert viewer.df[["kind", "label"]].values.tolist() == [["request", "slow"], ["request", "科"], ["request", "幻"]]
    assert viewer.df["effect"].notna().all()
    assert {name for name, _ in viewer.controls.head.options[:1]} and "not named" in viewer.controls.head.options[0][0]


def test_the_sentence_says_whether_attention_and_effect_agree(viewer):
    looked, moved = (viewer.df[name].abs().nlargest(3).index for name in ("attention", "effect"))
    assert f"agree on {len(set(looked) & set(moved))} of the top 3 here" in viewer.words.value
    assert "Attention says where the model looked." in viewer.words.value


def test_nobody_with_no_request_is_shown_with_a_sentence_on_what_to_do(tiny):
    viewer = AttentionViewer(tiny, [])
    assert viewer.df.empty and cells(viewer).tolist() == [[1]]
    assert "Give an item or a word" in viewer.words.value


def test_an_unknown_item_is_an_error_at_once(tiny):
    with pytest.raises(ValueError, match="'no such film'"):
        AttentionViewer(tiny, ["no such film"])
    with pytest.raises(ValueError, match="item 'no such film' is not in the catalog"):
        AttentionViewer(tiny, HISTORY, item="no such film")


def test_an_item_outside_the_first_ten_may_be_given(tiny):
    viewer = AttentionViewer(tiny, HISTORY, item="003")
    assert viewer.selected["item_id"].tolist() == ["003"] and viewer.controls.target.value == "003"


def test_an_error_of_the_model_is_told_inside_the_view_and_changes_nothing(viewer, monkeypatch):
    monkeypatch.setattr(viewer.recommender.model.transformer, "forward", lambda *_, **__: 1 / 0)
    before = viewer.selected, viewer.df, viewer.code, viewer.controls.target.options
    for act in (
        lambda: setattr(viewer.controls.target, "index", 1),
        lambda: setattr(viewer.controls.search, "value", "film"),
        viewer.controls.reset.click,
    ):
        viewer.say("idle")
        act()
        assert "failed: ZeroDivisionError: division by zero" in viewer.status.value
        assert viewer.controls.target.index == 0 and viewer.controls.search.value == ""
        pd.testing.assert_frame_equal(viewer.selected, before[0])
        pd.testing.assert_frame_equal(viewer.df, before[1])
        assert (viewer.code, viewer.controls.target.options) == before[2:]


def test_the_live_heat_map_has_its_alternative_text_beside_it(viewer):
    beside = viewer.children[-2].children[0]
    for head in ("mean", "one head", "rollout"):
        viewer.controls.show.value = head
        assert escape(viewer.heat.layout.meta["alt"]) in beside.value
    viewer.controls.search.value = "img"
    assert Tags(beside.value).found == {"p"} and escape(viewer.selected["title"][0]) in beside.value


def test_titles_stay_text_everywhere(viewer):
    assert NASTY in viewer.df["label"][0]
    viewer.controls.search.value = "img"
    assert viewer.selected["title"].tolist() == [f"{NASTY} (2000)"]
    assert "img" not in Tags(viewer.words.value).found | Tags(viewer.status.value).found
    assert "<img" not in json.dumps(viewer.heat.to_dict()["layout"]["yaxis"], default=str)
    assert "img" not in Tags(viewer._repr_mimebundle_()["text/html"]).found


def test_every_control_has_a_label_and_a_tooltip(viewer):
    for control in vars(viewer.controls).values():
        assert control.description and len(control.tooltip) > 10


def test_where_no_widget_can_be_drawn_picture_and_table_are(viewer):
    bundle = viewer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "window.Plotly" in bundle["text/html"] and "History, newest first" in bundle["text/html"]
    assert bundle["text/plain"].startswith("Heat map of attention")


def test_the_static_twin_is_two_plain_outputs_and_no_widget(tiny, monkeypatch):
    shown = []
    monkeypatch.setattr("workbench.widgets.attention.attention_viewer.display", shown.append)
    viewer = AttentionViewer(tiny, HISTORY, live=False)
    viewer._ipython_display_()
    figure, table = shown
    assert type(figure) is go.Figure and "Film 5 (2005)" in table.data
    assert viewer.df["effect"].notna().all() and len(viewer.children) == 0
    assert not hasattr(AttentionViewer(tiny, HISTORY), "_ipython_display_")  # a live one shows itself as a widget


def test_a_page_of_a_live_view_carries_picture_and_table(viewer):
    cell = nbformat.v4.new_code_cell("viewer")
    cell.outputs = [nbformat.v4.new_output("display_data", data=viewer._repr_mimebundle_())]
    page = render_page(nbformat.v4.new_notebook(cells=[cell]), name="one view")
    assert "plotly.js v" in page and "History, newest first" in page and outside_loads(page) == []


def test_a_view_is_saved_as_page_and_table(viewer, tmp_path):
    page = plots.save(viewer, tmp_path / "view.html").read_text("utf-8")
    assert "plotly.js v" in page and "History, newest first" in page
    assert len(pd.read_csv(plots.save(viewer, tmp_path / "view.csv"))) == 6


def test_144_heads_and_100_items_stay_far_below_2_mb():
    """All state that a saved notebook keeps of a view; plotly.js comes once per page besides (about 5 MB)."""
    ids = [f"i{row}" for row in range(130)]
    catalog = pd.DataFrame({"item_id": ids, "title": [f"A film with a long title, number {n}" for n in range(130)]})
    viewer = AttentionViewer(start_recommender(catalog, layers=12, heads=12, width=48), ids[:100])
    assert len(viewer.controls.head.options) == 144
    viewer.controls.show.value = "one head"
    for last in (50, 101):
        viewer.controls.last.value = last
        assert state_size(viewer) < 400_000 and len(viewer._repr_mimebundle_()["text/html"].encode()) < 200_000

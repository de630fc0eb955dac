"""The explorer in a real browser: driven in JupyterLab by mouse and keyboard, and as a still picture in a page."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
import scenes
import screens
import ui
from lab import Lab, LabPage
from screens_explorer import CANVAS, find_point
from stage import VIEW, Stage

from workbench.pages import render_page

UNTRAINED = "explorer = scenes.tell(scenes.films_explorer(trained=False))\nexplorer"


@pytest.mark.timeout(180)
def test_it_answers_the_mouse_and_the_keyboard_without_an_error_or_a_finding_of_axe(lab: Lab, browser) -> None:
    found = screens.play(lab, browser, "explorer", theme="dark", pictures=None, cells=["import scenes", UNTRAINED])
    assert found["lightness"] < 0.4  # it follows JupyterLab's theme


@pytest.mark.timeout(180)
def test_a_click_is_timed_from_the_button_to_the_last_change_on_the_screen(lab: Lab, browser) -> None:
    row = ui.time_clicks(lab, browser, "scenes.films_explorer(trained=False)", clicks=4)
    assert row["points"] == 2570 and row["clicks"] == 4
    assert 5 < row["click_p50_ms"] <= row["click_p95_ms"] < 5000


@pytest.mark.timeout(180)
def test_first_paint_counts_making_the_view_and_moving_it_moves_the_map(lab: Lab, browser) -> None:
    row = ui.time_drawing(lab, browser, "scenes.made_up_map(3_000)", frames=10)
    assert row["points"] == 3_000 and row["pans"] == 10
    assert 50 < row["first_paint_ms"] < 20_000


@pytest.mark.timeout(180)
def test_a_title_with_html_is_text_in_the_table_in_the_tip_and_on_the_map(lab: Lab, browser) -> None:
    with lab.open(browser, ["import scenes", "explorer = scenes.tell(scenes.hostile_explorer())\nexplorer"]) as shown:
        page, dialogs = shown.page, []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        shown.run_all()
        page.wait_for_selector(f"{CANVAS}[data-points]")
        stage = Stage(shown, lab.folder / "state.json", "light")
        left, top = find_point(stage, scenes.HOSTILE)
        stage.after(lambda: page.mouse.click(left, top), lambda state: state["chosen"])
        stage.expect("neighbours with the title as text", lambda: scenes.HOSTILE in rows_of(page))
        page.mouse.move(left + 1, top)
        stage.expect("the title beside the point", lambda: scenes.HOSTILE in page.locator(".wb-tip").inner_text())
        assert page.locator(f"{VIEW} img").count() == 0
        assert dialogs == [] and shown.errors == []


def rows_of(page: Any) -> str:
    """The text of the table beside the map."""
    return page.locator(".workbench-rows tbody").inner_text()


def test_axe_and_the_console_would_be_heard(browser) -> None:
    page = browser.new_page()
    shown = LabPage(page)
    page.set_content("<div class='workbench-view-box'><img src='data:,'><script>nothing.there()</script></div>")
    assert [finding.split(":")[0] for finding in screens.serious_findings(page)] == ["image-alt"]
    assert len(shown.errors) == 1 and "nothing is not defined" in shown.errors[0]


def test_a_page_shows_the_still_picture_and_asks_for_nothing(browser, tmp_path: Path) -> None:
    bundle = scenes.films_explorer(trained=False)._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data=bundle)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("explorer", outputs=[output])])
    path = tmp_path / "page.html"
    path.write_text(render_page(notebook, name="a page"), "utf-8")
    page, asked, errors = browser.new_page(), [], []
    page.route(re.compile("^https?:"), lambda route: (asked.append(route.request.url), route.abort()))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector(".main-svg .point")
    assert page.locator(".main-svg .point").count() == 2570
    assert page.locator("figure").get_attribute("aria-label").startswith("A map of 570 items and 2,000 users")
    assert asked == [] and errors == []

"""The playground in a real browser: driven in JupyterLab by mouse and by keyboard alone."""

import pytest
import screens
from lab import Lab
from screens_playground import SLATE, button, change
from stage import Stage

LONG = "playground = scenes_playground.tell(scenes_playground.films_playground(trained=False, items=30))\nplayground"
UNTRAINED = "playground = scenes_playground.tell(scenes_playground.films_playground(trained=False))\nplayground"


@pytest.mark.timeout(180)
def test_it_answers_the_mouse_and_the_keyboard_without_an_error_or_a_finding_of_axe(lab: Lab, browser) -> None:
    cells = ["import scenes_playground", UNTRAINED]
    found = screens.play(lab, browser, "playground", theme="dark", pictures=None, cells=cells)
    assert found["lightness"] < 0.4  # it follows JupyterLab's theme


@pytest.mark.timeout(180)
def test_a_deep_row_of_the_history_that_is_moved_up_stays_where_it_is_looked_at(lab: Lab, browser) -> None:
    with lab.open(browser, ["import scenes_playground", LONG]) as shown:
        shown.run_all()
        shown.page.wait_for_selector(f"{SLATE}[data-number]")
        stage, rows = Stage(shown, lab.folder / "state.json", "light"), shown.page.locator(".workbench-rows tbody tr")
        rows.nth(20).click()
        box, title = shown.page.locator(".workbench-rows"), rows.nth(20).locator("td").nth(1).inner_text()
        scrolled = box.evaluate("(box) => box.scrollTop")
        change(stage, button(stage, "Up").click)
        stage.expect("the row moved", lambda: rows.nth(19).locator("td").nth(1).inner_text() == title)
        assert rows.nth(19).get_attribute("aria-selected") == "true"
        assert box.evaluate("(box) => box.scrollTop") == scrolled > 100
        assert shown.errors == []

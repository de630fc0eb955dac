"""The playground in a real browser: driven in JupyterLab by mouse and by keyboard alone."""

import pytest
import screens
from lab import Lab

UNTRAINED = "playground = scenes_playground.tell(scenes_playground.films_playground(trained=False))\nplayground"


@pytest.mark.timeout(180)
def test_it_answers_the_mouse_and_the_keyboard_without_an_error_or_a_finding_of_axe(lab: Lab, browser) -> None:
    cells = ["import scenes_playground", UNTRAINED]
    found = screens.play(lab, browser, "playground", theme="dark", pictures=None, cells=cells)
    assert found["lightness"] < 0.4  # it follows JupyterLab's theme

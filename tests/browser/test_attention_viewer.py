"""The attention viewer in a real browser: driven in JupyterLab by mouse and keyboard, and timed."""

import pytest
import screens
import ui
from lab import Lab

UNTRAINED = "scenes.films_attention(trained=False)"


@pytest.mark.timeout(180)
def test_it_answers_the_mouse_and_the_keyboard_without_an_error_or_a_finding_of_axe(lab: Lab, browser) -> None:
    cells = ["import scenes", f"viewer = scenes.tell({UNTRAINED})\nviewer"]
    found = screens.play(lab, browser, "attention", theme="dark", pictures=None, cells=cells)
    assert found["lightness"] < 0.4  # it follows JupyterLab's theme


@pytest.mark.timeout(180)
def test_a_new_target_is_timed_from_its_control_to_the_last_change_on_the_screen(lab: Lab, browser) -> None:
    row = ui.time_attention(lab, browser, UNTRAINED, targets=3)
    assert row["items"] == 30 and row["new_targets"] == 3
    assert 5 < row["new_target_p50_ms"] <= row["new_target_p95_ms"] < 5000

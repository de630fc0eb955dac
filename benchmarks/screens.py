"""The widgets in a real JupyterLab, driven by mouse and by keyboard, light and dark; pictures in build/screens/.

    python benchmarks/screens.py [explorer] [attention] [playground] [training]

A scenario is the cells of a notebook and a function that drives what they show and asserts that it answers. After each,
whatever it was: no error in the console, nothing blank, and no serious finding of axe inside our view.
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab import REPOSITORY, Lab, chromium, jupyter_lab
from playwright.sync_api import Error as BrowserError
from records import say
from screens_attention import drive_attention
from screens_explorer import drive_explorer
from screens_playground import drive_playground
from screens_training import CELLS as TRAINING
from screens_training import drive_training
from stage import Stage, serious_findings

SCREENS = REPOSITORY / "build" / "screens"
PLAYGROUND = [
    "import scenes_playground",
    "playground = scenes_playground.tell(scenes_playground.films_playground())\nplayground",
]
SCENARIOS: dict[str, tuple[list[str], Callable[[Stage], dict[str, float]]]] = {
    "explorer": (["import scenes", "explorer = scenes.tell(scenes.films_explorer())\nexplorer"], drive_explorer),
    "attention": (["import scenes", "viewer = scenes.tell(scenes.films_attention())\nviewer"], drive_attention),
    "playground": (PLAYGROUND, drive_playground),
    "training": (TRAINING, drive_training),
}


def play(
    lab: Lab, browser: Any, name: str, *, theme: str, pictures: Path | None, cells: list[str] | None = None
) -> dict:
    """Play one scenario in one theme; what it measured.

    Raises:
        AssertionError: If the view does not answer, the console has an error, or axe finds something serious.
    """
    own_cells, drive = SCENARIOS[name]
    with lab.open(browser, cells or own_cells, theme=theme) as shown:
        try:
            shown.run_all()
            found = drive(Stage(shown, lab.folder / "state.json", theme, pictures))
        except Exception:
            shown.page.screenshot(path=SCREENS / f"{name}-{theme}-failed.png")
            raise
        assert shown.errors == [], f"the console says: {shown.errors[:3]}"
        serious = serious_findings(shown.page)
        assert serious == [], f"axe says: {serious}"
    return found


def main(words: Sequence[str]) -> int:
    """Play the scenarios named, or all; 1 if one fails."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        lab, browser = stack.enter_context(jupyter_lab(Path(folder))), stack.enter_context(chromium())
        for name in words or SCENARIOS:
            seen: dict[str, dict] = {}
            try:
                for theme in ("light", "dark"):
                    seen[theme] = play(lab, browser, name, theme=theme, pictures=SCREENS)
                    say(f"{name}, {theme}: as it should be")
                assert seen["light"]["lightness"] > seen["dark"]["lightness"] + 0.3, "dark looks like light"
            except (AssertionError, RuntimeError, TimeoutError, BrowserError) as error:
                failed += 1
                say(f"{name}: {type(error).__name__}: {error}")
    say(f"pictures in {SCREENS.relative_to(REPOSITORY)}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

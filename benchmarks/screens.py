"""The widgets in a real JupyterLab, driven by mouse and by keyboard, light and dark; pictures in build/screens/.

    python benchmarks/screens.py [explorer]

A scenario is the cells of a notebook and a function that drives what they show and asserts that it answers. After each,
whatever it was: no error in the console, nothing blank, and no serious finding of axe inside our view.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import REPOSITORY, Lab, LabPage, chromium, jupyter_lab, wait_for
from records import say

SCREENS = REPOSITORY / "build" / "screens"
VIEW = ".workbench-view-box"
CANVAS = ".workbench-map canvas"
LIGHTNESS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), seen = new Set();
  let sum = 0;
  for (let at = 0; at < data.length; at += 4) {
    sum += data[at] + data[at + 1] + data[at + 2];
    seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  }
  return { mean: sum / (data.length * 0.75) / 255, colours: seen.size };
}"""
SWITCH = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: `JupyterLab ${name}` })"


@dataclass(frozen=True)
class Stage:
    """One view on a page, in one theme, and where its pictures go.

    Attributes:
        shown: The page.
        state: The file that the view writes its state to, see ``scenes.tell``.
        theme: "light" or "dark".
        pictures: Folder for PNGs, or None for none.
    """

    shown: LabPage
    state: Path
    theme: str
    pictures: Path | None = None

    @property
    def page(self) -> Any:
        """Playwright's page."""
        return self.shown.page

    def told(self) -> dict:
        """What the view holds in Python."""
        return json.loads(self.state.read_text("utf-8"))

    def after(self, act: Callable[[], Any], expected: Callable[[dict], Any], *, seconds: float = 20) -> dict:
        """Do something, and wait until the view's state is as expected; the state.

        Raises:
            AssertionError: If it never is.
        """
        act()
        self.expect(f"an answer; {self.told()}", lambda: expected(self.told()), seconds=seconds)
        return self.told()

    def expect(self, what: str, question: Callable[[], Any], *, seconds: float = 20) -> None:
        """Wait for the page to show something; the kernel is always a little ahead of it.

        Raises:
            AssertionError: If it never does.
        """
        try:
            wait_for(question, seconds=seconds)
        except TimeoutError:
            raise AssertionError(f"the page never shows {what}") from None

    @property
    def caption(self) -> str:
        """The line above the table."""
        return self.page.locator(".workbench-rows caption").inner_text()

    def picture(self, name: str) -> bytes:
        """The view as it is now; kept as a PNG."""
        self.page.wait_for_timeout(300)  # a frame or two
        path = self.pictures / f"{name}-{self.theme}.png" if self.pictures else None
        return self.page.locator(VIEW).screenshot(path=path)

    def tab_to(self, target: str, *, back: bool = False) -> None:
        """Press Tab until something that fits the selector has the focus."""
        for _ in range(40):
            self.page.keyboard.press("Shift+Tab" if back else "Tab")
            if self.page.evaluate("(target) => document.activeElement.matches(target)", target):
                return
        raise AssertionError(f"Tab never reaches {target}")


def drive_explorer(stage: Stage) -> dict[str, float]:
    """Click a user, draw around points, search and select with the keyboard alone, walk the rows, zoom."""
    page, canvas = stage.page, stage.page.locator(CANVAS)
    page.wait_for_selector(f"{CANVAS}[data-points]")
    before = stage.picture("explorer-first")
    drawn = canvas.evaluate(LIGHTNESS)
    assert drawn["colours"] > 20, "the map is blank"

    left, top = find_point(stage, "user ")
    state = stage.after(lambda: page.mouse.click(left, top), lambda state: state["chosen"])
    assert state["chosen"][0] == "user" and state["selected"] == [state["chosen"][1]], f"the click chose {state}"
    stage.expect("ten recommendations", lambda: page.locator(".workbench-rows tbody tr").count() == 10)
    stage.expect("lit points", lambda: int(canvas.get_attribute("data-lit")) > 10)
    clicked = stage.picture("explorer-user")
    assert clicked != before, "a click changed nothing on the screen"

    state = stage.after(lambda: draw_loop(stage), lambda state: len(state["selected"]) > 3)
    assert state["chosen"] is None, "the lasso left a point chosen"
    stage.expect("what is selected", lambda: f"{len(state['selected'])} selected" in stage.caption)
    assert stage.picture("explorer-lasso") != clicked, "the lasso changed nothing on the screen"

    box = canvas.bounding_box()
    stage.after(lambda: page.mouse.click(box["x"] + 8, box["y"] + 8), lambda state: not state["selected"])

    page.locator(f"{VIEW} input[type=text]").first.focus()
    page.keyboard.type("太空")
    stage.expect("two titles found", lambda: "2 found" in stage.caption)
    stage.tab_to("button[title^='Selects all points']")
    titles = stage.after(lambda: page.keyboard.press("Enter"), lambda state: len(state["selected"]) == 2)["selected"]
    stage.tab_to(".workbench-rows tr", back=True)
    page.keyboard.press("ArrowDown")
    state = stage.after(lambda: page.keyboard.press("Enter"), lambda state: state["chosen"])
    assert state["chosen"] == ["item", titles[1]] and state["selected"] == titles, f"Enter chose {state['chosen']}"
    stage.expect("its neighbours", lambda: "Nearest" in stage.caption)
    stage.expect(
        "the focus in the table", lambda: page.evaluate("document.activeElement.matches('.workbench-rows tr')")
    )
    chosen = stage.picture("explorer-keyboard")

    stage.tab_to(CANVAS, back=True)
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert stage.picture("explorer-zoomed") != chosen, "the keys of the map changed nothing"
    stage.after(lambda: page.keyboard.press("Escape"), lambda state: not state["selected"])

    page.evaluate(SWITCH, "Light" if stage.theme == "dark" else "Dark")
    stage.expect("the other theme", lambda: abs(canvas.evaluate(LIGHTNESS)["mean"] - drawn["mean"]) > 0.3)
    return {"lightness": drawn["mean"]}


def find_point(stage: Stage, start: str, *, first: int = 0) -> tuple[float, float]:
    """A place on the screen where the pointer meets a point whose name begins so; looked for as a person does.

    Args:
        stage: Where.
        start: How the name begins.
        first: Another number looks elsewhere first.
    """
    box = stage.page.locator(CANVAS).bounding_box()
    for step in range(first, first + 600):
        left = box["x"] + box["width"] * (0.2 + 0.6 * (37 * step % 101) / 101)
        top = box["y"] + box["height"] * (0.15 + 0.7 * (53 * step % 103) / 103)
        stage.page.mouse.move(left, top)
        tip = stage.page.locator(".wb-tip")
        if tip.is_visible() and tip.inner_text().startswith(start):
            return left, top
    raise AssertionError(f"no point called {start!r} was found under the pointer")


def draw_loop(stage: Stage) -> None:
    """Draw around the upper half of the map with shift held down."""
    box, mouse = stage.page.locator(CANVAS).bounding_box(), stage.page.mouse
    corners = [(0.2, 0.1), (0.75, 0.12), (0.8, 0.4), (0.5, 0.5), (0.25, 0.45), (0.2, 0.12)]
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in corners]
    mouse.move(*places[0])
    stage.page.keyboard.down("Shift")
    mouse.down()
    for place in places[1:]:
        mouse.move(*place, steps=6)
    mouse.up()
    stage.page.keyboard.up("Shift")


SCENARIOS: dict[str, tuple[list[str], Callable[[Stage], dict[str, float]]]] = {
    "explorer": (["import scenes", "explorer = scenes.tell(scenes.films_explorer())\nexplorer"], drive_explorer),
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


def serious_findings(page: Any) -> list[str]:
    """What axe calls serious or critical inside our view."""
    from axe_playwright_python.sync_playwright import Axe

    findings = Axe().run(page, context=VIEW).response["violations"]
    return [
        f"{found['id']}: {found['nodes'][0]['html'][:120]}"
        for found in findings
        if found["impact"] in ("serious", "critical")
    ]


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
            except (AssertionError, RuntimeError, TimeoutError) as error:
                failed += 1
                say(f"{name}: {type(error).__name__}: {error}")
    say(f"pictures in {SCREENS.relative_to(REPOSITORY)}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

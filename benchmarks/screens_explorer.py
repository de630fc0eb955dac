"""The scenario of the EmbeddingExplorer, by mouse and by keyboard."""

from stage import VIEW, Stage

CANVAS = ".workbench-map canvas"
SWITCH = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: `JupyterLab ${name}` })"


def drive_explorer(stage: Stage) -> dict[str, float]:
    """Click a user, draw around points, search and select with the keyboard alone, walk the rows, zoom."""
    page, canvas = stage.page, stage.page.locator(CANVAS)
    page.wait_for_selector(f"{CANVAS}[data-points]")
    before = stage.picture("explorer-first")
    drawn = stage.look(".workbench-map")
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
    stage.expect("what is selected", lambda: f"{len(state['selected'])} selected" in caption(stage))
    assert stage.picture("explorer-lasso") != clicked, "the lasso changed nothing on the screen"

    box = canvas.bounding_box()
    stage.after(lambda: page.mouse.click(box["x"] + 8, box["y"] + 8), lambda state: not state["selected"])

    page.locator(f"{VIEW} input[type=text]").first.focus()
    page.keyboard.type("太空")
    stage.expect("two titles found", lambda: "2 found" in caption(stage))
    stage.tab_to("button[title^='Selects all points']")
    titles = stage.after(lambda: page.keyboard.press("Enter"), lambda state: len(state["selected"]) == 2)["selected"]
    stage.tab_to(".workbench-rows tr", back=True)
    page.keyboard.press("ArrowDown")
    state = stage.after(lambda: page.keyboard.press("Enter"), lambda state: state["chosen"])
    assert state["chosen"] == ["item", titles[1]] and state["selected"] == titles, f"Enter chose {state['chosen']}"
    stage.expect("its neighbours", lambda: "Nearest" in caption(stage))
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
    stage.expect("the other theme", lambda: abs(stage.look(".workbench-map")["lightness"] - drawn["lightness"]) > 0.3)
    return drawn


def caption(stage: Stage) -> str:
    """The line above the table."""
    return stage.page.locator(".workbench-rows caption").inner_text()


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

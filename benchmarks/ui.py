"""How long the views take to answer, measured in the browser: from a click to the updated view, and frame by frame.

    python benchmarks/ui.py [row ...]

Without names every row is measured; with names only those, and the others stay as they were.

A click counts from the release of the button until both the table and the map show the answer and that frame is done:
the kernel ranks, looks for neighbours and sends them on the way. The first paint counts from running the cell that
makes and shows a view, whose map and data are there, until its first frame is done. A new target or another head counts
from the change of its control until the last change of table and picture; a letter in the playground as told in
``ui_playground``. All are measured in a Chromium without a GPU, but drawing in one that emulates a GPU in software,
which is slower. Results go to ``benchmarks/results/ui.json``.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lab import NO_GPU, SOFTWARE_GL, Lab, LabPage, chromium, jupyter_lab
from records import RESULTS, Row, machine, quantiles, say, write_json
from screens_attention import CELLS
from screens_explorer import CANVAS, find_point
from stage import Stage
from ui_playground import measure_memory, time_bursts, time_letters

CLICKS, FRAMES, TARGETS = 40, 100, 24
LIMITS = {"click_p95_ms": 150.0, "first_paint_ms": 3000.0, "pan_p95_ms": 250.0, "new_target_p95_ms": 1000.0}
LIMITS |= {"letter_p95_ms": 200.0, "first_item_p95_ms": 500.0, "growth_mb": 50.0, "private_growth_mb": 50.0}
LIMITS |= {"stale_lists": 0, "late_lists": 0, "wrong_items": 0}
LIMITED = {  # which figures of a row have a limit
    "films": ["click_p95_ms"],
    "20,000 points": ["click_p95_ms"],
    "attention, 30 items": ["new_target_p95_ms"],
    "attention, 119 items": ["new_target_p95_ms"],
    "100,000 points": ["first_paint_ms", "pan_p95_ms"],
    "playground, one word": ["letter_p95_ms"],
    "playground, code words": ["first_item_p95_ms"],
    "playground, titles": ["first_item_p95_ms"],
    "playground, burst": ["stale_lists", "late_lists", "wrong_items"],
    "playground, 2,000 changes": ["growth_mb", "private_growth_mb"],
}
PLAYGROUND = "ui_playground.films_playground"
WORDS = ["", "the", "star", "人"]  # searched for one after another: the first of the ranking, then titles
WATCH = """() => {
  const canvas = document.querySelector(".workbench-map canvas"), rows = document.querySelector(".workbench-rows");
  const seen = (window.seen = { began: 0, map: 0, table: 0 });
  canvas.addEventListener("pointerup", () => Object.assign(seen, { began: performance.now(), map: 0, table: 0 }), true);
  const frameDone = (part) => setTimeout(() => (seen[part] = performance.now()));
  new MutationObserver(() => frameDone("map")).observe(canvas, { attributeFilter: ["data-lit"] }); // set in a frame
  new MutationObserver(() => requestAnimationFrame(() => frameDone("table"))).observe(rows, { childList: true });
}"""
WATCH_ATTENTION = """() => {
  const view = document.querySelector(".workbench-view-box"), plot = view.querySelector(".js-plotly-plot");
  const seen = (window.seen = { began: 0, picture: 0, table: 0 });
  const begin = () => Object.assign(seen, { began: performance.now(), picture: 0, table: 0 });
  const done = (part) => requestAnimationFrame(() => setTimeout(() => (seen[part] = performance.now())));
  view.addEventListener("change", begin, true);
  plot.on("plotly_afterplot", () => done("picture"));
  const table = view.querySelector("[aria-label='History, weighted']").closest(".widget-html");
  new MutationObserver(() => done("table")).observe(table, { childList: true, subtree: true });
}"""
PAN = """async (frames) => {
  const canvas = document.querySelector(".workbench-map canvas"), box = canvas.getBoundingClientRect();
  const times = [], seen = new Set();
  for (let frame = 0; frame < frames; frame++) {
    const begun = performance.now(), angle = frame / 8;
    const place = { clientX: box.x + 300 + 120 * Math.sin(angle), clientY: box.y + 240 + 80 * Math.cos(angle) };
    canvas.dispatchEvent(new PointerEvent("pointermove", { ...place, bubbles: true, buttons: 1, pointerId: 1 }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - begun);
    seen.add(`${canvas.dataset.x} ${canvas.dataset.y}`);
  }
  return { times, places: seen.size };
}"""
SHOW = """async (cell) => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  panel.content.activeCellIndex = cell;
  const begun = performance.now();
  app.commands.execute("notebook:run-cell");
  while (!document.querySelector(".workbench-map canvas[data-points]")) await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done));
  return performance.now() - begun;
}"""


def time_clicks(lab: Lab, browser: Any, scene: str, *, clicks: int = CLICKS) -> Row:
    """Milliseconds from a click on a point to the updated view, items and users in turn."""
    with lab.open(browser, ["import scenes", f"explorer = scenes.tell({scene})\nexplorer"]) as shown:
        shown.run_all()
        shown.page.wait_for_selector(f"{CANVAS}[data-points]")
        shown.page.evaluate(WATCH)
        points = int(shown.page.locator(CANVAS).get_attribute("data-points"))
        stage, times = Stage(shown, lab.folder / "state.json", "light"), []
        for click in range(clicks):
            left, top = find_point(stage, "user " if click % 2 else "", first=97 * click)
            shown.page.mouse.click(left, top)
            shown.page.wait_for_function("window.seen.map && window.seen.table", timeout=20_000)
            shown.page.wait_for_timeout(400)  # nothing of this answer is still on its way
            times.append(shown.page.evaluate("Math.max(window.seen.map, window.seen.table) - window.seen.began"))
    return {"points": points, **quantiles("click", times)}


def time_attention(lab: Lab, browser: Any, scene: str, *, targets: int = TARGETS) -> Row:
    """Milliseconds from a control to the updated view: targets never seen before, then heads in turn."""
    with lab.open(browser, ["import scenes", f"viewer = scenes.tell({scene})\nviewer"]) as shown:
        shown.run_all()
        page = shown.page
        page.wait_for_selector(CELLS)
        page.evaluate(WATCH_ATTENTION)
        stage = Stage(shown, lab.folder / "state.json", "light")
        items, times = {stage.told()["selected"]["item_id"]}, []
        for choose in choices(page):
            time = time_change(stage, choose)
            item = stage.told()["selected"]["item_id"]
            times += [time] * (item not in items)  # an item that was shown before is no new target
            items.add(item)
            if len(times) == targets:
                break
        page.get_by_label("Weights", exact=True).select_option("one head")
        page.wait_for_timeout(1000)
        pick = page.get_by_label("Head", exact=True).select_option
        heads = [time_change(stage, partial(pick, index=turn % 2)) for turn in range(1, targets + 1)]
        n_items = len(stage.told()["table"])
    return {"items": n_items, **quantiles("new_target", times), **quantiles("head", heads)}


def choices(page: Any) -> Iterator[Callable[[], Any]]:
    """Ways to choose one item after another: from the ranking, and from what each search offers."""
    target, search = (page.get_by_label(name, exact=True) for name in ("Recommending", "Search"))
    for word in WORDS:
        if word:
            search.fill(word)
            yield partial(search.press, "Enter")
        for option in range(1, target.locator("option").count()):
            yield partial(target.select_option, index=option)


def time_change(stage: Stage, act: Callable[[], Any]) -> float:
    """Milliseconds from the change of a control to the last change of table and picture."""
    act()
    stage.page.wait_for_function("window.seen.picture && window.seen.table", timeout=20_000)
    stage.page.wait_for_timeout(500)  # nothing of this answer is still on its way
    return stage.page.evaluate("Math.max(window.seen.picture, window.seen.table) - window.seen.began")


def time_drawing(lab: Lab, browser: Any, given: str, *, frames: int = FRAMES) -> Row:
    """Milliseconds from running the cell that makes and shows a view to its first picture, and per frame of moving it.

    Args:
        lab: Where.
        browser: Who draws.
        given: Code of what the view is made of, as a dict; it is there before the cell runs.
        frames: How many frames of moving.
    """
    with lab.open(browser, ["import scenes", f"given = {given}", "scenes.EmbeddingExplorer(**given)"]) as shown:
        run_up_to(shown, 2)
        first = shown.page.evaluate(SHOW, 2)
        canvas = shown.page.locator(CANVAS)
        box = canvas.bounding_box()
        shown.page.mouse.move(box["x"] + 300, box["y"] + 320)
        shown.page.mouse.down()
        moved = shown.page.evaluate(PAN, frames)
        shown.page.mouse.up()
        assert moved["places"] > 0.9 * frames, f"the map was drawn in {moved['places']} places in {frames} frames"
        return {
            "points": int(canvas.get_attribute("data-points")),
            "first_paint_ms": round(first, 1),
            **quantiles("pan", moved["times"]),
        }


def run_up_to(shown: LabPage, cells: int) -> None:
    """Run the first cells and wait for them."""
    shown.page.evaluate(
        """async (cells) => {
          const app = window.jupyterapp, panel = app.shell.currentWidget;
          await panel.sessionContext.ready;
          for (let cell = 0; cell < cells; cell++) {
            panel.content.activeCellIndex = cell;
            await app.commands.execute("notebook:run-cell");
          }
        }""",
        cells,
    )


ROWS: dict[str, tuple[Sequence[str], Callable[[Lab, Any], Row]]] = {  # who draws, and what is measured
    "films": (NO_GPU, partial(time_clicks, scene="scenes.films_explorer()")),
    "20,000 points": (NO_GPU, partial(time_clicks, scene="scenes.made_up_explorer(20_000)")),
    "attention, 30 items": (NO_GPU, partial(time_attention, scene="scenes.films_attention(30)")),
    "attention, 119 items": (NO_GPU, partial(time_attention, scene="scenes.films_attention(119)")),  # the longest
    "100,000 points": (SOFTWARE_GL, partial(time_drawing, given="scenes.made_up_map(100_000)")),
    "playground, one word": (NO_GPU, partial(time_letters, scene=f"{PLAYGROUND}()")),
    "playground, code words": (NO_GPU, partial(time_letters, scene=f"{PLAYGROUND}('semantic', 'greedy')", letters=40)),
    "playground, titles": (NO_GPU, partial(time_letters, scene=f"{PLAYGROUND}('title', 'greedy')", letters=40)),
    "playground, burst": (NO_GPU, partial(time_bursts, scene=f"{PLAYGROUND}()")),
    "playground, 2,000 changes": (NO_GPU, partial(measure_memory, scene=f"{PLAYGROUND}()")),
}


def measure(names: Sequence[str] = (), *, results: Path = RESULTS) -> Row:
    """The rows of these names, or all, each written as soon as it is measured; the other rows stay.

    Raises:
        ValueError: If there is no row of a name.
    """
    if unknown := [name for name in names if name not in ROWS]:
        raise ValueError(f"there is no row {unknown[0]!r}; choose from {list(ROWS)}.")
    path = results / "ui.json"
    page: Row = (json.loads(path.read_text("utf-8")) if path.is_file() else {}) | {"limits": LIMITS}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, jupyter_lab(Path(folder)) as lab:
        for name in names or ROWS:
            flags, make = ROWS[name]
            with chromium(flags) as browser:
                about = {"browser": f"Chromium {browser.version} {' '.join(flags[1:])}", "machine": machine()}
                page[name] = make(lab, browser) | about
            say(f"{name}: {page[name]}")
            write_json(path, page)
    return page


def over_limit(page: Row) -> list[str]:
    """The figures that are over their limit or missing.

    Example:
        >>> over_limit({"films": {"click_p95_ms": 151.0}})[:2]
        ['films: click_p95_ms is 151.0', '20,000 points: click_p95_ms is None']
    """
    figures = [(row, name, page.get(row, {}).get(name)) for row, names in LIMITED.items() for name in names]
    return [f"{row}: {name} is {value}" for row, name, value in figures if value is None or not value <= LIMITS[name]]


def main() -> int:
    """Measure; 1 if a limit is not kept."""
    over = over_limit(measure(sys.argv[1:]))
    say(f"over the limit: {', '.join(over)}" if over else "every limit is kept")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())

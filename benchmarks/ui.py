"""How long the map takes to answer, measured in the browser: from a click to the updated view, and frame by frame.

    python benchmarks/ui.py

A click counts from the release of the button until both the table and the map show the answer and that frame is done:
the kernel ranks, looks for neighbours and sends them on the way. Clicks are measured in a Chromium without a GPU,
drawing in one that emulates a GPU in software, which is slower. Results go to ``benchmarks/results/ui.json``.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from lab import NO_GPU, SOFTWARE_GL, Lab, LabPage, chromium, jupyter_lab
from records import RESULTS, Row, machine, say, write_json
from screens import CANVAS, Stage, find_point

CLICKS, FRAMES = 40, 100
LIMITS = {"click_p95_ms": 150.0, "first_paint_ms": 3000.0, "pan_p95_ms": 250.0}  # what must hold
WATCH = """() => {
  const canvas = document.querySelector(".workbench-map canvas"), rows = document.querySelector(".workbench-rows");
  const seen = (window.seen = { began: 0, map: 0, table: 0 });
  canvas.addEventListener("pointerup", () => Object.assign(seen, { began: performance.now(), map: 0, table: 0 }), true);
  const frameDone = (part) => setTimeout(() => (seen[part] = performance.now()));
  new MutationObserver(() => frameDone("map")).observe(canvas, { attributeFilter: ["data-lit"] }); // set in a frame
  new MutationObserver(() => requestAnimationFrame(() => frameDone("table"))).observe(rows, { childList: true });
}"""
PAN = """async (frames) => {
  const canvas = document.querySelector(".workbench-map canvas"), box = canvas.getBoundingClientRect(), times = [];
  for (let frame = 0; frame < frames; frame++) {
    const begun = performance.now(), angle = frame / 8;
    const place = { clientX: box.x + 300 + 120 * Math.sin(angle), clientY: box.y + 240 + 80 * Math.cos(angle) };
    canvas.dispatchEvent(new PointerEvent("pointermove", { ...place, bubbles: true, buttons: 1, pointerId: 1 }));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    times.push(performance.now() - begun);
  }
  return times;
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


def time_drawing(lab: Lab, browser: Any, scene: str, *, frames: int = FRAMES) -> Row:
    """Milliseconds from running the cell that shows a map to its first picture, and per frame while it is moved."""
    with lab.open(browser, ["import scenes", f"explorer = {scene}", "explorer"]) as shown:
        run_up_to(shown, 2)
        first = shown.page.evaluate(SHOW, 2)
        canvas = shown.page.locator(CANVAS)
        box = canvas.bounding_box()
        shown.page.mouse.move(box["x"] + 300, box["y"] + 320)
        shown.page.mouse.down()
        times = shown.page.evaluate(PAN, frames)
        shown.page.mouse.up()
        return {
            "points": int(canvas.get_attribute("data-points")),
            "first_paint_ms": round(first, 1),
            **quantiles("pan", times),
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


def quantiles(name: str, times: Sequence[float]) -> Row:
    """Median and 95th percentile in milliseconds, and of how many."""
    middle, high = np.quantile(times, [0.5, 0.95])
    return {f"{name}_p50_ms": round(float(middle), 1), f"{name}_p95_ms": round(float(high), 1), f"{name}s": len(times)}


def measure(*, results: Path = RESULTS) -> Row:
    """Everything, written after every row."""
    films, many = "scenes.films_explorer()", "scenes.made_up_explorer(20_000)"
    most = "scenes.made_up_explorer(100_000, ranked=False)"
    rows = {
        "films": (NO_GPU, lambda *place: time_clicks(*place, films)),
        "20,000 points": (NO_GPU, lambda *place: time_clicks(*place, many)),
        "100,000 points": (SOFTWARE_GL, lambda *place: time_drawing(*place, most)),
    }
    page: Row = {"limits": LIMITS}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, jupyter_lab(Path(folder)) as lab:
        for name, (flags, make) in rows.items():
            with chromium(flags) as browser:
                about = {"browser": f"Chromium {browser.version} {' '.join(flags[1:])}", "machine": machine()}
                page[name] = make(lab, browser) | about
            say(f"{name}: {page[name]}")
            write_json(results / "ui.json", page)
    return page


def main() -> int:
    """Measure; 1 if a limit is not kept."""
    page = measure()
    rows = [row for row in page.values() if isinstance(row, dict)]
    over = [
        f"{name} {row[name]}"
        for row in rows
        for name in LIMITS
        if row is not LIMITS and row.get(name, 0) > LIMITS[name]
    ]
    say(f"over the limit: {', '.join(over)}" if over else "every limit is kept")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())

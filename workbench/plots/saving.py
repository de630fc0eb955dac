"""Writing results to files by suffix: pages that work offline, pictures, and tables that no spreadsheet executes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from workbench.plots.theme import chart_html

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge", "microsoft-edge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as ``.csv`` or ``.parquet``, whole or not at all.

    In a CSV file, text (and column names) starting with ``= + - @``, a tab or a return get an apostrophe in front:
    spreadsheets would run it as a formula. Numbers stay numbers. The index is written unless it only counts rows.
    """
    plain = isinstance(table.index, pd.RangeIndex) and table.index.name is None
    table = table.copy() if plain else table.reset_index()
    table.attrs = {}  # the objects behind an evaluation table fit into no Parquet file
    with _draft_of(path) as draft:
        if path.suffix == ".parquet":
            table.to_parquet(draft)
        else:
            defuse_cells(table).to_csv(draft, index=False)


def defuse_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A copy in which no text can be taken for a spreadsheet formula.

    Example:
        >>> defuse_cells(pd.DataFrame({"title": ["=1+1", "Alien"], "score": [-1.5, 2.0]}))["title"].tolist()
        ["'=1+1", 'Alien']
    """
    safe = table.rename(columns=_defuse)
    for place, (_, column) in enumerate(table.items()):
        if not pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_datetime64_any_dtype(column):
            safe.isetitem(place, column.astype(object).map(_defuse))
    return safe


def write_page(body: str, path: Path, *, title: str, script: str = "") -> None:
    """Write a self-contained page around a piece of HTML; it follows the reader's light or dark theme."""
    page = (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><meta name='color-scheme' content='light dark'>"
        f"<title>{escape(title)}</title><style>body {{ margin: 0; font-family: system-ui, sans-serif; }}</style>"
        f"{f'<script>{script}</script>' if script else ''}</head><body>{body}</body></html>\n"
    )
    with _draft_of(path) as draft:
        draft.write_text(page, encoding="utf-8")


def write_figure(figure: go.Figure, path: Path) -> None:
    """Write a figure as ``.html`` (with plotly.js inside) or ``.png`` (twice its size in pixels, no background).

    Raises:
        RuntimeError: If a ``.png`` is wanted and no Chromium is found, or it fails.
    """
    title = (figure.layout.meta or {}).get("title", "Chart")
    if path.suffix == ".html":
        write_page(chart_html(figure), path, title=title, script=get_plotlyjs())
        return
    with _draft_of(path) as draft:
        page = draft.with_suffix(".html")
        write_page(chart_html(figure, still=True), page, title=title, script=get_plotlyjs())
        photograph(page, draft, width=int(figure.layout.width or 700), height=int(figure.layout.height or 450))


def find_browser() -> str | None:
    """Path of a Chromium, Chrome or Edge on this machine, or None."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def photograph(page: Path, picture: Path, *, width: int, height: int) -> None:
    """Take a picture of a page with a Chromium that has no window.

    Raises:
        RuntimeError: If there is no Chromium, or it makes no picture; the message says what to do.
    """
    browser = find_browser()
    if browser is None:
        raise RuntimeError(
            "a .png needs Chromium, Chrome or Edge, and none was found. Install one (Debian, Ubuntu: "
            "sudo apt install chromium), or save as .html."
        )
    command = [browser, "--headless", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=2"]
    # Maps of many points are drawn by WebGL, which newer Chromiums emulate without a GPU only when told to.
    command += ["--enable-unsafe-swiftshader"]
    command += ["--default-background-color=00000000", "--virtual-time-budget=10000", "--no-first-run"]
    command += [f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},{height}"]
    # Chromium refuses its sandbox to root, as in a container; the page shows nothing but our own figure.
    command += ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    try:
        done = subprocess.run(
            [*command, f"--screenshot={picture}", page.as_uri()], capture_output=True, text=True, timeout=90
        )
    except subprocess.TimeoutExpired as problem:
        raise RuntimeError(f"{browser} made no picture in 90 s. Try again, or save as .html.") from problem
    if done.returncode or not picture.exists():
        raise RuntimeError(f"{browser} made no picture: {done.stderr.strip()[-300:]} Save as .html instead.")


@contextmanager
def _draft_of(path: Path) -> Iterator[Path]:
    """A draft in a private folder beside the file; it takes the file's place only when everything went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Chromium may still be clearing its profile when the folder goes.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-", ignore_cleanup_errors=True) as folder:
        draft = Path(folder).resolve() / path.name
        yield draft
        os.replace(draft, path)


def _defuse(value: object) -> object:
    """The text with an apostrophe in front if a spreadsheet would run it; anything else as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value

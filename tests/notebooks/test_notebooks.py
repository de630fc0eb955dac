"""The real notebooks, executed from top to bottom on the bundled catalog, and their pages in a real browser."""

import re
from pathlib import Path

import nbformat
import pytest

from workbench.notebooks import run_notebooks

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("[0-9][0-9]_*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]
WITH_FORMULAS = ("04_embedding_maps", "05_attention")
CHARTS = "figure[id^='chart-'], .plotly-graph-div:not(figure *)"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages of one run; saved runs of the checkout are opened, missing ones are made."""
    folder = tmp_path_factory.mktemp("pages")
    run_notebooks(NOTEBOOKS[0].parent, output=folder)
    return folder


@pytest.mark.timeout(3600)  # with nothing saved, six trainings, and some processors have no bf16
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_alone_and_holds_what_it_claims(pages: Path, name: str) -> None:
    page = (pages / f"{name}.html").read_text("utf-8")
    failed = re.search(r"This notebook failed: [^<]*", page)
    assert failed is None, failed and failed.group()


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_the_network_for_nothing_and_shows_its_charts(pages: Path, name: str, browser) -> None:
    page, asked = browser.new_page(), []
    page.route(re.compile("^https?:"), lambda route: (asked.append(route.request.url), route.abort()))
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((pages / f"{name}.html").as_uri())
    page.wait_for_function(
        f"() => document.querySelectorAll({CHARTS!r}).length == 0 || document.querySelector('.main-svg')"
    )
    page.wait_for_timeout(500)
    charts = page.locator(CHARTS).count()
    undrawn = page.evaluate(
        f"() => [...document.querySelectorAll({CHARTS!r})].filter(c => !c.querySelector('.main-svg')).length"
    )
    assert not asked and not errors
    assert undrawn == 0
    names = page.locator(CHARTS).evaluate_all("charts => charts.map((chart) => chart.getAttribute('aria-label') ?? '')")
    assert all(len(alt) > len("A chart.") for alt in names), names  # what a picture without alternative text is called
    assert charts > 0 or name == "00_start_here"
    formulas = page.locator("math")
    assert all(formula.bounding_box()["width"] > 5 for formula in formulas.all())
    assert "$$" not in page.locator("body").inner_text()
    assert formulas.count() > 0 or name not in WITH_FORMULAS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_thin(path: Path) -> None:
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    for cell in cells:
        assert len(cell.source.splitlines()) <= 12, cell.source
        assert not re.search(r"^\s*(def|class|for|while) |^\s*[!%]", cell.source, re.MULTILINE), cell.source
        assert not cell.outputs and cell.execution_count is None
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in cells) == 1
    assert "assert" in cells[-1].source

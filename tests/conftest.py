"""What several test folders share: one thread, a tiny recommender, real data, a browser, the rule about skipping."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch

from workbench.models.gpt2 import GPT2Recommender
from workbench.models.start import start_recommender

TITLES = ["Alien", "Brazil", "Cube", "Dune", "<item_5>", "<history> -> <|endoftext|>", "科幻片", "Heat", "🎬", "Ikiru"]
IN_CI = os.environ.get("CI") == "true"


def skip_or_fail(reason: str) -> None:
    """Skip with the reason on a person's machine; fail in CI, where nothing may go untested."""
    if IN_CI:
        pytest.fail(f"CI must be able to run this: {reason}")
    pytest.skip(reason)


def pytest_configure() -> None:
    """A process started by a test takes one thread where the tests run side by side; set before a test starts one."""
    if os.environ.get("PYTEST_XDIST_WORKER"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The notebooks first: they take longest, and whatever else there is fits beside them."""
    items.sort(key=lambda item: "notebooks" not in item.path.parts)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """The small models under test gain nothing from threads, and lose much when others want the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def datasets_folder() -> Path:
    """The folder of real datasets named by WORKBENCH_DATASETS."""
    folder = os.environ.get("WORKBENCH_DATASETS", "").split(os.pathsep)[0]
    if not folder or not Path(folder).is_dir():
        skip_or_fail("WORKBENCH_DATASETS does not name a folder of real datasets")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def tiny_catalog() -> pd.DataFrame:
    """Ten items with ids that a careless reader would turn into numbers."""
    return pd.DataFrame(
        {
            "item_id": [f"{row:03d}" for row in range(10)],
            "title": TITLES,
            "genres": [
                "Horror|Sci-Fi",
                "Comedy|Sci-Fi",
                "Horror",
                "Sci-Fi",
                None,
                None,
                "Sci-Fi",
                "Crime",
                "Drama",
                "",
            ],
            "year": pd.array([1979, 1985, 1997, 2021, None, None, 2001, 1995, 2020, 1952], dtype="Int64"),
        }
    )


@pytest.fixture(scope="session")
def make_tiny(tiny_catalog: pd.DataFrame) -> Callable[..., GPT2Recommender]:
    """Makes random recommenders whose rows are far enough apart that no two scores are nearly equal."""

    def make(catalog: pd.DataFrame = tiny_catalog, **settings: object) -> GPT2Recommender:
        recommender = start_recommender(catalog, layers=2, width=16, heads=2, max_history=12, **settings)
        recommender.item_rows().detach().mul_(20)
        return recommender

    return make


@pytest.fixture(scope="session")
def tiny(make_tiny: Callable[..., GPT2Recommender]) -> GPT2Recommender:
    """Shared between tests, so none may change it."""
    return make_tiny()


@pytest.fixture
def browser() -> Iterator:
    """A Chromium without a screen (playwright's `Browser`); closed after each test, as it keeps a loop running."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        skip_or_fail("Chromium is not installed: apt install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()

"""What several test folders share: one thread, the folder of real data, a browser, and the rule about skipping."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

IN_CI = os.environ.get("CI") == "true"


def skip_or_fail(reason: str) -> None:
    """Skip with the reason on a person's machine; fail in CI, where nothing may go untested."""
    if IN_CI:
        pytest.fail(f"CI must be able to run this: {reason}")
    pytest.skip(reason)


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

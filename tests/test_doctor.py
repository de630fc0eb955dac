import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from workbench import doctor
from workbench.doctor import Check, CheckUp, check_up, slider_test
from workbench.widgets import device_badge


def rows(check: Iterator[Check]) -> dict[str, Check]:
    return {row.check: row for row in check}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(doctor, "REPOSITORY", tmp_path)
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"plotly": "7.1.0+cpu"}[name])
    return tmp_path


def ask_for(repository: Path, *, python: str = ">=3.11", packages: str = "plotly>=6,<8") -> None:
    text = f'[project]\nrequires-python = "{python}"\ndependencies = ["{packages}"]\n'
    (repository / "pyproject.toml").write_text(text, encoding="utf-8")


def test_the_check_up_of_this_machine_has_a_row_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "reaches", lambda address: False)
    found = check_up()
    assert {"Python", "Packages", "JupyterLab", "Device", "Memory", "Disk", "films", "Saving .png"} <= set(
        found.table["check"]
    )
    assert set(found.table["status"]) <= {"good", "look", "fix"}
    assert not found.table["detail"].str.contains("could not be checked").any()
    assert (found.table.loc[found.table["status"] != "good", "fix"] != "").all()


def test_a_check_that_fails_becomes_a_row_and_the_others_still_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Check]:
        yield Check("never", "good", str(1 / 0))

    def fine() -> Iterator[Check]:
        yield Check("Fine", "good", "yes")

    monkeypatch.setattr(doctor, "CHECKS", {"Broken": broken, "Fine": fine})
    table = check_up().table
    assert table["check"].tolist() == ["Broken", "Fine"] and table["status"].tolist() == ["look", "good"]
    assert "ZeroDivisionError" in table["detail"][0]


def test_the_table_says_by_symbol_word_and_colour_how_things_are() -> None:
    shown = CheckUp((Check("A", "good", "1"), Check("B", "look", "2", "b"), Check("C", "fix", "3", "c")))
    page = shown._repr_html_()
    for symbol, word, colour in (("✓", "good", "#009E73"), ("!", "look", "#E69F00"), ("✗", "fix", "#D55E00")):
        assert f">{symbol}</span> {word}</span>" in page and colour in page
        assert f"{symbol} {word}" in str(shown)
    assert "good 1, look 1, fix 1" in page and "what helps: c" in str(shown)
    assert "--jp-content-font-color1" in page and "<th scope='col'" in page


def test_what_was_found_is_escaped() -> None:
    nasty = "<img src=x onerror=alert(1)>"
    assert "<img" not in CheckUp((Check(nasty, "fix", nasty, nasty),))._repr_html_()


def test_packages_are_compared_with_the_ranges_and_the_lock(repository: Path) -> None:
    ask_for(repository)
    assert rows(doctor.check_packages())["Packages"] == ("Packages", "good", "1 packages as asked for", "")
    (repository / "requirements.lock").write_text("# made by pip\nplotly==7.1.0\n", encoding="utf-8")
    assert rows(doctor.check_packages())["Packages"].detail == "1 packages as tested"  # "+cpu" is the same version
    (repository / "requirements.lock").write_text("plotly==7.0.0\n", encoding="utf-8")
    assert rows(doctor.check_packages())["Packages"][1:3] == ("look", "plotly 7.1.0+cpu, tested with 7.0.0")
    ask_for(repository, packages="plotly<7")
    assert rows(doctor.check_packages())["Packages"][1:3] == ("fix", "plotly 7.1.0+cpu is outside <7")


def test_a_missing_package_is_a_fix(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise doctor.metadata.PackageNotFoundError(name)

    ask_for(repository)
    monkeypatch.setattr(doctor.metadata, "version", missing)
    row = rows(doctor.check_packages())["Packages"]
    assert (row.status, row.detail) == ("fix", "plotly is missing") and "make lab" in row.fix


def test_a_python_outside_the_range_is_a_fix(repository: Path) -> None:
    ask_for(repository, python=">=3.99")
    row = rows(doctor.check_python())["Python"]
    assert row.status == "fix" and "install Python >=3.99" in row.fix


def test_a_front_end_without_the_widget_manager_is_a_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("anywidget", "jupyterlab-plotly"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path)])
    row = rows(doctor.check_front_end())["JupyterLab"]
    assert row.status == "fix" and "without @jupyter-widgets/jupyterlab-manager (sliders and buttons)" in row.detail
    (tmp_path / "@jupyter-widgets" / "jupyterlab-manager").mkdir(parents=True)
    assert rows(doctor.check_front_end())["JupyterLab"].status == "good"


@pytest.mark.parametrize(("prefix", "status"), [(sys.prefix, "good"), ("/elsewhere", "look")])
def test_a_server_of_another_environment_is_noticed(prefix: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "server_command", lambda: [f"{prefix}/bin/python", f"{prefix}/bin/jupyter-lab"])
    assert rows(doctor.check_front_end())["Environment"].status == status


@pytest.mark.parametrize(("free", "status"), [(9e9, "good"), (1e9, "look"), (1e8, "fix")])
def test_little_disk_is_worth_a_look_and_next_to_none_a_fix(
    free: float, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: usage)
    assert rows(doctor.check_disk())["Disk"].status == status


def test_the_limit_of_a_container_counts_and_its_file_cache_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_badge, "GROUP", tmp_path)
    for name, text in {
        "max": "1000000000",
        "current": "900000000",
        "stat": "anon 1\ninactive_file 300000000\n",
    }.items():
        (tmp_path / f"memory.{name}").write_text(text, encoding="utf-8")
    row = rows(doctor.check_memory())["Memory"]
    assert (row.status, row.detail) == ("fix", "0.4 GB free of 1.0 GB")  # 1.0 - (0.9 - 0.3)


def test_datasets_are_sorted_into_here_to_download_and_to_bring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.catalogs.sources.available_datasets", lambda: ["films", "ml-1m"])
    monkeypatch.setattr(doctor, "reaches", lambda address: address.startswith("https://"))
    found = rows(doctor.check_datasets())
    assert found["films"].status == "good" and found["Datasets here"].detail == "ml-1m"
    assert found["Datasets to download"].detail == "load_dataset fetches ml-100k, ml-latest-small"
    assert "amazon-beauty-2014 (items.parquet, interactions.parquet)" in found["Datasets to bring"].detail
    assert "WORKBENCH_DATASETS" in found["Datasets to bring"].fix


def test_without_network_or_films_the_check_up_says_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.catalogs.sources.available_datasets", lambda: [])
    monkeypatch.setattr(doctor, "reaches", lambda address: False)
    found = rows(doctor.check_datasets())
    assert (found["films"].status, found["films"].fix) == ("fix", "git checkout -- data/films")
    assert (
        found["Datasets to download"].status == "look" and "cannot be reached" in found["Datasets to download"].detail
    )


def test_a_server_that_refuses_is_not_reached() -> None:
    assert not doctor.reaches("http://127.0.0.1:9/")


def test_a_machine_without_browser_is_told_to_save_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.plots.saving.find_browser", lambda: None)
    row = rows(doctor.check_pictures())["Saving .png"]
    assert row.status == "look" and "save charts as .html" in row.fix


def test_the_table_is_a_plain_table() -> None:
    table = CheckUp((Check("A", "good", "1"),)).table
    pd.testing.assert_frame_equal(
        table, pd.DataFrame({"check": ["A"], "status": ["good"], "detail": ["1"], "fix": [""]})
    )


def test_importing_the_check_up_needs_only_python() -> None:
    code = "import sys, workbench.doctor; assert not {'pandas', 'torch', 'ipywidgets', 'plotly'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(doctor.__file__).parents[1])


def test_the_slider_shows_the_milliseconds_once_the_browser_answers() -> None:
    test = slider_test()
    slider, words = test.children
    assert "Move the slider" in words.value
    slider.value = 3
    assert "Move the slider" in words.value  # nothing came back: no browser
    sent, _ = test.link.source
    answered, _ = test.link.target
    answered.value = sent.value  # what the link in the browser does
    assert re.search(r"The browser answered in \d+ ms", words.value)


def test_without_front_end_the_slider_is_a_sentence_that_helps() -> None:
    bundle = slider_test()._repr_mimebundle_()
    assert "make lab" in bundle["text/plain"] and "make lab" in bundle["text/html"]
    assert "application/vnd.jupyter.widget-view+json" in bundle

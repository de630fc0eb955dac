"""From a fresh clone to pages: pins that agree, a set-up done once and whole, pages that stand alone."""

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from workbench.__main__ import COMMANDS, lines_of, read_arguments
from workbench.environment import SetUpError, is_complete, private_python, run_step, set_up
from workbench.notebooks import run_notebooks
from workbench.pages import outside_loads

REPOSITORY = Path(__file__).resolve().parents[1]


def pins() -> dict[str, str]:
    """Package and version of every line of the lock."""
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def direct_dependencies() -> list[Requirement]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [Requirement(line) for line in project["dependencies"] + project["optional-dependencies"]["dev"]]


class TestPins:
    def test_every_line_of_the_lock_is_one_exact_version_without_a_machine_suffix(self) -> None:
        assert all(re.fullmatch(r"[0-9]+(\.[0-9a-z]+)*", version) for version in pins().values())

    def test_every_direct_dependency_is_locked_inside_its_range(self) -> None:
        wrong = [
            f"{requirement} but the lock has {pins().get(canonicalize_name(requirement.name))}"
            for requirement in direct_dependencies()
            if not requirement.specifier.contains(pins().get(canonicalize_name(requirement.name), "0"))
        ]
        assert wrong == []

    def test_conda_users_get_the_versions_of_the_lock(self) -> None:
        conda = yaml.safe_load((REPOSITORY / "environment.yml").read_text(encoding="utf-8"))
        lines = [line for line in conda["dependencies"][-1]["pip"] if not line.startswith("--editable")]
        listed = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in lines}
        names = {canonicalize_name(requirement.name) for requirement in direct_dependencies()}
        assert listed == {name: pins()[name] for name in names}

    def test_what_is_installed_for_these_tests_is_what_the_lock_says(self) -> None:
        from importlib.metadata import version

        installed = {requirement.name: version(requirement.name).split("+")[0] for requirement in direct_dependencies()}
        assert installed == {name: pins()[canonicalize_name(name)] for name in installed}

    def test_no_installed_package_wants_a_newer_python_than_the_oldest_we_promise(self) -> None:
        from importlib.metadata import metadata

        project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        oldest = f"{project['requires-python'].removeprefix('>=')}.0"  # 3.11.0; Debian 12 has 3.11.2
        wanted = {name: metadata(name).get("Requires-Python") or "" for name in pins()}
        assert {name: python for name, python in wanted.items() if not SpecifierSet(python).contains(oldest)} == {}


class TestCommands:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_a_make_target_only_calls_the_command(self, command: str) -> None:
        make = ["make", "--dry-run", "--no-print-directory", command, "DATASET=ml-100k", "PYTHON=python3"]
        shown = subprocess.run(make, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
        expected = f"python3 -m workbench {command}" + (' --dataset "ml-100k"' if command == "run" else "")
        assert shown == expected

    def test_only_test_hands_further_words_on(self) -> None:
        assert lines_of("test", rest=read_arguments(["test", "-k", "pins"])[1])[0][-2:] == ["-k", "pins"]
        with pytest.raises(SystemExit):
            read_arguments(["check", "-k", "pins"])

    def test_an_old_python_says_which_one_is_needed_and_how_to_name_it(self) -> None:
        code = "import sys, runpy; sys.version_info = (3, 9, 1); runpy.run_module('workbench', run_name='__main__')"
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
        assert done.returncode == 1
        assert "needs Python 3.11 or newer" in done.stderr and "make lab PYTHON=" in done.stderr

    def test_the_check_refuses_outputs_in_notebooks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        cell = nbformat.v4.new_code_cell("1 + 1")
        write_notebook(tmp_path / "notebooks" / "00_clean.ipynb", cell)
        assert [subprocess.run(line).returncode for line in lines_of("check", rest=[])] == [0, 0, 0]
        cell.outputs = [nbformat.v4.new_output("stream", text="2")]
        write_notebook(tmp_path / "notebooks" / "00_clean.ipynb", cell)
        assert [subprocess.run(line).returncode for line in lines_of("check", rest=[])] == [0, 0, 1]

    def test_lab_asks_for_its_token_and_listens_on_this_machine_only(self) -> None:
        variables = os.environ | {"BROWSER": "true", "JUPYTER_PREFER_ENV_PATH": "1"}  # `true` opens nothing
        (line,) = lines_of("lab", rest=[])
        with subprocess.Popen(line, cwd=REPOSITORY, env=variables, stderr=subprocess.PIPE, text=True) as server:
            try:
                address = next(found for text in server.stderr if (found := re.search(r"http://(\S+?)/(\S+)", text)))
                host, (path, token) = address[1], address[2].split("?token=")
                assert path == "lab/tree/notebooks/00_start_here.ipynb" and len(token) >= 32
                time.sleep(0.5)
                ports = [c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == "LISTEN"]
                assert ports and set(ports) == {"127.0.0.1"}
                with urllib.request.urlopen(f"http://{host}/api/contents?token={token}") as answer:
                    assert answer.status == 200
                with pytest.raises(urllib.error.HTTPError, match="403"):
                    urllib.request.urlopen(f"http://{host}/api/contents")
            finally:
                server.terminate()
                server.stderr.read()


class Recorder:
    """Runs only the step that makes `.venv`, for real; remembers the others, and stops at the one it is told to."""

    def __init__(self, *, stop_at: str = "nothing") -> None:
        self.stop_at, self.steps = stop_at, []

    def __call__(self, command: list[str], *, say: object) -> None:
        self.steps.append(" ".join(command))
        if self.stop_at in self.steps[-1]:
            raise KeyboardInterrupt
        if "venv" in command:
            run_step([*command, "--without-pip"], say=print)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "requirements.lock").write_text("numpy==2.4.6\n", encoding="utf-8")
    return tmp_path


class TestSetUp:
    def test_the_second_run_has_nothing_to_do(self, clone: Path) -> None:
        first, second = Recorder(), Recorder()
        assert set_up(clone, run=first) and not set_up(clone, run=second)
        parts = ("-m venv", f"-r {clone / 'requirements.lock'}", "--no-deps", "ipykernel install --sys-prefix")
        assert [part in step for part, step in zip(parts, first.steps, strict=True)] == [True] * 4
        assert second.steps == []
        assert {path.name for path in clone.iterdir()} == {".venv", "requirements.lock"}

    def test_a_changed_lock_is_installed_into_the_same_folder(self, clone: Path) -> None:
        set_up(clone, run=Recorder())
        (clone / ".venv" / "kept").touch()
        (clone / "requirements.lock").write_text("numpy==2.4.5\n", encoding="utf-8")
        assert not is_complete(clone)
        again = Recorder()
        assert set_up(clone, run=again)
        assert len(again.steps) == 3 and (clone / ".venv" / "kept").exists()

    @pytest.mark.parametrize("stop_at", ["requirements.lock", "--no-deps", "ipykernel"])
    def test_an_interrupted_set_up_is_redone_from_the_start(self, clone: Path, stop_at: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            set_up(clone, run=Recorder(stop_at=stop_at))
        assert not is_complete(clone)
        (clone / ".venv" / "left over").touch()
        again = Recorder()
        assert set_up(clone, run=again) and is_complete(clone)
        assert len(again.steps) == 4 and not (clone / ".venv" / "left over").exists()

    def test_a_moved_folder_is_set_up_again(self, clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        set_up(clone, run=Recorder())
        elsewhere = clone.rename(tmp_path_factory.mktemp("moved") / "here")
        assert private_python(elsewhere).exists() and not is_complete(elsewhere)

    def test_a_full_disk_is_said_before_anything_is_written(self, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda folder: FullDisk)
        with pytest.raises(SetUpError, match=r"needs about 4 GB .* has 1\.0 GB free\. To fix it: free some space"):
            set_up(clone, run=Recorder())
        assert not (clone / ".venv").exists()

    def test_an_index_out_of_reach_is_said_with_its_fix(self) -> None:
        pip = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--retries", "1"]
        with pytest.raises(SetUpError, match="package index cannot be reached. To fix it: connect to the internet"):
            run_step([*pip, "--index-url", "http://127.0.0.1:9/simple", "a-package==1"], say=print)

    def test_a_disk_that_fills_up_halfway_is_said_with_its_fix(self) -> None:
        full = "import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
        with pytest.raises(SetUpError, match="the disk is full. To fix it: free some space"):
            run_step([sys.executable, "-c", full], say=print)

    def test_packages_of_the_user_or_of_a_variable_stay_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PYTHONPATH", "/somewhere")
        lines: list[str] = []
        code = "import sys, site; print('/somewhere' in sys.path, site.ENABLE_USER_SITE)"
        run_step([sys.executable, "-c", code], say=lines.append)
        assert lines == ["False False"]


class FullDisk:
    """A disk with one gigabyte left."""

    free = 1e9


def write_notebook(path: Path, *cells: nbformat.NotebookNode) -> None:
    path.parent.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=list(cells), metadata={"language_info": {"name": "python"}})
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Two notebooks, one of which fails, run on a dataset of another name; the pages' folder and the exit status."""
    folder = tmp_path_factory.mktemp("notebooks")
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    write_notebook(
        folder / "00_good.ipynb",
        text("# A *good* one\n\nIt keeps its\npromise.\n\nBy the formula $\\frac{a}{b} < c$.\n\n$$\\sum_i x_i$$"),
        code('DATASET = "films"', metadata={"tags": ["parameters"]}),
        code("import os\nprint([DATASET, os.environ['WORKBENCH_DATASET']])"),
        code("import plotly.graph_objects as go\ngo.Figure(go.Bar(y=[1, 2]), {'title': '</script><b>bars'})"),
        code("go.Figure(go.Bar(y=[2, 1]))"),
        code("import ipywidgets\nipywidgets.IntSlider()"),
    )
    bad = ("print('be' + 'fore')", "1 / 0", "print('af' + 'ter')")
    write_notebook(folder / "01_bad.ipynb", text("# Bad"), *map(code, bad))
    picture = "from IPython.display import HTML\nHTML('<img src=\"https://example.org/x.png\">')"
    write_notebook(folder / "02_calling_home.ipynb", code(picture))
    output = tmp_path_factory.mktemp("build") / "notebooks"
    return output, run_notebooks(folder, output=output, dataset="ml-100k", cell_seconds=60)


class TestPages:
    def test_every_notebook_has_a_page_and_a_failure_decides_the_exit_status(self, pages: tuple[Path, int]) -> None:
        output, status = pages
        names = {"index.html", "00_good.html", "01_bad.html", "02_calling_home.html"}
        assert {path.name for path in output.iterdir()} == names and status == 1

    def test_the_index_lists_title_promise_and_result(self, pages: tuple[Path, int]) -> None:
        index = (pages[0] / "index.html").read_text(encoding="utf-8")
        rows = [re.sub(r"<[^>]+>", "|", row) for row in re.findall(r"<tr>(<td>.*?)</tr>", index)]
        assert re.fullmatch(r"\|\|A good one\|\|\|It keeps its promise\.\|\|\d+\|\|passed\|", rows[0])
        assert "failed: ZeroDivisionError: division by zero" in rows[1]

    def test_the_dataset_reaches_the_notebook(self, pages: tuple[Path, int]) -> None:
        page = (pages[0] / "00_good.html").read_text(encoding="utf-8")
        assert "['ml-100k', 'ml-100k']" in page

    def test_a_page_fetches_nothing_and_carries_plotly_once(self, pages: tuple[Path, int]) -> None:
        page = (pages[0] / "00_good.html").read_text(encoding="utf-8")
        assert outside_loads(page) == []
        assert page.count("plotly.js v") == 1 and page.count("Plotly.newPlot(") >= 2
        assert page.count("<math") == 2 and "$\\frac" not in page

    def test_a_failing_notebook_shows_its_traceback_and_stops_there(self, pages: tuple[Path, int]) -> None:
        page = (pages[0] / "01_bad.html").read_text(encoding="utf-8")
        assert "This notebook failed: ZeroDivisionError: division by zero" in page
        assert "before" in page and "Traceback" in page and "after" not in page.partition("<main>")[2]

    def test_a_page_that_would_call_home_is_a_failure(self, pages: tuple[Path, int]) -> None:
        index = (pages[0] / "index.html").read_text(encoding="utf-8")
        assert "failed: the page would fetch https://example.org/x.png" in index

    def test_a_browser_draws_formulas_and_charts_and_asks_for_nothing(self, pages: tuple[Path, int], browser) -> None:
        page = browser.new_page()
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((pages[0] / "00_good.html").as_uri())
        page.wait_for_selector(".main-svg")
        assert page.locator(".bars .point").count() == 2 + 2
        assert page.locator("mfrac").bounding_box()["height"] > 10
        assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == [] and errors == []

    def test_the_policy_in_a_page_stops_what_still_tries_to_leave(self, pages: tuple[Path, int], browser) -> None:
        page = browser.new_page()
        refused = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto((pages[0] / "02_calling_home.html").as_uri())
        page.wait_for_load_state()
        assert any("https://example.org/x.png" in text and "Content Security Policy" in text for text in refused)

    def test_a_cell_that_hangs_is_stopped_and_named(self, tmp_path: Path) -> None:
        write_notebook(tmp_path / "00_slow.ipynb", nbformat.v4.new_code_cell("import time\ntime.sleep(600)"))
        assert run_notebooks(tmp_path, output=tmp_path / "out", cell_seconds=2) == 1
        assert "timed out" in (tmp_path / "out" / "00_slow.html").read_text(encoding="utf-8")

    def test_a_folder_without_notebooks_is_not_a_success(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        assert run_notebooks(tmp_path, output=tmp_path / "out") == 1
        assert "No notebook named like 00_start_here.ipynb" in capsys.readouterr().out


def test_a_notebook_file_is_left_as_it_was(tmp_path: Path) -> None:
    write_notebook(tmp_path / "00_small.ipynb", nbformat.v4.new_code_cell("1 + 1"))
    before = (tmp_path / "00_small.ipynb").read_bytes()
    assert run_notebooks(tmp_path, output=tmp_path / "out") == 0
    assert (tmp_path / "00_small.ipynb").read_bytes() == before
    assert json.loads(before)["cells"][0]["outputs"] == []

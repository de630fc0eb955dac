"""The README tells the truth: every figure comes from a result file, the example runs, what it names is there."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "benchmarks"))

from readme_numbers import FIGURE, MISSING, as_shown, look_up, with_figures  # noqa: E402

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
FIGURES = [(match["file"], match["key"], match["shown"]) for match in FIGURE.finditer(README)]
FENCED = re.compile(r"```(\w*)\n(.*?)```", re.DOTALL)


def test_the_readme_has_figures() -> None:
    assert len(FIGURES) >= 60


@pytest.mark.parametrize(("file", "key", "shown"), FIGURES, ids=[f"{file}:{key}" for file, key, _ in FIGURES])
def test_a_figure_is_the_measured_one_rounded_to_the_digits_shown(file: str, key: str, shown: str) -> None:
    value = look_up(file, key)
    if value is None:
        assert shown == MISSING, f"{file} has no {key}; measure it (benchmarks/quality.py) or show '{MISSING}'"
        return
    digits = len(shown.partition(".")[2])
    assert shown != MISSING, "measured, but not written here; run python benchmarks/readme_numbers.py"
    assert float(shown.replace(",", "")) == round(value, digits)


def test_every_comment_that_names_a_result_stands_behind_a_figure() -> None:
    assert README.count("<!--") == len(FIGURES)


def test_every_measured_figure_names_where_it_comes_from() -> None:
    prose = FIGURE.sub("", FENCED.sub("", README))
    assert re.findall(r"\b0\.\d+|\d\.\d{3,}", prose) == []


def test_writing_the_figures_again_changes_nothing() -> None:
    assert with_figures(README) == README


def test_a_wrong_figure_is_put_right_and_an_unknown_one_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text('{"rankers": {"b-c": {"ndcg@10": 0.11694, "seconds": 41.7}}}')
    text = "x 0.5 <!-- results/a.json: rankers.b-c.ndcg@10 --> y 9 <!-- results/a.json: rankers.d.ndcg@10 -->"
    expected = "x 0.1169 <!-- results/a.json: rankers.b-c.ndcg@10 --> y - <!-- results/a.json: rankers.d.ndcg@10 -->"
    assert with_figures(text, folder=tmp_path) == expected
    assert as_shown(41.7, key="rankers.b-c.seconds") == "42"
    assert as_shown(-0.004, key="differences.a - b.mean") == "-0.0040"
    assert as_shown(0.004, key="differences.a - b.mean") == "+0.0040"


def test_a_key_that_leads_to_a_table_is_refused() -> None:
    with pytest.raises(TypeError, match="name a key below it"):
        as_shown({"ndcg@10": 0.1}, key="rankers.b")


def python_block() -> str:
    """The example with one's own data: the only Python block."""
    [block] = [code for language, code in FENCED.findall(README) if language == "python"]
    return block


def test_the_example_with_your_own_data_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    movies = [(n, f"Film {n}", ["Comedy", "Drama"][n % 2]) for n in range(12)]
    ratings = [(user, (user + step) % 12, 1000 * user + step) for user in range(20) for step in range(6)]
    pd.DataFrame(movies, columns=["movieId", "title", "genres"]).to_csv(tmp_path / "movies.csv", index=False)
    pd.DataFrame(ratings, columns=["userId", "movieId", "timestamp"]).to_csv(tmp_path / "ratings.csv", index=False)
    command = [sys.executable, "-c", f"import torch; torch.set_num_threads(1)\n{python_block()}"]
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "co-occurrence" in done.stdout and "somebody new" in done.stdout
    assert [path.name.startswith("mine-small-") for path in (tmp_path / "runs").iterdir()] == [True]


def test_the_example_has_ten_lines_that_do_something() -> None:
    assert len([line for line in python_block().splitlines() if line.strip()]) == 10


def test_what_stands_in_the_tree_is_there() -> None:
    [tree] = [text for _, text in FENCED.findall(README) if "CONTRIBUTING.md" in text]
    names = re.findall(r"^( *)([\w.]+/?) {2,}", tree, re.MULTILINE)
    assert len(names) >= 15
    for indent, name in names:
        path = REPOSITORY / "workbench" / name if indent else REPOSITORY / name
        assert path.exists(), f"{path} is in the README's tree and not in the repository"


def test_every_notebook_has_its_row() -> None:
    here = sorted(path.stem for path in (REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    assert re.findall(r"^\| `(\d\d_\w+)` \|", README, re.MULTILINE) == here


def test_the_picture_is_there() -> None:
    for path in re.findall(r"!\[[^]]+\]\(([^)]+)\)", README):
        assert (REPOSITORY / path).is_file()


def test_the_commands_it_names_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"\bmake ([a-z][a-z-]+)", README))
    assert {"lab", "test", "run"} <= named
    assert named <= set(re.findall(r"[a-z-]+", makefile.split(".PHONY:")[1].splitlines()[0]))

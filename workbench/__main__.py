"""The front door: `python -m workbench <command>`, where a command is one of ``COMMANDS``.

Needs nothing but Python 3.11 or newer. Each command first sees to it that the repository's own `.venv` is complete,
then starts itself again inside it.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must get this far, to say what is wrong
    sys.exit(
        f"The workbench needs Python 3.11 or newer; this is Python {sys.version.split()[0]} ({sys.executable}).\n"
        "To fix it: install one from https://www.python.org/downloads, then name it: make lab PYTHON=python3.12"
    )

import argparse
import os
import subprocess
from pathlib import Path

from workbench.environment import REPOSITORY, SetUpError, is_conda, is_inside, private_python, quiet_variables, set_up

COMMANDS = {
    "lab": "open the notebooks in JupyterLab, on this machine only",
    "run": "run every notebook; pages in build/notebooks/",
    "test": "run the tests; further words go to pytest",
    "check": "lint, format, and no outputs in notebooks",
    "doctor": "check this machine, with fixes",
    "films": "rebuild the simulated data of the bundled catalog",
    "prove-data": "the placebos that must fail, and do (long)",
    "prove-notebooks": "the notebooks with a wrong recommender: they must go red (long)",
    "screens": "drive the widgets in JupyterLab and a browser; pictures in build/screens/",
    "bench-quick": "how good: ml-100k and films, one seed, measured here and now",
    "bench-quality": "how good: five datasets, every row that is missing (hours)",
    "bench-speed": "how fast: training and ranking, beside plain loops in the same run",
    "bench-peers": "other libraries on the same split, in environments of their own (hours)",
    "bench-ui": "how fast the widgets answer, measured in the browser",
    "kernels": "live views on three generations of ipykernel, message by message",
}
SERVER = {  # the token stays: JupyterLab makes a new one at every start
    "ServerApp.ip": "127.0.0.1",
    "ServerApp.allow_remote_access": False,
    "ServerApp.root_dir": REPOSITORY,
    "ServerApp.allow_root": True,  # inside a container there often is nobody else
    "LabApp.default_url": "/lab/tree/notebooks/00_start_here.ipynb",
    "KernelManager.transport_encryption": "auto",  # other people on this machine cannot listen in
}
# a process for each processor, and a file of tests whole in one of them, since its tests share what is slow to make
SIDE_BY_SIDE = ["-n=logical", "--maxprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"]


def read_arguments(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line into ours and, for `test`, what goes on to pytest."""
    parser = argparse.ArgumentParser(prog="python -m workbench", description="A workbench for recommenders.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, meaning in COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        if name == "run":
            command.add_argument("--dataset", default="films", help="a dataset's name or folder (default: films)")
    arguments, rest = parser.parse_known_args(words)
    if rest and arguments.command != "test":
        parser.error(f"{arguments.command} does not take {' '.join(rest)}")
    return arguments, rest


def lines_of(command: str, *, rest: list[str]) -> list[list[str]]:
    """The command lines, all run by this Python, that a command consists of."""
    notebooks = [str(path) for path in sorted(Path("notebooks").glob("*.ipynb"))]
    table = {
        "lab": [["-m", "jupyterlab", *[f"--{name}={value}" for name, value in SERVER.items()]]],
        "test": [["-m", "pytest", *SIDE_BY_SIDE, *rest]],
        "check": [
            ["-m", "ruff", "check", "."],
            ["-m", "ruff", "format", "--check", "."],
            *([["-m", "nbstripout", "--verify", "--keep-id", *notebooks]] if notebooks else []),
        ],
        "films": [["-m", "workbench.catalogs.films"]],
        "prove-data": [["benchmarks/prove_data.py"]],
        "prove-notebooks": [["benchmarks/prove_notebooks.py"]],
        "screens": [["benchmarks/screens.py"]],
        "bench-quick": [["benchmarks/standings.py", "--quick"]],
        "bench-quality": [["benchmarks/standings.py"]],
        "bench-speed": [["benchmarks/speed.py"]],
        "bench-peers": [["benchmarks/peers.py", "ml-100k"], ["benchmarks/peers.py", "ml-1m-sasrec", "--seeds", "0"]],
        "bench-ui": [["benchmarks/ui.py"]],
        "kernels": [["benchmarks/kernels.py"]],
    }
    return [[sys.executable, *line] for line in table[command]]


def print_check_up() -> int:
    """Print the check-up; 1 if anything in it needs a fix."""
    from workbench.doctor import check_up

    found = check_up()
    print(found)
    return int((found.table["status"] == "fix").any())


def act(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Do what was asked, inside the complete environment; the exit status."""
    if arguments.command == "run":
        from workbench.notebooks import run_notebooks

        return run_notebooks(REPOSITORY / "notebooks", output=REPOSITORY / "build/notebooks", dataset=arguments.dataset)
    os.chdir(REPOSITORY)
    if arguments.command == "doctor":
        return print_check_up()
    # every line runs even when an earlier one failed: one call shows everything there is to fix
    lines = lines_of(arguments.command, rest=rest)
    return int(any([subprocess.run(line, env=quiet_variables()).returncode for line in lines]))


def start_again(words: list[str]) -> int:
    """Become the same command on the private Python."""
    command = [str(private_python()), "-m", "workbench", *words]
    if os.name == "nt":  # Windows gives an exec'd process a new number and returns to the prompt at once
        return subprocess.run(command, env=quiet_variables()).returncode
    os.execve(command[0], command, quiet_variables())


def main(words: list[str]) -> int:
    """Run one command; the exit status."""
    arguments, rest = read_arguments(words)
    if is_conda():
        return act(arguments, rest)
    try:
        set_up()
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    return act(arguments, rest) if is_inside() else start_again(words)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

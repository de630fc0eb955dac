"""The private Python of this repository: how `.venv` comes to be, and when it is complete.

Only the standard library, because this runs before anything is installed. Nothing is written outside the repository:
the packages, the Jupyter kernel and the stamp that says "complete" all live inside `.venv`.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
GIGABYTES_NEEDED = 4  # measured: 2.6 GB for the CPU build of torch; the CUDA build asks for more and pip then says so
TROUBLES = (  # what pip and the system write, what it means, and what helps
    (r"No space left on device|Errno 28|disk quota", "the disk is full", "free some space, or move the repository"),
    (
        r"Failed to establish a new connection|name resolution|NewConnectionError|Network is unreachable|getaddrinfo"
        r"|ReadTimeout|ConnectTimeout|Connection (refused|reset|aborted)|ProxyError|Max retries exceeded",
        "the package index cannot be reached",
        "connect to the internet (behind a proxy: set HTTPS_PROXY); without a network, point pip at a folder of wheels"
        " with PIP_FIND_LINKS=<folder> PIP_NO_INDEX=1",
    ),
    (r"CERTIFICATE_VERIFY_FAILED|SSLError", "the index's certificate is not trusted", "set PIP_CERT=<your CA file>"),
    (r"ensurepip", "this Python cannot make a .venv", "on Debian or Ubuntu: sudo apt install python3-venv"),
    (r"Permission denied|Errno 13", "a file may not be written", "make the repository's folder yours, or clone anew"),
    (
        r"No matching distribution found",
        "a package has no build for this Python and system",
        "use Python 3.11, 3.12 or 3.13 on Linux, macOS or Windows (64 bit): make lab PYTHON=python3.12",
    ),
)
DROPPED_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "VIRTUAL_ENV")


class SetUpError(RuntimeError):
    """The set-up could not finish; the message says why and what to do."""


def private_python(repository: Path = REPOSITORY) -> Path:
    """The interpreter inside the repository's `.venv`, whether or not it exists yet."""
    folder = repository / ".venv"
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def is_conda() -> bool:
    """Whether this process runs in the conda environment of environment.yml, which is used as it is."""
    return os.environ.get("CONDA_DEFAULT_ENV") == "workbench" and os.environ.get("CONDA_PREFIX") == sys.prefix


def is_inside(repository: Path = REPOSITORY) -> bool:
    """Whether this process already runs on the Python of the repository's `.venv`."""
    return Path(sys.prefix).resolve() == (repository / ".venv").resolve()


def quiet_variables() -> dict[str, str]:
    """The variables that children get: no user site, no stray package folders, the kernels and IPython of .venv."""
    own = {"PYTHONNOUSERSITE": "1", "PIP_USER": "0", "JUPYTER_PREFER_ENV_PATH": "1"}
    if not is_conda():
        own["IPYTHONDIR"] = str(REPOSITORY / ".venv" / "ipython")  # a person's start-up files do not change results
    return {name: value for name, value in os.environ.items() if name not in DROPPED_VARIABLES} | own


def stamp_of(repository: Path = REPOSITORY) -> str:
    """What a complete `.venv` carries: a hash of the lock and of the folder, because a `.venv` cannot be moved."""
    return hashlib.sha256((repository / "requirements.lock").read_bytes() + str(repository).encode()).hexdigest()


def is_complete(repository: Path = REPOSITORY) -> bool:
    """Whether the set-up has nothing left to do."""
    stamp, unfinished = repository / ".venv" / "workbench.stamp", repository / ".venv" / "unfinished"
    if unfinished.exists() or not stamp.exists() or not private_python(repository).exists():
        return False
    return stamp.read_text(encoding="utf-8") == stamp_of(repository)


def run_step(command: list[str], *, say: Callable[[str], None]) -> None:
    """Run one command, hand its lines to `say`, and turn a failure into a `SetUpError` with its fix."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=quiet_variables(),
        text=True,
        errors="replace",
    ) as process:
        for line in process.stdout:
            lines.append(line.rstrip())
            say(line.rstrip())
    if process.returncode != 0:
        raise SetUpError(explain("\n".join(lines), command=command))


def explain(output: str, *, command: list[str]) -> str:
    """Say in two sentences what went wrong, and quote the end of what the command wrote.

    Examples:
        >>> print(explain("OSError: [Errno 28] No space left on device", command=["pip"]).splitlines()[0])
        The set-up stopped: the disk is full. To fix it: free some space, or move the repository.
    """
    tail = "\n".join("    " + line for line in output.splitlines()[-8:])
    for pattern, meaning, fix in TROUBLES:
        if re.search(pattern, output):
            return f"The set-up stopped: {meaning}. To fix it: {fix}.\n{tail}"
    shown = " ".join(command)
    return f"The set-up stopped at: {shown}\n{tail}\nTo fix it: read the lines above; then run the same command again."


def say_packages(total: int) -> Callable[[str], None]:
    """A listener that turns pip's chatter into one counted line per package."""
    seen = 0

    def say(line: str) -> None:
        nonlocal seen
        if found := re.match(r"(?:Collecting|Requirement already satisfied:) ([^ ]+==[^ ]+)", line):
            seen += 1
            if line.startswith("Collecting"):
                print(f"    package {min(seen, total)} of {total}: {found[1]}", flush=True)
        elif line.startswith("Installing collected packages"):
            print("    unpacking; this takes a minute or two", flush=True)

    return say


@contextmanager
def only_one(repository: Path) -> Iterator[None]:
    """Let one set-up run at a time; a second one waits (on Windows, which has no `flock`, both run)."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(repository / "requirements.lock", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up of this folder is running; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def set_up(repository: Path = REPOSITORY, *, run: Callable[..., None] = run_step) -> bool:
    """Make `.venv` complete; returns whether there was anything to do.

    A set-up that was interrupted leaves `.venv/unfinished` behind; the next one removes that `.venv` and starts over.
    A `.venv` whose lock has changed, or that somebody made by hand, is completed in place.

    Raises:
        SetUpError: With the reason and the fix; the `.venv` is then marked unfinished.
    """
    if is_complete(repository):
        return False
    with only_one(repository):
        if is_complete(repository):
            return False
        folder, python = repository / ".venv", str(private_python(repository))
        unfinished, stamp = folder / "unfinished", folder / "workbench.stamp"
        if unfinished.exists() or (folder.exists() and not Path(python).exists()):
            print("The last set-up was interrupted; starting over.", flush=True)
            shutil.rmtree(folder)
        free = shutil.disk_usage(repository).free / 1e9
        if not folder.exists() and free < GIGABYTES_NEEDED:
            raise SetUpError(
                f"The set-up needs about {GIGABYTES_NEEDED} GB and {repository} has {free:.1f} GB free."
                " To fix it: free some space, or move the repository."
            )
        folder.mkdir(exist_ok=True)
        unfinished.write_text("a set-up is running, or was interrupted\n", encoding="utf-8")
        stamp.unlink(missing_ok=True)
        install(repository, python=python, run=run)
        stamp.write_text(stamp_of(repository), encoding="utf-8")
        unfinished.unlink()
        return True


def install(repository: Path, *, python: str, run: Callable[..., None]) -> None:
    """Fill `.venv` in four announced steps: Python, the locked packages, this package, the kernel."""
    lock = repository / "requirements.lock"
    total = sum("==" in line for line in lock.read_text(encoding="utf-8").splitlines())
    pip = [python, "-m", "pip", "--no-input", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    local = ["--no-deps", "--no-build-isolation", "--editable", str(repository)]
    kernel = [python, "-m", "ipykernel", "install", "--sys-prefix", "--name", "python3"]
    base = getattr(sys, "_base_executable", None) or sys.executable
    steps = [
        (f"{total} packages from requirements.lock (minutes the first time)", [*pip, "-r", str(lock)]),
        ("the workbench itself", [*pip, *local]),
        ("the notebook kernel", kernel),
    ]
    if not Path(python).exists():
        steps.insert(0, ("a private Python in .venv", [base, "-m", "venv", str(repository / ".venv")]))
    for number, (what, command) in enumerate(steps, start=1):
        print(f"Set-up, step {number} of {len(steps)}: {what}", flush=True)
        run(command, say=say_packages(total))
    print("Set-up complete; the next start skips it.", flush=True)

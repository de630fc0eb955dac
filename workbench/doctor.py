"""The check-up: is this machine ready, and if not, what helps. One function per check; each returns its rows.

Nothing but Python is imported before a check needs it: a missing package is a finding, not a crash.
"""

import os
import platform
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple
from urllib.request import Request, urlopen

from workbench.environment import REPOSITORY

if TYPE_CHECKING:
    import ipywidgets
    import pandas as pd

# Symbol and colour (Okabe and Ito); the symbol and the word say what the colour says.
STATUSES = {"good": ("✓", "#009E73"), "look": ("!", "#E69F00"), "fix": ("✗", "#D55E00")}
TEXT = (
    "color:var(--jp-content-font-color1,CanvasText);font-family:var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-ui-font-size1,13px)"
)
OWN_FOLDER = "put the files into a folder that WORKBENCH_DATASETS names"
PATIENCE = 3  # seconds to wait for a publisher's server
INSTALL = "run `make lab` again: it completes the set-up"
FRONT_ENDS = {
    "@jupyter-widgets/jupyterlab-manager": "sliders and buttons",
    "anywidget": "views of our own",
    "jupyterlab-plotly": "charts",
}


class Check(NamedTuple):
    """One row: what was looked at, how it is ("good", "look" or "fix"), what was found, and what helps."""

    check: str
    status: Literal["good", "look", "fix"]
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class CheckUp:
    """What the check-up found; shows itself as a table in a notebook and as text in a terminal.

    Example:
        >>> CheckUp((Check("Python", "good", "3.12.1"), Check("Disk", "fix", "0.1 GB free", "delete something")))
        This machine: good 1, look 0, fix 1
        ✓ good  Python: 3.12.1
        ✗ fix   Disk: 0.1 GB free
                what helps: delete something
    """

    checks: tuple[Check, ...]

    @property
    def table(self) -> "pd.DataFrame":
        """The checks as a table: ``check``, ``status``, ``detail``, ``fix``."""
        import pandas as pd

        return pd.DataFrame(self.checks, columns=Check._fields)

    @property
    def summary(self) -> str:
        """How many checks are good, how many are worth a look, how many need a fix."""
        return ", ".join(f"{name} {sum(row.status == name for row in self.checks)}" for name in STATUSES)

    def __repr__(self) -> str:
        """Return one line per check, and what helps below it."""
        lines = [f"This machine: {self.summary}"]
        for row in self.checks:
            lines.append(f"{STATUSES[row.status][0]} {row.status:5} {row.check}: {row.detail}")
            lines += [f"        what helps: {row.fix}"] if row.fix else []
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return a table in the colours of the page's theme; all text escaped."""
        line = "border-bottom:1px solid rgba(128,128,128,.3)"
        cell = f"text-align:left;vertical-align:top;padding:4px 14px 4px 0;white-space:normal;{line}"
        badge = "color:#000;border-radius:3px;padding:1px 7px;font-weight:600"  # black reads on all three colours
        names = ("Status", "Check", "Found", "What helps")
        head = "".join(f"<th scope='col' style='{cell}'>{name}</th>" for name in names)
        rows = "".join(
            f"<tr><td style='{cell};white-space:nowrap'><span style='{badge};background:{STATUSES[row.status][1]}'>"
            f"<span aria-hidden='true'>{STATUSES[row.status][0]}</span> {row.status}</span></td>"
            f"<th scope='row' style='{cell};font-weight:500'>{escape(row.check)}</th>"
            f"<td style='{cell}'>{escape(row.detail)}</td><td style='{cell}'>{escape(row.fix)}</td></tr>"
            for row in self.checks
        )
        title = f"<caption style='text-align:left;color:inherit;padding:4px 0'>This machine: {self.summary}</caption>"
        style = "border-collapse:collapse;color:inherit;font-size:inherit;margin:0"
        table = f"<table style='{style}'>{title}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        return f"<div style='{TEXT};max-width:72em'>{table}</div>"


def check_up() -> CheckUp:
    """Look at this machine: Python, packages, JupyterLab, device, memory, disk and datasets.

    A check that itself fails becomes a row worth a look; the others still run.
    """
    rows: list[Check] = []
    for name, check in CHECKS.items():
        try:
            rows += check()
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            rows.append(Check(name, "look", f"could not be checked ({reason})", INSTALL))
    return CheckUp(tuple(rows))


def slider_test() -> "ipywidgets.HBox":
    """A slider that measures the way to the browser and back; see ``workbench.widgets.slider``."""
    from workbench.widgets.slider import build_slider

    return build_slider()


def check_python() -> Iterator[Check]:
    """The version of Python, against the one the workbench asks for."""
    from packaging.specifiers import SpecifierSet

    found, asked = platform.python_version(), project()["requires-python"]
    if SpecifierSet(asked).contains(found, prereleases=True):
        yield Check("Python", "good", found)
    else:
        yield Check("Python", "fix", f"{found} is not {asked}", f"install Python {asked}, then `make lab`")


def check_packages() -> Iterator[Check]:
    """The packages the workbench names, against its ranges and against the versions it was tested with."""
    from packaging.requirements import Requirement

    needed, lock = [Requirement(line) for line in project()["dependencies"]], REPOSITORY / "requirements.lock"
    pins = lock.read_text(encoding="utf-8") if lock.is_file() else ""
    tested = dict(re.findall(r"^([A-Za-z0-9._-]+)==(\S+)$", pins, flags=re.MULTILINE))
    fixes, looks = [], []
    for package in needed:
        try:
            found = metadata.version(package.name)
        except metadata.PackageNotFoundError:
            fixes.append(f"{package.name} is missing")
            continue
        plain = found.split("+")[0]  # a build's suffix such as +cpu is no other version
        if not package.specifier.contains(found, prereleases=True):
            fixes.append(f"{package.name} {found} is outside {package.specifier}")
        elif tested.get(package.name, plain) != plain:
            looks.append(f"{package.name} {found}, tested with {tested[package.name]}")
    if fixes:
        yield Check("Packages", "fix", "; ".join(fixes + looks), INSTALL)
    elif looks:
        yield Check("Packages", "look", "; ".join(looks), "nothing if the notebooks run; else " + INSTALL)
    else:
        yield Check("Packages", "good", f"{len(needed)} packages as {'tested' if tested else 'asked for'}")


def project() -> dict:
    """What the workbench asks for: ``requires-python`` and ``dependencies``."""
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def check_front_end() -> Iterator[Check]:
    """Whether JupyterLab has what draws widgets and charts, and whether it runs in the kernel's environment."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    missing = [name for name in FRONT_ENDS if not any((folder / name).is_dir() for folder in folders)]
    versions = f"JupyterLab {metadata.version('jupyterlab')}, ipywidgets {metadata.version('ipywidgets')}"
    if missing:
        lost = ", ".join(f"{name} ({FRONT_ENDS[name]})" for name in missing)
        yield Check("JupyterLab", "fix", f"{versions}; without {lost}", f"{INSTALL}; then reload the page")
    else:
        yield Check("JupyterLab", "good", f"{versions}; widgets and charts can be drawn")
    server = server_command()
    if server and not any(part.startswith(sys.prefix) for part in server[:2]):
        detail = f"JupyterLab runs from {server[0]}, this kernel from {sys.prefix}"
        yield Check("Environment", "look", detail, "if sliders stay text, start JupyterLab with `make lab`")
    elif server:
        yield Check("Environment", "good", "JupyterLab and this kernel share one")


def server_command() -> list[str]:
    """The command line of the server that started this kernel; empty outside a notebook."""
    import psutil

    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdigit() or not psutil.pid_exists(int(parent)):
        return []
    return psutil.Process(int(parent)).cmdline()


def check_device() -> Iterator[Check]:
    """What the model computes on, and in which number format."""
    import torch

    from workbench.training.precision import best_device, choose_precision

    device = best_device()
    words = f"with {choose_precision(device)}, PyTorch {torch.__version__}"
    if device == "cuda":
        free, total = (size / 1e9 for size in torch.cuda.mem_get_info())
        yield Check("Device", "good", f"{torch.cuda.get_device_name()}, {free:.0f} of {total:.0f} GB free, {words}")
    elif device == "mps":
        yield Check("Device", "good", f"Apple GPU {words}")
    else:
        detail = f"no GPU: CPU {words}, {torch.get_num_threads()} threads"
        yield Check("Device", "look", detail, "nothing: every notebook is made for this; a GPU is faster")


def check_memory() -> Iterator[Check]:
    """Free memory, and the limit of a container if it is lower."""
    from workbench.widgets.device_badge import free_memory

    free, total = free_memory()
    yield _by_amount("Memory", free, f"of {total / 1e9:.1f} GB", enough=3e9, least=1.5e9, fix="close other programs")


def check_disk() -> Iterator[Check]:
    """Free disk space where the repository lies; runs and downloads go there."""
    free = shutil.disk_usage(REPOSITORY).free
    yield _by_amount("Disk", free, "for runs and downloads", enough=2e9, least=0.3e9, fix="free some space")


def check_datasets() -> Iterator[Check]:
    """Which of the names of ``load_dataset`` work right now, and what the others need."""
    from workbench.catalogs.sources import LAYOUTS, available_datasets

    here = available_datasets()
    if "films" in here:
        yield Check("films", "good", "bundled; works without a network")
    else:
        yield Check("films", "fix", "the bundled catalog is missing", "git checkout -- data/films")
    others = [name for name in here if name != "films"]
    if others:
        yield Check("Datasets here", "good", ", ".join(others))
    away = {name: layout for name, layout in LAYOUTS.items() if name not in here and name != "films"}
    loadable = [name for name in away if away[name].archive]
    if loadable and reaches(away[loadable[0]].archive):
        yield Check("Datasets to download", "good", f"load_dataset fetches {', '.join(loadable)}")
    elif loadable:
        detail = f"{', '.join(loadable)}: their publisher cannot be reached"
        yield Check("Datasets to download", "look", detail, "only if wanted: connect, or " + OWN_FOLDER)
    manual = [f"{name} ({', '.join(away[name].files).replace('|', ' or ')})" for name in away if name not in loadable]
    if manual:
        fix = f"only if wanted: {OWN_FOLDER}; load_dataset says where they come from"
        yield Check("Datasets to bring", "look", "; ".join(manual), fix)


def reaches(address: str) -> bool:
    """Whether a server answers; waits a few seconds at most once its name is known."""
    try:
        with urlopen(Request(address, method="HEAD"), timeout=PATIENCE):
            return True
    except OSError:
        return False


def check_pictures() -> Iterator[Check]:
    """Whether charts can be saved as .png."""
    from workbench.plots.saving import find_browser

    if browser := find_browser():
        yield Check("Saving .png", "good", f"with {Path(browser).name}")
    else:
        yield Check("Saving .png", "look", "no Chromium, Chrome or Edge found", "install one, or save charts as .html")


CHECKS: dict[str, Callable[[], Iterator[Check]]] = {
    "Python": check_python,
    "Packages": check_packages,
    "JupyterLab": check_front_end,
    "Device": check_device,
    "Memory": check_memory,
    "Disk": check_disk,
    "Datasets": check_datasets,
    "Saving .png": check_pictures,
}


def _by_amount(name: str, free: float, words: str, *, enough: float, least: float, fix: str) -> Check:
    """Good, look or fix by how many bytes are free."""
    status = "good" if free >= enough else "look" if free >= least else "fix"
    return Check(name, status, f"{free / 1e9:.1f} GB free {words}", "" if status == "good" else fix)

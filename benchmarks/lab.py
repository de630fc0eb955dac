"""A JupyterLab with a Chromium in front of it, for whoever wants to see what a person sees.

Nothing leaves the machine: the server listens on 127.0.0.1 only, and the browser refuses every other address.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from records import RESULTS

REPOSITORY = RESULTS.parents[1]
NO_GPU = ("--no-sandbox", "--disable-gpu")  # how Chromium draws where there is none
SOFTWARE_GL = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")  # emulated
QUIET = {  # JupyterLab's own settings: nothing asked of the network
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
RUN_ALL = """async () => {
  const app = window.jupyterapp;
  await app.shell.currentWidget.sessionContext.ready; // else the cells would wait for a kernel that never hears of them
  app.commands.execute("notebook:run-all-cells");
}"""
BENCHES = REPOSITORY / "benchmarks"


class Lab:
    """A running JupyterLab over one folder, and pages of it.

    Attributes:
        folder: Where its notebooks are.
        address: Up to ``/lab``.
        token: What it asks for.
    """

    def __init__(self, folder: Path, *, address: str, token: str, settings: Path) -> None:
        """A server that answers already."""
        self.folder, self.address, self.token, self._settings = folder, address, token, settings

    def write_settings(self, **more: Any) -> None:
        """Set what the next page of it finds: the quiet ones, and ``theme``."""
        for name, values in (QUIET | {"apputils-extension/themes": more}).items():
            path = self._settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), "utf-8")

    @contextmanager
    def open(self, browser: Any, cells: list[str], *, theme: str = "light") -> Iterator["LabPage"]:
        """A page with a new notebook of these cells, none of them run yet."""
        self.write_settings(theme=f"JupyterLab {theme.capitalize()}")
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.folder / f"scratch-{secrets.token_hex(3)}.ipynb"
        nbformat.write(notebook, path)
        page = browser.new_page(viewport={"width": 1360, "height": 960})
        shown = LabPage(page)
        try:
            page.route("**/*", self._allow)
            page.goto(f"{self.address}/tree/{path.name}?token={self.token}&reset")
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
            page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=90_000)
            page.keyboard.press("Control+B")  # the file browser goes
            yield shown
        finally:
            page.close()
            path.unlink()

    def _allow(self, route: Any) -> None:
        """Let a request through to the server, and to nobody else."""
        own = route.request.url.startswith((self.address.removesuffix("/lab"), "data:", "blob:"))
        route.continue_() if own else route.abort()


class LabPage:
    """One notebook as a person sees it.

    Attributes:
        page: Playwright's page.
        errors: What the browser's console called an error, so far.
    """

    def __init__(self, page: Any) -> None:
        """Begin to listen to the console."""
        self.page, self.errors = page, []
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def run_all(self) -> None:
        """Run all cells and wait until they are done.

        Raises:
            RuntimeError: If a cell fails; the message is its error.
        """
        page = self.page
        page.evaluate(RUN_ALL)
        last = page.locator(".jp-CodeCell .jp-InputArea-prompt").last
        wait_for(lambda: last.inner_text().strip("[]: \n").isdigit() or self.failure(), seconds=120)
        if failure := self.failure():
            raise RuntimeError(failure)

    def failure(self) -> str:
        """The error that a cell shows, or nothing."""
        shown = self.page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        texts = [text for text in shown.all_inner_texts() if "Error" in text]
        return texts[0][-2000:] if texts else ""


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[Lab]:
    """A JupyterLab over a folder; its kernels import this checkout."""
    port, token = free_port(), secrets.token_hex(8)
    settings = folder / ".settings"
    own = {"JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTER_PREFER_ENV_PATH": "1"}
    own |= {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{BENCHES}"}
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", "--no-browser", "--ip=127.0.0.1", f"--port={port}"]
    command += [
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True",
    ]
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=folder)
    try:
        lab = Lab(folder, address=f"http://127.0.0.1:{port}/lab", token=token, settings=settings)
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/api/status?token={token}"), seconds=90)
        yield lab
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def chromium(flags: Sequence[str] = NO_GPU) -> Iterator[Any]:
    """A Chromium without a screen that draws in software."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("this needs Chromium. Install it (Debian, Ubuntu: sudo apt install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(flags))
        yield browser
        browser.close()


def wait_for(question: Any, *, seconds: float) -> Any:
    """Ask until the answer is true, and return it.

    Raises:
        TimeoutError: If it never is.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise TimeoutError(f"not within {seconds:.0f} s")


def answers(address: str) -> bool:
    """Whether a server answers."""
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except OSError:
        return False


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return some.getsockname()[1]

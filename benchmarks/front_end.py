"""One view in a kernel, and a front end that speaks the protocol of widgets to it, without a browser.

A venv per generation of ipykernel holds that ipykernel and borrows every other package from this Python; making it
needs the network once.
"""

import ast
import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from records import RESULTS, Row

from workbench.environment import quiet_variables

FOLDER = RESULTS.parents[1] / "build" / "kernels"
STEP = 0.05  # seconds that the work takes for a step
PATIENCE = 20  # seconds until something is said never to come; the machine may be busy
ERROR = "a list that cannot be made"
TITLES = {"a": "Alien", "b": "Brazil", "c": "Cube"}


def make_view() -> dict[str, Any]:
    """In the kernel: controls that only ask, a worker whose work counts its steps, and two lines it writes on."""
    import ipywidgets

    from workbench.widgets.worker import Worker

    wish, stop = ipywidgets.Text(), ipywidgets.Button(description="Stop")
    shown, state = ipywidgets.HTML(), ipywidgets.HTML()
    pressed, rank = [float("inf")], make_rank()

    def work(request: str, stop: Any, halved: bool) -> Any:
        kind, _ = request.split()
        if kind == "fail":
            raise ValueError(ERROR)
        if kind == "rank":
            return rank()
        begun: list[float] = []
        while len(begun) < int(kind) and not stop.is_set():
            begun.append(time.perf_counter())
            time.sleep(STEP)
        return {"steps": len(begun), "too_many": sum(pressed[0] < step for step in begun)}

    def show(answer: Any) -> None:
        ended = 1000 * (time.perf_counter() - pressed[0]) if answer.stopped else None
        shown.value = json.dumps(vars(answer) | {"newest": worker.number, "ended_ms": ended})

    def press(button: Any) -> None:
        pressed[0] = time.perf_counter()
        worker.stop()

    def tell(said: str) -> None:
        state.value, stop.disabled = said, said not in ("running", "stopping")

    worker = Worker(work, show=show, tell=tell)
    wish.observe(lambda change: worker.ask(change["new"]), "value")
    stop.on_click(press)
    return {"wish": wish, "stop": stop, "shown": shown, "state": state}


def make_rank() -> Callable[[], list[str]]:
    """In the kernel: a real recommender, as small as can be, and its list for one history."""
    import pandas as pd
    import torch

    from workbench.models import start_recommender

    torch.set_num_threads(1)
    catalog = pd.DataFrame({"item_id": list(TITLES), "title": list(TITLES.values())})
    recommender = start_recommender(catalog, layers=1, width=16, heads=2)
    return lambda: recommender.rank({"ann": ["a"]}, k=5)["item_id"].tolist()


@dataclass
class FrontEnd:
    """One view in a kernel, seen from outside.

    Attributes:
        manager: Who started the kernel.
        client: Its channels.
        ids: The widgets' comm ids by their names.
        subshell: The subshell that widgets' messages are sent to, as JupyterLab does; None for the shell itself.
        heard: All that came on the shell and iopub channels since the view was made.
        wishes: How many requests were sent.
    """

    manager: KernelManager
    client: BlockingKernelClient
    ids: dict[str, str] = field(default_factory=dict)
    subshell: str | None = None
    heard: list[Row] = field(default_factory=list)
    wishes: int = 0

    def send(self, name: str, data: Row) -> None:
        """A message to a widget."""
        message = self.client.session.msg("comm_msg", {"comm_id": self.ids[name], "data": data})
        if self.subshell:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def ask(self, kind: str | int) -> int:
        """Change the control: a number of steps, "rank" or "fail"; the sequence number that this must get."""
        self.wishes += 1
        self.send("wish", {"method": "update", "state": {"value": f"{kind} {self.wishes}"}, "buffer_paths": []})
        return self.wishes

    def press_stop(self) -> None:
        """Press the button."""
        self.send("stop", {"method": "custom", "content": {"event": "click"}})

    def values(self, name: str) -> list[str]:
        """What a line was set to, in order, as updates of its trait on iopub."""
        contents = [message["content"] for message in self.heard if message["msg_type"] == "comm_msg"]
        updates = [content["data"] for content in contents if content["comm_id"] == self.ids[name]]
        return [data["state"]["value"] for data in updates if data["method"] == "update" and "value" in data["state"]]

    def answers(self) -> list[Row]:
        """The answers shown so far."""
        return [json.loads(value) for value in self.values("shown") if value]

    def hear(self, question: Callable[[], Any], what: str) -> Any:
        """Listen until the answer is true, and return it.

        Raises:
            AssertionError: If it never is.
        """
        end = time.monotonic() + PATIENCE
        while not (answer := question()):
            assert time.monotonic() < end, f"{what}: not within {PATIENCE} s; state {self.values('state')[-1:]}"
            ready = [each for each in (self.client.iopub_channel, self.client.shell_channel) if each.msg_ready()]
            self.heard += [channel.get_msg(timeout=1) for channel in ready]
            if not ready:
                time.sleep(0.001)
        return answer

    def hear_answer(self, number: int) -> Row:
        """Listen until an answer with this number is shown."""
        found = lambda: [answer for answer in self.answers() if answer["number"] == number]  # noqa: E731
        return self.hear(found, f"answer {number}")[-1]

    def begin(self, code: str) -> str:
        """Start a cell, and wait until it runs; its message id."""
        cell = self.client.execute(f"display(0)\n{code}")  # an interrupt before its first line would be lost
        self.hear(lambda: self.has(cell, "display_data"), "the cell begins")
        return cell

    def finish(self, cell: str) -> None:
        """Wait for a cell's reply: while ipykernel 7.0 to 7.3 replies, a message may get lost (ipykernel#1554)."""
        self.hear(lambda: self.has(cell, "idle") and self.has(cell, "execute_reply"), "the cell ends")

    def has(self, cell: str, kind: str) -> bool:
        """Whether a message of this kind, or with this execution state, came from a cell."""
        messages = [message for message in self.heard if message["parent_header"].get("msg_id") == cell]
        return any(kind in (message["msg_type"], message["content"].get("execution_state")) for message in messages)

    def run_long(self) -> int:
        """Ask for more steps than there is time for, and wait until they run; the sequence number."""
        number = self.ask(1000)
        self.hear(lambda: self.values("state")[-1:] == ["running"], "the work begins")
        self.listen(2 * STEP)
        return number

    def listen(self, seconds: float) -> None:
        """Hear whatever comes in some time."""
        end = time.monotonic() + seconds
        self.hear(lambda: time.monotonic() > end, "time passes")

    def stop_and_hear(self, number: int) -> tuple[Row, Row]:
        """Press Stop and wait for what there is: the answer, and how long it took."""
        begun = time.monotonic()
        self.press_stop()
        answer = self.hear_answer(number)
        assert answer["stopped"] and not answer["error"] and 0 < answer["result"]["steps"] < 1000, answer
        assert answer["result"]["too_many"] <= 1, f"{answer['result']['too_many']} steps began after Stop"
        times = {"stopped_ms": answer["ended_ms"], "seen_ms": 1000 * (time.monotonic() - begun)}
        return answer, {name: round(value, 1) for name, value in times.items()}


def make_python(version: str, *, folder: Path = FOLDER) -> Path:
    """The interpreter of a venv that has an ipykernel of its own and borrows the other packages from this one."""
    home = folder / version
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True)
    own = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    (own / "borrowed.pth").write_text(f"{FOLDER.parents[1]}\n{sysconfig.get_path('purelib')}\n")  # searched after own
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, f"ipykernel=={version}.*"], check=True)
    return python


@contextmanager
def start_kernel(python: Path) -> Iterator[tuple[KernelManager, BlockingKernelClient, Row]]:
    """A kernel of an interpreter, its channels, and what it says about itself; what it logs goes to a file."""
    home = python.parents[1]
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (home / "specs" / "checked").mkdir(parents=True, exist_ok=True)
    (home / "specs" / "checked" / "kernel.json").write_text(KernelSpec(argv=argv, display_name="checked").to_json())
    specs = KernelSpecManager(kernel_dirs=[str(home / "specs")], ensure_native_kernel=False)
    manager = KernelManager(kernel_name="checked", kernel_spec_manager=specs)
    with open(home / "kernel.log", "w") as log:
        manager.start_kernel(cwd=str(Path(__file__).parent), env=quiet_variables(), stdout=log, stderr=log)
        client = manager.blocking_client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            yield manager, client, client.kernel_info(reply=True, timeout=PATIENCE)["content"]
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def run_cell(client: BlockingKernelClient, code: str, *, value: str) -> Any:
    """Run a cell, and the plain value of an expression after it."""
    reply = client.execute(code, user_expressions={"value": value}, reply=True, timeout=60)["content"]
    assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))
    return ast.literal_eval(reply["user_expressions"]["value"]["data"]["text/plain"])


def open_view(manager: KernelManager, client: BlockingKernelClient, *, subshell: str | None) -> FrontEnd:
    """Run the cell that makes a view, as a notebook does."""
    code = "import front_end; view = front_end.make_view()"
    ids = run_cell(client, code, value="{name: widget.model_id for name, widget in view.items()}")
    return FrontEnd(manager, client, ids, subshell)


def make_subshell(client: BlockingKernelClient) -> str:
    """A second shell beside the first, as JupyterLab makes one for widgets."""
    client.control_channel.send(client.session.msg("create_subshell_request", {}))
    return client.get_control_msg(timeout=PATIENCE)["content"]["subshell_id"]

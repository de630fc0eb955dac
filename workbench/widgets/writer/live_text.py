"""The lower half of the text writer: it orders texts and measurements from the worker, and shows what comes."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import ipywidgets
import pandas as pd

from workbench import plots
from workbench.models.generation import Text
from workbench.widgets.copy_button import CopyButton
from workbench.widgets.worker import Answer, Worker
from workbench.widgets.working_view import WorkingView
from workbench.widgets.writer.check import Measured
from workbench.widgets.writer.code import write_code
from workbench.widgets.writer.words import (
    UNMEASURED,
    Written,
    draft_html,
    lines_html,
    pieces_table,
    text_html,
    write_page,
)
from workbench.widgets.writer.work import TextMaker

BUSY = ("running", "stopping")
FRAME = 0.05  # seconds between two pictures of a text that is being written
FIRST = "idle: choose what to write, then press Write."
KEPT = " The text shown is the one before."
STOPPED = "idle: stopped before anything was written."


class LiveText(WorkingView):
    """A text and the verdict on its run; the newest order wins, and what was there stays until the answer is.

    Attributes:
        measured: What was measured of the run; None before.
        page: The text.
        check: What the text names and whether that is true, beside the floor.
        verdict_line: What was measured of the run, in words.
        copy: Copies ``code``.
        worker: Who asks the model; ``worker.wait()`` waits for what was ordered last.
    """

    def __init__(self, maker: TextMaker, *, live: bool) -> None:
        """Nothing is written yet.

        Args:
            maker: Who writes and checks.
            live: As in ``View``; False answers before an order returns.
        """
        super().__init__(live=live)
        self.measured: Measured | None = None
        self.page, self.check, self.verdict_line = (
            ipywidgets.HTML(layout={"height": height, "overflow": "auto", "margin": "2px"})
            for height in ("230px", "120px", "84px")
        )  # fixed, so that nothing below ever moves; more scrolls
        self.copy = CopyButton(tooltip="Copies the code that writes this very text")
        self.worker = Worker(lambda order, stop, halved: order(stop), show=self._show, tell=self._tell, live=live)
        self._maker = maker
        self._written: Written | None = None
        self._said, self._begun, self._drawn = FIRST, 0.0, 0.0
        self._draw()
        self.say(FIRST)

    @property
    def text(self) -> Text | None:
        """The newest text, partial if it was stopped; None before the first."""
        return self._written.text if self._written else None

    @property
    def df(self) -> pd.DataFrame:
        """The newest text in pieces: ``piece``, ``probability``."""
        return self._written.df if self._written else pieces_table(())

    @property
    def code(self) -> str:
        """The newest text, as Python that writes it again in a fresh kernel."""
        if self._written is None:
            return "# There is no text yet.\n"
        return write_code(self._maker.recommender, self._written.question, stopped=self._written.text.stopped)

    @property
    def verdict(self) -> str:
        """What was measured of the run, in a sentence, or that nothing was."""
        return self.measured.verdict if self.measured else UNMEASURED

    def order_text(self, question: Mapping[str, Any]) -> None:
        """Have a text written; what ``write_text`` refuses is told in the status line.

        Args:
            question: What ``write_text`` is asked.
        """
        self._order(lambda stop: self._maker.write(question, stop=stop, on_piece=self._hear_piece))

    def order_measure(self, n_items: int) -> None:
        """Have the run measured on so many items; what it says stands in ``verdict`` and ``measured``."""
        measure = self._maker.check.measure
        self._order(lambda stop: measure(n_items, stop=stop, on_text=partial(self._hear_text, stop)))

    def save(self, path: str | Path) -> Path:
        """Write the pieces (``.csv``, ``.parquet``) or the text as a page (``.html``).

        Raises:
            ValueError: If the name ends in something else.
        """
        if Path(path).suffix not in (".csv", ".parquet", ".html"):
            raise ValueError(f"{Path(path).name!r} must end in .csv or .parquet for the pieces, in .html for a page.")
        return plots.save(self, path)

    def still(self) -> tuple[str, str]:
        """Text, check, verdict and status as text and as HTML."""
        return write_page(self._written, verdict=self.verdict, status=self._said)

    @property
    def _now(self) -> str:
        """What the status line should say now."""
        state = self.worker.state
        return state if state in BUSY else self._said

    def _light(self, *, busy: bool) -> None:
        """Show that something runs, or not."""

    def _order(self, order: Callable[[Event], Any]) -> None:
        with self._lock:
            self._begun = time.monotonic()
            self.worker.ask(order)

    def _on_stop(self) -> str:
        """End what runs at its next piece."""
        if self.worker.state not in BUSY:
            return f"idle: nothing runs. {self._said.removeprefix('idle: ')}"
        self.worker.stop()
        return "stopping" if self.worker.state == "stopping" else STOPPED  # what only waited is gone at once

    def _show(self, answer: Answer) -> None:
        """A text, or what was measured, in the worker's thread."""
        with self.unheard():
            made, seconds, kept = answer.result, f" in {answer.seconds:.1f} s", KEPT if self._written else ""
            if answer.error:
                self._said = f"failed: {answer.error.removeprefix('ValueError: ')}{kept}"
            elif isinstance(made, Measured):
                self.measured, self._said = made, f"idle: {made.n_texts:,} of {made.n_asked:,} texts measured{seconds}"
            elif made is None or (made.text.stopped and not made.text.pieces):
                self._said = f"{STOPPED}{kept}"
            else:
                self._written, self._said = made, f"idle: {made.ending}{seconds}"
            self._draw()

    def _draw(self) -> None:
        """Bring everything to what is held."""
        written = self._written
        self.page.value = text_html(written)
        self.check.value = lines_html(written.check if written else [], label="Check of the text")
        self.verdict_line.value = lines_html([self.verdict], label="Verdict on the run")
        self.copy.text = self.code

    def _tell(self, state: str) -> None:
        """The status line for a state of the worker."""
        with self._lock:
            self._light(busy=state in BUSY)
            self.say(state if state in BUSY else self._said)

    def _hear_piece(self, text: str) -> None:
        """Show a text while it is written, in the worker's thread."""
        now = time.monotonic()
        if not self.live or now - self._drawn < FRAME:
            return
        with self._lock:
            self._drawn = now
            self.page.value = draft_html("Being written:", text)
            self.say(f"running {(now - self._begun) // 0.5 / 2:.1f} s")  # twice a second, not at every piece

    def _hear_text(self, stop: Event, done: int, asked: int) -> None:
        """Say how far measuring is, in the worker's thread."""
        if not stop.is_set():
            with self._lock:
                self.say(f"running: {done:,} of {asked:,} texts")

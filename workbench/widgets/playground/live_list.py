"""The right side of the playground: it asks the worker for lists and shows its answers, whatever asked for them."""

import time
from collections import deque
from collections.abc import Mapping
from html import escape
from threading import Event, Timer
from typing import Any

import ipywidgets
import pandas as pd
from IPython.display import HTML, display

from workbench.language import PromptTemplate
from workbench.models import GPT2Recommender
from workbench.models.generation import Word
from workbench.widgets.copy_button import CopyButton
from workbench.widgets.playground.code import write_code
from workbench.widgets.playground.prompt_line import PromptLine, group_units
from workbench.widgets.playground.runs import Runs
from workbench.widgets.playground.shown import Shown, log_row, show_made
from workbench.widgets.playground.slate import Slate, list_part
from workbench.widgets.playground.words import tell_words
from workbench.widgets.playground.work import ListMaker, Made, Order, describe_list, grow_list
from workbench.widgets.view import TEXT
from workbench.widgets.worker import Answer, Worker
from workbench.widgets.working_view import WorkingView

QUICK = 0.2  # seconds below which nobody needs to be told that something runs
FRAME = 0.05  # seconds between two pictures of a slate that is being written
SETTLED = 1.0  # seconds after which the still copy below the view follows
NEWEST_LOGGED = 1_000  # rows of the log that are kept
KEPT = "The list shown is the one before."
STOPPED = f"idle: stopped before anything was written. {KEPT}"
# The still copy below the view is for when the view cannot be drawn: in pages, and when the kernel is gone.
HIDDEN = "<style>.jp-OutputArea:has(.workbench-playground) .wb-playground-still{display:none}</style>"


class LiveList(WorkingView):
    """A list that follows what is ordered; the newest order wins, and the list before stays until its answer is there.

    Attributes:
        runs: Where the recommenders are.
        templates: Those that were given, by name.
        slate: The list, or two.
        line: The exact prompt, unit by unit.
        caption: What is shown of how much, and where it comes from.
        copy: Copies ``code``.
        worker: Who asks the model.
    """

    def __init__(self, runs: Runs, templates: Mapping[str, PromptTemplate], *, live: bool) -> None:
        """Nothing is shown yet.

        Args:
            runs: Where the recommenders are.
            templates: Templates by name.
            live: As in ``View``; False answers before ``order`` returns.
        """
        super().__init__(live=live)
        self.runs, self.templates = runs, dict(templates)
        self.slate, self.line, self.caption = Slate(), PromptLine(), ipywidgets.HTML()
        self.copy = CopyButton(tooltip="Copies the code that makes this very list")
        self.worker = Worker(
            ListMaker(runs, self.templates, self._hear_words).make, show=self._show, tell=self._tell, live=live
        )
        self._shown: Shown | None = None
        self._asked: Order | None = None
        self._said, self._slow, self._seconds, self._begun, self._drawn = "idle", False, 0.0, 0.0, 0.0
        self._half = False  # a slate stands there that is being written
        self._log: deque[dict[str, Any]] = deque(maxlen=NEWEST_LOGGED)
        self._stills: list[Any] = []
        self._timer: Timer | None = None

    @property
    def df(self) -> pd.DataFrame:
        """The list: ``rank``, ``item_id``, ``title``, perhaps ``title_zh``, ``score``, ``probability``, ``change``."""
        return self._shown.table(0) if self._shown else pd.DataFrame()

    @property
    def compared(self) -> pd.DataFrame | None:
        """The list beside it, with its changes against the first; None where there is none."""
        return self._shown.table(1) if self._shown and len(self._shown.made.lists) > 1 else None

    @property
    def history_log(self) -> pd.DataFrame:
        """What was asked and answered: number, seconds, run, parts of the prompt, settings, first item.

        The newest 1,000 rows are kept, and 200 characters of each request.
        """
        return pd.DataFrame(list(self._log))

    @property
    def code(self) -> str:
        """The list that is shown, as Python that makes it again in a fresh kernel."""
        return write_code(self._shown.first) if self._shown else "# There is no list yet.\n"

    @property
    def _now(self) -> str:
        """What the status line should say now."""
        return "running" if self._slow and self.worker.state == "running" else self._said

    def order(self, order: Order, *, slow: bool = False) -> None:
        """Ask for lists.

        Args:
            order: What is wanted.
            slow: It will take long enough to say that something runs.
        """
        with self._lock:
            self._asked, self._slow, self._begun = order, slow or self._seconds > QUICK, time.monotonic()
            self.worker.ask(order)

    def why(self, number: int, item: str) -> None:
        """Ask what in the prompt helps an item of a list (0 or 1) most; the answer goes below the lists."""
        order, shown = self._asked, self._shown.made if self._shown else None
        there = shown and (shown.order.sides, shown.order.decoding) == (order.sides, order.decoding)
        made = shown.lists if there else ()  # those on their way are made first
        self.order(Order(order.sides, order.decoding, why=(number, item), made=made), slow=True)

    def still(self) -> tuple[str, str]:
        """Prompt, lists and caption as text and as HTML."""
        if self._shown is None:
            return self._said, f"<div style='{TEXT}'>{escape(self._said)}</div>"
        return self._shown.page(self._said)

    def _on_stop(self) -> str:
        """End what runs at its next word."""
        if self.worker.state not in ("running", "stopping"):
            return f"idle: nothing runs. {self._said.removeprefix('idle ').lstrip('· ')}"
        self.worker.stop()
        return "stopping" if self.worker.state == "stopping" else STOPPED  # what only waited is gone at once

    def _on_why(self) -> str:
        """A row was asked about."""
        number, item = self.slate.asked
        with self.unheard():
            self.slate.asked = []  # the same row can be asked about again
        if not item:
            return "idle: no item was written in this place."
        self.why(number, item)
        return self._now

    def _settle(self) -> None:
        """Bring controls that depend on the run, or were turned in vain, to what is shown."""

    def _light(self, *, busy: bool) -> None:
        """Show that something runs, or not."""

    def _show(self, answer: Answer) -> None:
        """An answer, in the worker's thread."""
        with self.unheard():
            made = answer.result
            if answer.error:
                error = answer.error.removeprefix("ValueError: ")
                self._said = f"failed: {error}{f' {KEPT}' if self._shown else ''}"
            elif not made.lists or (made.lists[0].stopped and made.lists[0].df.empty and self._shown):
                self._said = STOPPED
            else:
                self._take(made, answer)
            if self._shown:
                self._draw(answer.number, made.why if made else "")
            self._settle()

    def _take(self, made: Made, answer: Answer) -> None:
        """Keep an answer; one that only says why leaves the lists and their changes as they are."""
        if not made.order.made:
            self._seconds = answer.seconds - made.order.pause
            self._shown = show_made(made, self._shown, seconds=self._seconds, note=answer.note)
            self._log.append(log_row(answer.number, self._seconds, made))
        self._said = f"idle · {self._shown.speed}"

    def _draw(self, number: int, why: str) -> None:
        """Everything that depends on the list; the list itself first."""
        shown, slate, words = self._shown, self.slate, self._shown.first.words
        self._half = False
        with slate.hold_sync():
            slate.stream = tell_words(words) if words else ""
            slate.number, slate.lists, slate.notes, slate.why = number, shown.parts(), shown.notes, why
        with self.line.hold_sync():
            self.line.units, self.line.said = group_units(shown.first.units), shown.room
        self.caption.value = f"<div style='{TEXT};opacity:.85'>{escape(shown.caption)}</div>"
        self.copy.text = self.code

    def _tell(self, state: str) -> None:
        """The status line for a state of the worker; what is over at once is not told before it is over."""
        with self._lock:
            busy = state in ("running", "stopping")
            if state == "running" and not self._slow:
                return
            self._light(busy=busy)
            if self._half and not busy:  # no answer drew over it: it was overtaken, and what overtook it was stopped
                self._said = STOPPED if state == "idle" else self._said
                self._drop_half()
            self.say(state if busy else self._said)
            if not busy:
                self._keep_still()

    def _drop_half(self) -> None:
        """Put what was there before in the place of a slate that will not be written to its end."""
        if self._shown:
            self._draw(self.slate.number, self.slate.why)
        else:
            self._half, self.slate.lists, self.slate.stream = False, [], ""

    def _hear_words(self, number: int, recommender: GPT2Recommender, words: list[Word], stop: Event) -> None:
        """Show a slate while it is written, in the worker's thread."""
        now = time.monotonic()
        if not self.live or (len(words) > 1 and now - self._drawn < FRAME):
            return
        table = describe_list(grow_list(words), recommender.catalog)
        with self._lock:
            if stop.is_set():  # orders and Stop come under this lock too, so what is asked is what is written
                return
            self._drawn, self._half, k = now, True, self._asked.decoding.k
            part = list_part(table, caption=f"Being written: {len(table)} of {k:,}", heading="", empty="…")
            self.slate.lists = [*self.slate.lists[:number], part]
            self.slate.stream = tell_words(words)
            self.say(f"running {(now - self._begun) // 0.5 / 2:.1f} s")  # twice a second, not at every word

    def _ipython_display_(self) -> None:
        """Display the view with its still copy below, or only that."""
        if not self.live:
            display(self._repr_mimebundle_(), raw=True)
            return
        display(ipywidgets.VBox._repr_mimebundle_(self), raw=True)
        still = display(HTML(self._hidden_still()), display_id=True)
        self._stills += [still] if still else []  # there is none outside a notebook

    def _hidden_still(self) -> str:
        """The still copy, which the page hides while the view is there."""
        return f"{HIDDEN}<div class='wb-playground-still'>{self._repr_html_()}</div>"

    def _keep_still(self) -> None:
        """Let the still copies follow, once per second at most and not at every letter."""
        if self._stills and self._timer is None:
            self._timer = Timer(SETTLED, self._update_stills)
            self._timer.daemon = True
            self._timer.start()

    def _update_stills(self) -> None:
        """Bring the still copies to what is shown, in the timer's thread."""
        with self._lock:
            self._timer = None
            page = HTML(self._hidden_still())
        for still in self._stills:
            still.update(page)

"""The training monitor: a run of ``fine_tune`` to start, stop and resume, and to watch while it learns."""

import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from threading import Event
from typing import Any
from weakref import WeakValueDictionary

import ipywidgets
import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, display

from workbench.catalogs import Split
from workbench.language import Spelling
from workbench.models import GPT2Recommender
from workbench.plots import learning_curves
from workbench.plots.learning import NDCG
from workbench.plots.theme import CONFIG
from workbench.training import TrainingConfig
from workbench.training.progress import Progress, ProgressDisplay
from workbench.training.watch import LOG_COLUMNS
from workbench.widgets.copy_button import CopyButton
from workbench.widgets.device_badge import memory_used
from workbench.widgets.training.controls import PICTURE, StillCopy, bar_html, build_controls, redraw, still_html
from workbench.widgets.training.lists import WatchedLists
from workbench.widgets.training.plan import TrainingPlan
from workbench.widgets.view import View, describe_error
from workbench.widgets.worker import Answer, Worker

PAUSE = 0.5  # seconds between two changes of the page, at least
SAYS = {
    "running": "running: Stop ends it within one step and keeps the best so far.",
    "stopping": "stopping: the step it is at is finished first.",
}
GOES_ON = "This copy is of a run that goes on. If its kernel is gone, the view will offer to resume it."
GO_ON = "Resume goes on from there; Start over begins anew."
_trains: WeakValueDictionary[Path, "TrainingMonitor"] = WeakValueDictionary()  # who trained last in a folder


class TrainingMonitor(View):
    """Trains in a thread of its own and shows how far it is, both learning curves, and what one user is recommended.

    Attributes:
        recommender: The newest result, partial when ``standing`` says so; None before the first.
        standing: "new", "running", "partial" (stopped, or found unfinished), "finished" or "failed".
        plan: What is trained, and where it is saved.
        floors: Validation NDCG@10 of the rankers that must be beaten.
        lists: The watched user's lists.
        controls: The buttons; their ``click`` is what the hands do.
        curves: The picture, live or plain.
        worker: Who trains.
    """

    def __init__(
        self,
        split: Split,
        *,
        config: TrainingConfig | None = None,
        base: str = "small",
        spelling: str | Spelling = "atomic",
        folder: str | Path | None = None,
        floors: Mapping[str, float] | None = None,
        watch_user: str | None = None,
        live: bool = True,
    ) -> None:
        """Look at what is there; training begins with Start.

        Args:
            split: As in ``fine_tune``.
            config: As in ``fine_tune``; the defaults when None.
            base: As in ``fine_tune``.
            spelling: As in ``fine_tune``.
            folder: Where the finished run is saved; where ``saved_run`` looks for it when None.
            floors: Validation NDCG@10 of rankers that must be beaten, as name -> value.
            watch_user: Whose list is shown; the first with a history when None.
            live: False trains at once, unless the finished run is there, and shows a plain picture and plain tables.

        Raises:
            ValueError: If ``watch_user`` has no held-out item.
        """
        self.plan = TrainingPlan(split, config or TrainingConfig(), base, spelling, folder)
        self.floors, self.lists = dict(floors or {}), WatchedLists(split, watch_user)
        self.recommender: GPT2Recommender | None = None
        self.standing, self._said, self._advice = "new", "", ""
        self._log, self._progress = pd.DataFrame(columns=LOG_COLUMNS), None
        self._shown, self._drawn, self._copy, self._told = 0.0, -1, StillCopy(), ProgressDisplay()
        self.controls = build_controls()
        self.bar = ipywidgets.HTML(layout={"height": "62px", "margin": "2px"})
        self.words = ipywidgets.HTML(layout={"margin": "2px"})
        self.alt = ipywidgets.HTML(layout={"height": "0", "margin": "0"})  # plotly names no picture for screen readers
        self.copy = CopyButton()
        super().__init__(live=live)
        self._look()
        self.curves = go.FigureWidget(self.figure()) if live else self.figure()
        self.worker = Worker(self._train, show=self._show, tell=self._tell, live=live)
        self._refresh()
        if live:
            self._connect()
        elif self.standing != "finished":
            self.worker.ask("on")

    @property
    def log(self) -> pd.DataFrame:
        """Training log so far: ``step``, ``epoch``, ``train_loss``, ``validation_ndcg@10``, ``seconds``."""
        return self._log

    @property
    def df(self) -> pd.DataFrame:
        """The log, with what entered and what left the watched user's list."""
        return self.lists.changes(self._log)

    @property
    def code(self) -> str:
        """The run as code that works where ``split`` is known, and ``spelling`` if it was made by hand."""
        return self.plan.code

    def figure(self) -> go.Figure:
        """Both curves as a plain figure."""
        progress, log, plan = self._progress, self._log, self.plan
        if progress and self.standing != "finished":
            epochs = progress.epochs
        else:
            epochs = log["epoch"].max() if len(log) else plan.config.epochs or 1
        device = progress.device if progress else self.recommender.record["device"] if self.recommender else ""
        partial = f"Partial: stopped at {self._reached()}. " if self.standing == "partial" else ""
        note = partial + plan.source + f", {device}" * bool(device) + "."
        return learning_curves(log, self.floors, epochs=epochs, note=note)

    def _look(self) -> None:
        """What lies in the folder decides how the view begins."""
        try:
            saved, kept = self.plan.saved(), self.plan.kept()
        except Exception as error:
            self.standing, self._said = "failed", f"failed: {self.plan.advise(error) or describe_error(error)}"
            return
        if kept:
            self.standing, self._log = "partial", pd.DataFrame(kept["rows"], columns=LOG_COLUMNS)
            self._said = f"idle: a run that is not finished lies here, stopped at {self._reached()}. {GO_ON}"
        elif saved:
            self.standing, self.recommender, self._log = "finished", saved, saved.log
            if len(self._log):
                self.lists.look(saved, int(self._log["step"].iloc[-1]))
            self._said = f"idle: a finished run was read from {self.plan.folder}. Start over trains it again."
        else:
            self._said = f"idle: press Start to train. The run will be saved in {self.plan.folder}."

    def _train(self, request: str, stop: Event, halved: bool) -> GPT2Recommender:
        """Train, in the worker's thread: "anew", or on from whatever there is."""
        if halved:
            self.plan = self.plan.halved()
        self._advice = ""
        other = _trains.get(self.plan.folder)
        if other not in (None, self):  # a view of the same run, whose cell was run again perhaps
            other.worker.stop()
            other.worker.wait()
        _trains[self.plan.folder] = self
        try:
            if request == "anew":
                self.plan.clear()
                self.lists.lists.clear()
                self._log, self._progress = self._log.head(0), None
                self._refresh()
            return self.plan.train(stop=stop, on_progress=self._follow, on_validation=self.lists.look)
        except Exception as error:
            self._advice = self.plan.advise(error)
            raise

    def _follow(self, progress: Progress) -> None:
        """Show where the run stands, not too often."""
        self._progress, self._log, now = progress, progress.log, time.monotonic()
        if not self.live:
            self._told(progress)
        elif now - self._shown >= PAUSE:
            self._shown = now
            self.bar.value = self._bar()
            if self._drawn != len(self._log):
                self._draw()

    def _show(self, answer: Answer) -> None:
        """The end of a run, whatever it was."""
        with self._lock:
            kept = self.plan.kept()
            if answer.error:
                self.standing = "failed"
                self._said = f"failed: {self._advice or answer.error}" + f" {GO_ON}" * bool(kept)
            else:
                self.recommender, self._log = answer.result, answer.result.log
                self.standing = "partial" if kept else "finished"
                self._said = self._ending() + f" ({answer.note}.)" * bool(answer.note)
            self._refresh()

    def _ending(self) -> str:
        """How the newest run ended, as the status line says it."""
        record = self.recommender.record
        best = record["best"]
        measured = bool(best) and pd.notna(best[NDCG])
        found = f"best NDCG@10 {best[NDCG]:.3f} at epoch {best['epoch']:.1f}" if measured else "no validation"
        if self.standing == "partial":
            which = "those" if measured else "the newest"
            return f"partial: stopped at {self._reached()}; {found}; {which} weights are kept. {GO_ON}"
        ended = "all epochs" if record["ended"] == "finished" else record["ended"]
        return f"finished: {ended}; {found}. Saved in {self.plan.folder}."

    def _tell(self, state: str) -> None:
        """Buttons and status line for a state of the worker."""
        with self._lock:
            busy = state in SAYS
            if state == "running":
                self.standing = "running"
                self.bar.value = self._bar()
            elif not busy and self.standing == "running":  # stopped before it began
                self._look()
            kept = not busy and self.plan.kept() is not None
            self.controls.set(busy=busy, kept=kept, anew=kept or self.standing == "finished")
            self.say(SAYS.get(state, self._said))

    def _reached(self) -> str:
        """How far a run is that is not finished."""
        if self._progress:
            return f"epoch {self._progress.epoch:.1f} of {self._progress.epochs}"
        kept = self.plan.kept()
        return f"step {kept['step']:,}" if kept else "its first step"

    def _bar(self) -> str:
        """The bar and where the run stands, as HTML."""
        progress, finished = self._progress, self.standing == "finished"
        if progress:
            done = 1 if finished else progress.step / max(progress.steps, 1)
            return bar_html(done, f"{progress.sentence()} · {memory_used()}")
        if finished:
            record, epochs = self.recommender.record, self._log["epoch"].max()
            return bar_html(1, f"{epochs:.1f} epochs, {record['seconds']:.0f} s, {record['device']}")
        if self.standing == "running":
            return bar_html(0, "Preparing sentences and weights.")
        return bar_html(0, f"Stopped at {self._reached()}." if self.standing == "partial" else "Not begun.")

    def _refresh(self) -> None:
        """Bring all regions to what is held."""
        self.bar.value, self.copy.text = self._bar(), self.code
        self._draw()

    def _draw(self) -> None:
        """Bring the curves, the tables and the still copy to the log."""
        self._drawn, chart = len(self._log), self.figure()
        self.words.value = self.lists.to_html(self._log)
        self.alt.value = f"<p class='wb-unseen'>{escape(chart.layout.meta['alt'])}</p>"
        if not self.live:
            self.curves = chart
            return
        redraw(self.curves, chart)
        self._copy.update(self._words(), chart)

    def _connect(self) -> None:
        """Every button gets its answer, and everything its place."""
        controls = self.controls
        controls.start.on_click(self.hear(lambda: self._go("anew")))
        controls.resume.on_click(self.hear(lambda: self._go("on")))
        controls.stop.on_click(self.hear(self._stop))
        self._tell("idle")
        self.status.layout = {"min_height": "44px"}
        self.curves._config = self.curves._config | CONFIG
        picture = ipywidgets.Box([self.curves], layout=PICTURE)
        self.children = [controls.row, self.status, self.bar, self.alt, picture, self.words, self.copy]
        self.add_class("workbench-training")

    def _go(self, how: str) -> str:
        """Begin, and hand the focus from a button that now sleeps to the one that matters."""
        if self.standing != "running":  # the second click of two
            self.worker.ask(how)
        self.controls.stop.focus()
        return SAYS["running"]

    def _stop(self) -> str:
        """End the run at its next step."""
        if self.standing != "running":
            return f"idle: nothing runs. {self._said.removeprefix('idle: ')}"
        self.worker.stop()
        return SAYS["stopping"]

    def _words(self) -> str:
        """Status, bar and tables as HTML that needs no kernel."""
        said = GOES_ON if self.standing == "running" else self._said
        return still_html(self.bar.value, self.words.value, said=said)

    def _ipython_display_(self) -> None:
        """Display the view and its still copy, or picture and tables as two plain outputs."""
        if self.live:
            display(ipywidgets.VBox._repr_mimebundle_(self), raw=True)
            self._copy.display(self._words(), self.figure())
        else:
            display(self.figure())
            display(HTML(still_html(self.words.value, said=self._said)))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view and, for wherever it cannot be drawn, status, curves and tables as HTML."""
        bundle = super()._repr_mimebundle_(**kwargs)
        return bundle | {"text/html": bundle["text/html"] + self._words()}

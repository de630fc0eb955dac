"""What the training monitor is made of: its three buttons, the bar below them, the picture, and the still copy."""

import json
from dataclasses import dataclass
from html import escape

import ipywidgets
import plotly.graph_objects as go
from IPython.display import HTML, DisplayHandle, display

from workbench.plots import chart_html
from workbench.plots.theme import BLUE
from workbench.widgets.view import TEXT

BAR = "height:12px;border:1px solid currentColor;border-radius:2px;box-sizing:border-box;overflow:hidden"

# High enough for four lines of caption: what is below stays where it is.
PICTURE = {"overflow": "auto hidden", "height": "472px", "max_width": "100%"}
# The two outputs of a StillCopy, in JupyterLab, as long as the view itself is there.
HIDDEN = """<style>
.jp-OutputArea:has(.workbench-training) .jp-OutputArea-child:has(.wb-training-still),
.jp-OutputArea:has(.workbench-training) .jp-OutputArea-child:has(.wb-training-still) + .jp-OutputArea-child {
  display: none;
}
</style>"""
COPY = "A copy of the view as it was last seen. In JupyterLab, run this cell again for the view itself."


@dataclass(frozen=True, eq=False)
class TrainingControls:
    """The buttons, in reading order; they keep their places.

    Attributes:
        start: Trains from the beginning.
        stop: Ends the run within one step. Never disabled, so that it never drops the focus.
        resume: Goes on where a run was stopped or cut off.
    """

    start: ipywidgets.Button
    stop: ipywidgets.Button
    resume: ipywidgets.Button

    @property
    def row(self) -> ipywidgets.HBox:
        """The buttons as they stand above everything else."""
        return ipywidgets.HBox([self.start, self.stop, self.resume])

    def set(self, *, busy: bool, kept: bool, anew: bool) -> None:
        """Offer what can be done now; the likeliest next act is blue.

        Args:
            busy: A run goes on.
            kept: There is a run to go on with.
            anew: There is something that Start would replace.
        """
        self.start.description = "Start over" if anew else "Start"
        self.start.disabled, self.resume.disabled = busy, busy or not kept
        likeliest = self.stop if busy else self.resume if kept else None if anew else self.start
        for button in (self.start, self.stop, self.resume):
            colours = (BLUE, "white") if button is likeliest else (None, None)
            button.style.button_color, button.style.text_color = colours


def build_controls() -> TrainingControls:
    """The three buttons, none of them connected."""
    wide = {"layout": {"width": "8em"}}
    return TrainingControls(
        start=ipywidgets.Button(
            description="Start", tooltip="Trains from the beginning; what an earlier run left here is replaced", **wide
        ),
        stop=ipywidgets.Button(
            description="Stop", icon="stop", tooltip="Ends the run within one step and keeps the best so far", **wide
        ),
        resume=ipywidgets.Button(
            description="Resume", tooltip="Goes on where a run was stopped or its kernel was lost", **wide
        ),
    )


def bar_html(done: float, sentence: str) -> str:
    """A progress bar and a sentence below it.

    Args:
        done: Share of the steps, 0 to 1.
        sentence: Where the run stands; plain text.

    Example:
        >>> "aria-valuenow='25'" in bar_html(0.25, "a quarter")
        True
    """
    said = escape(sentence)
    bar = (
        "<div role='progressbar' aria-label='training' aria-valuemin='0' aria-valuemax='100' "
        f"aria-valuenow='{100 * done:.0f}' aria-valuetext='{100 * done:.0f} %' style='{BAR}'>"
        f"<div style='height:12px;width:{100 * done:.1f}%;background:{BLUE}'></div></div>"
    )
    return f"<div style='{TEXT};max-width:1200px'>{bar}<div style='margin-top:4px'>{said}</div></div>"


def redraw(shown: go.FigureWidget, chart: go.Figure) -> None:
    """Bring a live picture to a new one of the same traces, in one message, so that nothing flickers."""
    before = shown.layout.to_plotly_json()
    layout = {name: part for name, part in chart.layout.to_plotly_json().items() if part != before.get(name)}
    with shown.batch_update():
        for own, new in zip(shown.data, chart.data, strict=True):
            own.update(new.to_plotly_json(), overwrite=True)
        shown.layout.update(layout, overwrite=True)


def still_html(*words: str, said: str) -> str:
    """What the view says, as HTML that needs no kernel.

    Args:
        words: Further parts, as HTML.
        said: Where the run stands; plain text.
    """
    return f"<p style='{TEXT}'>{escape(said)}</p>{''.join(words)}"


class StillCopy:
    """Two plain outputs below the view, brought up to date with it: they stay when the kernel is gone.

    A notebook keeps what a cell displayed, and of a widget that is its first state at best. JupyterLab hides the copy
    as long as the view is there.
    """

    def __init__(self) -> None:
        """Nothing is displayed yet."""
        self._handles: list[tuple[DisplayHandle, DisplayHandle]] = []

    def display(self, words: str, chart: go.Figure) -> None:
        """Put both outputs below what was displayed last."""
        pair = display(self._words(words), display_id=True), display(_bundle(chart), raw=True, display_id=True)
        if all(pair):  # there are none outside a notebook
            self._handles.append(pair)

    def update(self, words: str, chart: go.Figure) -> None:
        """Bring both outputs up to date, wherever they were displayed."""
        for said, picture in self._handles:
            said.update(self._words(words))
            picture.update(_bundle(chart), raw=True)

    def _words(self, words: str) -> HTML:
        return HTML(f"{HIDDEN}<div class='wb-training-still'><p style='{TEXT}'><i>{COPY}</i></p>{words}</div>")


def _bundle(chart: go.Figure) -> dict:
    """A chart for JupyterLab, and for pages."""
    return {"application/vnd.plotly.v1+json": json.loads(chart.to_json()), "text/html": chart_html(chart)}

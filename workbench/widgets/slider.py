"""A slider that measures how long a message takes to the browser and back: the test of the widget manager."""

import time
from typing import Any

import ipywidgets

from workbench.widgets.view import TEXT

WHAT_HELPS = (
    "reload the page and run this cell again, start JupyterLab with `make lab`, and look at the row JupyterLab of the "
    "check-up."
)
WAITING = f"Move the slider. If nothing changes here, the browser cannot reach the kernel's widgets: {WHAT_HELPS}"
STATIC = f"In a running JupyterLab a slider stands here. If this is one, widgets cannot be drawn: {WHAT_HELPS}"


class SliderTest(ipywidgets.HBox):
    """An HBox that is a plain sentence where no widget manager draws it."""

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view, and the sentence for wherever it cannot be drawn."""
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        return bundle | {"text/plain": STATIC, "text/html": f"<p style='{TEXT}'>{STATIC}</p>"}


def build_slider() -> ipywidgets.HBox:
    """A slider and, beside it, the milliseconds of the last way from here to the browser and back.

    Each move sends a numbered message from the kernel; a link that lives in the browser copies it to a second value,
    and the time until that value is back here is shown. Where nothing can answer (an exported page, a front end
    without widget manager), the sentence that says what to do is all there is.
    """
    slider = ipywidgets.IntSlider(
        description="Move me", min=0, max=10, tooltip="0 to 10; each move measures one way to the browser and back"
    )
    sent, answered = ipywidgets.IntText(value=0), ipywidgets.IntText(value=0)
    words = ipywidgets.HTML(_sentence(WAITING), layout={"max_width": "44em"})
    began: dict[int, float] = {}

    def ask(change: dict[str, Any]) -> None:
        number = sent.value + 1
        began[number] = time.perf_counter()
        sent.value = number

    def hear(change: dict[str, Any]) -> None:
        if (start := began.pop(change["new"], None)) is not None:
            milliseconds = 1000 * (time.perf_counter() - start)
            words.value = _sentence(f"The browser answered in {milliseconds:.0f} ms. Sliders and buttons work here.")

    slider.observe(ask, "value")
    answered.observe(hear, "value")
    test = SliderTest([slider, words])
    test.link = ipywidgets.jsdlink((sent, "value"), (answered, "value"))  # kept alive with the slider
    return test


def _sentence(text: str) -> str:
    """The text, which is ours, in the page's colours."""
    return f"<span role='status' style='{TEXT}'>{text}</span>"

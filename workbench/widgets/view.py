"""What all views share: answers to controls that never run twice at once, a status line, and a still picture."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from threading import RLock
from typing import Any

import ipywidgets
import plotly.graph_objects as go
from traitlets import Bunch

from workbench.plots import chart_html

TEXT = (
    "color:var(--jp-content-font-color1,CanvasText);font-family:var(--jp-ui-font-family,system-ui,sans-serif);"
    "font-size:var(--jp-ui-font-size1,13px);line-height:1.5"
)


def describe_error(error: Exception) -> str:
    """The type of an error and its message, if it has one.

    Example:
        >>> describe_error(KeyError("no such user")), describe_error(AssertionError())
        ('KeyError: no such user', 'AssertionError')
    """
    message = error.args[0] if isinstance(error, KeyError) and error.args else error  # str() would quote it
    return f"{type(error).__name__}: {message}" if str(message) else type(error).__name__


class View(ipywidgets.VBox):
    """Controls in a column that answer the hands; where no kernel is, a still copy stands in their place.

    A view lists its parts, connects each control through ``hear``, and draws itself in ``figure`` or ``still``.

    Attributes:
        status: The line that says in words what is going on: idle and the milliseconds, or what failed.
        live: False shows the still copy only.
    """

    def __init__(self, *, live: bool = True) -> None:
        """An empty view; ``children`` are set by whoever builds one."""
        self.live, self.status = live, ipywidgets.HTML()
        self._lock, self._quiet = RLock(), False  # some kernels answer controls from a second thread
        super().__init__()
        self.add_class("workbench-view-box")

    def figure(self) -> go.Figure | None:
        """The still picture of what is shown now; None for a view that shows none and then has its own ``still``."""
        return None

    def still(self) -> tuple[str, str]:
        """What stands in the view's place where it cannot be drawn, as text and as HTML: the picture."""
        figure = self.figure()
        return figure.layout.meta["alt"], chart_html(figure)

    def hear(self, act: Callable[[], str | None]) -> Callable[[Any], None]:
        """The answer to a control: one at a time, never to what we set ourselves, errors told inside the view.

        A control whose answer failed goes back to where it was, so that it says what is shown.

        Args:
            act: What to do; it may return a sentence for the status line.
        """

        def answer(change: Any) -> None:
            with self._lock:
                if self._quiet:
                    return
                begun = time.perf_counter()
                try:
                    said = act()
                except Exception as error:  # JupyterLab shows the errors of callbacks nowhere
                    said = f"failed: {describe_error(error)}"
                    if isinstance(change, Bunch):  # of a trait; a button has nothing to put back
                        with self.unheard():
                            change.owner.set_trait(change.name, change.old)
                self.say(said or f"idle; the last answer took {1000 * (time.perf_counter() - begun):.0f} ms")

        return answer

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Set controls without an answer to them."""
        with self._lock:
            before, self._quiet = self._quiet, True
            try:
                yield
            finally:
                self._quiet = before

    def say(self, sentence: str) -> None:
        """Put a sentence, plain text, on the status line."""
        self.status.value = f"<span role='status' style='{TEXT}'>{escape(sentence)}</span>"

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view, and what stands in its place on pages and wherever it cannot be drawn."""
        still = dict(zip(("text/plain", "text/html"), self.still(), strict=True))
        if self.live:
            return (super()._repr_mimebundle_(**kwargs) or {}) | still
        figure = self.figure()
        return still | ({"application/vnd.plotly.v1+json": figure.to_plotly_json()} if figure else {})

"""A button that copies: what the hands did, as code that runs."""

from pathlib import Path

import anywidget
import traitlets

FOLDER = Path(__file__).parent


class CopyButton(anywidget.AnyWidget):
    """A button that puts ``text`` on the clipboard; where the browser forbids that, it shows the text.

    Attributes:
        text: What is copied.
        description: What the button says.
        tooltip: What it does, in a sentence.
    """

    _esm = FOLDER / "copy_button.js"
    _css = FOLDER / "view.css"
    text = traitlets.Unicode().tag(sync=True)
    description = traitlets.Unicode("Copy as Python").tag(sync=True)
    tooltip = traitlets.Unicode("Copies the code that brings this view back").tag(sync=True)

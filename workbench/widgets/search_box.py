"""A field that finds items by title, and the hits below it; ``ipywidgets`` has none that says which hit was taken."""

from pathlib import Path

import anywidget
import traitlets

FOLDER = Path(__file__).parent


class SearchBox(anywidget.AnyWidget):
    """What is typed comes in ``text``, hits go out in ``hits``, what is taken comes in ``taken``.

    Attributes:
        text: What stands in the field.
        hits: (item_id, label), the best first.
        taken: How often something was taken, the text then, and the item; "" for the first hit.
        cleared: Add one to empty the field.
        description: Label before the field.
        placeholder: What stands in the empty field.
        tooltip: What it does, in a sentence.
    """

    _esm = FOLDER / "search_box.js"
    _css = FOLDER / "view.css"
    text = traitlets.Unicode().tag(sync=True)
    hits = traitlets.List().tag(sync=True)
    taken = traitlets.List([0, "", ""]).tag(sync=True)
    cleared = traitlets.Int().tag(sync=True)
    description = traitlets.Unicode("Search").tag(sync=True)
    placeholder = traitlets.Unicode().tag(sync=True)
    tooltip = traitlets.Unicode().tag(sync=True)

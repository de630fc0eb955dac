"""The controls around the map: what is searched, coloured, shown and listed, each with its label and its limits."""

from collections.abc import Sequence
from html import escape

import ipywidgets
import numpy as np

from workbench.plots.points import KINDS, Colouring
from workbench.widgets.copy_button import CopyButton
from workbench.widgets.explorer.point_map import PointMap
from workbench.widgets.rows import Rows
from workbench.widgets.view import TEXT

TABS = ("Selection", "History", "Recommended", "Neighbours")
EVERYTHING = "everything"
MARKS = {"item": "●", "user": "◆", "request": "■"}
WRAPPED = {"flex_flow": "row wrap", "align_items": "center"}


class ExplorerControls:
    """Every control of the explorer; it knows what is set, not what that means.

    Attributes:
        search: Part of a title or of a user's id.
        colour: Attribute to colour by; None colours by kind.
        only: The only colour that is shown, by its name in the legend; empty shows all.
        kinds: A box per kind of points: show them or not.
        tab: Which list stands in the table.
        table: The list.
        select, clear, copy, file, keep: Select results, Reset, Copy as Python, and where and when to save.
    """

    def __init__(self, attributes: Sequence[str], kinds: Sequence[str]) -> None:
        """Make the controls for the attributes and kinds that a map has."""
        wide = {"layout": {"width": "220px"}, "style": {"description_width": "initial"}}
        self.search = ipywidgets.Text(description="Search", placeholder="title, 片名 or user", **wide)
        self.search.tooltip = "Part of a title in either language, or of a user's id; case and accents do not matter"
        self.colour = ipywidgets.Dropdown(
            description="Colour by", options=[("kind", None), *((name, name) for name in attributes)], **wide
        )
        self.colour.value = self._first_colour = "group" if "group" in attributes else None
        self.colour.tooltip = "By kind, by group or by an attribute: the seven most frequent values, or ranges"
        self.only = ipywidgets.Dropdown(description="Only", options=[(EVERYTHING, "")], **wide)
        self.only.tooltip = "Shows one colour of the legend only"
        self.kinds = {
            kind: ipywidgets.Checkbox(value=True, description=KINDS[kind][0], indent=False, layout={"width": "auto"})
            for kind in kinds
        }
        self.tab = ipywidgets.ToggleButtons(options=TABS, style={"button_width": "auto"})
        self.tab.tooltips = ["What is found or selected", "What a user met", "What a user would get", "Who is near"]
        self.table = Rows()
        self.select = ipywidgets.Button(description="Select results", tooltip="Selects all points found and shown")
        self.clear = ipywidgets.Button(description="Reset", tooltip="Nothing searched, hidden, chosen or selected")
        self.copy = CopyButton()
        self.file = ipywidgets.Text(value="map.html", description="File", **wide)
        self.file.tooltip = "Ends in .html or .png for the picture, .csv or .parquet for all points"
        self.keep = ipywidgets.Button(description="Save", tooltip="Writes the file named beside")
        self.legend, self.caption = ipywidgets.HTML(), ipywidgets.HTML()

    def around(self, point_map: PointMap, status: ipywidgets.HTML) -> list[ipywidgets.Widget]:
        """Everything in reading order, the map in the middle."""
        box = ipywidgets.HBox
        side = ipywidgets.VBox([self.tab, self.table], layout={"flex": "1 1 340px", "margin": "0 0 0 8px"})
        buttons = [self.select, self.clear, self.copy, self.file, self.keep]
        return [
            box([self.search, self.colour, self.only, *self.kinds.values()], layout=WRAPPED),
            box([point_map, side], layout={"flex_flow": "row wrap"}),
            self.legend,
            self.caption,
            box(buttons, layout=WRAPPED | {"align_items": "flex-start"}),
            status,
        ]

    def reset(self) -> None:
        """Back to the beginning."""
        self.search.value, self.only.value, self.tab.value = "", "", "Selection"
        self.colour.value = self._first_colour
        for box in self.kinds.values():
            box.value = True

    def open_for(self, kind: str, *, recommends: bool) -> None:
        """Open a list that a point of this kind has, unless one is open already."""
        if kind == "item":
            self.tab.value = "Neighbours"
        elif self.tab.value == "Selection" or (kind == "request" and self.tab.value == "History"):
            self.tab.value = "Recommended" if recommends or kind == "request" else "History"

    def show_legend(self, colouring: Colouring, shown: np.ndarray) -> None:
        """Name the colours, count the points of each among those shown, and offer each as the only one."""
        counts = np.bincount(colouring.codes[shown], minlength=len(colouring.names))
        kept = self.only.value
        self.only.options = [(EVERYTHING, ""), *((name, name) for name in colouring.names)]
        self.only.value = kept if kept in colouring.names else ""
        marks = [MARKS[kind] for kind in self.kinds] if self.colour.value is None else ["■"] * len(counts)
        parts = [
            f"<span style='white-space:nowrap;margin-right:14px'><span aria-hidden='true' style='color:{colour}'>{mark}"
            f"</span> {escape(name)} ({count:,})</span>"
            for mark, name, colour, count in zip(marks, colouring.names, colouring.colours, counts, strict=True)
        ]
        shapes = ", ".join(f"{MARKS[kind]} {KINDS[kind][0]}" for kind in self.kinds)
        shapes = "" if self.colour.value is None else f"<div>{shapes}</div>"
        self.legend.value = f"<div style='{TEXT}'>{' '.join(parts)}{shapes}</div>"

    def say_caption(self, text: str) -> None:
        """What is shown of how much, and how the map was made."""
        self.caption_text = text
        self.caption.value = f"<div style='{TEXT};opacity:.85'>{escape(text)}</div>"

    def code(self) -> list[str]:
        """What is set and differs from the beginning, as lines of Python."""
        boxes = [f"kinds[{kind!r}]" for kind, box in self.kinds.items() if not box.value]
        set_now = [("colour", self.colour.value)] if self.colour.value != self._first_colour else []
        set_now += [("only", self.only.value)] if self.only.value else []
        return [f"explorer.controls.{name}.value = {value!r}" for name, value in set_now + [(b, False) for b in boxes]]

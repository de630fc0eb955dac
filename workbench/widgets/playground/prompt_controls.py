"""The left side of the playground: history, request, context, profile and template; what is set, not what it means."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import pandas as pd

from workbench.language import Prompt
from workbench.widgets.rows import Rows
from workbench.widgets.search_box import SearchBox
from workbench.widgets.view import TEXT

ANY = ("any", "")
NOTHING_LEARNED = (
    "This run has learned no context and no profile; TrainingConfig(context=..., profile=...) teaches both."
)
PARTS = ("context", "profile")
LABEL = {"description_width": "84px"}
HALF = {"width": "calc(50% - 4px)"}
FULL = {"width": "auto", "margin": "2px"}


class PromptControls:
    """Every control of the prompt.

    Attributes:
        search: Finds items by title.
        history: The items of the history, the newest first; ``chosen`` is the row the buttons move or remove.
        up, down, remove: Move the chosen item, or take it out.
        request: A wish in words.
        marks: A control per column of context and profile that the run has learned, by part and column.
        template: Which parts are read, and how much of them.
        rows: All of it, in reading order.
    """

    def __init__(self, templates: Sequence[str]) -> None:
        """Make the controls; templates are chosen by name."""
        self.search = SearchBox(placeholder="a title, en or 中文; Enter adds the first")
        self.search.tooltip = (
            "Part of a title in either language, or an item's id; Enter adds the first hit, arrows choose"
        )
        self.history = Rows(height=206)
        button = {"layout": {"width": "88px"}}
        self.up = ipywidgets.Button(description="Up", tooltip="Moves the chosen item up, towards the newest", **button)
        self.down = ipywidgets.Button(
            description="Down", tooltip="Moves the chosen item down, towards the oldest", **button
        )
        self.remove = ipywidgets.Button(
            description="Remove", tooltip="Takes the chosen item out of the history", **button
        )
        self.request = ipywidgets.Text(
            description="Request", placeholder="what you feel like, in words", style=LABEL, layout=FULL
        )
        self.request.tooltip = "A wish in words, in any language; every letter changes the list"
        self.marks: dict[tuple[str, str], ipywidgets.Dropdown] = {}
        self._no_marks, self._most = ipywidgets.HTML(), 0
        self._marks_box = ipywidgets.HBox(layout={"flex_flow": "row wrap"})
        self.template = ipywidgets.Dropdown(description="Template", options=list(templates), style=LABEL, layout=FULL)
        self.template.tooltip = "Which parts of the prompt are read; a file that ends in .json saves it"
        buttons = ipywidgets.HBox([self.up, self.down, self.remove], layout={"margin": "4px 0 0 92px"})
        self.rows = [self.search, self.history, buttons, self.request, self._marks_box, self.template]

    @property
    def chosen(self) -> int | None:
        """Place in the history, from 0 for the oldest, of the row that is chosen."""
        row = self.history.chosen
        return len(self.history.rows) - 1 - row if 0 <= row < len(self.history.rows) else None

    def show_history(self, labels: Sequence[str], *, chosen: int | None) -> None:
        """List the history, the newest first, and choose one of it.

        Args:
            labels: Of every item, the oldest first.
            chosen: Its place among them, from 0.
        """
        count = len(labels)
        table = pd.DataFrame({"No.": range(count, 0, -1), "Title": list(labels)[::-1]})
        caption = f"History: {count:,} {'item' if count == 1 else 'items'}, the newest first."
        caption = caption if count else "History: nothing yet. Search a title above to add it."
        row = -1 if chosen is None or not count else count - 1 - min(max(chosen, 0), count - 1)
        self.history.show(table, caption=caption, chosen=row)

    def offer_marks(
        self, known: Mapping[str, Mapping[str, Sequence[str]]], connect: Callable[[ipywidgets.Dropdown], Any]
    ) -> None:
        """Offer what a run has learned to be told; what is set stays where the run knows it.

        Args:
            known: ``{"context": {column: values}, "profile": ...}``.
            connect: Called with every new control.
        """
        wanted = {(part, column): values for part, own in known.items() for column, values in own.items()}
        if self.marks and {name: each.options[1:] for name, each in self.marks.items()} == {
            name: tuple((value, value) for value in values) for name, values in wanted.items()
        }:
            return
        before, old = self.said(), list(self.marks.values())
        self.marks = {}
        for (part, column), values in wanted.items():
            value = before.get((part, column), "")
            self.marks[part, column] = ipywidgets.Dropdown(
                description=column.replace("_", " ").capitalize(),
                options=[ANY, *((value, value) for value in values)],
                value=value if value in values else "",
                tooltip=f"{part.capitalize()} as this run has learned it; any says nothing",
                style=LABEL,
                layout=HALF,
            )
            connect(self.marks[part, column])
        self._no_marks.value = "" if wanted else f"<div style='{TEXT}'>{NOTHING_LEARNED}</div>"
        self._most = max(self._most, len(wanted), 3 * (not wanted))
        self._marks_box.layout.min_height = f"{32 * math.ceil(self._most / 2) + 4}px"  # what is below never moves up
        self._marks_box.children = tuple(self.marks.values()) or (self._no_marks,)
        for each in old:
            for part in (each.style, each.layout, each):  # a widget leaves its parts behind
                part.close()

    def said(self) -> dict[tuple[str, str], str]:
        """What context and profile say, by part and column."""
        return {name: each.value for name, each in self.marks.items() if each.value}

    def prompt(self, history: Sequence[str]) -> Prompt:
        """The prompt as it is set, with this history."""
        said = {part: {column: value for (own, column), value in self.said().items() if own == part} for part in PARTS}
        return Prompt(tuple(history), self.request.value, **said)

    def put_prompt(self, prompt: Prompt) -> None:
        """Set request, context and profile; what the run has not learned stays unsaid."""
        self.request.value = prompt.request
        for (part, column), each in self.marks.items():
            value = str(getattr(prompt, part).get(column) or "")
            each.value = value if value in dict(each.options).values() else ""

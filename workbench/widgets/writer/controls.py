"""The controls of the text writer: what to write about and how, each with its limits."""

from typing import Any

import ipywidgets

from workbench.language import Prompt
from workbench.models.generation.texts import TASKS
from workbench.plots.theme import BLUE
from workbench.widgets.search_box import SearchBox

LABEL = {"description_width": "84px"}
FULL, HALF = {"width": "auto", "margin": "2px"}, {"width": "220px"}
WIDE = {"layout": {"width": "88px"}}
NAMES = {
    "describe": "describe an item",
    "explain": "explain why it suits the prompt",
    "review": "review an item",
    "finish": "finish a sentence",
}
MEASURED = 60  # texts, unless said otherwise


class WriterControls:
    """Every control, in reading order.

    Attributes:
        task: One of those that can be asked.
        search: Finds the item by title.
        sentence: What "finish" continues.
        how, length, temperature, top_p, seed: Settings of ``write_text``; those that do not apply are disabled.
        write, stop, reset, measure: The buttons. Stop is never disabled, so that it never drops the focus.
        texts: How many texts Measure writes.
    """

    def __init__(self, tasks: list[str]) -> None:
        """Make the controls.

        Args:
            tasks: Which tasks can be asked.
        """
        self.task = ipywidgets.Dropdown(
            description="Task", options=[(NAMES[task], task) for task in tasks], style=LABEL, layout=FULL
        )
        self.task.tooltip = (
            "What to write; explain needs a prompt, TextWriter(..., prompt=), review a run that read some"
        )
        self.search = SearchBox(description="Item", placeholder="a title, en or 中文; Enter takes the first")
        self.search.tooltip = "Part of a title in either language, or an id; Enter takes the first hit, arrows choose"
        self.sentence = ipywidgets.Text(
            description="Sentence", placeholder="how a text begins; finish goes on from it", style=LABEL, layout=FULL
        )
        self.sentence.tooltip = "Any text in any language; of one that is longer than the model reads, the end is read"
        self._make_settings()
        self.write = ipywidgets.Button(description="Write", tooltip="Writes a text about what is set", **WIDE)
        self.stop = ipywidgets.Button(
            description="Stop", icon="stop", tooltip="Ends writing and measuring at the next piece", **WIDE
        )
        self.reset = ipywidgets.Button(description="Reset", tooltip="All controls as they were at first", **WIDE)
        self.measure = ipywidgets.Button(description="Measure", **WIDE)
        self.measure.tooltip = "Describes some items and holds all texts against the floor: the verdict on the run"
        self.texts = ipywidgets.IntText(value=MEASURED, description="texts", style={"description_width": "initial"})
        self.texts.tooltip = "Items that Measure describes, at least 1; a verdict needs 20 texts that name something"
        self.texts.layout = {"width": "120px"}

    def _make_settings(self) -> None:
        """The settings of ``write_text``, at its own defaults."""
        half = {"style": LABEL, "layout": HALF}
        self.how = ipywidgets.Dropdown(description="How", options=["sample", "greedy"], **half)
        self.how.tooltip = "sample: words are drawn by chance; greedy: always the most probable"
        self.length, self.seed = (ipywidgets.IntText(description=name, **half) for name in ("length", "seed"))
        self.temperature, self.top_p = (
            ipywidgets.FloatText(description=name, step=step, **half)
            for name, step in (("temperature", 0.1), ("top-p", 0.05))
        )
        self.length.tooltip = "Most words to write, each a word piece, at least 1"
        self.temperature.tooltip = "Above 0; below 1 the probable is drawn more often, above 1 less often"
        self.top_p.tooltip = "Above 0, at most 1: words are drawn from the most probable that have this share"
        self.seed.tooltip = "Whole number, 0 or more; the same seed writes the same text"
        self.chance = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}

    def begin(self, task: str, sentence: str) -> None:
        """Everything as it is at first, for a task and a sentence."""
        self.task.value, self.sentence.value, self.how.value = task, sentence, "sample"
        self.length.value, self.temperature.value, self.top_p.value, self.seed.value = 60, 1.0, 0.9, 0
        self.texts.value = MEASURED
        self.settle()

    def settle(self) -> None:
        """Disable what does not apply, and hide the search, which cannot be disabled; all keep their places."""
        asked = TASKS[self.task.value]
        self.sentence.disabled = "sentence" not in asked
        self.search.layout.visibility = "visible" if "item" in asked else "hidden"
        for control in self.chance.values():
            control.disabled = self.how.value == "greedy"

    def question(self, *, item: str | None, prompt: Prompt | None) -> dict[str, Any]:
        """What ``write_text`` is to be asked.

        Raises:
            ValueError: If there is nothing to write about, or the seed cannot be.
        """
        task = self.task.value
        said = {"item": item, "prompt": prompt, "sentence": self.sentence.value}
        if "item" in TASKS[task] and item is None:
            raise ValueError("search an item first: there is nothing to write about.")
        if "sentence" in TASKS[task] and not self.sentence.value.strip():
            raise ValueError("type the beginning of a sentence first: there is nothing to finish.")
        settings = {"length": self.length.value, "how": self.how.value}
        if self.how.value == "sample":
            settings |= {name: control.value for name, control in self.chance.items()}
            if not 0 <= self.seed.value < 2**63:
                raise ValueError(f"seed is {self.seed.value}; it must be 0 or more, and below 2 to the power of 63.")
        return {"task": task} | {name: said[name] for name in TASKS[task]} | settings

    def rows(self, about: ipywidgets.HTML, copy: ipywidgets.DOMWidget) -> list[ipywidgets.Widget]:
        """The controls in reading order, with the line that says what is written about, and the copy button."""
        settings = [self.how, self.length, *self.chance.values()]
        buttons = [self.write, self.stop, self.reset, copy]
        return [
            *(self.task, self.search, about, self.sentence),
            ipywidgets.HBox(settings, layout={"flex_flow": "row wrap"}),
            ipywidgets.HBox(buttons, layout={"flex_flow": "row wrap", "align_items": "flex-start"}),
        ]

    def light(self, *, busy: bool) -> None:
        """Colour Stop while something runs; the status line says the same in words."""
        self.stop.style.button_color, self.stop.style.text_color = (BLUE, "white") if busy else (None, None)

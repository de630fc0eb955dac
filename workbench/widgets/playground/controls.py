"""The controls around the list of the playground: run, comparison, sampling and buttons, each with its limits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import ipywidgets

from workbench.language import Prompt
from workbench.models.generation import HOW, Decoding
from workbench.plots.theme import BLUE
from workbench.widgets.playground.prompt_controls import FULL, HALF, LABEL, PromptControls
from workbench.widgets.playground.runs import SPELLINGS
from workbench.widgets.playground.work import Side

NONE, PINNED, RUN = "none", "prompt A", "run "
LEAST_WIDTH = Decoding(k=1).beams  # beams unless said otherwise
APPLIES = {"width": ("beam", "greedy"), "temperature": ("sample",), "top_p": ("sample",)}
APPLIES |= {"diversity": ("greedy",), "seed": ("sample",)}


class PlaygroundControls(PromptControls):
    """Every control: those of the prompt, and beside them these.

    Attributes:
        spelling: How items are written; chooses the first run that writes them so.
        run: Whose list is shown.
        compare: What stands beside it: ``NONE``, ``PINNED``, or ``RUN`` and a name.
        pin: Makes the prompt as it is now prompt A.
        how, k, width, temperature, top_p, diversity, seed: Settings of ``Decoding``; those that do not apply are
            disabled and as they were, so that no contradiction can be built.
        reset, stop, file, keep: Reset, Stop, and where and when to save. Stop is never disabled,
            so that it never drops the focus.
    """

    def __init__(self, spellings: Mapping[str, str], templates: Sequence[str]) -> None:
        """Make the controls.

        Args:
            spellings: How each run writes an item, by the run's name.
            templates: Names of the templates.
        """
        super().__init__(templates)
        label = {"style": {"description_width": "initial"}, "layout": {"width": "220px"}}
        self.run = ipywidgets.Dropdown(description="Run", options=list(spellings), **label)
        self.run.tooltip = "Whose list is shown; a folder is read when its run is first chosen"
        self.compare = ipywidgets.Dropdown(description="Compare", options=[NONE], **label)
        self.compare.tooltip = "What stands beside the list: nothing, prompt A once it is pinned, or another run"
        self.pin = ipywidgets.Button(description="Pin as A", layout={"width": "88px"})
        self.pin.tooltip = "Keeps the prompt as it is now as prompt A, and shows its list beside the list"
        written = list(dict.fromkeys(spellings.values()))
        self.spelling = ipywidgets.RadioButtons(
            description="Spelling",
            options=[(SPELLINGS.get(how, how), how) for how in written],
            orientation="horizontal",
            style=LABEL,
            layout=FULL,
        )
        self.spelling.tooltip = "How an item is written; chooses the first run that writes them so"
        self._make_sampling()
        self.reset = ipywidgets.Button(description="Reset", tooltip="Everything as it was at first")
        self.stop = ipywidgets.Button(description="Stop", icon="stop", tooltip="Ends the work at the next word")
        self.keep = ipywidgets.Button(description="Save", tooltip="Writes the file named beside")
        for button in (self.reset, self.stop, self.keep):
            button.layout.width = "88px"
        self.file = ipywidgets.Text(value="list.csv", description="File", style=LABEL)
        self.file.layout = {"flex": "1 1 0", "min_width": "0", "width": "auto"}
        self.file.tooltip = "Ends in .csv, .parquet or .html for the list, in .json for the template"

    def _make_sampling(self) -> None:
        """The controls of ``Decoding``."""
        half = {"style": LABEL, "layout": HALF}
        self.how = ipywidgets.Dropdown(description="Sampling", options=list(HOW), **half)
        self.how.tooltip = "; ".join(f"{how}: {meaning}" for how, meaning in HOW.items())
        self.k, self.width, self.seed = (
            ipywidgets.IntText(description=name, **half) for name in ("k", "width", "seed")
        )
        self.temperature, self.top_p, self.diversity = (
            ipywidgets.FloatText(description=name, step=step, **half)
            for name, step in (("temperature", 0.1), ("top-p", 0.05), ("diversity", 0.1))
        )
        self.k.tooltip = "Length of the list, at least 1"
        self.width.tooltip = f"Beams, at least k; {LEAST_WIDTH} unless k is more"
        self.temperature.tooltip = "Above 0; below 1 the probable is drawn more often, above 1 less often"
        self.top_p.tooltip = "Above 0, at most 1: words are drawn from the most probable that have this share"
        self.diversity.tooltip = "0 or more: how much being like the items before it counts against an item"
        self.seed.tooltip = "Whole number, 0 or more; the same seed draws the same list"
        self.numbers = (self.k, self.width, self.temperature, self.top_p, self.diversity, self.seed)
        self._usual_width = LEAST_WIDTH

    def left(self, copy: ipywidgets.DOMWidget) -> ipywidgets.VBox:
        """The prompt, the settings and the buttons, in reading order; Stop never moves."""
        box = ipywidgets.HBox
        settings = box([self.how, *self.numbers], layout={"flex_flow": "row wrap"})
        buttons = box([self.stop, self.reset, copy], layout={"align_items": "flex-start"})
        rows = [*self.rows, self.spelling, settings, buttons, box([self.file, self.keep])]
        return ipywidgets.VBox(rows, layout={"flex": "1 20 380px", "min_width": "0", "overflow": "visible"})

    def right(self, slate: ipywidgets.DOMWidget) -> ipywidgets.VBox:
        """Whose list, what beside it, and the list."""
        choice = ipywidgets.HBox([self.run, self.compare, self.pin], layout={"flex_flow": "row wrap"})
        return ipywidgets.VBox(
            [choice, slate],
            layout={"flex": "20 1 600px", "min_width": "0", "margin": "0 0 0 16px", "overflow": "visible"},
        )

    def decoding(self, first: Decoding) -> Decoding:
        """The settings as they are set; what has no control is as in ``first``.

        Raises:
            ValueError: If they contradict each other or cannot be.
        """
        given = {name: getattr(self, name).value for name in ("k", "how", *APPLIES)}
        if given["width"] == self._usual_width or self.width.disabled:
            given["width"] = None
        if given["seed"] < 0:
            raise ValueError(f"seed is {given['seed']}; it must be 0 or more.")
        return replace(first, **given)

    def put_decoding(self, decoding: Decoding) -> None:
        """Set the controls to these settings."""
        for name in ("k", "how", *APPLIES):
            getattr(self, name).value = decoding.beams if name == "width" else getattr(decoding, name)
        self.settle()

    def settle(self) -> None:
        """Disable what does not apply and put it back; the width follows k unless somebody set it."""
        plain, how = Decoding(), self.how.value
        for name, ways in APPLIES.items():
            control = getattr(self, name)
            control.disabled = how not in ways or (name == "width" and how == "greedy" and not self.diversity.value > 0)
            if control.disabled and name != "width":
                control.value = getattr(plain, name)
        usual = max(self.k.value, LEAST_WIDTH) if self.k.value > 0 else self._usual_width
        if self.width.disabled or self.width.value == self._usual_width:
            self.width.value = usual
        self._usual_width = usual

    def sides(self, prompt: Prompt, pinned: tuple[Prompt, str] | None) -> tuple[Side, ...]:
        """Whose list is shown for a prompt, and what beside it.

        Args:
            prompt: What is said.
            pinned: Prompt A and the name of its template, if there is one.
        """
        first, compare = Side(self.run.value, prompt, self.template.value), self.compare.value
        if compare == NONE:
            return (first,)
        if compare == PINNED:
            return first, Side(self.run.value, *pinned)
        return first, Side(compare.removeprefix(RUN), prompt, self.template.value)

    def offer_comparisons(self, *, pinned: bool) -> None:
        """What the list can be compared with; what is chosen stays where it can."""
        others = [RUN + name for name in self.run.options if name != self.run.value]
        options = [NONE, *([PINNED] if pinned else []), *others]
        kept = self.compare.value
        if list(self.compare.options) != options:
            self.compare.options = options
            self.compare.value = kept if kept in options else NONE

    def light(self, *, busy: bool) -> None:
        """Colour Stop while something runs; the status line says the same in words."""
        self.stop.style.button_color, self.stop.style.text_color = (BLUE, "white") if busy else (None, None)

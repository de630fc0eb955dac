"""The playground: change the prompt of a recommender, and see the list change."""

from collections.abc import Mapping
from pathlib import Path

import ipywidgets

from workbench import plots
from workbench.catalogs import find_items
from workbench.language import Prompt, PromptTemplate
from workbench.models import GPT2Recommender
from workbench.models.generation import Decoding
from workbench.widgets.playground.controls import PINNED, PlaygroundControls
from workbench.widgets.playground.live_list import LiveList
from workbench.widgets.playground.prompt_controls import PARTS
from workbench.widgets.playground.runs import NEWEST, ONLY, WHOLE, Given, Runs, choose_template
from workbench.widgets.playground.words import name_items
from workbench.widgets.playground.work import Order, check_prompt

NOTHING_SAID, AS_USUAL = Prompt(), Decoding()
GIVEN = "given template"
HITS = 8  # items that a search offers
PAUSE = 0.25  # seconds without a letter before what is not answered at once is asked


class PromptPlayground(LiveList):
    """A prompt to change by hand, and the list that a recommender writes for it.

    Attributes:
        controls: Everything that can be set; setting a ``value`` is what the hands do.
        slate: The list, or two.
        line: The exact prompt, unit by unit.
        caption: What is shown of how much, and where it comes from.
        worker: Who asks the model; ``worker.wait()`` waits for the list of what was set last.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Brazil", "Cube"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> playground = PromptPlayground(recommender, prompt=Prompt(history=("a",)), live=False)
        >>> sorted(playground.df["title"])
        ['Brazil', 'Cube']
        >>> playground.add("b")
        >>> playground.df["title"].tolist()
        ['Cube']
    """

    def __init__(
        self,
        runs: Given | Mapping[str, Given],
        *,
        prompt: Prompt = NOTHING_SAID,
        template: PromptTemplate | None = None,
        templates: Mapping[str, PromptTemplate] | None = None,
        decoding: Decoding = AS_USUAL,
        live: bool = True,
    ) -> None:
        """Show the list of the first run for a prompt.

        Args:
            runs: One recommender or the folder of a saved run, or several by name; a folder is read when its run is
                first chosen, the first one now.
            prompt: What to begin with.
            template: What to read it by; the run's own when None.
            templates: More templates to choose from, by name.
            decoding: Settings to begin with.
            live: False shows the list as plain HTML, which needs no kernel, and answers before a call returns.

        Raises:
            ValueError: If there is no run, the first one cannot be read, the history holds an unknown item, or context
                or profile say what was not learned.
        """
        given = dict(templates or {}) if template is None else {GIVEN: template} | dict(templates or {})
        super().__init__(Runs(runs), given, live=live)
        check_prompt(self.runs.open(self.runs.names[0]), prompt)
        self._begin = (prompt, WHOLE if template is None else GIVEN, decoding)
        self._history: tuple[str, ...] = ()  # one tuple for all that was asked since it changed
        self._pinned: tuple[Prompt, str] | None = None
        self._wanted = self.runs.names[0]  # the run that was asked last
        self.controls = PlaygroundControls(self.runs.spellings, [WHOLE, *ONLY, NEWEST, *given])
        self._place()
        self._listen()
        self.reset()
        self.worker.wait(60)  # the first list is there when the cell is done

    @property
    def prompt(self) -> Prompt:
        """The prompt as it is set now; set it to say something else."""
        return self.controls.prompt(self._history)

    @prompt.setter
    def prompt(self, prompt: Prompt) -> None:
        check_prompt(self._run(), prompt)
        self._put(prompt)
        self._ask()

    @property
    def template(self) -> PromptTemplate:
        """The template as it is chosen now."""
        return choose_template(self.controls.template.value, self._run(), self.prompt, self.templates)

    @property
    def decoding(self) -> Decoding:
        """The settings as they are set now."""
        return self.controls.decoding(self._begin[2])

    def add(self, item: str) -> None:
        """Put an item at the end of the history.

        Raises:
            ValueError: If the catalog of the run does not have it.
        """
        check_prompt(self._run(), Prompt(history=(item,)))
        self._change((*self._history, item), chosen=len(self._history))

    def move(self, place: int, by: int) -> None:
        """Move the item at a place of the history, from 0 for the oldest, by so many places towards the newest."""
        to = min(max(place + by, 0), len(self._history) - 1)
        moved = self._history[:place] + self._history[place + 1 :]
        self._change((*moved[:to], self._history[place], *moved[to:]), chosen=to)

    def remove(self, place: int) -> None:
        """Take the item at a place of the history out."""
        self._change(self._history[:place] + self._history[place + 1 :], chosen=max(place - 1, 0))

    def reset(self) -> None:
        """Everything as it was at first."""
        prompt, template, decoding = self._begin
        with self.unheard():
            self._pinned = None
            self.controls.run.value = self.runs.names[0]
            self.controls.template.value = template
            self.controls.put_decoding(decoding)
            self._find("")
            self.controls.search.cleared += 1
            self._offer()
            self.controls.compare.index = 0
        self._put(prompt)
        self._ask()

    def save(self, path: str | Path) -> Path:
        """Write the list (``.csv``, ``.parquet``, or as a page ``.html``) or the template (``.json``).

        Raises:
            ValueError: If the name ends in something else.
        """
        suffix = Path(path).suffix
        if suffix == ".json":
            return self.template.save(path)
        if suffix not in (".csv", ".parquet", ".html"):
            raise ValueError(
                f"{Path(path).name!r} must end in .csv, .parquet or .html for the list, .json the template."
            )
        return plots.save(self, path)

    def _place(self) -> None:
        """Everything in reading order: the prompt, the list beside it, then what belongs to both."""
        sides = [self.controls.left(self.copy), self.controls.right(self.slate)]
        self.status.layout = {"min_height": "44px"}
        self.children = [ipywidgets.HBox(sides, layout={"flex_flow": "row wrap"}), self.status, self.line, self.caption]
        self.add_class("workbench-playground")

    def _listen(self) -> None:
        """Connect the controls with what they do."""
        controls, ask = self.controls, self._ask
        settings = (controls.how, *controls.numbers)
        for widget, trait, act in (
            (controls.search, "text", lambda: self._find(controls.search.text)),
            (controls.search, "taken", self._on_taken),
            (controls.request, "value", lambda: ask(typed=True)),
            (controls.template, "value", ask),
            (controls.spelling, "value", self._on_spelling),
            (controls.run, "value", ask),
            (controls.compare, "value", ask),
            *((control, "value", self._on_setting) for control in settings),
            (self.slate, "asked", self._on_why),
        ):
            widget.observe(self.hear(act), trait)
        for button, act in (
            (controls.up, lambda: self._on_move(1)),
            (controls.down, lambda: self._on_move(-1)),
            (controls.remove, lambda: self._on_move(0)),
            (controls.pin, self._on_pin),
            (controls.reset, self._on_reset),
            (controls.stop, self._on_stop),
            (controls.keep, lambda: f"saved {self.save(controls.file.value)}"),
        ):
            button.on_click(self.hear(act))

    def _on_taken(self) -> str:
        """A hit was taken, or Enter pressed: the first one."""
        _, text, item = self.controls.search.taken
        found = [item] if item else find_items(self._run().catalog, text, n=1) if text.strip() else []
        if not found:
            return f"no title and no id holds {text!r}. Try a shorter part, in English or Chinese."
        with self.unheard():
            self._find("")
            self.controls.search.cleared += 1
        self.add(found[0])
        return self._now

    def _find(self, text: str) -> str:
        """Offer the items with this text in their title."""
        catalog = self._run().catalog
        found = find_items(catalog, text, n=HITS) if text.strip() else []
        labels = name_items(catalog, found)
        with self.unheard():
            self.controls.search.text = text
            self.controls.search.hits = [[item, labels[item]] for item in found]
        return self._now

    def _on_spelling(self) -> str:
        """Another spelling: the first run that has it."""
        how = self.controls.spelling.value
        with self.unheard():
            self.controls.run.value = next(name for name, own in self.runs.spellings.items() if own == how)
        return self._ask()

    def _on_setting(self) -> str:
        """Another setting; those that do not apply any more go back to where they do nothing."""
        with self.unheard():
            self.controls.settle()
        return self._ask()

    def _on_move(self, by: int) -> str:
        """Up, Down, or with 0 Remove."""
        place = self.controls.chosen
        if place is None:
            return "idle: choose a row of the history first, by a click or with the arrows and Enter."
        self.move(place, by) if by else self.remove(place)
        return self._now

    def _on_reset(self) -> str:
        """The button."""
        self.reset()
        return self._now

    def _on_pin(self) -> str:
        """The prompt as it is now is prompt A."""
        self._pinned = (self.prompt, self.controls.template.value)
        with self.unheard():
            self._offer()
            self.controls.compare.value = PINNED
        return self._ask()

    def _ask(self, *, typed: bool = False) -> str:
        """Ask for the list of what is set now: at once, or where that takes long when no more letters come."""
        sides = self.controls.sides(self.prompt, self._pinned)
        self._wanted = sides[0].run
        slow = self.controls.how.value != "beam" or not all(self.runs.is_quick(side.run) for side in sides)
        self.order(Order(sides, self.decoding, PAUSE if typed and slow and self.live else 0.0), slow=slow)
        return self._now

    def _offer(self) -> None:
        """Offer what the run has learned, and what its list can be compared with."""
        vocabulary = self._run().vocabulary
        known = {part: vocabulary.known_marks(part) for part in PARTS}
        self.controls.offer_marks(known, lambda control: control.observe(self.hear(self._ask), "value"))
        self.controls.offer_comparisons(pinned=self._pinned is not None)
        self.controls.spelling.value = self.runs.spellings[self.controls.run.value]

    def _run(self) -> GPT2Recommender:
        """The run that is chosen, or, while it is being read, the one whose list is shown."""
        opened = self.runs.opened(self.controls.run.value)
        return opened or (self._shown.first.recommender if self._shown else self.runs.open(self.runs.names[0]))

    def _change(self, history: tuple[str, ...], *, chosen: int) -> None:
        """Another history."""
        self._history = history
        with self.unheard():
            self._show_history(chosen)
        self._ask()

    def _put(self, prompt: Prompt) -> None:
        """Set everything that is said."""
        with self.unheard():
            self._history = tuple(prompt.history)
            self._offer()
            self.controls.put_prompt(prompt)
            self._show_history(len(prompt.history) - 1)

    def _show_history(self, chosen: int) -> None:
        labels = name_items(self._run().catalog, self._history)
        self.controls.show_history([labels[item] for item in self._history], chosen=chosen)

    def _settle(self) -> None:
        """A run that could not be read is not chosen; what the chosen one has learned is offered.

        A run that was chosen since, and is not asked yet, stays: its hand waits for the lock that is held here.
        """
        if self._shown and self.controls.run.value == self._wanted:
            self.controls.run.value = self._shown.first.side.run
        self._offer()

    def _light(self, *, busy: bool) -> None:
        self.controls.light(busy=busy)

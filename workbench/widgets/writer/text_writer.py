"""The text writer: free text of a recommender, written while one watches and held against the catalog."""

from collections.abc import Callable
from functools import partial
from html import escape

import ipywidgets
import pandas as pd

from workbench.catalogs import find_items
from workbench.language import Prompt
from workbench.models import GPT2Recommender
from workbench.models.generation.texts import TASKS
from workbench.widgets.playground.words import name_items
from workbench.widgets.playground.work import check_prompt
from workbench.widgets.view import TEXT
from workbench.widgets.writer.controls import WriterControls
from workbench.widgets.writer.live_text import LiveText
from workbench.widgets.writer.work import make_maker

HITS = 8  # items that a search offers
LETTERS = 80  # of what was searched in vain that are told


class TextWriter(LiveText):
    """Texts that a recommender writes about items, each piece with its probability, and whether they are true.

    Attributes:
        recommender: Who writes.
        item: Id of the item to write about; None until one is chosen.
        controls: Everything that can be set; a button's ``click`` is what the hands do.
        measured: What Measure found; None before.
        worker: Who asks the model; ``worker.wait()`` waits for what was asked last.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> writer = TextWriter(recommender, item="a", live=False)
        >>> "".join(writer.df["piece"]) == writer.text.text
        True
        >>> writer.verdict.partition(",")[0]
        'The texts of this run have not been measured beside the floor'
    """

    def __init__(
        self,
        recommender: GPT2Recommender,
        *,
        item: str | None = None,
        task: str = "describe",
        sentence: str = "",
        prompt: Prompt | None = None,
        reviews: pd.DataFrame | None = None,
        live: bool = True,
    ) -> None:
        """Write about what is given, if anything is; else wait for the hands.

        Args:
            recommender: Who writes.
            item: Id of the item to begin with.
            task: "describe", "explain", "review" or "finish".
            sentence: What "finish" begins with.
            prompt: Whom "explain" is for; without one it is not offered.
            reviews: Interactions whose ``review`` was learned from, as ``split.train``: what a review may copy.
            live: False writes before a call returns, and shows plain HTML, which needs no kernel.

        Raises:
            ValueError: If the item, or one of the prompt's, is unknown, or the task cannot be asked.
        """
        check_prompt(recommender, prompt or Prompt())
        check_prompt(recommender, Prompt(history=() if item is None else (item,)))
        maker = make_maker(recommender, prompt=prompt, reviews=reviews)
        if task not in maker.tasks:
            raise ValueError(
                f"task is {task!r}; here can be asked {maker.tasks}: explain needs prompt=, and review a run that has "
                "read some."
            )
        self.recommender, self.item, self._begin = recommender, item, (item, task, sentence)
        self.controls, self._about = WriterControls(maker.tasks), ipywidgets.HTML()
        super().__init__(maker, live=live)
        self._place()
        self._listen()
        self.reset()
        if sentence.strip() if task == "finish" else item is not None:
            self.write()
            self.worker.wait(60)  # the first text is there when the cell is done

    def choose(self, item: str) -> None:
        """Write about this item from now on.

        Raises:
            ValueError: If the catalog does not have it.
        """
        check_prompt(self.recommender, Prompt(history=(item,)))
        self.item = item
        self._tell_about()

    def write(self) -> None:
        """Write what is set; ``text`` has it once ``worker.wait()`` returns. A refusal stands in the status line.

        Raises:
            ValueError: If there is nothing to write about.
        """
        typed = self.controls.search.text
        if typed.strip() and "item" in TASKS[self.controls.task.value]:
            self._take(typed)  # a title that was typed and not taken is meant all the same
        self.order_text(self.controls.question(item=self.item, prompt=self._maker.prompt))

    def measure(self) -> None:
        """Describe some items and hold all texts against the floor; then ``verdict`` and ``measured`` tell of it."""
        self.order_measure(self.controls.texts.value)

    def reset(self) -> None:
        """All controls as they were at first."""
        self.item, task, sentence = self._begin
        with self.unheard():
            self.controls.begin(task, sentence)
            self._clear()
            self._tell_about()

    def _place(self) -> None:
        """Everything in reading order."""
        self._about.layout = {"min_height": "28px", "margin": "2px 2px 2px 94px"}  # below the field, not its label
        self.status.layout = {"min_height": "44px"}
        run = ipywidgets.HBox([self.controls.measure, self.controls.texts])
        rows = self.controls.rows(self._about, self.copy)
        self.children = [*rows, self.status, self.page, self.check, run, self.verdict_line]
        self.add_class("workbench-writer")

    def _listen(self) -> None:
        """Connect the controls with what they do."""
        controls = self.controls
        for widget, trait, act in (
            (controls.search, "text", self._find),
            (controls.search, "taken", lambda: self._take(*controls.search.taken[1:])),
            (controls.task, "value", self._settle),
            (controls.how, "value", self._settle),
        ):
            widget.observe(self.hear(act), trait)
        for button, act in (
            (controls.write, self.write),
            (controls.measure, self.measure),
            (controls.reset, self.reset),
            (controls.stop, self._on_stop),
        ):
            button.on_click(self.hear(partial(self._answer, act)))

    def _answer(self, act: Callable[[], str | None]) -> str:
        """What the status line should say after a button."""
        return act() or self._now

    def _settle(self) -> str:
        """Another task, or another way of writing."""
        self.controls.settle()
        self._tell_about()
        return self._now

    def _find(self) -> str:
        """Offer the items with what is typed in their title."""
        catalog, search = self.recommender.catalog, self.controls.search
        found = find_items(catalog, search.text, n=HITS) if search.text.strip() else []
        labels = name_items(catalog, found)
        search.hits = [[item, labels[item]] for item in found]
        return self._now

    def _take(self, text: str, item: str = "") -> str:
        """A hit was taken, or the first item with this text in its title is meant."""
        found = [item] if item else find_items(self.recommender.catalog, text, n=1) if text.strip() else []
        if not found:
            raise ValueError(f"no title and no id holds {text[:LETTERS]!r}. Try a shorter part, in English or Chinese.")
        self.choose(found[0])
        with self.unheard():
            self._clear()
        return self._now

    def _clear(self) -> None:
        """Empty the search."""
        self.controls.search.text, self.controls.search.hits = "", []
        self.controls.search.cleared += 1

    def _tell_about(self) -> None:
        """Say what is written about, below the search."""
        said = self._maker.about(self.controls.task.value, self.item)
        self._about.value = f"<div style='{TEXT}'>{escape(said)}</div>"

    def _light(self, *, busy: bool) -> None:
        self.controls.light(busy=busy)

"""From a question to a text that is checked: the work of the text writer, which knows nothing of controls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

import pandas as pd

from workbench.language import Prompt
from workbench.models import GPT2Recommender
from workbench.models.generation import Text, write_text
from workbench.models.generation.texts import TASKS
from workbench.widgets.playground.words import name_items, name_some
from workbench.widgets.writer.check import FLOOR, TextCheck
from workbench.widgets.writer.words import NO_REVIEWS, STOPPED, UNCHECKED, Written, explain_check

HEADINGS = {"describe": "Description of", "explain": "Explanation of", "review": "Review of"}
NAMED = 4  # titles of a history that are named


@dataclass(frozen=True, eq=False)
class TextMaker:
    """Writes texts and checks them.

    Attributes:
        recommender: Who writes.
        prompt: Whom "explain" is for; None where that cannot be asked.
        check: Holds texts against the catalog.
    """

    recommender: GPT2Recommender
    prompt: Prompt | None
    check: TextCheck

    @property
    def tasks(self) -> list[str]:
        """What can be asked: explain needs a prompt, review a run that has read some."""
        learned = ("task", "write", "review") in self.recommender.vocabulary.marks
        can = {"explain": self.prompt is not None, "review": learned}
        return [task for task in TASKS if can.get(task, True)]

    def title(self, item: str) -> str:
        """Title of an item, with year and Chinese title."""
        return name_items(self.recommender.catalog, [item])[item]

    def about(self, task: str, item: str | None) -> str:
        """What would be written about, in words."""
        if "item" not in TASKS[task]:
            return "About no item: the sentence goes on."
        said = "No item is chosen yet" if item is None else f"About {self.title(item)}"
        if "prompt" not in TASKS[task]:
            return f"{said}."
        titles = name_items(self.recommender.catalog, self.prompt.history)
        history = name_some([titles[each] for each in self.prompt.history][::-1], many=NAMED)
        marks = [*self.prompt.profile.values(), *self.prompt.context.values()]
        told = [history and f"history {history}", *marks, self.prompt.request and f"request “{self.prompt.request}”"]
        return f"{said}; the prompt says: {', '.join(filter(None, told)) or 'nothing'}."

    def write(self, question: Mapping[str, Any], *, on_piece: Callable[[str], None], stop: Event) -> Written:
        """Write a text and check it, unless it was stopped.

        Args:
            question: What ``write_text`` is asked.
            on_piece: Called with the text so far, as often as there is more of it.
            stop: Ends it at the next piece.

        Raises:
            ValueError: As ``write_text``.
        """
        pieces: list[str] = []

        def hear(piece: str) -> None:
            pieces.append(piece)
            if not stop.is_set():  # else a newer text may be on the page already
                on_piece("".join(pieces))

        text = write_text(self.recommender, stop=stop, on_piece=hear, **question)
        heading = f"{HEADINGS[text.task]} {self.title(text.item_id)}" if text.item_id else "How the sentence goes on"
        return Written(text, question, heading, self._explain(text), self.recommender.source)

    def _explain(self, text: Text) -> list[str]:
        """What a text names, whether it is true, and the same of the floor; or why that is not checked."""
        if text.stopped or text.task in UNCHECKED:
            return [STOPPED if text.stopped else UNCHECKED[text.task]]
        try:
            scores = self.check.score(pd.DataFrame({"item_id": [text.item_id], "text": [text.text]}), task=text.task)
        except ValueError as problem:  # no other item has a text
            return [f"Not checked: {problem}"]
        nearest = self.title(scores[FLOOR]["copied_from"].iloc[0])
        said = explain_check(scores, about=self.title(text.item_id), nearest=nearest)
        return [*said, NO_REVIEWS] if text.task == "review" and self.check.reviews is None else said


def make_maker(recommender: GPT2Recommender, *, prompt: Prompt | None, reviews: pd.DataFrame | None) -> TextMaker:
    """A maker of texts.

    Args:
        recommender: Who writes.
        prompt: Whom "explain" is for.
        reviews: Interactions with a column ``review`` that was learned from.

    Raises:
        ValueError: If there is no such column, or no review in it.
    """
    if reviews is None:
        return TextMaker(recommender, prompt, TextCheck(recommender))
    if "review" not in reviews:
        raise ValueError(f"reviews lacks the column 'review'; it has {list(reviews.columns)}. Give split.train.")
    known = reviews["review"].fillna("").str.strip().ne("") & reviews["item_id"].isin(recommender.catalog["item_id"])
    if not known.any():
        raise ValueError("reviews holds no text about an item of the catalog; leave it out.")
    table = reviews.loc[known, ["item_id", "review"]].rename(columns={"review": "text"})
    return TextMaker(recommender, prompt, TextCheck(recommender, table))

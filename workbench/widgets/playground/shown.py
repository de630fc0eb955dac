"""What the playground shows of an answer: lists with their changes, the sentences below, a row of the log, a page."""

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from workbench.insight.list_changes import ListChanges, compare_lists
from workbench.widgets.playground.slate import change_words, list_part
from workbench.widgets.playground.words import explain_list, say_caption, say_room, say_speed, write_page
from workbench.widgets.playground.work import Listed, Made

LETTERS_LOGGED = 200  # of a request in the log
ONLY = "only here"


@dataclass(frozen=True, eq=False)
class Shown:
    """An answer, and what it changed.

    Attributes:
        made: The lists.
        changes: Per list: against the list shown before for the first, against the first for the one beside it; None
            where there is nothing to compare with.
        notes: Sentences below the lists.
        speed: Device, time, words per second, memory and seed.
    """

    made: Made
    changes: tuple[ListChanges | None, ...]
    notes: list[str]
    speed: str

    @property
    def first(self) -> Listed:
        """The list of the prompt that is set."""
        return self.made.lists[0]

    @property
    def room(self) -> str:
        """How much of the model's room the prompt takes."""
        return say_room(self.first)

    @property
    def caption(self) -> str:
        """How many items of how many, and where the list comes from."""
        return say_caption(self.first)

    def table(self, number: int) -> pd.DataFrame | None:
        """A list with a column ``change``; None where it could not be made."""
        listed = self.made.lists[number]
        if isinstance(listed, str):
            return None
        words = self._words(number)
        change = [words.pop(item, "") for item in listed.df["item_id"]]  # an item named twice moved to its first place
        return listed.df.assign(change=pd.Series(change, index=listed.df.index, dtype="str"))

    def parts(self) -> list[dict[str, Any]]:
        """The lists as the browser takes them."""
        return [list_part(self._rows(number), **self._about(number)) for number in range(len(self.made.lists))]

    def page(self, status: str) -> tuple[str, str]:
        """Prompt, lists and caption as text and as HTML."""
        tables = [(self._about(n)["caption"], self.table(n)) for n in range(len(self.made.lists))]
        tables = [(caption if len(tables) > 1 else "", table) for caption, table in tables if table is not None]
        return write_page(self.first, tables, [*self.notes, self.caption, status])

    def _words(self, number: int) -> dict[str, str]:
        """What became of each item of a list, in words."""
        words = change_words(self.changes[number])
        return {item: ONLY if number and change == "new" else change for item, change in words.items()}

    def _rows(self, number: int) -> pd.DataFrame:
        listed = self.made.lists[number]
        return self.first.df.head(0) if isinstance(listed, str) else listed.df

    def _about(self, number: int) -> dict[str, Any]:
        """Caption, heading and changes of a list."""
        listed, own = self.made.lists[number], self.made.order.sides
        name = f"Run {own[number].run}"
        if len(own) > 1 and own[0].run == own[1].run:
            name = "Prompt A" if number else "The prompt as it is"
        partial = ", partial" if isinstance(listed, Listed) and listed.stopped else ""
        return {
            "caption": f"{name}{partial}{': moves against the first list' if number else ''}",
            "heading": "Moves" if number else "Change",
            "changes": self._words(number),
            "empty": listed if isinstance(listed, str) else "Nothing is left to recommend.",
        }


def show_made(made: Made, before: Shown | None, *, seconds: float, note: str = "") -> Shown:
    """What to show of lists that were made.

    Args:
        made: The lists.
        before: What was shown until now.
        seconds: How long they took.
        note: What the worker has to say.
    """
    first, old = made.lists[0], before.first if before else None
    changes: list[ListChanges | None] = [compare_lists(old.df, first.df) if old else None]
    changes += [compare_lists(first.df, other.df) if isinstance(other, Listed) else None for other in made.lists[1:]]
    titles = dict(zip(old.df["item_id"], old.df["title"], strict=True)) if old else {}
    notes = explain_list(made, changes[0], titles, note=note)
    return Shown(made, tuple(changes), notes, say_speed(made, seconds))


def log_row(number: int, seconds: float, made: Made) -> dict[str, Any]:
    """A row of the log: what was asked, and which item came first."""
    listed = made.lists[0]
    prompt, settings = listed.side.prompt, asdict(listed.decoding)
    said = {"history": prompt.history, "request": prompt.request[:LETTERS_LOGGED]}
    said |= {"context": dict(prompt.context), "profile": dict(prompt.profile)}
    first = listed.df["item_id"].iloc[0] if len(listed.df) else None
    row = {"number": number, "seconds": seconds, "run": listed.side.run, "template": listed.side.template}
    return row | said | {"settings": settings, "first_item": first}

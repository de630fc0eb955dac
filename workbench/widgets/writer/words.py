"""What the text writer says: the text piece by piece, what it names and whether that is true, and the still page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd

from workbench.models.generation import Text
from workbench.models.generation.texts import Piece
from workbench.widgets.playground.slate import in_per_cent
from workbench.widgets.view import TEXT
from workbench.widgets.writer.check import FLOOR, RUN

UNMEASURED = (
    "The texts of this run have not been measured beside the floor, and are a demonstration only until they are. "
    "Measure does that."
)
EMPTY = "Search an item, or choose another task; then press Write."
NOTHING = "(nothing: the model ended the text at once)"
UNCHECKED = {
    "explain": "Not checked: nothing teaches explain. It is a description behind a prompt; that it speaks to the "
    "person would be chance.",
    "finish": "Not checked: a sentence is about no item of the catalog. Where the weights began at random, texts were "
    "only ever read behind an item, and how a sentence goes on is chance.",
}
STOPPED = "Not checked: the text is partial."
NO_REVIEWS = (
    "Held against descriptions: which reviews training read is not known here; TextWriter(..., reviews=split.train)."
)
# how a piece is underlined: from this probability on
LINES = {0.9: "3px solid", 0.5: "2px solid", 0.1: "1px solid", 0.0: "1px dotted"}
LEGEND = (
    "The line below a piece says how probable it was: dotted below 10 %, thin below 50 %, thicker below 90 %, thickest "
    "above. Point at a piece for the number, or open the table."
)
CELL = "text-align:left;padding:2px 14px 2px 0;vertical-align:top;white-space:pre-wrap"


@dataclass(frozen=True, eq=False)
class Written:
    """A text and all that is said of it.

    Attributes:
        text: What was written.
        question: What ``write_text`` was asked.
        heading: What the text is about; plain text, like all below.
        check: What it names and whether that is true, beside the floor.
        source: Where the recommender comes from.
    """

    text: Text
    question: Mapping[str, Any]
    heading: str
    check: Sequence[str]
    source: str

    @property
    def df(self) -> pd.DataFrame:
        """The pieces: ``piece``, ``probability``."""
        return pieces_table(self.text.pieces)

    @property
    def ending(self) -> str:
        """How long the text is and what ended it."""
        count = len(self.text.pieces)
        pieces = f"{count:,} {'piece' if count == 1 else 'pieces'}"
        if self.text.stopped:
            return f"partial: stopped after {pieces} of at most {self.question['length']:,}"
        return f"{pieces}, ended by {'the model' if self.text.ended else 'the length'}"

    @property
    def caption(self) -> str:
        """The settings, where the text comes from, and what of the question was not read."""
        said = {name: self.question.get(name) for name in ("temperature", "top_p", "seed")}
        drawn = ", ".join(f"{name.replace('_', '-')} {value:g}" for name, value in said.items() if value is not None)
        cut = []
        if self.text.n_cut_items:
            cut.append(f"the oldest {self.text.n_cut_items:,} of the history")
        if self.text.n_cut_pieces:
            cut.append("the beginning of the sentence" if self.text.task == "finish" else "the end of the request")
        unread = f" Not read, for want of room: {' and '.join(cut)}." if cut else ""
        how = f"drawn by chance, {drawn}" if self.question["how"] == "sample" else "always the most probable piece"
        return f"{self.ending[0].upper()}{self.ending[1:]}; {how}; {self.source}.{unread}"


def pieces_table(pieces: Sequence[Piece]) -> pd.DataFrame:
    """Pieces as a table.

    Example:
        >>> pieces_table([Piece("A ship", 0.5)]).values.tolist()
        [['A ship', 0.5]]
    """
    return pd.DataFrame(
        {
            "piece": pd.array([piece.text for piece in pieces], dtype="str"),
            "probability": pd.array([piece.probability for piece in pieces], dtype="float64").to_numpy(),
        }
    )


def explain_check(scores: Mapping[str, pd.DataFrame], *, about: str, nearest: str) -> list[str]:
    r"""What a text names and whether it is true of its item, and the same of the floor.

    Args:
        scores: Of one text, as ``TextCheck.score`` returns them.
        about: Title of the item.
        nearest: Title of the item that the floor is copied from.

    Example:
        >>> own = pd.DataFrame({"text": ["Noir."], "attributes": [(("Film-Noir", False),)], "copied": [float("nan")]})
        >>> floor = pd.DataFrame({"text": ["Two."], "attributes": [()], "copied": [1.0]})
        >>> print(*explain_check({RUN: own, FLOOR: floor}, about="Alien", nearest="Aliens"), sep="\n")
        This text names 1 attribute: Film-Noir (not true of Alien). It is shorter than a run of 8 words.
        Floor: the text of the most similar other item, Aliens, names no attribute: “Two.”
    """
    own, floor = scores[RUN].iloc[0], scores[FLOOR].iloc[0]
    copied = "It is shorter than a run of 8 words."
    if pd.notna(own["copied"]):
        copied = f"Of its runs of 8 words, {in_per_cent(own['copied'])} stand in a text that training read."
    return [
        f"This text {_naming(own['attributes'], about=about)}. {copied}",
        f"Floor: the text of the most similar other item, {nearest}, {_naming(floor['attributes'], about=about)}: "
        f"“{floor['text']}”",
    ]


def _naming(attributes: Sequence[tuple[str, bool]], *, about: str) -> str:
    """Which attributes are named, and which of them are true."""
    if not attributes:
        return "names no attribute"
    parts = []
    for true, said in ((True, f"true of {about}"), (False, f"not true of {about}")):
        values = [value for value, own in attributes if own == true]
        parts += [f"{', '.join(values)} ({said})"] if values else []
    count = len(attributes)
    return f"names {count} {'attribute' if count == 1 else 'attributes'}: {'; '.join(parts)}"


def draft_html(heading: str, text: str) -> str:
    """A text that is being written.

    Example:
        >>> "&lt;b&gt;" in draft_html("Being written", "<b>")
        True
    """
    return _region(f"{_lines([heading])}<p style='{_PROSE}'>{escape(text)}…</p>")


def text_html(written: Written | None, *, scrolls: bool = True) -> str:
    """A text, each piece underlined by its probability, and the table of its pieces.

    Args:
        written: The text; None before the first.
        scrolls: False for a page, where it takes the room it needs.
    """
    if written is None:
        return _region(_lines([EMPTY]), scrolls=scrolls)
    pieces, text = written.text.pieces, written.text
    prose = f"<span title='the sentence as it was read'>{escape(text.begun)}</span>" if text.begun else ""
    prose += "".join(map(_underlined, pieces)) or escape(NOTHING if text.ended else "")
    rows = "".join(
        f"<tr><td style='{CELL}'>{number}</td><td style='{CELL}'>{escape(piece.text)}</td>"
        f"<td style='{CELL}'>{in_per_cent(piece.probability)}</td></tr>"
        for number, piece in enumerate(pieces, start=1)
    )
    head = "".join(f"<th scope='col' style='{CELL}'>{name}</th>" for name in ("No.", "Piece", "Probability"))
    style = "border-collapse:collapse;font-size:inherit;color:inherit"
    table = f"<table style='{style}'><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    partial = "Partial: " if text.stopped else ""
    return _region(
        f"{_lines([partial + written.heading])}<p style='{_PROSE}'>{prose}</p>{_lines([written.caption, LEGEND])}"
        f"<details><summary>Every piece with its probability</summary>{table}</details>",
        scrolls=scrolls,
    )


def lines_html(sentences: Sequence[str], *, label: str) -> str:
    """Sentences, each a paragraph, in a region that has a name."""
    return f"<div style='{TEXT}' role='region' aria-label='{escape(label)}' tabindex='0'>{_lines(sentences)}</div>"


def write_page(written: Written | None, *, verdict: str, status: str) -> tuple[str, str]:
    """What stands in the view's place where it cannot be drawn, as text and as HTML."""
    below = [*(written.check if written else ()), verdict, status]
    above = [written.heading, written.text.begun + written.text.text, written.caption] if written else [EMPTY]
    html = f"<div style='{TEXT};max-width:72em'>{text_html(written, scrolls=False)}{_lines(below)}</div>"
    return "\n".join([*above, *below]), html


_PROSE = "margin:8px 0;max-width:72em;line-height:2;white-space:pre-wrap;overflow-wrap:anywhere"


def _underlined(piece: Piece) -> str:
    """A piece with a line as thick as it was probable; the number is its title."""
    line = next(line for least, line in LINES.items() if piece.probability >= least)
    chance = in_per_cent(piece.probability)
    return f"<span title='{chance}' style='border-bottom:{line} currentColor'>{escape(piece.text)}</span>"


def _region(html: str, *, scrolls: bool = True) -> str:
    """A part that has a name, and that keys can scroll."""
    keys = " tabindex='0'" if scrolls else ""
    return f"<div style='{TEXT}' role='region' aria-label='Text'{keys}>{html}</div>"


def _lines(sentences: Sequence[str]) -> str:
    return "".join(f"<p style='margin:4px 0;overflow-wrap:anywhere'>{escape(each)}</p>" for each in sentences if each)

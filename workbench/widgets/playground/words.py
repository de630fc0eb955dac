"""What the playground says: sentences below the list, the caption, the speed, and the page that needs no kernel."""

from collections.abc import Sequence
from html import escape

import pandas as pd

from workbench.catalogs import item_labels
from workbench.insight.list_changes import ListChanges, compare_lists
from workbench.models.generation import Word
from workbench.plots.theme import BLUE
from workbench.widgets.device_badge import memory_used
from workbench.widgets.playground.prompt_line import group_units
from workbench.widgets.playground.slate import in_per_cent
from workbench.widgets.playground.work import Listed, Made
from workbench.widgets.view import TEXT

HINT = "Add a film to the history, or type what you feel like."
NOBODY = f"This is the list for somebody unknown. {HINT}"
ALL_SEEN = "Every item of the catalog is in the history, so nothing is left to recommend. Remove one."
BYTES = "The run does not know most of these characters and reads them byte by byte: the list may mean little."
MANY, FEW = 8, 4  # titles that a sentence names; below two lists
WORDS = 6  # of an item that are told while it is written
CELL = "text-align:left;padding:3px 14px 3px 0;vertical-align:top"


def explain_list(made: Made, changes: ListChanges | None, titles: dict[str, str], *, note: str = "") -> list[str]:
    """The sentences below a list: what to do, what is missing, what changed.

    Args:
        made: The list, and perhaps one beside it.
        changes: Since the list before; None for the first list.
        titles: Of the items of the list before.
        note: What the worker has to say.
    """
    listed = made.lists[0]
    notes = [*about_prompt(listed), *about_length(made), note and f"Note: {note}."]
    if changes is not None:
        many = MANY if len(made.lists) == 1 else FEW
        left = name_some([titles.get(item, item) for item in changes.left], many=many)
        notes += [f"Agreement with the last list: {changes.sentence}.", left and f"Left the list: {left}."]
    if len(made.lists) > 1:
        notes += [compare_words(listed, made.lists[1])]
    return [sentence for sentence in notes if sentence]


def about_prompt(listed: Listed) -> list[str]:
    """What to know of the prompt of a list."""
    kinds = set(listed.units["kind"])
    notes = [NOBODY] if kinds <= {"control"} else []
    wish = listed.units[listed.units["kind"] == "request"]
    letters = sum(len(label.replace(" ", "")) for label in wish.loc[wish["part"] == 1, "label"])
    return notes + [BYTES] * (len(wish) > letters)


def about_length(made: Made) -> list[str]:
    """Why a list is shorter than was asked for, if it is."""
    listed, asked = made.lists[0], made.order.decoding.k
    count, n_items = len(listed.df), len(listed.recommender.catalog)
    if listed.stopped:
        return [f"Partial: stopped after {count:,} of {listed.decoding.k:,}."]
    if not count:
        return [ALL_SEEN]
    if count >= asked:
        return []
    few = count + len(set(listed.side.prompt.history)) >= n_items
    why = f"the catalog of {n_items:,} has no more that may be shown" if few else "no more were found"
    return [f"{count:,} of the {asked:,} items asked for: {why}."]


def compare_words(listed: Listed, other: Listed | str) -> str:
    """How far two lists beside each other agree, in a sentence."""
    if isinstance(other, str):
        return f"Nothing stands beside the list: {other}"
    changes = compare_lists(listed.df, other.df)
    titles = dict(zip(listed.df["item_id"], listed.df["title"], strict=True))
    only = name_some([titles[item] for item in changes.left], many=FEW)
    return f"Agreement of both lists: {changes.sentence}{f'; only in the first: {only}' if only else ''}."


def name_items(catalog: pd.DataFrame, items: Sequence[str]) -> dict[str, str]:
    """Title, year and Chinese title of these items.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Moon", "Cube"], "title_zh": ["月球", None]})
        >>> name_items(catalog, ["b", "a"])
        {'a': 'Moon 月球', 'b': 'Cube'}
    """
    rows = catalog[catalog["item_id"].isin(list(items))]
    titles = rows.assign(title=item_labels(rows))
    return dict(zip(rows["item_id"], _titles(titles), strict=True))


def name_some(titles: Sequence[str], *, many: int) -> str:
    """The first titles, and how many more there are.

    Example:
        >>> name_some(["Alien", "Cube"], many=4), name_some(["Alien", "Brazil", "Cube"], many=1)
        ('Alien, Cube', 'Alien and 2 more')
    """
    more = len(titles) - many
    return ", ".join(titles[:many]) + (f" and {more:,} more" if more > 0 else "")


def tell_words(words: Sequence[Word]) -> str:
    """The item of a slate that is written, word by word, and what lost against the last word that had rivals.

    Example:
        >>> rivals = (("Mo", 0.21), ("Arr", 0.09))
        >>> tell_words([Word(3, "Sta", 0.62, rivals), Word(3, "lker", 1.0, ())])
        '3: “Sta” 62.0 % → “lker” · lost to “Sta”: “Mo” 21.0 %, “Arr” 9.0 %'
    """
    own = [word for word in words if word.place == words[-1].place]
    said = [f"{quote(word.text)} {in_per_cent(word.probability)}" if word.others else quote(word.text) for word in own]
    told = f"{own[0].place}: {'… → ' if len(said) > WORDS else ''}{' → '.join(said[-WORDS:])}"
    contested = [word for word in own if word.others]
    if not contested:
        return told
    lost = ", ".join(f"{quote(text)} {in_per_cent(share)}" for text, share in contested[-1].others)
    return f"{told} · lost to {quote(contested[-1].text)}: {lost}"


def quote(text: str) -> str:
    """A word in quotes, without the space it may begin with."""
    return f"“{text.strip() or text}”"


def say_room(listed: Listed) -> str:
    """How much of the model's room a prompt takes, and what was cut."""
    room = listed.recommender.model.config.n_positions
    said = f"{len(listed.units):,} of {room:,} words used"
    return f"{said}; not read: {listed.cut}." if listed.cut else f"{said}, nothing cut."


def say_speed(made: Made, seconds: float) -> str:
    """Device, time, words per second, memory and seed."""
    lists = [listed for listed in made.lists if isinstance(listed, Listed)]
    n_words, device = sum(listed.n_words for listed in lists), lists[0].recommender.device.type.upper()
    rate = n_words / max(seconds, 1e-6)
    return f"{device} · {1000 * seconds:.0f} ms · {rate:,.0f} words/s · {memory_used()} · seed {lists[0].decoding.seed}"


def say_caption(listed: Listed) -> str:
    """How many items are shown of how many, and where the list comes from."""
    side, n_items = listed.side, len(listed.recommender.catalog)
    return (
        f"{len(listed.df):,} of {n_items:,} items shown; run {side.run}: {listed.recommender.source}; "
        f"template: {side.template}."
    )


def write_page(listed: Listed, tables: Sequence[tuple[str, pd.DataFrame]], below: Sequence[str]) -> tuple[str, str]:
    """What stands in the view's place where it cannot be drawn, as text and as HTML.

    Args:
        listed: Whose prompt stands above.
        tables: Lists with their changes, each with a caption, which may be empty.
        below: Sentences.
    """
    units = " ".join(f"[{label}]" if kind == "item" else label for kind, label, _ in group_units(listed.units))
    above = [f"Prompt: {units}", say_room(listed)]
    text = [line for caption, table in tables for line in _table_lines(caption, table)]
    html = "".join(_table_html(caption, table) for caption, table in tables)
    return "\n".join([*above, *text, *below]), f"<div style='{TEXT}'>{_lines(above)}{html}{_lines(below)}</div>"


def _table_lines(caption: str, table: pd.DataFrame) -> list[str]:
    """One list as plain text."""
    rows = zip(table["rank"], table["probability"], _titles(table), table["change"], strict=True)
    lines = [f"{rank:>3}  {in_per_cent(share):>7}  {title}  {change}".rstrip() for rank, share, title, change in rows]
    return [caption, *lines] if caption else lines


def _table_html(caption: str, table: pd.DataFrame) -> str:
    """One list as HTML."""
    largest, rows = table["probability"].max() or 1.0, ""
    for rank, share, title, change in zip(
        table["rank"], table["probability"], _titles(table), table["change"], strict=True
    ):
        chance = f"{in_per_cent(share)}{_bar(share / largest)}"
        rows += f"<tr><td style='{CELL}'>{rank}</td><td style='{CELL}'>{escape(title)}</td>"
        rows += f"<td style='{CELL};white-space:nowrap'>{chance}</td><td style='{CELL}'>{escape(change)}</td></tr>"
    head = "".join(f"<th scope='col' style='{CELL}'>{name}</th>" for name in ("Rank", "Title", "Probability", "Change"))
    named = f"<caption style='text-align:left;color:inherit'>{escape(caption)}</caption>" if caption else ""
    style = "border-collapse:collapse;margin:8px 0;font-size:inherit;color:inherit"
    return f"<table style='{style}'>{named}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _lines(sentences: Sequence[str]) -> str:
    """Sentences as HTML, each a paragraph."""
    return "".join(f"<p style='margin:4px 0'>{escape(sentence)}</p>" for sentence in sentences)


def _titles(df: pd.DataFrame) -> list[str]:
    """Titles, each with the Chinese one behind it."""
    chinese = df["title_zh"] if "title_zh" in df else [None] * len(df)
    pairs = zip(df["title"], chinese, strict=True)
    return [title if pd.isna(other) else f"{title} {other}" for title, other in pairs]


def _bar(share: float) -> str:
    """A bar; the number beside it says the same."""
    return (
        f"<div aria-hidden='true' style='width:90px;height:5px'>"
        f"<div style='width:{100 * min(1, share):.0f}%;height:5px;background:{BLUE}'></div></div>"
    )

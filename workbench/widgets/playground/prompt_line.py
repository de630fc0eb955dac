"""The exact prompt as people can read it: control words, items, words of the request, each with its ids."""

from pathlib import Path

import anywidget
import pandas as pd
import traitlets

FOLDER = Path(__file__).parent


class PromptLine(anywidget.AnyWidget):
    """Every unit of a prompt in a line, its ids as a tip and in a table that opens.

    Attributes:
        units: Per unit its kind, its label and its ids.
        said: How much of the room is used, and what was cut.
    """

    _esm = FOLDER / "prompt_line.js"
    _css = FOLDER.parent / "view.css"
    units = traitlets.List().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)


def group_units(words: pd.DataFrame) -> list[tuple[str, str, list[int]]]:
    """Kind, label and ids of every unit of a prompt.

    Args:
        words: One row per word, as ``read_prompt`` returns them, with the column ``id``.

    Example:
        >>> words = {"unit": [0, 1, 1], "kind": ["control", "item", "item"], "id": [300, 7, 8]}
        >>> group_units(pd.DataFrame(words | {"label": ["<history>", "Alien", "Alien"]}))
        [('control', '<history>', [300]), ('item', 'Alien', [7, 8])]
    """
    units: dict[int, tuple[str, str, list[int]]] = {}
    columns = (words[name].tolist() for name in ("unit", "kind", "label", "id"))
    for unit, kind, label, word in zip(*columns, strict=True):
        units.setdefault(unit, (kind, label, []))[2].append(word)
    return list(units.values())

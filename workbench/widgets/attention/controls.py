"""The controls of the attention viewer: what they are called, what they offer, and what they do."""

from dataclasses import dataclass
from typing import Any

import ipywidgets
import pandas as pd

from workbench.insight import AttentionMap

SHOW = [("mean of all heads", "mean"), ("rollout through all layers", "rollout"), ("one head", "one head")]
PLACES = 50  # places of the prompt that are shown at first


@dataclass(frozen=True, eq=False)
class AttentionControls:
    """All controls, in reading order.

    Attributes:
        target: The recommended item.
        search: Finds other items for ``target``.
        show: Mean of all heads, rollout, or one head.
        head: Which head; the most informative first.
        reading: The unit that reads.
        last: How many places are shown.
        reset: Back to the beginning.
    """

    target: ipywidgets.Dropdown
    search: ipywidgets.Text
    show: ipywidgets.Dropdown
    head: ipywidgets.Dropdown
    reading: ipywidgets.Dropdown
    last: ipywidgets.BoundedIntText
    reset: ipywidgets.Button

    @property
    def choice(self) -> dict[str, Any]:
        """``layer``, ``head`` and ``rollout`` as the rooms below take them."""
        if self.show.value == "one head":
            return {"layer": self.head.value[0], "head": self.head.value[1]}
        return {"rollout": True} if self.show.value == "rollout" else {}

    @property
    def rows(self) -> list[ipywidgets.HBox]:
        """The controls as they stand above the picture."""
        pairs = [[self.target, self.search], [self.show, self.head], [self.reading, self.last, self.reset]]
        return [ipywidgets.HBox(pair, layout={"flex_flow": "row wrap"}) for pair in pairs]


def build_controls(
    attention: AttentionMap, *, targets: list[tuple[str, str]], heads: pd.DataFrame
) -> AttentionControls:
    """Controls for one prompt.

    Args:
        attention: The map of the prompt.
        targets: Items to choose from, (label, item_id).
        heads: ``layer``, ``head``, ``name``, ``informative``, in the order in which they are offered.
    """
    wide = {"style": {"description_width": "9em"}, "layout": {"width": "34em"}}
    beside = {"style": {"description_width": "4em"}, "layout": {"width": "40em"}}
    n_units = len(attention.units)
    return AttentionControls(
        target=ipywidgets.Dropdown(
            description="Recommending",
            options=targets,
            value=attention.item_id,
            tooltip="The item whose probability, rank and effects are shown; attention is the same for every item",
            **wide,
        ),
        search=ipywidgets.Text(
            description="Search",
            placeholder="title or 片名, then Enter",
            continuous_update=False,
            tooltip="Offers the first 10 items with this text in their title; empty: the first 10 of the ranking",
            **beside,
        ),
        show=ipywidgets.Dropdown(
            description="Weights",
            options=SHOW,
            tooltip="The mean of all heads, attention followed through all layers, or the head chosen beside",
            **wide,
        ),
        head=ipywidgets.Dropdown(
            description="Head",
            options=_named(heads),
            disabled=True,
            tooltip="All heads, the most informative first; the number is 0 for even attention, 1 for one word alone",
            **beside,
        ),
        reading=ipywidgets.Dropdown(
            description="Reading at",
            options=_places(attention.units),
            tooltip="The row whose weights stand in the table; a click on a row of the picture chooses it too",
            **wide,
        ),
        last=ipywidgets.BoundedIntText(
            description="Last",
            min=1,
            max=n_units,
            value=min(PLACES, n_units),
            tooltip=f"How many places of the prompt are shown, 1 to {n_units}",
            style={"description_width": "4em"},
            layout={"width": "12em"},
        ),
        reset=ipywidgets.Button(
            description="Reset", layout={"width": "7em"}, tooltip="All controls as they were first"
        ),
    )


def _named(heads: pd.DataFrame) -> list[tuple[str, tuple[int, int]]]:
    """Every head with its name, as (label, (layer, head))."""
    columns = ["layer", "head", "name", "informative"]
    return [
        (f"layer {layer}, head {head}: {name} ({informative:.2f})", (layer, head))
        for layer, head, name, informative in heads[columns].itertuples(index=False)
    ]


def _places(units: pd.DataFrame) -> list[tuple[str, int]]:
    """Every unit as (label, number), the last one first."""
    *others, (label, end) = zip(units["label"], units["unit"], strict=True)
    return [(f"the end of the prompt: {label}", end), *((f"{unit}: {label}", unit) for label, unit in others[::-1])]

"""The controls of the attention viewer: what they are called, what they offer, and what they do."""

from dataclasses import dataclass

import ipywidgets
import pandas as pd

from workbench.insight import AttentionMap

SHORT, WIDE = {"description_width": "4em"}, {"description_width": "9em"}
SHOW = [("mean of all heads", "mean"), ("rollout through all layers", "rollout"), ("one head", "one head")]


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
    last: ipywidgets.IntSlider
    reset: ipywidgets.Button

    @property
    def choice(self) -> dict[str, object]:
        """``layer``, ``head`` and ``rollout`` as the rooms below take them."""
        if self.show.value == "one head":
            return {"layer": self.head.value[0], "head": self.head.value[1]}
        return {"rollout": True} if self.show.value == "rollout" else {}


def build_controls(
    attention: AttentionMap, *, targets: list[tuple[str, str]], heads: pd.DataFrame
) -> AttentionControls:
    """Controls for one prompt.

    Args:
        attention: The map of the prompt.
        targets: Items to choose from, (label, item_id).
        heads: ``layer``, ``head``, ``name``, ``informative``, in the order in which they are offered.
    """
    units = attention.units
    places = [(f"{row.unit}: {row.label}", row.unit) for row in units.itertuples()][::-1]
    places[0] = (f"the end of the prompt ({places[0][0]})", places[0][1])
    named = [
        (f"layer {layer}, head {head}: {name} ({informative:.2f})", (layer, head))
        for layer, head, name, informative in heads[["layer", "head", "name", "informative"]].itertuples(index=False)
    ]
    return AttentionControls(
        target=ipywidgets.Dropdown(
            description="Recommending",
            options=targets,
            value=attention.item_id,
            style=WIDE,
            layout={"width": "34em"},
            tooltip="The item whose probability, rank and effects are shown; attention is the same for every item",
        ),
        search=ipywidgets.Text(
            description="Search",
            placeholder="any title, en or zh, then Enter",
            continuous_update=False,
            style=SHORT,
            layout={"width": "22em"},
            tooltip="Offers the first 10 items with this text in their title; empty: the 10 first of the ranking",
        ),
        show=ipywidgets.Dropdown(
            description="Weights",
            options=SHOW,
            style=WIDE,
            layout={"width": "34em"},
            tooltip="The mean of all heads, attention followed through all layers, or the head chosen beside",
        ),
        head=ipywidgets.Dropdown(
            description="Head",
            options=named,
            disabled=True,
            style=SHORT,
            layout={"width": "32em"},
            tooltip="All heads, the most informative first; the number is 0 for even attention, 1 for one word alone",
        ),
        reading=ipywidgets.Dropdown(
            description="Reading at",
            options=places,
            style=WIDE,
            layout={"width": "34em"},
            tooltip="The row whose weights stand in the table; a click on a row of the picture chooses it too",
        ),
        last=ipywidgets.IntSlider(
            description="Last",
            min=1,
            max=len(units),
            value=min(50, len(units)),
            continuous_update=False,
            style=SHORT,
            layout={"width": "22em"},
            tooltip=f"How many places of the prompt are shown, 1 to {len(units)}",
        ),
        reset=ipywidgets.Button(
            description="Reset", layout={"width": "6em"}, tooltip="Back to the first view: all controls as they were"
        ),
    )

"""The attention viewer: where the model looked while it read a prompt, beside what each word does to the score."""

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from IPython.display import HTML, display

from workbench.catalogs import find_items, item_labels
from workbench.insight import AttentionMap, Attribution, Occlusion, agreement, attend, name_heads, weigh_history
from workbench.insight.attention.heads import informative_heads
from workbench.models import GPT2Recommender
from workbench.plots import HistoryTable, attention_chart, chart_html
from workbench.plots.theme import CONFIG, ORANGE
from workbench.widgets.attention.controls import PLACES, build_controls
from workbench.widgets.copy_button import CopyButton
from workbench.widgets.view import TEXT, View

K = 10  # places of the ranking that are offered
MEANING = (
    "Attention says where the model looked. Effect is what happens to the log-odds of the recommended item because the "
    "word is there: what would be lost if it were taken out."
)


class AttentionViewer(View):
    """A heat map of attention, and the history weighted by attention and by effect.

    Attributes:
        attention: The map that is shown.
        df: The weighted history: what ``weigh_history`` returns for what is chosen.
        controls: The controls; setting their ``value`` is what the hands do.
        heat: The heat map, live or plain.
        alt: What the heat map shows, in words that only screen readers meet.
    """

    def __init__(
        self,
        recommender: GPT2Recommender,
        history: Sequence[str],
        *,
        request: str | None = None,
        item: str | None = None,
        live: bool = True,
        heads: pd.DataFrame | None = None,
    ) -> None:
        """Look at one prompt.

        Args:
            recommender: Who reads.
            history: Item ids, oldest first.
            request: A wish in words.
            item: The recommended item to begin with; None for the first of the ranking.
            live: False shows a plain picture and a plain table, which need no kernel.
            heads: What ``name_heads`` says of many histories; None measures this history alone.

        Raises:
            ValueError: As ``attend``.
        """
        self.recommender, self.history, self.request = recommender, list(history), request
        self.attention = attend(recommender, self.history, request=request, item=item)
        self._occlusion = Occlusion(recommender, self.history, request=request)
        self._first, self._measured = self.attention.item_id, dict[str, Attribution | str]()
        heads = self._heads() if heads is None else heads
        self.controls = build_controls(self.attention, targets=self._ranked(), heads=heads)
        self.words = ipywidgets.HTML(layout={"flex": "1 1 24em", "min_width": "0"})  # beside the picture, else below
        self.alt = ipywidgets.HTML(layout={"height": "0", "margin": "0"})  # plotly names no picture for screen readers
        self.copy = CopyButton()
        super().__init__(live=live)
        self.heat = go.FigureWidget(self._chart()) if live else self._chart()
        self._refresh()
        self.say("idle")
        if live:
            self._connect()
        else:
            self._ipython_display_ = self._show  # two plain outputs in place of a widget

    @property
    def selected(self) -> pd.DataFrame:
        """One row: the recommended item, the place that reads, and which weights are shown."""
        attention, unit, choice = self.attention, self.controls.reading.value, self.controls.choice
        row = {name: getattr(attention, name) for name in ("item_id", "title", "probability", "rank")}
        row |= {"unit": unit, "reading": attention.units["label"][unit]}
        return pd.DataFrame([row | {"layer": None, "head": None, "rollout": False} | choice])

    @property
    def code(self) -> str:
        """What the hands did, as code that runs where ``recommender`` is known."""
        choice, request = self.controls.choice, f", request={self.request!r}" if self.request else ""
        chosen = "".join(f", {name}={value!r}" for name, value in choice.items())
        return (
            "from workbench.insight import attend, attribute, weigh_history\n"
            "from workbench.plots import attention_chart\n\n"
            f"history, item = {self.history!r}, {self.attention.item_id!r}\n"
            f"attention = attend(recommender, history{request}, item=item)\n"
            f"figure = attention_chart(attention{chosen}, last={self.controls.last.value})\n"
            f"effects = attribute(recommender, history, item{request})\n"
            f"weights = weigh_history(attention, effects, unit={self.controls.reading.value}{chosen})\n"
        )

    def figure(self) -> go.Figure:
        """The heat map as a plain figure."""
        return go.Figure(self.heat)

    def _refresh(self) -> None:
        """Bring picture, table and code to what the controls say."""
        controls, effects = self.controls, self._effects(self.attention.item_id)
        controls.head.disabled = controls.show.value != "one head"
        measured = effects if isinstance(effects, Attribution) else None
        self.df = weigh_history(self.attention, measured, unit=controls.reading.value, **controls.choice)
        self.words.value = self._reading(effects)
        self.copy.text = self.code
        chart, before = self._chart(), self.heat.layout.to_plotly_json()
        layout = {name: part for name, part in chart.layout.to_plotly_json().items() if part != before.get(name)}
        with self.heat.batch_update():  # one message; the trace stays, and with it whoever hears its clicks
            self.heat.data[0].update(chart.data[0].to_plotly_json(), overwrite=True)
            self.heat.layout.update(layout, overwrite=True)
        self.alt.value = f"<p class='wb-unseen'>{escape(chart.layout.meta['alt'])}</p>"

    def _retarget(self) -> None:
        """Another item is recommended."""
        self.attention = self._attend(self.controls.target.value)
        self._refresh()

    def _attend(self, item: str) -> AttentionMap:
        """Attention and effects for an item, before anything that is shown changes: either may fail."""
        attention = attend(self.recommender, self.history, request=self.request, item=item)
        self._effects(item)
        return attention

    def _search(self) -> str | None:
        """Offer the items that were searched for, and take the first; the text stays where nothing is found."""
        catalog, text = self.recommender.catalog, self.controls.search.value.strip()
        labels = dict(zip(catalog["item_id"], item_labels(catalog), strict=True))
        offered = [(labels[item], item) for item in find_items(catalog, text, n=K)] if text else self._ranked()
        if not offered:
            return f"no title and no id holds {text!r}. Try a shorter part, in English or Chinese."
        attention = self._attend(offered[0][1])
        with self.unheard():
            self.controls.target.options = offered
            self.controls.target.value = offered[0][1]
        self.attention = attention
        self._refresh()

    def _reset(self) -> None:
        """All controls as they were."""
        controls, attention, offered = self.controls, self._attend(self._first), self._ranked()
        with self.unheard():
            controls.search.value, controls.show.value, controls.last.value = "", "mean", min(PLACES, controls.last.max)
            controls.head.index = controls.reading.index = 0
            controls.target.options = offered
            controls.target.value = self._first
        self.attention = attention
        self._refresh()

    def _connect(self) -> None:
        """Every control gets its answer, and everything its place."""
        controls = self.controls
        for control in (controls.show, controls.head, controls.reading, controls.last):
            control.observe(self.hear(self._refresh), "value")
        controls.target.observe(self.hear(self._retarget), "value")
        controls.search.observe(self.hear(self._search), "value")
        controls.reset.on_click(self.hear(self._reset))
        self.heat.data[0].on_click(self._click)
        self.heat._config = self.heat._config | CONFIG
        picture = ipywidgets.Box([self.heat], layout={"overflow": "auto", "max_width": "100%"})
        below = ipywidgets.HBox(
            [self.alt, picture, self.words], layout={"flex_flow": "row wrap", "align_items": "flex-start"}
        )
        self.children = [*controls.rows, self.status, below, self.copy]

    def _click(self, trace: go.Heatmap, points: Any, state: Any) -> None:
        """A click on a row of the picture chooses that row."""
        if points.ys:
            self.controls.reading.value = int(points.ys[0])

    def _show(self) -> None:
        """Display picture and table as two plain outputs."""
        display(self.figure())
        display(HTML(self.words.value))

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        """Return the view and, for wherever it cannot be drawn, picture and table as HTML."""
        return super()._repr_mimebundle_(**kwargs) | {"text/html": self._repr_html_()}

    def _repr_html_(self) -> str:
        """Return picture and table; the picture needs plotly.js in the page."""
        return chart_html(self.figure()) + self.words.value

    def _chart(self) -> go.Figure:
        """The heat map, with the row that reads in a frame."""
        unit = self.controls.reading.value
        chart = attention_chart(self.attention, last=self.controls.last.value, **self.controls.choice)
        ends = {"x0": min(chart.data[0].x) - 0.5, "x1": unit + 0.5, "y0": unit - 0.5, "y1": unit + 0.5}
        shown = unit in chart.data[0].y  # a frame that is only left out of the layout stays on the page
        return chart.add_shape(type="rect", **ends, line={"color": ORANGE, "width": 2}, visible=shown)

    def _effects(self, item: str) -> Attribution | str:
        """Effects on a recommended item, measured once per item, or the reason why there are none."""
        if item not in self._measured:
            try:
                self._measured[item] = self._occlusion.attribute(item)
            except ValueError as problem:
                self._measured[item] = f"No effects: {problem}"
        return self._measured[item]

    def _reading(self, effects: Attribution | str) -> str:
        """The table and the sentences below it, as HTML."""
        at_end, unit_of_effects = self.controls.reading.value == len(self.attention.units) - 1, ""
        if isinstance(effects, str):
            words = [effects]
        elif at_end:
            words, unit_of_effects = [effects.sentence, agreement(self.df)], "; effects in log-odds"
        else:
            words = ["Effects are on the recommendation, read off at the end of the prompt; choose it to see them."]
        n_read, n_history = self.attention.n_read, self.attention.n_history
        cut = f"The prompt read {n_read:,} of {n_history:,} items of the history. " if n_read < n_history else ""
        caption = f"{cut}Recommending {self.attention.title}{unit_of_effects}."
        table = HistoryTable(self.df, last=self.controls.last.value, caption=caption)._repr_html_()
        said = "".join(f"<p style='margin:4px 0'>{escape(sentence)}</p>" for sentence in [*words, MEANING])
        scrolls = "max-height:600px;overflow:auto;margin-bottom:8px"
        box = f"<div tabindex='0' role='region' aria-label='History, weighted' style='{scrolls}'>{table}</div>"
        return f"<div style='{TEXT};max-width:34em'>{box}{said}</div>"

    def _ranked(self) -> list[tuple[str, str]]:
        """The first of the ranking, and the item to begin with, as (label, item_id)."""
        ranking = self.recommender.rank({"somebody": self.history}, k=K, request=self.request)
        labels = dict(zip(self.recommender.catalog["item_id"], item_labels(self.recommender.catalog), strict=True))
        offered = [
            (f"{row.rank}  {labels[row.item_id]}  {np.exp(row.score):.1%}".replace("%", " %"), row.item_id)
            for row in ranking.itertuples()
        ]
        known = [item for _, item in offered]
        return offered + [(labels[self._first], self._first)] * (self._first not in known)

    def _heads(self) -> pd.DataFrame:
        """Names of the heads from this history alone; from a shorter one, only how informative they are."""
        if self.attention.n_read > 1:
            return name_heads(self.recommender, {"this history": self.history})
        informative = informative_heads(self.attention.weights)
        layers, heads = np.indices(informative.shape)
        table = {"layer": layers.ravel(), "head": heads.ravel(), "informative": informative.ravel()}
        table = pd.DataFrame(table).assign(name="not named")
        return table.sort_values("informative", ascending=False, kind="stable", ignore_index=True)

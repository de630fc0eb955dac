"""The map one can ask: who is this, what was met, what is recommended, who is near."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from workbench import plots
from workbench.catalogs import Dataset
from workbench.catalogs.labels import fold
from workbench.insight.maps.fitting import EmbeddingMap
from workbench.models.ranking import Histories, as_histories
from workbench.plots.maps import Point, hover_texts, map_caption
from workbench.plots.points import KINDS, colour_choices, colour_points, describe_points, name_places
from workbench.widgets.explorer.controls import ExplorerControls
from workbench.widgets.explorer.lists import PointList, known_names, list_points, look_around, say_colours, search_texts
from workbench.widgets.explorer.point_map import HIDDEN, PointMap, inside, points_to_bytes
from workbench.widgets.view import View

NOBODY = np.empty(0, dtype=int)
IN_PAGE, IN_FILE = 5_000, 20_000  # most points of the still picture beside the view, and of a saved one


class EmbeddingExplorer(View):
    """A map of users and items to look around in, by mouse or by keyboard.

    Click a point: its history (joined by a faint line), recommendations and neighbours light up, and the table beside
    shows them. Draw around points, or search and press "Select results": ``selected`` holds them. Choosing a point
    inside the selection keeps the selection; choosing another one makes that the selection.

    Attributes:
        df: All points of the map: ``kind``, ``id``, ``title``, ``x``, ``y`` and attributes.
        controls: Search, colour, filter, what is shown, the open list, and the buttons.
        map: The canvas; its ``chosen`` and ``lasso`` say what the hands did.
        table: The rows beside it.

    Example:
        >>> from workbench.catalogs import load_dataset
        >>> from workbench.insight import fit_map
        >>> from workbench.models import embed_items, start_recommender
        >>> films = load_dataset("films")
        >>> items = embed_items(start_recommender(films.catalog, layers=1, width=16, heads=2))
        >>> explorer = EmbeddingExplorer(fit_map(items, method="pca"), films)
    """

    def __init__(
        self,
        embedding_map: EmbeddingMap,
        dataset: Dataset,
        *,
        recommender: Any = None,
        histories: Histories | None = None,
        groups: pd.DataFrame | None = None,
        live: bool = True,
    ) -> None:
        """Build the view.

        Args:
            embedding_map: What to show.
            dataset: Titles and attributes of items and users, and the histories unless others are given.
            recommender: Who recommends when a user is chosen; anything with ``rank``.
            histories: ``{user_id: [item_id, ...]}``, oldest first, or an interactions table: what the users' vectors
                were made of.
            groups: Index (``kind``, ``id``) and a column ``group`` of readable names.
            live: False shows the still picture only, which needs no kernel.

        Raises:
            ValueError: If the map holds no points.
        """
        if not len(embedding_map.table):
            raise ValueError("the map holds no points; fit it on the vectors of items, users or both.")
        super().__init__(live=live)
        self.embedding_map, self.dataset, self.recommender, self.groups = embedding_map, dataset, recommender, groups
        self.histories = as_histories(dataset.interactions if histories is None else histories)
        self._given = {"recommender": recommender, "histories": histories, "groups": groups}
        self._index = embedding_map.table.index
        self.df = describe_points(embedding_map, catalog=dataset.catalog, users=dataset.users, groups=groups)
        self._names, self._texts = known_names(self.df, dataset.catalog), search_texts(self.df)
        self._selection, self._how = NOBODY, ""
        self._around: dict[str, PointList] = {}  # of the chosen point; empty while none is
        self._listed: list[Point] = []
        self.controls = ExplorerControls(colour_choices(self.df), [k for k in KINDS if (self.df["kind"] == k).any()])
        self.table = self.controls.table
        self.map = PointMap(**points_to_bytes(self.df), names=hover_texts(self.df), layout={"flex": "1 1 460px"})
        self.children = self.controls.around(self.map, self.status)
        self._listen()
        self._recolour()

    @property
    def selected(self) -> pd.DataFrame:
        """The selected points: ``kind``, ``id``, ``title``, ``x``, ``y`` and attributes, in the order of the map."""
        return self.df.iloc[np.sort(self._selection)].reset_index(drop=True)

    @property
    def chosen(self) -> Point | None:
        """Kind and id of the point that the lists are about, or None."""
        return self._index[self.map.chosen] if self.map.chosen >= 0 else None

    @property
    def code(self) -> str:
        """What the hands did, as code that runs where the map, the dataset and what else was given are at hand."""
        given = "".join(f", {name}={name}" for name, value in self._given.items() if value is not None)
        choice, tab = self.chosen, self.controls.tab.value
        lines = [
            f"explorer = EmbeddingExplorer(embedding_map, dataset{given})",
            *self.controls.code(),
            self._how,
            f"explorer.choose({choice[0]!r}, {choice[1]!r})\nexplorer.controls.tab.value = {tab!r}" if choice else "",
            "explorer.selected",
        ]
        return "\n".join(filter(None, lines))

    def choose(self, kind: str, name: str) -> None:
        """Choose a point, as a click does.

        Raises:
            KeyError: If the map has no such point.
        """
        if (kind, name) not in self._index:
            raise KeyError(f"{kind} {name!r} is not on this map; ids are strings.")
        self.map.chosen = self._index.get_loc((kind, name))

    def select_results(self) -> None:
        """Select what is found: all points shown that fit the search."""
        search = f"explorer.controls.search.value = {self.controls.search.value!r}\nexplorer.select_results()"
        self._select(np.flatnonzero(self._found()), how=search)

    def reset(self) -> None:
        """Nothing searched, filtered, hidden, chosen or selected."""
        with self.unheard():
            self.controls.reset()
        self._select(NOBODY, how="")
        self._recolour()

    def figure(self, *, sample: int = IN_PAGE) -> go.Figure:
        """The still picture of what is shown now; of more than ``sample`` points a share of each kind and colour."""
        return plots.map_chart(
            self.embedding_map,
            catalog=self.dataset.catalog,
            users=self.dataset.users,
            groups=self.groups,
            colour=self.controls.colour.value,
            chosen=self.chosen,
            highlight=self._index[self.map.lit].tolist(),
            line=self._index[self.map.line].tolist(),
            shown=self._shown(),
            sample=sample,
            source=self._source(),
        )

    def save(self, path: str | Path) -> Path:
        """Write the still picture (``.html``, ``.png``) or all points (``.csv``, ``.parquet``); see ``plots.save``."""
        return plots.save(self.df if Path(path).suffix in (".csv", ".parquet") else self.figure(sample=IN_FILE), path)

    def _listen(self) -> None:
        """Connect the controls with what they do."""
        controls, buttons = self.controls, {"select": self.select_results, "clear": self.reset, "keep": self._on_save}
        for widget, trait, act in (
            (self.map, "chosen", self._on_click),
            (self.map, "cleared", self._on_empty),
            (self.map, "lasso", self._on_lasso),
            (self.table, "chosen", self._on_row),
            (controls.search, "value", self._on_search),
            (controls.tab, "value", self._refresh),
            *((control, "value", self._recolour) for control in (controls.only, *controls.kinds.values())),
            (controls.colour, "value", self._on_colour),
        ):
            widget.observe(self.hear(act), trait)
        for name, act in buttons.items():
            getattr(controls, name).on_click(self.hear(act))

    def _on_click(self) -> None:
        """A point was chosen, or none."""
        self._open(self.map.chosen) if self.map.chosen >= 0 else self._on_empty()

    def _on_empty(self) -> None:
        """The empty plane was."""
        self._select(NOBODY, how="")

    def _on_row(self) -> str | None:
        """A row of the table was chosen: the same as a click on its point."""
        point = self._listed[self.table.chosen]
        if point not in self._index:
            return f"{point[0]} {point[1]} is not on this map"
        return self._open(self._index.get_loc(point))

    def _open(self, place: int) -> None:
        """Show what is around a point; nothing changes when that cannot be said."""
        known = {"histories": self.histories, "recommender": self.recommender, "vectors": self.embedding_map.vectors}
        self._around = look_around(self._index[place], self._names, **known)
        if place not in self._selection:
            self._selection, self._how = np.array([place]), ""
        with self.unheard():
            self.map.chosen, self.controls.search.value = place, ""
            self.controls.open_for(self.chosen[0], recommends=self.recommender is not None)
        self._refresh()

    def _on_lasso(self) -> None:
        """A loop was drawn."""
        within = inside(self.df[["x", "y"]].to_numpy(), self.map.lasso) & self._shown()
        with self.unheard():
            self.controls.search.value = ""
        self._select(np.flatnonzero(within), how=f"explorer.map.lasso = {self.map.lasso}")

    def _on_search(self) -> None:
        """Another text; the selection stays until the results are selected."""
        self._around = {}
        with self.unheard():
            self.map.chosen, self.controls.tab.value = -1, "Selection"
        self._refresh()

    def _on_colour(self) -> None:
        """Another colouring, whose colours have other names."""
        with self.unheard():
            self.controls.only.value = ""
        self._recolour()

    def _on_save(self) -> str:
        """The button beside the file's name."""
        return f"saved {self.save(self.controls.file.value)}"

    def _select(self, rows: np.ndarray, *, how: str) -> None:
        """Make points the selection, none of them chosen; the same loop drawn again is heard again."""
        self._selection, self._how, self._around = rows, how, {}
        with self.unheard():
            self.map.chosen, self.map.lasso, self.controls.tab.value = -1, [], "Selection"
        self._refresh()

    def _recolour(self) -> None:
        """Colours, legend, names of groups and caption."""
        self._colouring = colouring = colour_points(self.df, self.controls.colour.value)
        with self.unheard():
            self.controls.show_legend(colouring, self._of_shown_kinds())
        shown = self._shown()
        with self.map.hold_sync():
            self.map.codes = np.where(shown, colouring.codes, HIDDEN).astype(np.uint8).tobytes()
            self.map.palette = colouring.colours
            self.map.meanings = [f"{self.controls.colour.value or 'kind'}: {name}" for name in colouring.names]
            self.map.labels = name_places(self.df[shown]).rename(columns={"group": "text"}).to_dict("records")
        self.controls.say_caption(map_caption(self.embedding_map, shown.sum(), len(shown), source=self._source()))
        self._refresh()

    def _refresh(self) -> None:
        """Light up and list what is chosen, found or selected."""
        listed, around = self._list(), self._around
        self._listed = listed.points
        lit = {point for part in around.values() for point in part.points}
        places = self._places(listed.points)
        with self.unheard(), self.map.hold_sync():
            self.map.lit = self._places(lit) if around else self._results().tolist()
            self.map.ringed = places if around or len(places) == len(self.map.lit) else []
            self.map.line = self._places(around["History"].points[::-1]) if around else []
            self.map.alt = f"{self.controls.caption_text} {listed.caption}"
            by = self.controls.colour.value
            values = None if by is None else self.df[by].set_axis(self._index)
            self.table.show(say_colours(listed, values), caption=listed.caption, bars=listed.bars)
        self.controls.copy.text = self.code

    def _list(self) -> PointList:
        """What the table shows: the open list of the chosen point, else what is found, else the selection."""
        results, words = self._results(), self.controls.search.value.strip()
        found = words and not (len(results) and np.array_equal(results, self._selection))
        if (tab := self.controls.tab.value) != "Selection" or not (found or len(results)):
            return self._around.get(tab, PointList())
        told = f"found for “{words}”" if found else "selected"
        return list_points(self.df.iloc[results], self._names, caption=f"{len(results):,} {told}")

    def _results(self) -> np.ndarray:
        """Places of what is found, or of the selection when nothing is searched."""
        return np.flatnonzero(self._found()) if self.controls.search.value.strip() else self._selection

    def _found(self) -> np.ndarray:
        """Which points are shown and fit the search."""
        words = fold(self.controls.search.value.strip())
        return self._shown() & self._texts.str.contains(words, regex=False).to_numpy()

    def _shown(self) -> np.ndarray:
        """Which points the boxes and the filter leave on the map."""
        only = self.controls.only.value
        fits = self._colouring.codes == self._colouring.names.index(only) if only else True
        return self._of_shown_kinds() & fits

    def _of_shown_kinds(self) -> np.ndarray:
        """Which points are of a kind whose box is ticked."""
        return self.df["kind"].isin([kind for kind, box in self.controls.kinds.items() if box.value]).to_numpy()

    def _places(self, points: Iterable[Point]) -> list[int]:
        """Places of points on the map; those that are not on it are left out."""
        rows = self._index.get_indexer(list(points))
        return rows[rows >= 0].tolist()

    def _source(self) -> str:
        """The dataset, and what a recommender says of itself."""
        return ", ".join(filter(None, [self.dataset.name, getattr(self.recommender, "source", "")]))

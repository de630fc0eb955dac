"""How every chart looks: one palette, one layout for light and dark pages, and the way charts reach a page.

JupyterLab draws plotly's own MIME type. An exported page knows nothing of it, so a chart also travels as a piece of
HTML that expects plotly.js once in the page (``window.Plotly``), never once per chart and never from a network.
"""

import json
import os
import textwrap
import uuid
from html import escape
from typing import Any

import plotly.graph_objects as go
import plotly.io as pio
from plotly.io.base_renderers import MimetypeRenderer

# Okabe & Ito's colours, told apart by colour-blind readers; black is left out because it vanishes on a dark page.
BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW = COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7"),
    *("#56B4E9", "#D55E00", "#F0E442"),
)
# The grey that stands out equally from white and from a dark page, about 4.4 to 1.
TEXT = "#787878"
GRID = "rgba(128, 128, 128, 0.25)"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Noto Sans CJK SC', sans-serif"
CAPTION_LINE, CAPTION_SIZE = 17, 12  # pixels
CONFIG = {"displaylogo": False, "showSendToCloud": False}  # no chart leaves the machine at a click
LONGEST = 26  # letters of a label on an axis
TITLE_SPACE, AXIS_SPACE, EDGE = 52, 58, 8  # pixels: above the axes, below them for their labels, left of all text


def finish(
    figure: go.Figure,
    *,
    title: str,
    caption: str,
    alt: str,
    size: tuple[int, int] = (760, 280),
    sides: tuple[int, int] = (72, 24),
    above: int = 0,
) -> go.Figure:
    """Give a figure its title, its caption below, its alternative text, and the look that reads on white and on black.

    Args:
        figure: What to finish; changed and returned.
        title: Plain text; escaped here.
        caption: Plain text, wrapped to the width; escaped here.
        alt: What the picture shows, for whoever cannot see it; kept in ``layout.meta["alt"]``.
        size: Width of the whole picture and height of its axes, in pixels; title and caption come on top.
        sides: Room left and right of the axes, in pixels.
        above: More room between title and axes, in pixels.
    """
    lines = textwrap.wrap(caption, int((size[0] - 2 * EDGE) / (CAPTION_SIZE * 0.56)), break_on_hyphens=False)
    above, below = TITLE_SPACE + above, AXIS_SPACE + CAPTION_LINE * len(lines)
    figure.update_layout(
        template="none",
        width=size[0],
        height=above + size[1] + below,
        margin={"l": sides[0], "r": sides[1], "t": above, "b": below},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "color": TEXT, "size": 13},
        colorway=COLOURS,
        title={"text": f"<b>{escape(title)}</b>", "font_size": 16, "x": 0, "xref": "container", "y": 1},
        title_yanchor="top",
        title_pad={"l": EDGE, "t": 14},
        hoverlabel={"font_family": FONT, "align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": TEXT, "activecolor": BLUE},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"},
        meta={"title": title, "alt": alt, "caption": caption},
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=TEXT, ticks="outside", tickcolor=GRID)
    figure.update_xaxes(title_standoff=6, automargin=False)
    figure.update_yaxes(gridcolor=GRID, zeroline=False, automargin=False, ticklen=4, title_standoff=10)
    for number, line in enumerate(lines):
        below_axes = {"yref": "paper", "y": 0, "yanchor": "top", "yshift": 4 - AXIS_SPACE - CAPTION_LINE * number}
        left_edge = {"xref": "paper", "x": 0, "xanchor": "left", "xshift": EDGE - sides[0]}
        add_text(figure, line, font_size=CAPTION_SIZE, **below_axes, **left_edge)
    return figure


def add_text(figure: go.Figure, text: str, *, bold: bool = False, **place: Any) -> None:
    """Write plain text into a figure, escaped, without an arrow; ``place`` as for ``add_annotation``."""
    text = f"<b>{escape(text)}</b>" if bold else escape(text)
    figure.add_annotation(text=text, showarrow=False, **place)


def short_label(label: str) -> str:
    """A label for an axis: escaped, and cut where it would run into the picture; a year at its end stays.

    Example:
        >>> short_label("Harry Potter and the Half-Blood Prince (2009)")
        'Harry Potter and t… (2009)'
    """
    if len(label) > LONGEST:
        year = label[-7:] if label[-7:-5] == " (" and label[-5:-1].isdigit() else ""
        label = f"{label[: LONGEST - 1 - len(year)]}…{year}"
    return escape(label)


def chart_html(figure: go.Figure | dict, *, still: bool = False) -> str:
    """A chart as a piece of HTML for a page that carries plotly.js once; without it, the alternative text stays.

    Args:
        figure: The chart, or its dict.
        still: Draw it without buttons and without answers to the mouse, as for a photograph.

    Example:
        >>> "window.Plotly" in chart_html(go.Figure())
        True
    """
    layout = go.Figure(figure).layout
    alt = escape((layout.meta or {}).get("alt", "A chart."), quote=True)
    # "<" is written as an escape so that no title can close the script.
    spec = pio.to_json(figure, validate=False).replace("<", "\\u003c")
    config = json.dumps(CONFIG | {"staticPlot": still})
    name = f"chart-{uuid.uuid4().hex}"
    return (
        f'<figure id="{name}" aria-label="{alt}" style="margin:0;width:{layout.width or 700}px;max-width:100%;'
        f'min-height:{layout.height or 450}px"><p>{alt} (The picture needs plotly.js in this page.)</p></figure>'
        f"<script>(function () {{ const draw = function () {{ if (!window.Plotly) return;"
        f' const place = document.getElementById("{name}"), chart = {spec};'
        " place.replaceChildren(document.createElement('div'));"
        f" window.Plotly.newPlot(place.firstChild, chart.data, chart.layout, {config}); }};"
        " if (window.Plotly) draw(); else window.addEventListener('load', draw); })();</script>"
    )


class PageRenderer(MimetypeRenderer):
    """Adds the HTML for exported pages to what a notebook cell shows."""

    def to_mimebundle(self, fig_dict: dict) -> dict[str, str]:
        """Return the chart as ``text/html``."""
        return {"text/html": chart_html(fig_dict)}


def use_renderer() -> None:
    """Let charts show both in JupyterLab and in exported pages; a renderer the user has chosen is left alone."""
    pio.renderers["workbench"] = PageRenderer()
    if "PLOTLY_RENDERER" not in os.environ and pio.renderers.default in ("plotly_mimetype", "vscode"):
        pio.renderers.default = "plotly_mimetype+workbench"

"""An executed notebook as one HTML file that asks the network for nothing.

The usual pages fetch scripts for formulas, charts and widgets. Here formulas become MathML, charts share one copy of
plotly.js inside the page, and a widget without a picture says that it is live only in JupyterLab. A security policy in
the page makes the browser refuse whatever might still try to leave.
"""

import html
import re
from html.parser import HTMLParser

import nbformat
from jinja2 import pass_context
from latex2mathml.converter import convert
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from plotly.offline import get_plotlyjs

from workbench.plots import chart_html

CHART = "application/vnd.plotly.v1+json"
WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE = "<p><em>A live control: open this notebook with <code>make lab</code>.</em></p>"
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; font-src data:;"
    " img-src data: blob:; media-src data: blob:; worker-src blob:; form-action 'none'; base-uri 'none'"
)
# the parts of nbconvert's page that fetch scripts, left empty
TEMPLATE = """{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""
LOADING = {  # the attributes with which a tag makes the browser fetch something
    **dict.fromkeys(("script", "img", "iframe", "source", "video", "audio", "embed", "input", "track"), ("src",)),
    "link": ("href",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}


class FormulaRenderer(IPythonRenderer):
    """Markdown to HTML with every formula as MathML, which browsers draw by themselves."""

    def inline_math(self, body: str) -> str:
        """`$...$` inside a sentence."""
        return convert(body)

    def block_math(self, body: str) -> str:
        """`$$...$$` on a line of its own."""
        return convert(body, display="block")

    def latex_environment(self, name: str, body: str) -> str:
        """A LaTeX environment such as `align`."""
        return convert(f"\\begin{{{name}}}{body}\\end{{{name}}}", display="block")


class OfflineExporter(HTMLExporter):
    """nbconvert's page without the scripts it would fetch."""

    @pass_context
    def markdown2html(self, context: dict, source: str) -> str:
        """Markdown to HTML; images beside the notebook are put into the page."""
        cell, resources = context.get("cell", {}), context.get("resources", {})
        renderer = FormulaRenderer(
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=True,
            path=resources.get("metadata", {}).get("path", ""),
            anchor_link_text=self.anchor_link_text,
        )
        return MarkdownWithMath(renderer=renderer).render(source)


def render_page(notebook: nbformat.NotebookNode, *, name: str, folder: str = "", notice: str = "") -> str:
    """The page of an executed notebook.

    Args:
        notebook: With its outputs; it is left as it is.
        name: The page's title.
        folder: Where the notebook's relative images are found.
        notice: A sentence shown in red above everything, for a notebook that failed.
    """
    notebook = nbformat.from_dict(notebook)
    state = notebook.metadata.pop("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    charts = 0
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        if data := output.get("data"):
            make_static(data, widgets=state)
            charts += draws_chart(data)
    exporter = OfflineExporter(raw_template=TEMPLATE)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name, "path": folder}})
    head = f'<head>\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    if charts:
        head += f"\n<script>{get_plotlyjs()}</script>"
    page = page.replace("<head>", head, 1)
    if notice:
        shown = f'<p style="color:#b00020;font-weight:bold;padding:1em">{html.escape(notice)}</p>'
        page = re.sub(r"<main>", lambda found: found[0] + shown, page, count=1)
    return page


def make_static(data: dict, *, widgets: dict) -> None:
    """Replace what needs a script from elsewhere, in one output's data, by plain HTML."""
    chart = data.pop(CHART, None)
    if chart and not draws_chart(data):  # a chart of ours has its HTML already, and with it its alternative text
        data["text/html"] = chart_html({part: chart[part] for part in ("data", "layout", "frames") if part in chart})
    if view := data.pop(WIDGET, None):
        model = widgets.get(view.get("model_id"), {})
        if model.get("model_name") == "HTMLModel":
            data["text/html"] = model["state"].get("value", "")
        else:
            data.setdefault("text/html", LIVE)
    if "text/html" not in data and (formula := data.pop("text/latex", None)):
        data["text/html"] = convert(formula.strip().strip("$"), display="block")


def draws_chart(data: dict) -> bool:
    """Whether the HTML of one output draws a chart with the page's plotly.js."""
    return "window.Plotly" in data.get("text/html", "")


def outside_loads(page: str) -> list[str]:
    """The addresses that a page would fetch from the network, in order; links to click on do not count.

    Examples:
        >>> outside_loads('<a href="https://a.example">read</a><script src="https://b.example/x.js"></script>')
        ['https://b.example/x.js']
        >>> outside_loads('<style>@import url("//c.example/s.css");</style><img src="data:image/png;base64,AA">')
        ['//c.example/s.css']
    """
    finder = LoadFinder()
    finder.feed(page)
    finder.close()
    return finder.found


class LoadFinder(HTMLParser):
    """Collects the outside addresses that the tags and styles of a page fetch."""

    def __init__(self) -> None:
        """Start with nothing found."""
        super().__init__()
        self.found: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes that fetch."""
        self.in_style = tag == "style"
        for name, value in attrs:
            if name in LOADING.get(tag, ()) or name in ("srcset", "poster"):
                self.keep(re.findall(r"(?:https?:)?//[^\s,]+", value or "") if is_outside(value) else [])
            elif name == "style":
                self.keep(addresses_in_style(value or ""))

    def handle_endtag(self, tag: str) -> None:
        """Leave a style sheet."""
        self.in_style = self.in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        """Look at a style sheet."""
        if self.in_style:
            self.keep(addresses_in_style(data))

    def keep(self, addresses: list[str]) -> None:
        """Remember addresses."""
        self.found.extend(addresses)


def is_outside(address: str | None) -> bool:
    """Whether an address leads to the network."""
    return bool(re.match(r"\s*(https?:)?//", address or "", flags=re.IGNORECASE))


def addresses_in_style(style: str) -> list[str]:
    """The outside addresses in a piece of CSS."""
    candidates = re.findall(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""", style)
    return [address for pair in candidates for address in pair if is_outside(address)]

"""What a view shows as Python that makes it again in a fresh kernel: a list here, and what a text needs likewise."""

from dataclasses import fields
from typing import Any

from workbench.language import Prompt, PromptTemplate
from workbench.models import GPT2Recommender
from workbench.widgets.playground.work import Listed

LOAD = "from workbench.models import GPT2Recommender\n\nrecommender = GPT2Recommender.load({folder!r})\n"
UNSAVED = (
    "\n# This run lies in no folder. Save it first, recommender.save('runs/mine'); a fresh kernel then begins with\n"
    "# from workbench.models import GPT2Recommender\n"
    "# recommender = GPT2Recommender.load('runs/mine')\n"
)
PARTIAL = "# The list that is shown was stopped before it was complete; this makes all of it.\n"


def write_code(listed: Listed) -> str:
    r"""The very call that made a list, with everything it needs; it leaves ``rankings``.

    Example:
        >>> import pandas as pd
        >>> from threading import Event
        >>> from workbench.language import Prompt
        >>> from workbench.models import start_recommender
        >>> from workbench.models.generation import Decoding
        >>> from workbench.widgets.playground.runs import Runs
        >>> from workbench.widgets.playground.work import ListMaker, Side
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> maker = ListMaker(Runs(start_recommender(catalog, layers=1, width=16, heads=2)), {})
        >>> side = Side("this run", Prompt(history=("a",)), "whole prompt")
        >>> print(*write_code(maker.make_list(0, side, Decoding(k=1), Event())).splitlines()[-2:], sep="\n")
        prompt = Prompt(history=('a',))
        rankings = recommender.generate(prompt, k=1)
    """
    return (
        f"from workbench.language import Prompt, PromptTemplate\n{load_code(listed.recommender)}"
        f"{prompt_code(listed.recommender.template, listed.side.prompt)}{PARTIAL if listed.stopped else ''}"
        f"rankings = recommender.generate(prompt, {_changed(listed.decoding, always='k')})\n"
    )


def load_code(recommender: GPT2Recommender) -> str:
    """How a fresh kernel comes by a recommender: it is read from its folder, or what to do where it has none."""
    folder = recommender.folder
    return LOAD.format(folder=str(folder)) if folder is not None and folder.is_dir() else UNSAVED


def prompt_code(template: PromptTemplate, prompt: Prompt) -> str:
    """A prompt and what it is read by, said in full: the folder of the run may hold another template.

    Example:
        >>> print(prompt_code(PromptTemplate(max_history=9), Prompt(request="slow")), end="")
        recommender = recommender.with_template(PromptTemplate(max_history=9))
        prompt = Prompt(request='slow')
    """
    read = f"recommender = recommender.with_template(PromptTemplate({_changed(template)}))\n"
    return f"{read}prompt = Prompt({_said(prompt)})\n"


def _said(prompt: Prompt) -> str:
    """What differs from an empty prompt, as arguments."""
    said = {"history": prompt.history, "request": prompt.request}
    said |= {"context": dict(prompt.context), "profile": dict(prompt.profile)}
    return ", ".join(f"{name}={value!r}" for name, value in said.items() if value)


def _changed(settings: Any, *, always: str = "") -> str:
    """The settings of a dataclass that differ from its defaults, as arguments."""
    values = [(each, getattr(settings, each.name)) for each in fields(settings)]
    return ", ".join(f"{each.name}={value!r}" for each, value in values if value != each.default or each.name == always)

"""A text as the very call that writes it again in a fresh kernel."""

from collections.abc import Mapping
from typing import Any

from workbench.models import GPT2Recommender
from workbench.widgets.playground.code import load_code, prompt_code

PARTIAL = "# The text that is shown was stopped before it was complete; this writes all of it.\n"


def write_code(recommender: GPT2Recommender, question: Mapping[str, Any], *, stopped: bool = False) -> str:
    r"""The call of ``write_text`` with everything it needs; it leaves ``written``.

    Args:
        recommender: Who wrote.
        question: What ``write_text`` was asked, ``task`` and all.
        stopped: The text that is shown is partial.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> code = write_code(recommender, {"task": "describe", "item": "a", "length": 5, "how": "greedy"})
        >>> print(code.splitlines()[-2])
        written = write_text(recommender, 'describe', item='a', length=5, how='greedy')
    """
    prompt = question.get("prompt")
    needs = "" if prompt is None else "from workbench.language import Prompt, PromptTemplate\n"
    said = ", ".join(
        f"{name}={'prompt' if name == 'prompt' else repr(value)}" for name, value in question.items() if name != "task"
    )
    return (
        f"{needs}from workbench.models.generation import write_text\n{load_code(recommender)}"
        f"{prompt_code(recommender.template, prompt) if needs else ''}{PARTIAL if stopped else ''}"
        f"written = write_text(recommender, {question['task']!r}, {said})\nprint(written.text)\n"
    )

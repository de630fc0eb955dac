"""What the playground can choose from: runs, opened when first needed, and templates."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock

import pandas as pd

from workbench.language import Prompt, PromptTemplate
from workbench.models import GPT2Recommender
from workbench.models.ranking import item_codes
from workbench.models.saved_run import DESCRIPTION

Given = GPT2Recommender | str | Path
SPELLINGS = {"atomic": "one word", "semantic": "code words", "title": "title"}  # how an item is written, in words
UNKNOWN = "not known"
WHOLE, NEWEST = "whole prompt", "newest 5 items"
ONLY = {"history only": ("history",), "request only": ("request",)}
N_NEWEST = 5


class Runs:
    """Recommenders by name; a folder is read when it is first needed, in whichever thread that is.

    Attributes:
        names: In the order given.
        spellings: How each run writes an item, of ``SPELLINGS``; ``UNKNOWN`` where its folder cannot be read.
    """

    def __init__(self, runs: Given | Mapping[str, Given]) -> None:
        """Note what there is; nothing is read but how items are spelled.

        Args:
            runs: One recommender or folder, or several by name.

        Raises:
            ValueError: If there is none.
            TypeError: If one is neither recommender nor folder.
        """
        if not isinstance(runs, Mapping):
            runs = {_own_name(runs): runs}
        if not runs:
            raise ValueError("there is no run; give a recommender, or {name: recommender or folder}.")
        for name, given in runs.items():
            if not isinstance(given, Given):
                raise TypeError(f"run {name!r} is a {type(given).__name__}; give a GPT2Recommender or its folder.")
        self._given = {str(name): given for name, given in runs.items()}
        self._open = {name: given for name, given in self._given.items() if isinstance(given, GPT2Recommender)}
        self._lock = Lock()
        self.names = list(self._given)
        self.spellings = {name: _spelling(given) for name, given in self._given.items()}

    def opened(self, name: str) -> GPT2Recommender | None:
        """The recommender of this name if it is there at once; never waits."""
        return self._open.get(name)

    def is_quick(self, name: str) -> bool:
        """Whether a run is there and one pass of its model scores every item."""
        return name in self._open and self.spellings[name] == "atomic"

    def open(self, name: str) -> GPT2Recommender:
        """The recommender of this name.

        Raises:
            ValueError: If its folder cannot be read any more.
        """
        with self._lock:
            if name not in self._open:
                try:
                    self._open[name] = GPT2Recommender.load(self._given[name])
                except (OSError, ValueError) as problem:
                    raise ValueError(f"the run {name!r} cannot be opened: {problem}") from problem
            return self._open[name]


def choose_template(
    name: str, recommender: GPT2Recommender, prompt: Prompt, given: Mapping[str, PromptTemplate]
) -> PromptTemplate:
    """The template of this name for a run.

    Args:
        name: One that was given, or one of ours: ``WHOLE`` is the run's own, the others keep a part of it.
        recommender: The run.
        prompt: What is said; under the spelling by titles it decides how many words the newest items take.
        given: Templates by name.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> choose_template("newest 5 items", recommender, Prompt(), {}).max_history
        5
    """
    own = recommender.template
    if name in given:
        return given[name]
    if name in ONLY:
        return replace(own, parts=ONLY[name])
    if name == NEWEST:
        words = _words_of_newest(recommender, prompt)
        return replace(own, max_history=words, max_history_with_request=words)
    return own


def _words_of_newest(recommender: GPT2Recommender, prompt: Prompt) -> int:
    """How many words the newest items take; of fewer, how many they could take at most."""
    vocabulary, newest = recommender.vocabulary, prompt.history[-N_NEWEST:]
    if len(newest) < N_NEWEST:
        return N_NEWEST * vocabulary.trie.longest
    items = pd.Index(vocabulary.spelling.items, dtype=object)
    (rows,) = item_codes({"somebody": newest}, items=items)
    return sum(len(vocabulary.spelled[row]) for row in rows)


def _own_name(run: Given) -> str:
    """What to call the only run: its folder's name."""
    folder = run.folder if isinstance(run, GPT2Recommender) else run
    return Path(folder).name if folder else "this run"


def _spelling(run: Given) -> str:
    """How a run writes an item, without opening it."""
    if isinstance(run, GPT2Recommender):
        return run.vocabulary.spelling.how
    try:
        return json.loads((Path(run) / DESCRIPTION).read_text("utf-8"))["spelling"]["how"]
    except (OSError, ValueError, KeyError, TypeError):
        return UNKNOWN  # opening it will say what is wrong

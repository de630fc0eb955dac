"""From a prompt to a list: the work of the playground, which knows nothing of controls."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Event

import numpy as np
import pandas as pd

from workbench.catalogs import item_labels
from workbench.insight import Occlusion
from workbench.insight.prompt_words import read_prompt
from workbench.language import Prompt, PromptTemplate
from workbench.models import GPT2Recommender
from workbench.models.generation import Decoding, Word
from workbench.models.ranking import item_codes
from workbench.widgets.playground.runs import Runs, choose_template

LETTERS = 10_000  # of a request that are counted when it is cut
UNEXPLAINED = "No reason can be given:"


@dataclass(frozen=True)
class Side:
    """Whose list is wanted, and for what.

    Attributes:
        run: Name of the run.
        prompt: What is said.
        template: Name of the template it is read by.
    """

    run: str
    prompt: Prompt
    template: str


@dataclass(frozen=True, eq=False)
class Listed:
    """One list and all that made it.

    Attributes:
        side: What was wanted.
        recommender: The run, reading by the template.
        decoding: The settings it was made with.
        df: ``rank``, ``item_id`` (missing where no item was written), ``title``, perhaps ``title_zh``, ``score``
            (log-probability) and ``probability``.
        units: The words of the prompt, as ``read_prompt`` returns them, with the ``id`` of each.
        cut: What of the prompt was not read, in words; empty for nothing.
        stopped: The list is partial.
        words: Of a slate, as they were written.
    """

    side: Side
    recommender: GPT2Recommender
    decoding: Decoding
    df: pd.DataFrame
    units: pd.DataFrame
    cut: str
    stopped: bool
    words: tuple[Word, ...] = ()

    @property
    def n_words(self) -> int:
        """Words of the vocabulary that were read and written."""
        vocabulary = self.recommender.vocabulary
        if vocabulary.one_word:
            return len(self.units) + len(self.df)
        lengths = dict(zip(vocabulary.spelling.items, map(len, vocabulary.spelled), strict=True))
        return len(self.units) + sum(lengths.get(item, 0) for item in self.df["item_id"])


@dataclass(frozen=True, eq=False)
class Order:
    """What the hands ask for.

    Attributes:
        sides: The list, and perhaps one to compare it with.
        decoding: How both are read off.
        pause: Seconds to wait first, in case more is typed.
        why: Which list (0 or 1) and which of its items to explain; None for none.
        made: The lists themselves, where they are there already.
    """

    sides: tuple[Side, ...]
    decoding: Decoding
    pause: float = 0.0
    why: tuple[int, str] | None = None
    made: tuple["Listed | str", ...] = ()


@dataclass(frozen=True, eq=False)
class Made:
    """What came of an order.

    Attributes:
        order: What was wanted.
        lists: One per side; the second is a sentence where it cannot be made. Empty if stopped before there was any.
        why: What helps the item that was asked about, in a sentence; empty when none was.
    """

    order: Order
    lists: tuple[Listed | str, ...] = ()
    why: str = ""


@dataclass(frozen=True, eq=False)
class ListMaker:
    """Makes what is ordered.

    Attributes:
        runs: Where the recommenders are.
        templates: Those that were given, by name.
        tell: Called with the number of the side, who writes, the words so far, and what stops them, as often as a slate
            has a new word. Once that is set, a newer order or Stop may be on the page already.
    """

    runs: Runs
    templates: Mapping[str, PromptTemplate]
    tell: Callable[[int, GPT2Recommender, list[Word], Event], None] = lambda number, recommender, words, stop: None

    def make(self, order: Order, stop: Event, halved: bool = False) -> Made:
        """The lists, then the reason if one is asked for.

        Args:
            order: What is wanted.
            stop: Ends it at the next word.
            halved: Memory ran out the first time: half the beam.

        Raises:
            ValueError: If the first list cannot be made.
        """
        if order.pause and stop.wait(order.pause):
            return Made(order)
        lists = list(order.made)
        for number, side in enumerate(order.sides[len(lists) :], start=len(lists)):
            try:
                lists.append(self.make_list(number, side, order.decoding, stop, halved))
            except ValueError as problem:
                if number == 0:
                    raise
                lists.append(f"no list of {side.run}: {problem}")
        return Made(order, tuple(lists), self._explain(lists, order.why, stop))

    def make_list(self, number: int, side: Side, decoding: Decoding, stop: Event, halved: bool = False) -> Listed:
        """One list: what ``generate`` returns, with titles."""
        run = self.runs.open(side.run)
        side = replace(side, prompt=only_learned(side.prompt, run))
        recommender = run.with_template(choose_template(side.template, run, side.prompt, self.templates))
        decoding = fit(decoding, len(recommender.catalog), halved=halved)
        said = {"request": side.prompt.request, "context": side.prompt.context, "profile": side.prompt.profile}
        ids, units = read_prompt(recommender, side.prompt.history, **said)
        room = recommender.model.config.n_positions - recommender.vocabulary.trie.longest
        if len(ids) > room:
            raise ValueError(
                f"choose another template: this one lets {len(ids):,} words through, and {side.run!r} reads {room:,}."
            )
        words: list[Word] = []

        def hear(word: Word) -> None:
            words.append(word)
            self.tell(number, recommender, words, stop)

        rankings = recommender.generate(side.prompt, stop=stop, on_word=hear, **asdict(decoding))
        table, cut = describe_list(rankings, recommender.catalog), say_cut(recommender, side.prompt)
        units, stopped = units.assign(id=ids), rankings.attrs["stopped"]
        return Listed(side, recommender, decoding, table, units, cut, stopped, tuple(words))

    def _explain(self, lists: list[Listed | str], why: tuple[int, str] | None, stop: Event) -> str:
        """The word of the prompt that helps an item most; nothing if that was stopped."""
        number, item = why or (len(lists), "")
        listed = lists[number] if number < len(lists) else ""  # it may have gone meanwhile
        if isinstance(listed, str) or stop.is_set():
            return ""
        prompt, recommender = listed.side.prompt, listed.recommender
        if not recommender.scores_all:
            return f"{UNEXPLAINED} {len(recommender.catalog):,} items of several words are too many to score each."
        said = {"request": prompt.request, "context": prompt.context, "profile": prompt.profile}
        try:
            why = Occlusion(recommender, prompt.history, **said).attribute(item, stop=stop)
            return why.sentence if why else ""
        except ValueError as problem:
            return f"{UNEXPLAINED} {problem}"


def check_prompt(run: GPT2Recommender, prompt: Prompt) -> None:
    """Make sure that a run knows the items and all that is said.

    Raises:
        ValueError: If it does not; the message says what.
    """
    said = {"request": prompt.request, "context": prompt.context, "profile": prompt.profile}
    run.prompts({"somebody": prompt.history}, said)


def only_learned(prompt: Prompt, run: GPT2Recommender) -> Prompt:
    """A prompt without the context and profile that this run has not learned: another run may have."""
    known = {part: run.vocabulary.known_marks(part) for part in ("context", "profile")}
    said = {
        part: {name: value for name, value in getattr(prompt, part).items() if value in own.get(name, ())}
        for part, own in known.items()
    }
    return replace(prompt, **said)


def fit(decoding: Decoding, n_items: int, *, halved: bool = False) -> Decoding:
    """Settings that a catalog of this size can have, and half the beam where memory ran out.

    Example:
        >>> fit(Decoding(k=1_000), 570).k, fit(Decoding(width=50), 570, halved=True).width
        (570, 25)
    """
    fitting = replace(decoding, k=min(decoding.k, n_items))
    if decoding.width is not None:
        fitting = replace(fitting, width=min(decoding.width, n_items))
    return replace(fitting, width=max(fitting.k, fitting.beams // 2)) if halved else fitting


def describe_list(rankings: pd.DataFrame, catalog: pd.DataFrame) -> pd.DataFrame:
    """Rankings of one user with titles and probabilities.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> rankings = pd.DataFrame({"item_id": ["b"], "rank": [1], "score": [-0.5]})
        >>> describe_list(rankings, catalog)[["title", "probability"]].round(3).values.tolist()
        [['Brazil', 0.607]]
    """
    places = dict(zip(catalog["item_id"].tolist(), range(len(catalog)), strict=True))
    items = rankings["item_id"].tolist()
    own = catalog.iloc[
        [places[item] for item in items if item in places]
    ]  # labels of these alone: it is done per letter
    labels = dict(zip(own["item_id"].tolist(), item_labels(own), strict=True))
    columns = {"rank": rankings["rank"].tolist(), "item_id": rankings["item_id"].array}
    columns["title"] = pd.array([labels.get(item, "(no item)") for item in items], dtype="str")
    if "title_zh" in catalog and catalog["title_zh"].notna().any():
        chinese = dict(zip(own["item_id"].tolist(), own["title_zh"].tolist(), strict=True))
        columns["title_zh"] = pd.array([chinese.get(item) for item in items], dtype="str")
    scores = rankings["score"].to_numpy()
    return pd.DataFrame(columns | {"score": scores, "probability": np.exp(scores.astype(float))})


def grow_list(words: Sequence[Word]) -> pd.DataFrame:
    """The rankings of a slate that is being written: the items whose last word is there.

    Example:
        >>> words = [Word(1, "Sta", 0.5, ()), Word(1, "lker", 0.5, (), "a"), Word(2, "Mo", 0.2, ())]
        >>> grow_list(words).round(2).values.tolist()
        [['a', 1, -1.39]]
    """
    scores: dict[int, float] = {}
    rows = []
    for word in words:
        scores[word.place] = scores.get(word.place, 0.0) + float(np.log(max(word.probability, 1e-300)))
        if word.item_id:
            rows.append((word.item_id, word.place, scores[word.place]))
    return pd.DataFrame(rows, columns=["item_id", "rank", "score"]).astype({"item_id": "str"})


def say_cut(recommender: GPT2Recommender, prompt: Prompt) -> str:
    """What of a prompt the model does not read, in words.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2, max_history=2)
        >>> say_cut(recommender, Prompt(history=("a", "b", "a")))
        'the oldest item of the history'
    """
    template, vocabulary = recommender.template, recommender.vocabulary
    items = pd.Index(vocabulary.spelling.items, dtype=object)
    (rows,) = item_codes({"somebody": prompt.history}, items=items)
    kept = template.keep(vocabulary, recommender.tokenizer, history=rows, request=prompt.request)
    parts = []
    if kept.n_cut_items:
        oldest = "item" if kept.n_cut_items == 1 else f"{kept.n_cut_items:,} items"
        parts.append(f"the oldest {oldest} of the history")
    if kept.n_cut_pieces:
        least = "at least " if len(prompt.request.strip()) > LETTERS else ""
        last = "piece" if kept.n_cut_pieces == 1 else f"{kept.n_cut_pieces:,} pieces"
        parts.append(f"the last {least}{last} of the request")
    said = {part: getattr(prompt, part) for part in ("profile", "history", "context", "request")}
    left_out = [part for part, value in said.items() if value and part not in template.parts]
    if left_out:
        parts.append(f"the {' and the '.join(left_out)}, which this template leaves out")
    return " and ".join(parts)

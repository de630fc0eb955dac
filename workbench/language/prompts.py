"""A prompt: what the model reads before it names an item.

``<25-34> <history> [Alien] <evening> [Solaris] <request> slow science fiction <recommend>``: who somebody is, what they
met, when and where they are, what they ask for. The history comes before the request: then the same sentence teaches
what comes next at every item *and* what this person means by a request. Without a request the list is read off the
newest item; a request alone begins at ``<request>``.

The context of what comes next stands before the newest item (before ``<history>`` where there is none), so the list
is still read off that item's word. Behind it, it would stand in the way of what the item says of the next, see LOG.md.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from tokenizers import Tokenizer

from workbench.language.tokenizer import encode
from workbench.language.vocabulary import Vocabulary

PARTS = ("profile", "history", "context", "request")


@dataclass(frozen=True)
class Prompt:
    """What somebody is asked to be recommended for, as people say it.

    Attributes:
        history: Item ids, oldest first.
        request: A wish in words; empty for none.
        context: When, where and on what, ``{column: value}`` as the recommender learned them.
        profile: Who somebody is, likewise.
    """

    history: tuple[str, ...] = ()
    request: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    profile: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kept:
    """What a template keeps of a prompt, and how much of it was cut.

    Attributes:
        profile: Ids of its marks.
        rows: Catalog rows of the history, the newest that fit.
        context: Ids of its marks.
        pieces: Word pieces of the request, the first that fit.
        n_cut_items: Oldest items of the history that were cut.
        n_cut_pieces: Last word pieces of the request that were cut.
    """

    profile: tuple[int, ...]
    rows: tuple[int, ...]
    context: tuple[int, ...]
    pieces: tuple[int, ...]
    n_cut_items: int
    n_cut_pieces: int


@dataclass(frozen=True)
class PromptTemplate:
    """The parts of a prompt, their order and the length budget.

    Attributes:
        max_history: Words of the history that are kept: the newest items that fit. With one word per item, items.
        max_history_with_request: The same when a request follows; training sentences are cut alike.
        max_request: Word pieces of the request that are kept, the first ones.
        parts: Which parts are read, of ``PARTS``; what is said in another is left out.

    Example:
        >>> PromptTemplate(max_history=50).max_words  # <history>, 40 items, <request>, 48 pieces, <recommend>
        91
    """

    max_history: int = 200
    max_history_with_request: int = 40
    max_request: int = 48
    parts: tuple[str, ...] = PARTS

    def __post_init__(self) -> None:
        """Refuse what could only fail later; JSON knows no tuples."""
        object.__setattr__(self, "parts", tuple(self.parts))
        unknown = [part for part in self.parts if part not in PARTS]
        if unknown or not self.parts:
            raise ValueError(f"parts is {self.parts}; name at least one of {PARTS}.")
        for name in ("max_history", "max_history_with_request", "max_request"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0.")

    @property
    def max_words(self) -> int:
        """Longest prompt without marks, in words of the vocabulary."""
        return 1 + max(self.max_history, self.max_history_with_request + 2 + self.max_request)

    def keep(
        self,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
        *,
        history: Sequence[int],
        request: str | None = None,
        context: Mapping[str, str] | None = None,
        profile: Mapping[str, str] | None = None,
    ) -> Kept:
        """What is read of a history of catalog rows, a request in any language, context and profile.

        Raises:
            ValueError: If context or profile say what the vocabulary has no mark for.
        """
        whole = request if request and "request" in self.parts else ""
        pieces = self.request_pieces(tokenizer, whole)
        # a request in long pieces can be cut by its characters before it has as many pieces as are kept
        full = len(pieces) == self.max_request or len(whole.strip()) > 8 * self.max_request
        n_pieces = len(encode(tokenizer, whole.strip()[:10_000].lower())) if full else 0
        rows = [int(row) for row in history] if "history" in self.parts else []
        kept = self.newest(vocabulary, rows, budget=self.max_history_with_request if pieces else self.max_history)
        return Kept(
            profile=tuple(vocabulary.mark_ids("profile", profile if "profile" in self.parts else None)),
            rows=tuple(kept),
            context=tuple(vocabulary.mark_ids("context", context if "context" in self.parts else None)),
            pieces=tuple(pieces),
            n_cut_items=len(rows) - len(kept),
            n_cut_pieces=max(0, n_pieces - len(pieces)),
        )

    def lengthen(self, vocabulary: Vocabulary, kept: Kept, rows: Sequence[int]) -> Kept:
        """What is kept once these catalog rows were met as well; the oldest make room."""
        budget = self.max_history_with_request if kept.pieces else self.max_history
        return replace(kept, rows=tuple(self.newest(vocabulary, [*kept.rows, *rows], budget=budget)))

    def encode(
        self,
        vocabulary: Vocabulary,
        tokenizer: Tokenizer,
        *,
        history: Sequence[int],
        request: str | None = None,
        context: Mapping[str, str] | None = None,
        profile: Mapping[str, str] | None = None,
    ) -> list[int]:
        """Ids of the prompt; with nothing at all to say it is that of somebody unknown: ``<history>`` alone."""
        said = {"request": request, "context": context, "profile": profile}
        return self.write(vocabulary, self.keep(vocabulary, tokenizer, history=history, **said))

    def write(self, vocabulary: Vocabulary, kept: Kept) -> list[int]:
        """Ids of the prompt of what was kept."""
        items = [vocabulary.spelled[row] for row in kept.rows]
        return self.lay_out(vocabulary, items=items, pieces=kept.pieces, context=kept.context, profile=kept.profile)

    def lay_out(
        self,
        vocabulary: Vocabulary,
        *,
        items: Sequence[Sequence[int]],
        pieces: Iterable[int],
        context: Iterable[int] = (),
        profile: Iterable[int] = (),
    ) -> list[int]:
        """The prompt of these ids, item by item, however many; only a request alone does without ``<history>``."""
        pieces, context, profile = list(pieces), list(context), list(profile)
        alone = pieces and not (items or context or profile)
        opening = [] if alone else [[vocabulary.control("history")], *items]
        *before, newest = opening or [[]]
        closing = [vocabulary.control("request"), *pieces, vocabulary.control("recommend")] if pieces else []
        return [*profile, *(word for item in before for word in item), *context, *newest, *closing]

    def request_words(self, vocabulary: Vocabulary, tokenizer: Tokenizer, request: str) -> list[int]:
        """``<request>`` pieces ``<recommend>``; nothing at all for a request of only spaces."""
        pieces = self.request_pieces(tokenizer, request)
        return self.lay_out(vocabulary, items=[], pieces=pieces) if pieces else []

    def request_pieces(self, tokenizer: Tokenizer, request: str) -> list[int]:
        """The word pieces of a request that are kept; it is read in lower case."""
        # 8 characters a piece is generous; encoding a 10 MB request only to cut it would take seconds
        return encode(tokenizer, request.strip()[: 8 * self.max_request].lower())[: self.max_request]

    def save(self, path: str | Path) -> Path:
        """Write the template as JSON, whole or not at all."""
        path = Path(path)
        scratch = path.with_name(path.name + ".part")
        scratch.write_text(json.dumps(asdict(self), indent=1), "utf-8")
        os.replace(scratch, path)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "PromptTemplate":
        """Read a saved template.

        Raises:
            ValueError: If the file holds something else.
        """
        try:
            return cls(**json.loads(Path(path).read_text("utf-8")))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} holds no template ({error}); PromptTemplate.save writes one.") from error

    @staticmethod
    def newest(vocabulary: Vocabulary, rows: list[int], *, budget: int) -> list[int]:
        """The newest rows whose words fit the budget."""
        first = len(rows)
        while first and len(vocabulary.spelled[rows[first - 1]]) <= budget:
            first -= 1
            budget -= len(vocabulary.spelled[rows[first]])
        return rows[first:]

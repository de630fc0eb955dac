"""A prompt: what the model reads before it names an item.

``<history> [Alien] [Solaris] <request> slow science fiction <recommend>``. The history comes first: then the same
sentence teaches what comes next at every item *and* what this person means by a request. Without a request the list is
read off the last item word; without a history the sentence begins at ``<request>``.
"""

from dataclasses import dataclass

from tokenizers import Tokenizer

from workbench.language.tokenizer import encode
from workbench.language.vocabulary import Vocabulary


@dataclass(frozen=True)
class PromptTemplate:
    """The order and the length budget of a prompt.

    Attributes:
        max_history: Items of the history that are kept, the newest ones.
        max_history_with_request: The same when a request follows; training sentences are cut alike.
        max_request: Word pieces of the request that are kept, the first ones.

    Example:
        >>> PromptTemplate(max_history=50).max_words  # <history>, 40 items, <request>, 48 pieces, <recommend>
        91
    """

    max_history: int = 200
    max_history_with_request: int = 40
    max_request: int = 48

    @property
    def max_words(self) -> int:
        """Longest prompt, in words of the vocabulary, for a spelling of one word per item."""
        return 1 + max(self.max_history, self.max_history_with_request + 2 + self.max_request)

    def encode(
        self, vocabulary: Vocabulary, tokenizer: Tokenizer, *, history: list[int], request: str | None = None
    ) -> list[int]:
        """Ids of the prompt for a history of catalog rows and a request in any language.

        An empty history with no request is the prompt of somebody unknown: ``<history>`` alone.
        """
        pieces = self.request_pieces(tokenizer, request) if request is not None else []
        keep = self.max_history_with_request if pieces else self.max_history
        return self.lay_out(vocabulary, items=vocabulary.items(history[-keep:]), pieces=pieces)

    def lay_out(self, vocabulary: Vocabulary, *, items: list[int], pieces: list[int]) -> list[int]:
        """The prompt of these item words and word pieces, however many; ``<history>`` alone when there is neither."""
        opening = [vocabulary.control("history"), *items] if items or not pieces else []
        closing = [vocabulary.control("request"), *pieces, vocabulary.control("recommend")] if pieces else []
        return opening + closing

    def request_words(self, vocabulary: Vocabulary, tokenizer: Tokenizer, request: str) -> list[int]:
        """``<request>`` pieces ``<recommend>``; nothing at all for a request of only spaces."""
        pieces = self.request_pieces(tokenizer, request)
        return self.lay_out(vocabulary, items=[], pieces=pieces) if pieces else []

    def request_pieces(self, tokenizer: Tokenizer, request: str) -> list[int]:
        """The word pieces of a request that are kept; it is read in lower case."""
        # 8 characters a piece is generous; encoding a 10 MB request only to cut it would take seconds
        return encode(tokenizer, request.strip()[: 8 * self.max_request].lower())[: self.max_request]

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
        pieces = self.request_words(vocabulary, tokenizer, request) if request is not None else []
        if not history and pieces:
            return pieces
        keep = self.max_history_with_request if pieces else self.max_history
        return [vocabulary.control("history"), *vocabulary.items(history[-keep:]), *pieces]

    def request_words(self, vocabulary: Vocabulary, tokenizer: Tokenizer, request: str) -> list[int]:
        """``<request>`` pieces ``<recommend>``; read in lower case; nothing at all for a request of only spaces."""
        # 8 characters a piece is generous; encoding a 10 MB request only to cut it would take seconds
        pieces = encode(tokenizer, request.strip()[: 8 * self.max_request].lower())[: self.max_request]
        return [vocabulary.control("request"), *pieces, vocabulary.control("recommend")] if pieces else []

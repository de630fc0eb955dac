"""The loss: cross-entropy over the words that could have stood there.

Where an item follows, the softmax runs over the words that lead on from there in the trie, so an item costs minus the
logarithm of its probability among all items, whatever the spelling; where text follows, over the text words. Of many
thousand items of one word each, some are drawn and stand for all, weighted so that the sum has the right expectation.
Items that were read take no part where nobody meets an item twice (``models/repeats.py``).
Where every item has a word of its own, chunks keep the tokens x items matrix out of memory, and the gradient is formed
in the forward pass, so no chunk is computed twice.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2Model

from workbench.language import Vocabulary
from workbench.language.trie import Trie
from workbench.models.generation.constraint import TrieTable, trie_table
from workbench.models.repeats import NEVER, each_item_once, read_before

# How much each kind counts beside the history, in the steps that have it (chosen on validation data, see LOG.md).
WEIGHTS = {"history": 1.0, "wish": 0.3, "wish_after_history": 0.05, "description": 0.08, "review": 0.08}
ROUND = 256  # positions are filled up to a multiple: few shapes, as in ``batches.py``
CHUNK = 512  # positions per chunk: 512 x 3,416 float32 logits are 7 MB, which a processor's cache holds


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of -log softmax(hidden @ rows.T)[target]; gradients for hidden and rows.

    The slope of the loss is the softmax, minus 1 at the target. The tokens x items numbers are touched as seldom as can
    be: they stay exponentials, and dividing by their sums and subtracting the targets is left to the small sides.
    """

    @staticmethod
    def forward(
        ctx,
        hidden: torch.Tensor,
        rows: torch.Tensor,
        targets: torch.Tensor,
        log_chances: torch.Tensor | None,
        out: torch.Tensor | None,
        n: int,
        dtype: torch.dtype,
    ):
        """Shapes: hidden (m, d), zeros from row n on; rows (n_words, d); targets (m,), n of them real; out (n, any)."""
        low_rows = rows.to(dtype)
        grad_hidden = torch.empty_like(hidden, dtype=torch.float32)
        grad_rows = torch.zeros_like(rows, dtype=torch.float32)
        total = hidden.new_zeros((), dtype=torch.float32)
        for first in range(0, len(hidden), CHUNK):
            part = slice(first, first + CHUNK)
            low_hidden, target = hidden[part].to(dtype), targets[part, None]
            logits = (low_hidden @ low_rows.T).float()  # (chunk, n_words)
            own = logits.gather(1, target)
            if log_chances is not None:
                logits.sub_(log_chances)
            if out is not None:
                gone = out[part]
                logits[: len(gone)].scatter_add_(1, gone.clamp(min=0), NEVER * (gone >= 0))
            logits.scatter_(1, target, own)
            logits -= logits.amax(1, keepdim=True)
            own = logits.gather(1, target)
            sums = logits.exp_().sum(1, keepdim=True)
            total += (sums.log() - own)[: max(n - first, 0)].sum()
            powers = logits.to(dtype)
            grad_hidden[part] = (powers @ low_rows).float() / sums
            grad_rows += (powers.T @ (low_hidden / sums).to(dtype)).float()
        grad_hidden -= functional.embedding(targets, rows)
        grad_rows.index_add_(0, targets, -hidden.float())  # fillers are zeros
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_rows.to(rows.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        """Scale the gradients that forward left."""
        grad_hidden, grad_rows = ctx.saved_tensors
        return grad * grad_hidden, grad * grad_rows, None, None, None, None, None


def restricted_cross_entropy(
    hidden: torch.Tensor,
    rows: torch.Tensor,
    targets: torch.Tensor,
    *,
    log_chances: torch.Tensor | None = None,
    out: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Mean cross-entropy in nats over the words of ``rows``, at least 0.

    Args:
        hidden: States that are followed by a word of this kind, (n, d_model).
        rows: Embedding rows of all words of this kind, (n_words, d_model).
        targets: Which of them followed, 0 .. n_words - 1; (n,).
        log_chances: Where the rows were drawn from more, log of the chance each had to be drawn, (n_words,). A row of
            chance c then stands for 1/c rows like it, but the one that followed for itself alone (Horvitz and Thompson,
            1952): the sum in the softmax has the expectation of the sum over all.
        out: Words that cannot follow, (n, any number), filled up with -1; the one that followed counts all the same.
        dtype: Of the matrix products; sums are float32.

    Example:
        >>> even = restricted_cross_entropy(torch.zeros(3, 4), torch.ones(8, 4), torch.tensor([0, 1, 7]))
        >>> bool(even.isclose(torch.tensor(8.0).log()))
        True
    """
    n = len(targets)
    hidden, targets = functional.pad(hidden, (0, 0, 0, -n % ROUND)), functional.pad(targets, (0, -n % ROUND))
    return _ChunkedCrossEntropy.apply(hidden, rows, targets, log_chances, out, n, dtype) / max(n, 1)


def path_loss(
    hidden: torch.Tensor,
    rows: torch.Tensor,
    edges: torch.Tensor,
    *,
    trie: Trie,
    drawn: tuple[torch.Tensor, torch.Tensor] | None = None,
    out: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Mean cost of an item in nats, at least 0: of its first word among all first words, and of each further choice.

    Args:
        hidden: States off which a word of an item is read, (n, d_model).
        rows: Embedding rows of all words, (n_words, d_model).
        edges: Which edge of the trie follows each, (n,); one for every item is an edge of the root.
        trie: Over the spellings of all items.
        drawn: First words that stand for all of them: their edges in order, those that follow among them, and the log
            of the chance each had to be drawn; both (n_drawn,). None: all first words.
        out: First words that cannot follow, as numbers of their edges, (n, any number), filled up with -1.
        dtype: Of the matrix products; sums are float32.

    Example:
        >>> from workbench.language.trie import build_trie
        >>> trie = build_trie([(7, 1), (7, 2), (8,)])  # edges 7, 8, 7-1, 7-2
        >>> even = path_loss(torch.zeros(3, 4), torch.ones(9, 4), torch.tensor([0, 3, 1]), trie=trie)
        >>> bool(even.isclose(3 * torch.tensor(2.0).log() / 2))  # two items: 1/2 x 1/2, and 1/2
        True
    """
    table, n_first = trie_table(trie, rows.device), int(trie.first_edges[1])
    begins = edges < n_first
    choices, log_chances = drawn or (torch.arange(n_first, device=rows.device), None)
    firsts, targets = functional.embedding(table.words[choices], rows), torch.searchsorted(choices, edges[begins])
    if out is not None:
        out = out[begins] if drawn is None else _places(choices, n=n_first)[out[begins]]
    first = restricted_cross_entropy(hidden[begins], firsts, targets, log_chances=log_chances, out=out, dtype=dtype)
    if trie.longest == 1:
        return first
    return first + _fork_losses(hidden[~begins], rows, edges[~begins], table, dtype).sum() / max(begins.sum(), 1)


def _places(choices: torch.Tensor, *, n: int) -> torch.Tensor:
    """Where each number up to n stands among the choices, -1 for what does not, and at the end for -1; (n + 1,)."""
    places = torch.full((n + 1,), -1, device=choices.device)
    places[choices] = torch.arange(len(choices), device=choices.device)
    return places


def _fork_losses(
    hidden: torch.Tensor, rows: torch.Tensor, edges: torch.Tensor, table: TrieTable, dtype: torch.dtype
) -> torch.Tensor:
    """Cost of each edge among those that leave the same node, (n,)."""
    owners, choices = table.leaving(table.parents[edges])
    words, columns = table.words[choices].unique(return_inverse=True)
    shut = torch.ones(len(edges), len(words), dtype=torch.bool, device=edges.device)
    shut[owners, columns] = False
    logits = (hidden.to(dtype) @ rows[words].to(dtype).T).float().masked_fill(shut, -torch.inf)
    own = torch.searchsorted(words, table.words[edges])
    return -logits.log_softmax(1).gather(1, own[:, None])[:, 0]


def sentence_loss(
    transformer: GPT2Model, batch: dict[str, dict[str, torch.Tensor]], *, vocabulary: Vocabulary
) -> dict[str, torch.Tensor]:
    """Mean loss of each kind of sentence, and ``"total"``, their weighted sum; in nats, at least 0.

    Args:
        transformer: The recommender's GPT-2 without its head, in training mode.
        batch: Groups as made by :class:`workbench.training.batches.Sentences`.
        vocabulary: Which ids are text, control words and items.
    """
    rows = transformer.wte.weight
    text_rows, once = rows[: vocabulary.first_item], each_item_once(transformer)  # text: with the control words
    device = rows.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype
    losses = {}
    for name, group in batch.items():
        hidden = transformer(group["words"], use_cache=False).last_hidden_state  # (B, T, d_model)
        if "chances" in group:
            hidden = hidden[torch.arange(len(hidden), device=hidden.device), group["ends"]]  # (B, d_model)
            logits = (hidden.to(dtype) @ rows[vocabulary.item_words].to(dtype).T).float()
            losses[name] = -(group["chances"] * logits.log_softmax(1)).sum(1).mean()
        else:
            known = group["targets"] >= 0
            hidden, targets = hidden[known], group["targets"][known]
            if name in ("description", "review"):
                losses[name] = restricted_cross_entropy(hidden, text_rows, targets, dtype=dtype)
            else:
                drawn = (group["drawn"], group["log_chances"]) if "drawn" in group else None
                out = read_before(group["words"], known, vocabulary=vocabulary) if once else None
                rules = {"trie": vocabulary.trie, "drawn": drawn, "out": out, "dtype": dtype}
                losses[name] = path_loss(hidden, rows, targets, **rules)
    losses["total"] = sum(WEIGHTS[name] * loss for name, loss in losses.items())
    return losses


class SentenceModel(nn.Module):
    """The GPT-2 with its loss: what the Trainer calls, and all that it needs to know."""

    def __init__(self, transformer: nn.Module, vocabulary: Vocabulary) -> None:
        """Share the recommender's transformer."""
        super().__init__()
        self.transformer, self.vocabulary = transformer, vocabulary
        self.history_loss, self.steps, self.words = 0.0, 0, 0

    def forward(self, **batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Loss of one batch."""
        losses = sentence_loss(self.transformer, batch, vocabulary=self.vocabulary)
        self.history_loss = self.history_loss + losses.get("history", losses["total"]).detach()
        self.steps += 1
        self.words += sum(group["words"].numel() for group in batch.values())
        return {"loss": losses["total"]}

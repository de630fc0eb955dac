"""The loss: cross-entropy over the words that could have stood there, computed in chunks.

Where an item follows, the softmax runs over the item words only (all of them: no sampled negatives); where text
follows, over the text words. Chunks keep the tokens x items matrix out of memory, and the gradient is formed in the
forward pass, so no chunk is computed twice.
"""

import torch
from torch import nn
from torch.nn import functional
from transformers import GPT2Model

from workbench.language import Vocabulary

# How much each kind of sentence counts beside the history (chosen on validation data, see LOG.md).
WEIGHTS = {"history": 1.0, "wish": 0.3, "wish_after_history": 0.1, "description": 0.02}
ROUND = 256  # positions are filled up to a multiple: few shapes, as in ``batches.py``
CHUNK = 2048  # positions per chunk: 2048 x 3,416 float32 logits are 28 MB


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of -weight x log softmax(hidden @ rows.T)[target]; gradients for hidden and rows."""

    @staticmethod
    def forward(ctx, hidden: torch.Tensor, rows: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, dtype):
        """Shapes: hidden (n, d), rows (n_words, d), targets and weights (n, h)."""
        low_rows = rows.to(dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_rows = torch.zeros_like(rows, dtype=torch.float32)
        total = hidden.new_zeros((), dtype=torch.float32)
        for first in range(0, len(hidden), CHUNK):
            part = slice(first, first + CHUNK)
            low_hidden, target, weight = hidden[part].to(dtype), targets[part], weights[part]
            log_chances = (low_hidden @ low_rows.T).float().log_softmax(1)  # (chunk, n_words)
            total -= (weight * log_chances.gather(1, target)).sum()
            # the slope of the loss: softmax times the weights' sum, minus each weight at its target
            slope = log_chances.exp_().mul_(weight.sum(1, keepdim=True)).scatter_add_(1, target, -weight)
            slope = slope.to(dtype)
            grad_hidden[part] = (slope @ low_rows).to(hidden.dtype)
            grad_rows += (slope.T @ low_hidden).float()
        ctx.save_for_backward(grad_hidden, grad_rows.to(rows.dtype))
        return total

    @staticmethod
    def backward(ctx, grad: torch.Tensor):
        """Scale the gradients that forward left."""
        grad_hidden, grad_rows = ctx.saved_tensors
        return grad * grad_hidden, grad * grad_rows, None, None, None


def restricted_cross_entropy(
    hidden: torch.Tensor,
    rows: torch.Tensor,
    targets: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Mean cross-entropy in nats over the words of ``rows``, at least 0.

    Args:
        hidden: States that are followed by a word of this kind, (n, d_model).
        rows: Embedding rows of all words of this kind, (n_words, d_model).
        targets: Which of them followed, 0 .. n_words - 1; (n,), or (n, h) for h answers to each state.
        weights: How much each answer counts, shaped like ``targets``; 1 when None.
        dtype: Of the matrix products; sums are float32.

    Example:
        >>> even = restricted_cross_entropy(torch.zeros(3, 4), torch.ones(8, 4), torch.tensor([0, 1, 7]))
        >>> bool(even.isclose(torch.tensor(8.0).log()))
        True
    """
    n = len(targets)
    targets = targets[:, None] if targets.ndim == 1 else targets
    weights = hidden.new_ones(targets.shape, dtype=torch.float32) if weights is None else weights
    more = (0, 0, 0, -n % ROUND)  # rows that weigh nothing
    hidden, targets, weights = (functional.pad(values, more) for values in (hidden, targets, weights))
    return _ChunkedCrossEntropy.apply(hidden, rows, targets, weights, dtype) / max(n, 1)


def coming_items(targets: torch.Tensor, *, horizon: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The next ``horizon`` items of each place and how much each counts, both (n, horizon).

    The nearest counts most (weights fall in a straight line) and each place's weights sum to one.

    Args:
        targets: The item after each place, (B, T); negative where a row has ended.
        horizon: How far ahead an item still counts as an answer, at least 1.

    Example:
        >>> coming_items(torch.tensor([[5, 6, -100]]), horizon=2)[1]  # 2/3 and 1/3, then the row ends
        tensor([[0.6667, 0.3333],
                [1.0000, 0.0000]])
    """
    ahead = functional.pad(targets, (0, horizon - 1), value=-1).unfold(1, horizon, 1)  # (B, T, horizon)
    ahead = ahead[targets >= 0]
    weights = torch.arange(horizon, 0, -1, device=targets.device) * (ahead >= 0)
    return ahead.clamp(min=0), weights / weights.sum(1, keepdim=True)


def sentence_loss(
    transformer: GPT2Model, batch: dict[str, dict[str, torch.Tensor]], *, vocabulary: Vocabulary, horizon: int = 1
) -> dict[str, torch.Tensor]:
    """Mean loss of each kind of sentence, and ``"total"``, their weighted sum; in nats, at least 0.

    Args:
        transformer: The recommender's GPT-2 without its head, in training mode.
        batch: Groups as made by :class:`workbench.training.batches.Sentences`.
        vocabulary: Which ids are text, control words and items.
        horizon: How many coming items of a history count as answers, see ``coming_items``.
    """
    rows = transformer.wte.weight
    item_rows, text_rows = rows[vocabulary.first_item :], rows[: vocabulary.first_item]  # text with the control words
    device = rows.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else rows.dtype
    losses = {}
    for name, group in batch.items():
        hidden = transformer(group["words"], use_cache=False).last_hidden_state  # (B, T, d_model)
        if "ends" in group:
            hidden = hidden[torch.arange(len(hidden), device=hidden.device), group["ends"]]  # (B, d_model)
        if name == "wish":
            logits = (hidden.to(dtype) @ item_rows.to(dtype).T).float()
            losses[name] = -(group["chances"] * logits.log_softmax(1)).sum(1).mean()
        elif name == "history":
            coming, weights = coming_items(group["targets"], horizon=horizon)
            known = hidden[group["targets"] >= 0]
            losses[name] = restricted_cross_entropy(known, item_rows, coming, weights=weights, dtype=dtype)
        else:
            known = group["targets"] >= 0
            words = text_rows if name == "description" else item_rows
            losses[name] = restricted_cross_entropy(hidden[known], words, group["targets"][known], dtype=dtype)
    losses["total"] = sum(WEIGHTS[name] * loss for name, loss in losses.items())
    return losses


class SentenceModel(nn.Module):
    """The GPT-2 with its loss: what the Trainer calls, and all that it needs to know."""

    def __init__(self, transformer: nn.Module, vocabulary: Vocabulary, *, horizon: int = 1) -> None:
        """Share the recommender's transformer."""
        super().__init__()
        self.transformer, self.vocabulary, self.horizon = transformer, vocabulary, horizon
        self.history_loss, self.steps, self.words = 0.0, 0, 0

    def forward(self, **batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Loss of one batch."""
        losses = sentence_loss(self.transformer, batch, vocabulary=self.vocabulary, horizon=self.horizon)
        self.history_loss = self.history_loss + losses["history"].detach()
        self.steps += 1
        self.words += sum(group["words"].numel() for group in batch.values())
        return {"loss": losses["total"]}

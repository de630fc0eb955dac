"""Marks of context and profile reach the word they stand before: their rows are added to its row, as token types are.

What holds in a moment moves the chances of all items at once, a little. Through attention alone a run of usual length
does not learn so weak a cause; added to the word off which the list is read it is a shift that everything behind it
sees (``benchmarks/context.py``, LOG.md).
"""

import torch
from torch import nn
from transformers import GPT2LMHeadModel

from workbench.language import Vocabulary

SCALE = 4.0  # how much more than itself a mark adds: AdamW moves every row at one pace, and a mark has far to go


class MarkedEmbedding(nn.Embedding):
    """GPT-2's table of rows; what it hands on of a word holds the marks that stand right before its item.

    Attributes:
        marks: Which words are marks of context or profile; (n_words,) of bool. A mark that asks for a text is not one.
        closing: Which words end a stretch: the last word of an item, and control words; (n_words,) of bool.
        scale: How often a mark is added.
    """

    def __init__(self, weight: nn.Parameter, vocabulary: Vocabulary, *, scale: float) -> None:
        """Take over a table, (n_words, d_model); the parameter stays the same."""
        super().__init__(*weight.shape, _weight=weight.detach())
        self.weight = weight
        self.scale = scale
        marks = [vocabulary.first_mark + n for n, (part, _, _) in enumerate(vocabulary.marks) if part != "task"]
        for name, ids in (("marks", marks), ("closing", sorted(vocabulary.closing))):
            table = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
            table[ids] = True
            self.register_buffer(name, table, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids (..., n_words) to vectors (..., n_words, d_model)."""
        return self.carry(super().forward(ids), ids)

    def carry(self, vectors: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Vectors of these ids, (..., n_words, d_model), with each mark's added to the rest of its stretch."""
        marks = self.marks[ids][..., None]
        if not marks.any():
            return vectors
        closed = self.closing[ids].long()
        stretches = (closed.cumsum(-1) - closed)[..., None].expand(vectors.shape)  # number of the stretch of each word
        said = torch.zeros_like(vectors).scatter_add(-2, stretches, vectors * marks)
        return vectors + self.scale * said.gather(-2, stretches) * ~marks


def hear_marks(model: GPT2LMHeadModel, vocabulary: Vocabulary) -> None:
    """Let the model add marks to the words they stand before, if it was begun so (``config.mark_scale``)."""
    scale = getattr(model.config, "mark_scale", 0)
    if vocabulary.marks and scale and not isinstance(model.transformer.wte, MarkedEmbedding):
        model.transformer.wte = MarkedEmbedding(model.transformer.wte.weight, vocabulary, scale=scale)


def carried(model: GPT2LMHeadModel, vectors: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Vectors that stand for the rows of these ids, as the model's first block reads them without positions."""
    table = model.transformer.wte
    return table.carry(vectors, ids) if isinstance(table, MarkedEmbedding) else vectors

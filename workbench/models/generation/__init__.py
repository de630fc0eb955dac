"""Lists and texts that the model writes, through transformers' own ``generate``; lists never leave the catalog."""

from workbench.models.generation.lists import Word, generate, rank_by_beam
from workbench.models.generation.settings import HOW, Decoding

__all__ = ["HOW", "Decoding", "Word", "generate", "rank_by_beam"]

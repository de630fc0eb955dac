"""Lists and texts that the model writes; lists never leave the catalog unless that is asked for."""

from workbench.models.generation.lists import generate, rank_by_beam
from workbench.models.generation.settings import HOW, Decoding
from workbench.models.generation.texts import Text, write_text
from workbench.models.generation.words import Word

__all__ = ["HOW", "Decoding", "Text", "Word", "generate", "rank_by_beam", "write_text"]

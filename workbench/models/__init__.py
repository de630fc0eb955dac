"""Everything that can rank: counting models and GPT-2. All of them answer one call, ``rank``."""

from workbench.models.counting import EASE, CoOccurrence, Popularity, Transitions

__all__ = ["EASE", "CoOccurrence", "Popularity", "Transitions"]

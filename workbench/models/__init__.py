"""Everything that can rank: counting models, word matching and GPT-2. All of them answer one call, ``rank``."""

from workbench.models.blend import Blend
from workbench.models.catalog_vectors import embed_catalog
from workbench.models.counting import EASE, CoOccurrence, Popularity, Transitions
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.situated import Situated, contexts_of
from workbench.models.start import start_recommender
from workbench.models.text import BM25
from workbench.models.vectors import embed_items, embed_profiles, embed_text, embed_users, likeness

__all__ = [
    "BM25",
    "EASE",
    "Blend",
    "CoOccurrence",
    "GPT2Recommender",
    "Popularity",
    "Situated",
    "Transitions",
    "contexts_of",
    "embed_catalog",
    "embed_items",
    "embed_profiles",
    "embed_text",
    "embed_users",
    "likeness",
    "start_recommender",
]

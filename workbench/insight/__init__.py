"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.ablation import ablate_heads
from workbench.insight.attention import AttentionMap, attend
from workbench.insight.attribution import Attribution, attribute
from workbench.insight.counterfactuals import Counterfactual, counterfactual
from workbench.insight.explanations import average_explanations, know_cases, read_explanations, score_explanations
from workbench.insight.heads import measure_heads, name_heads

__all__ = [
    "AttentionMap",
    "Attribution",
    "Counterfactual",
    "ablate_heads",
    "attend",
    "attribute",
    "average_explanations",
    "counterfactual",
    "know_cases",
    "measure_heads",
    "name_heads",
    "read_explanations",
    "score_explanations",
]

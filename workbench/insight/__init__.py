"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.ablation import ablate_heads
from workbench.insight.agreement import agreement, weigh_history
from workbench.insight.attention import AttentionMap, attend
from workbench.insight.attribution import Attribution, attribute
from workbench.insight.counterfactuals import Counterfactual, counterfactual
from workbench.insight.heads import measure_heads, name_heads

__all__ = [
    "AttentionMap",
    "Attribution",
    "Counterfactual",
    "ablate_heads",
    "agreement",
    "attend",
    "attribute",
    "counterfactual",
    "measure_heads",
    "name_heads",
    "weigh_history",
]

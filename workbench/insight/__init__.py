"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.ablation import ablate_heads, cost_of_heads
from workbench.insight.agreement import agreement, weigh_history
from workbench.insight.alignment import NearestItems, align_kinds
from workbench.insight.attention import AttentionMap, attend
from workbench.insight.attribution import Attribution, attribute
from workbench.insight.counterfactuals import Counterfactual, counterfactual
from workbench.insight.explanations import average_explanations, know_cases, read_explanations, score_explanations
from workbench.insight.groups import agree_with, count_groups, find_groups
from workbench.insight.heads import measure_heads, name_heads
from workbench.insight.maps import EmbeddingMap, fit_map, place
from workbench.insight.names import name_groups
from workbench.insight.portraits import describe_items, portray_users
from workbench.insight.trust import map_quality, mixing

__all__ = [
    "AttentionMap",
    "Attribution",
    "Counterfactual",
    "EmbeddingMap",
    "NearestItems",
    "ablate_heads",
    "agree_with",
    "agreement",
    "align_kinds",
    "attend",
    "attribute",
    "average_explanations",
    "cost_of_heads",
    "count_groups",
    "counterfactual",
    "describe_items",
    "find_groups",
    "fit_map",
    "know_cases",
    "map_quality",
    "measure_heads",
    "mixing",
    "name_groups",
    "name_heads",
    "place",
    "portray_users",
    "read_explanations",
    "score_explanations",
    "weigh_history",
]

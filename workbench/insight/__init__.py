"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.agreement import agreement, weigh_history
from workbench.insight.attention.ablation import ablate_heads, cost_of_heads
from workbench.insight.attention.heads import measure_heads, name_heads
from workbench.insight.attention.weights import AttentionMap, attend
from workbench.insight.effects.attribution import Attribution, Occlusion, attribute
from workbench.insight.effects.counterfactuals import Counterfactual, counterfactual
from workbench.insight.effects.explanations import (
    average_explanations,
    know_cases,
    read_explanations,
    read_last_shares,
    score_explanations,
)
from workbench.insight.list_changes import ListChanges, compare_lists
from workbench.insight.maps.alignment import NearestItems, align_kinds
from workbench.insight.maps.fitting import EmbeddingMap, fit_map, place
from workbench.insight.maps.groups import agree_with, count_groups, find_groups
from workbench.insight.maps.names import name_groups
from workbench.insight.maps.portraits import describe_items, portray_users
from workbench.insight.maps.trust import map_quality, mixing
from workbench.insight.personal import exchange_lists, genre_fit, own_advantage, true_fit
from workbench.insight.text_floor import attribute_words, copy_in_language

__all__ = [
    "AttentionMap",
    "Attribution",
    "Counterfactual",
    "EmbeddingMap",
    "ListChanges",
    "NearestItems",
    "Occlusion",
    "ablate_heads",
    "agree_with",
    "agreement",
    "align_kinds",
    "attend",
    "attribute",
    "attribute_words",
    "average_explanations",
    "compare_lists",
    "copy_in_language",
    "cost_of_heads",
    "count_groups",
    "counterfactual",
    "describe_items",
    "exchange_lists",
    "find_groups",
    "fit_map",
    "genre_fit",
    "know_cases",
    "map_quality",
    "measure_heads",
    "mixing",
    "name_groups",
    "name_heads",
    "own_advantage",
    "place",
    "portray_users",
    "read_explanations",
    "read_last_shares",
    "score_explanations",
    "true_fit",
    "weigh_history",
]

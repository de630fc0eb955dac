"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.alignment import NearestItems, align_kinds
from workbench.insight.groups import agree_with, find_groups
from workbench.insight.maps import EmbeddingMap, fit_map, place
from workbench.insight.names import name_groups
from workbench.insight.portraits import describe_items, portray_users
from workbench.insight.trust import map_quality, mixing

__all__ = [
    "EmbeddingMap",
    "NearestItems",
    "agree_with",
    "align_kinds",
    "describe_items",
    "find_groups",
    "fit_map",
    "map_quality",
    "mixing",
    "name_groups",
    "place",
    "portray_users",
]

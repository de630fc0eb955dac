"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.alignment import align_kinds
from workbench.insight.maps import EmbeddingMap, fit_map, place
from workbench.insight.trust import map_quality, mixing

__all__ = ["EmbeddingMap", "align_kinds", "fit_map", "map_quality", "mixing", "place"]

"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.ablation import ablate_heads
from workbench.insight.attention import AttentionMap, attend
from workbench.insight.heads import measure_heads, name_heads

__all__ = ["AttentionMap", "ablate_heads", "attend", "measure_heads", "name_heads"]

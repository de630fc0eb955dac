"""Looking inside: one map of users and items, groups and their names, attention, and what moves a score."""

from workbench.insight.attribution import Attribution, attribute
from workbench.insight.counterfactuals import Counterfactual, counterfactual

__all__ = ["Attribution", "Counterfactual", "attribute", "counterfactual"]

"""Honest numbers: metrics with intervals, paired comparisons, the protocol card, and checks for leaks.

Everything is measured on the full catalog with seen items removed; a tie takes the mean rank. Evaluation knows one
call, ``rank``, and treats all rankers alike.
"""

from workbench.evaluation.card import card_html
from workbench.evaluation.comparison import PairedDifference, compare, evaluate
from workbench.evaluation.leaks import check_leaks
from workbench.evaluation.metrics import coverage, hit_rate, mrr, ndcg
from workbench.evaluation.placement import HeldOutRanks, Ranker
from workbench.evaluation.requests import evaluate_requests, request_precision
from workbench.evaluation.texts import copy_nearest, score_texts, summarize_texts

__all__ = [
    "HeldOutRanks",
    "PairedDifference",
    "Ranker",
    "card_html",
    "check_leaks",
    "compare",
    "copy_nearest",
    "coverage",
    "evaluate",
    "evaluate_requests",
    "hit_rate",
    "mrr",
    "ndcg",
    "request_precision",
    "score_texts",
    "summarize_texts",
]

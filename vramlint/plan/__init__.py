"""Search over changes for the smallest and safest that fits; knows no rules and no files."""

from vramlint.plan.moves import Allowed, Move, moves_for
from vramlint.plan.search import Plan, Plans, search, singles

__all__ = ["Allowed", "Move", "Plan", "Plans", "moves_for", "search", "singles"]

"""Search over changes for the smallest and safest that fits; knows no rules and no files."""

from vramlint.plan.batches import Batch, largest_batch
from vramlint.plan.growth import Growth, growth
from vramlint.plan.moves import Allowed, Move, moves_for, needed_moves
from vramlint.plan.search import NOTICEABLE, OutcomeOf, Plan, Plans, search

__all__ = [
    "NOTICEABLE", "Allowed", "Batch", "Growth", "Move", "OutcomeOf", "Plan", "Plans", "growth", "largest_batch", "moves_for",
    "needed_moves", "search",
]

"""Search over changes for the smallest and safest that fits; knows no rules and no files."""

from vramlint.plan.growth import Growth, growth
from vramlint.plan.moves import Allowed, Move, moves_for, needed_moves
from vramlint.plan.search import OutcomeOf, Plan, Plans, search

__all__ = ["Allowed", "Growth", "Move", "OutcomeOf", "Plan", "Plans", "growth", "moves_for", "needed_moves", "search"]

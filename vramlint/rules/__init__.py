"""Rules are data: conditions over run, estimate and target, each file with its texts and examples. Knows no file formats."""

from vramlint.rules.engine import RuleFacts, check, finding_for
from vramlint.rules.expression import Expression, RuleError
from vramlint.rules.names import types_of
from vramlint.rules.rule import Rule, RuleSet, compiled_rules, load

__all__ = [
    "Expression", "Rule", "RuleError", "RuleFacts", "RuleSet", "check", "compiled_rules", "finding_for", "load", "types_of",
]

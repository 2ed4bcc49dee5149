"""What a rule offers as its fix does away with the finding, on its own example, and is made once."""

from __future__ import annotations

from typing import Any

import pytest

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts
from vramlint.findings import Safety, applicable
from vramlint.linter import Options, check_data, load_rules
from vramlint.rewriting.fixing import fix_data
from vramlint.rules import Rule

RULES = load_rules()
CASES = [
    (rule, example) for rule in RULES.rules for example in rule.data["examples"]
    if example["fires"] and rule.data.get("fixes") and "when" in rule.data
    and any(fix["safety"] != "display" for fix in rule.data["fixes"])
]


@pytest.mark.parametrize(("rule", "example"), CASES, ids=lambda value: getattr(value, "code", None) or value.get("name"))
def test_the_first_fix_mends_its_example_and_a_second_time_nothing_is_left(rule: Rule, example: dict[str, Any]) -> None:
    target = find_target(example["target"]) if "target" in example else None
    targets = (target,) if isinstance(target, Target) else ()
    options = Options(targets, Facts(isolated=True), codes=frozenset({rule.code}), plans=False)
    before = example["config"].encode()
    [finding] = check_data("train.yaml", before, options, RULES).findings
    assert applicable(finding, Safety.UNSAFE) is not None, [fix.refused for fix in finding.fixes]
    once = fix_data("train.yaml", before, options, RULES, Safety.UNSAFE)
    assert once.checked.findings == ()
    assert len(once.done) == 1
    again = fix_data("train.yaml", once.data, options, RULES, Safety.UNSAFE)
    assert again.data == once.data
    assert again.done == ()

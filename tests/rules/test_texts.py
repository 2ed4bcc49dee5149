"""How the rules are written: short messages, whole sentences, a source for each fact."""

from __future__ import annotations

import re

import pytest

from vramlint.linter import load_rules
from vramlint.rules import Rule

RULES = load_rules().rules
COMMANDS = {"use", "set", "add", "remove", "enable", "disable", "turn", "avoid", "no", "prefer"}
MAY_SHOUT = ("FSDP", "Liger", "TRL", "LoRA", "DPO's", "{")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_texts(rule: Rule) -> None:
    content = rule.data
    assert content["what"].endswith(".")
    assert content["why"].rstrip(")").endswith((".", "'", '"'))
    assert content["when_not_to"].rstrip(")").endswith(".")
    assert len(content["when_not_to"]) > 12
    assert rule.name.split("-")[0] not in COMMANDS or rule.name in {"no-estimate", "no-mixed-precision"}
    message = content.get("message", "")
    assert not message.endswith(".")
    assert len(re.sub(r"\{[^}]*\}", "1.0", message)) <= 120
    assert not message[:1].isupper() or message.startswith(MAY_SHOUT)


@pytest.mark.parametrize("rule", [r for r in RULES if r.code >= "VRM3"], ids=lambda rule: rule.code)
def test_a_fact_has_its_source(rule: Rule) -> None:
    assert rule.data.get("references"), f"{rule.code} [{rule.name}] names no source"

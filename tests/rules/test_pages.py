"""The pages of the rules say what the rules say."""

from __future__ import annotations

import re
from pathlib import Path

from lab.rule_pages import GROUPS, page_name, pages, written
from vramlint.linter import load_rules

DOCS = Path(__file__).parents[2] / "docs"


def test_the_pages_are_current() -> None:
    wanted, there = pages(load_rules().rules), written()
    stale = sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))
    assert not stale, "run python -m lab.rule_pages"


def test_every_rule_is_in_a_group_of_the_index_and_its_link_leads_to_its_page() -> None:
    index = (DOCS / "rules.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((rules/[^)]+)\)", index)
    assert links == [f"rules/{page_name(rule)}" for rule in load_rules().rules]
    assert {rule.code[:4] for rule in load_rules().rules} == set(GROUPS)
    assert all((DOCS / link).exists() for link in links)


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in DOCS.glob("*.md"):
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
            assert (DOCS / link).exists(), f"{document.name}: {link}"

"""docs/accuracy.md is what `python -m lab.accuracy --write` makes: the same sections and tables, whatever the figures are."""

from __future__ import annotations

import re

import pytest

from lab.accuracy import DOCUMENT, TEXT, report
from lab.compare import rows
from lab.published_data import peer_rows

PAGE = DOCUMENT.read_text(encoding="utf-8")


def headings(text: str) -> list[str]:
    return re.findall(r"^##+ .*$", text, re.MULTILINE)


def table_heads(text: str) -> set[str]:
    return set(re.findall(r"^(\|.*\|)\n\|---", text, re.MULTILINE))


@pytest.fixture(scope="module")
def made() -> str:
    measured = rows()
    with_capacity = [row for row in measured if "least_capacity" in row.measured]
    return "\n".join(report(measured[::40] + with_capacity[::20]))


def test_it_begins_as_the_generator_begins_it() -> None:
    assert PAGE.startswith(TEXT)


def test_it_has_the_sections_and_tables_that_the_generator_makes(made: str) -> None:
    assert [one for one in headings(made) if one != "## No estimate"] == [
        one for one in headings(PAGE) if one not in ("# Accuracy", "## No estimate")
    ]
    assert table_heads(made) <= table_heads(PAGE)


def test_both_figures_are_there_by_trainer_method_architecture_and_optimizer() -> None:
    for figure in ("allocated", "required"):
        for field in ("trainer", "method", "arch", "optim"):
            assert f"### {figure} by {field}\n" in PAGE


def test_the_peers_stand_beside_ours_on_the_same_runs() -> None:
    lines = {line.split(" | ")[0].strip("| "): line for line in PAGE.splitlines() if line.startswith("| ")}
    assert "vramlint" in lines
    for peer in {row["peer"] for row in peer_rows()}:
        assert peer in lines


def test_the_worst_ten_are_ten() -> None:
    worst = PAGE[PAGE.index("## The worst ten"):PAGE.index("## By what was run")]
    for table in worst.split("### ")[1:]:
        assert sum(line.startswith("| ") for line in table.splitlines()) == 11  # with its head

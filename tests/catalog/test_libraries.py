"""What holds for which versions of the libraries."""

from __future__ import annotations

import json

import pytest

from vramlint.catalog import library_facts
from vramlint.catalog.libraries import FACTS, version_of


@pytest.mark.parametrize(
    ("text", "version"),
    [("4.48.1", (4, 48, 1)), ("v5.17", (5, 17)), ("2.4.1+cu121", (2, 4, 1)), ("1.0rc1", (1, 0)), ("main", ()), ("", ())],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert version_of(text) == version


def test_the_current_stack_has_none_of_the_old_facts() -> None:
    assert not library_facts({}, "llama")
    assert not library_facts({"transformers": "5.17.0", "trl": "1.16.0", "bitsandbytes": "0.50.2"}, "llama")


def test_a_fact_holds_up_to_the_version_that_ended_it() -> None:
    assert "shifted-logits-copied" in library_facts({"transformers": "4.48.3"}, "llama")
    assert "shifted-logits-copied" not in library_facts({"transformers": "4.49"}, "llama")
    assert "shifted-logits-copied" not in library_facts({"transformers": "4.49.0"}, "llama")


def test_facts_of_some_models_only() -> None:
    assert "loss-in-own-dtype" in library_facts({"transformers": "4.48.1"}, "gpt2")
    assert "loss-in-own-dtype" not in library_facts({"transformers": "4.48.1"}, "llama")


def test_an_unreadable_version_counts_as_current() -> None:
    assert not library_facts({"transformers": "main"}, "llama")


def test_every_fact_says_what_it_is_and_where_it_can_be_seen() -> None:
    with open(FACTS, encoding="utf-8") as file:
        entries = json.load(file)
    assert len({entry["fact"] for entry in entries}) == len(entries)
    for entry in entries:
        assert entry["what"]
        assert entry["library"] in entry["source"]

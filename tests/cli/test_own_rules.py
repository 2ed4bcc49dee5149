"""Rules of a team's own: asked like ours if they are right, said to be wrong at the place where they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Put = Callable[..., Path]
RULE = """\
code: ACME001
name: long-sequences
severity: warning
when: run.max_length > 256
at: max_length
message: "{run.max_length} tokens; the house limit is 256"
what: Sequences longer than the house allows.
why: The shared cards are small.
when_not_to: In the long-context team.
fixes:
- title: sequences of 256 tokens
  safety: unsafe
  set: {max_length: 256}
"""


@pytest.fixture
def house(put: Put) -> Callable[[str], None]:
    """A house with this rule."""

    def make(rule: str) -> None:
        put("train.yaml")
        put("vramlint.toml", 'rules = ["house/*.yaml"]\nselect = ["ACME"]\n')
        put("house/rule.yaml", rule)

    return make


def test_it_is_asked_selected_ignored_and_fixed_like_ours(vramlint: Run, put: Put, house: Callable[[str], None]) -> None:
    house(RULE)
    done = vramlint("--output-format", "concise", "train.yaml")
    assert done.stdout == (
        "train.yaml:4:13: warning ACME001 [long-sequences] 512 tokens; the house limit is 256\n"
    )
    assert vramlint("--ignore", "long-sequences", "--output-format", "concise", "train.yaml").stdout == ""
    log = json.loads(vramlint("--output-format", "sarif", "train.yaml").stdout)
    described = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert described["ACME001"]["shortDescription"]["text"] == "Sequences longer than the house allows."
    assert vramlint("--fix", "--unsafe-fixes", "train.yaml").returncode == 0
    assert "max_length: 256\n" in put("other.yaml").with_name("train.yaml").read_text()


@pytest.mark.parametrize(("old", "new", "place", "message"), [
    ("ACME001", "VRM901", "1:7", "codes that begin with VRM are vramlint's own"),
    ("ACME001", "acme1", "1:7", "code is not written as"),
    ("long-sequences", "does-not-fit", "2:7", "there is a rule VRM201 [does-not-fit] already"),
    ("warning", "warn", "3:11", "severity takes one of error, warning, info"),
    ("run.max_length > 256", "run.max_lenght > 256", "4:7", "did you mean 'run.max_length'?"),
    ("run.max_length > 256", "run.bf16 and run.trainer == 'trl-sff'", "4:20", "did you mean 'trl-sft'?"),
    ("run.max_length > 256", "estimate.device.high > 8", "4:7", "write it as N*GiB"),
    ("run.max_length > 256", "run.max_length", "4:7", "must be true or false"),
    ("run.max_length > 256", "__import__('os').system('id')", "4:7", "there is no such function: min, max"),
    ("at: max_length", "at: max_lenght", "5:5", "there is no canonical key 'max_lenght'; did you mean 'max_length'?"),
    ("{run.max_length} tokens", "{run.max_length:gib} tokens", "6:11", "gib does not show number"),
    ("{run.max_length} tokens", "{run.max_length tokens", "6:11", "the braces do not match"),
    ("what: Sequences longer than the house allows.\n", "", "1:1", "missing 'what'"),
    ("message:", "mesage:", "6:1", "unknown key 'mesage'"),
    ("{max_length: 256}", "{max_length: soon}", "13:21", "max_length takes number, not text"),
    ("{max_length: 256}", "{max_lenght: 256}", "13:9", "there is no canonical key 'max_lenght'"),
    ("when: run.max_length > 256", "problem: type", "1:1", "missing 'when'"),
])
def test_what_is_wrong_with_it_is_said_where_it_is(
    vramlint: Run, house: Callable[[str], None], old: str, new: str, place: str, message: str,
) -> None:
    assert RULE.count(old) == 1
    house(RULE.replace(old, new))
    done = vramlint("--output-format", "concise", "train.yaml")
    assert done.returncode == 1
    wrong = [line for line in done.stdout.splitlines() if message in line]
    assert len(wrong) == 1, done.stdout
    assert wrong[0].startswith(f"house/rule.yaml:{place}: error VRM008 ")


def test_two_of_one_code_and_a_file_that_is_no_rule(vramlint: Run, put: Put, house: Callable[[str], None]) -> None:
    house(f"{RULE}---\n{RULE}---\n- no\n- rule\n")
    put("house/broken.yaml", "a: [")
    text = vramlint("--output-format", "concise", "train.yaml").stdout
    assert "there is a rule ACME001 [long-sequences] already" in text
    assert "the document takes a mapping, not a list" in text
    assert "house/broken.yaml:1:" in text
    assert "VRM006" in text


def test_the_command_line_names_rules_too(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("own.yaml", RULE)
    done = vramlint("--rules", "own.yaml", "--select", "ACME001", "--output-format", "concise", "train.yaml")
    assert "ACME001" in done.stdout
    assert vramlint("--rules", "nowhere.yaml", "--select", "ACME001", "train.yaml").returncode == 1


def test_they_are_listed_and_explained(vramlint: Run, house: Callable[[str], None]) -> None:
    house(RULE)
    assert "ACME001" in vramlint("--list-rules").stdout
    assert "The shared cards are small." in vramlint("--explain", "ACME001").stdout

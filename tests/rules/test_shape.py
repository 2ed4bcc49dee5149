"""Our quick check of a configuration or a rule gives jsonschema's verdict, and its schemas say only what it knows."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from vramlint.shape import KEYWORDS, faults_of
from vramlint.source import effective, read

ROOT = Path(__file__).parents[2]
SCHEMAS = {
    name: json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")) for name in ("config", "rule")
}
RULES = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "rules").glob("*.yaml"))]
CONFIGURATION = {
    "target": ["rtx3070", "a100-80gb"], "reserve": "1GiB", "select": ["VRM2"], "ignore": [], "fail-on": "warning",
    "severity": {"tight": "error"},
    "per-file-ignores": {"old/*.yaml": ["VRM4"]}, "output-format": "json", "dialect": "huggingface",
    "stack": {"trl": "1.16"}, "rules": ["house/*.yaml"], "set": {"max_length": 512, "bf16": True},
}
ODD = st.sampled_from([None, True, 1, 1.5, "", "error", "VRM001", [], ["x"], [1], {}, {"x": 1}, {"x": ["y"]}, [{"x": 1}]])


def is_right(name: str, value: Any) -> bool:
    """By our own check."""
    file = read("x.json", json.dumps(value).encode(), "json")
    values = effective(file, file.documents[0])
    return not list(faults_of(values, values.root, SCHEMAS[name]))


def by_jsonschema(name: str, value: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(value))


def keywords(node: Any) -> set[str]:
    """The keywords of a schema, the names of properties not among them."""
    found = set(node)
    for keyword, inner in node.items():
        if keyword == "properties":
            for described in inner.values():
                found |= keywords(described)
        elif isinstance(inner, dict):
            found |= keywords(inner)
    return found


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_says_only_what_the_check_knows(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert keywords(SCHEMAS[name]) <= KEYWORDS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["code"])
def test_every_rule_is_as_the_schema_has_it(rule: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMAS["rule"]).validate(rule)
    assert is_right("rule", rule)


def test_a_whole_configuration_is_right() -> None:
    assert set(CONFIGURATION) == set(SCHEMAS["config"]["properties"])
    assert is_right("config", CONFIGURATION)
    assert by_jsonschema("config", CONFIGURATION)


@st.composite
def spoiled(draw: st.DrawFn, value: Any) -> Any:
    """A document with one to three things in it replaced, added or taken out."""
    document = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        place = document
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            how = draw(st.sampled_from(["replace", "delete", "add"]))
            if how == "replace" or (how == "add" and isinstance(place, list)):
                place[key] = copy.deepcopy(draw(ODD))
            elif how == "delete":
                del place[key]
            else:
                place[draw(st.sampled_from(["odd", "title", "when", "target"]))] = copy.deepcopy(draw(ODD))
            break
    return document


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_spoiled_document_gets_the_same_verdict(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(SCHEMAS)))
    whole = CONFIGURATION if name == "config" else data.draw(st.sampled_from(RULES))
    document = data.draw(spoiled(whole))
    assert is_right(name, document) == by_jsonschema(name, document)

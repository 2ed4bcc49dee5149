"""The quick check and jsonschema give one verdict: on drawn data, on mutated configs, on the corpus."""

from __future__ import annotations

import copy
import csv
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vramlint.dialects.check import KEYWORDS, check
from vramlint.dialects.judge import UNKNOWN_KEYS, judged
from vramlint.dialects.schemas import dialect_marks, dialect_names, run_schema, schema_json
from vramlint.dialects.tables import tables
from vramlint.source import UNKNOWN, SourceError, effective, format_of, read

TABLES = tables("huggingface")
ROOT = TABLES.at("#")
KEYS = sorted(TABLES.keys(ROOT))
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 70000), st.floats(), st.sampled_from([0, 1, 1.0, 8.0, -1, 10**12]),
    st.sampled_from(["auto", "bfloat16", "no", "steps", "2e-5", "8", "", "adamw_torch", "nf4", "transformers"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*KEYS, "r", "use_reentrant", "stage", "device", "x"]), inner, max_size=3),
    ), max_leaves=6,
)


def agree(data: Any) -> None:
    """Both verdicts; and every unknown key that jsonschema finds in a place, the quick check finds."""
    valid, extras = check(TABLES, ROOT, data)
    verdicts = judged(TABLES, "#", data)
    assert valid == all(v.keyword in UNKNOWN_KEYS for v in verdicts), verdicts[:3]
    if valid:
        assert bool(extras) == bool(verdicts)
        assert {path[:-1] for path in extras} == {v.path for v in verdicts}


@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=3)), VALUES, max_size=6))
@settings(max_examples=300, deadline=None)
def test_on_drawn_data(data: dict[str, Any]) -> None:
    agree(data)


@pytest.mark.parametrize("key", KEYS)
def test_on_every_key_alone(key: str) -> None:
    for value in (None, True, 0, 1, -1, 1.5, 8.0, 10**12, "x", "auto", "no", [], ["x"], [1], {}, {"x": 1}, {"r": "2"}):
        agree({key: value})


def test_what_is_unknown_is_valid() -> None:
    for key in KEYS:
        assert check(TABLES, ROOT, {key: UNKNOWN}) == (True, [])
    assert judged(TABLES, "#", {"bf16": UNKNOWN, "lora_target_modules": ["q", UNKNOWN]}) == []


def test_on_the_corpus(corpus: Path) -> None:
    with (corpus / "INDEX.csv").open(encoding="utf-8") as index:
        rows = list(csv.DictReader(index))
    seen = 0
    for row in [r for r in rows if r["dialect"] == "trl-yaml"] + rows[::40]:
        path = corpus / row["file"]
        try:
            file = read(path.name, path.read_bytes(), format_of(path.name) or "yaml")
        except SourceError:
            continue
        for document in file.documents:
            data = effective(file, document).plain(())
            if not isinstance(data, dict):
                continue
            agree(data)
            for key in list(data)[:40:3]:
                for value in (None, "x", -1, [1], True):
                    mutated = copy.copy(data)
                    mutated[key] = value
                    agree(mutated)
            seen += 1
    assert seen > 50


@pytest.mark.parametrize("name", [*dialect_names(), "run"])
def test_schemas_are_schemas_and_say_only_what_the_check_knows(name: str) -> None:
    schema = schema_json(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    said: set[str] = set()

    def look(node: Any) -> None:
        if not isinstance(node, dict):
            return
        said.update(node)
        for key in ("items",):
            look(node.get(key))
        for key in ("properties", "patternProperties", "$defs"):
            for inner in node.get(key, {}).values():
                look(inner)
        for inner in node.get("anyOf", ()):
            look(inner)

    look(schema)
    assert said <= KEYWORDS


@pytest.mark.parametrize("name", dialect_names())
def test_every_reference_and_every_key_resolves(name: str) -> None:
    keys = set(run_schema()["properties"])
    known = tables(name)

    def look(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].startswith("#/")
                known.at(node["$ref"])
            about = node.get("x-vramlint", {})
            if "key" in about and isinstance(about["key"], str) and "renamed" not in about:
                assert about["key"] in keys or about["key"].startswith("_")
            for inner in node.values():
                look(inner)
        elif isinstance(node, list):
            for inner in node:
                look(inner)

    look(known.schema)


@pytest.mark.parametrize("name", dialect_names())
def test_marks_and_conditions_speak_of_known_keys(name: str) -> None:
    schema = schema_json(name)
    about = schema["x-vramlint"]
    assert dialect_marks()[name] == about["recognise"]
    groups = set(about["recognise"]) - {"any", "not", "formats"}
    assert all(set(needed) <= groups for needed in about["recognise"]["any"])
    keys = {*run_schema()["properties"], "trainer"}
    for entry in about.get("follows", []):
        assert set(entry) <= {"when", "unless", "set", "force", "copy", "doubt", "why", "note"}
        for part in ("when", "unless", "set", "force", "copy", "doubt"):
            assert all(key in keys or key.startswith("_") for key in entry.get(part, {})), entry

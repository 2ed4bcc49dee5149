"""`vramlint.toml` and `[tool.vramlint]`: what they say is in force, the nearest wins, and what is wrong in them is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Put = Callable[..., Path]


def codes(done: Any) -> list[str]:
    return [finding["code"] for finding in json.loads(done.stdout)["findings"]]


def target_of(done: Any) -> list[str]:
    return [record["target"]["id"] for record in json.loads(done.stdout)["files"]]


def as_json(vramlint: Run, *arguments: str) -> Any:
    return vramlint("--output-format", "json", *arguments)


@pytest.mark.parametrize(("name", "text"), [
    ("vramlint.toml", 'target = "rtx3090"\n'),
    ("pyproject.toml", '[project]\nname = "x"\n[tool.vramlint]\ntarget = ["rtx3090"]\n'),
])
def test_a_target_is_taken_from_either_file(vramlint: Run, put: Put, name: str, text: str) -> None:
    put("train.yaml")
    put(name, text)
    assert target_of(as_json(vramlint, "train.yaml")) == ["rtx3090"]


def test_the_nearest_file_counts_alone(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("a/b/train.yaml")
    put("pyproject.toml", '[tool.vramlint]\ntarget = "rtx3090"\nignore = ["VRM406"]\n')
    put("a/vramlint.toml", 'target = "rtx4090"\n')
    put("a/b/pyproject.toml", '[project]\nname = "no table of ours"\n')
    done = as_json(vramlint, "train.yaml", "a/b/train.yaml")
    assert target_of(done) == ["rtx3090", "rtx4090"]
    found = json.loads(done.stdout)["findings"]
    assert [finding["path"] for finding in found if finding["code"] == "VRM406"] == ["a/b/train.yaml"]


def test_own_file_beats_the_shared_one_beside_it(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("pyproject.toml", '[tool.vramlint]\ntarget = "rtx3090"\n')
    put("vramlint.toml", 'target = "rtx4090"\n')
    assert target_of(as_json(vramlint, "train.yaml")) == ["rtx4090"]


def test_the_command_line_beats_the_comment_beats_the_configuration(vramlint: Run, put: Put) -> None:
    put("vramlint.toml", 'target = "rtx3090"\n')
    put("train.yaml")
    assert target_of(as_json(vramlint, "train.yaml")) == ["rtx3090"]
    path = put("train.yaml")
    path.write_text("# vramlint: target=rtx4090\n" + path.read_text())
    assert target_of(as_json(vramlint, "train.yaml")) == ["rtx4090"]
    assert target_of(as_json(vramlint, "--target", "a100-80gb", "train.yaml")) == ["a100-80gb"]


def test_isolated_leaves_it_out_and_config_names_another(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", 'ignore = ["eager-attention"]\n')
    other = put("elsewhere/team.toml", 'target = "rtx3090"\n')
    assert codes(as_json(vramlint, "train.yaml")) == []
    assert codes(as_json(vramlint, "--isolated", "train.yaml")) == ["VRM406"]
    named = as_json(vramlint, "--config", str(other), "train.yaml")
    assert (codes(named), target_of(named)) == (["VRM406"], ["rtx3090"])
    assert vramlint("--config", "nowhere.toml", "train.yaml").returncode == 2


def test_select_ignore_and_per_file_ignores(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("old/run.yaml")
    put("vramlint.toml", '[per-file-ignores]\n"old/*" = ["VRM4"]\n')
    found = json.loads(as_json(vramlint, "train.yaml", "old/run.yaml").stdout)["findings"]
    assert [finding["path"] for finding in found] == ["train.yaml"]
    put("vramlint.toml", 'select = ["VRM2"]\n')
    assert codes(as_json(vramlint, "train.yaml")) == []
    assert codes(as_json(vramlint, "--select", "VRM4", "train.yaml")) == ["VRM406"]


def test_a_select_names_a_rule_that_is_off(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    done = as_json(vramlint, "--target", "a100-80gb", "--select", "headroom", "train.yaml")
    assert set(codes(done)) <= {"VRM203"}


def test_fail_on_reserve_set_and_format(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", 'fail-on = "info"\noutput-format = "concise"\n')
    done = vramlint("train.yaml")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    put("vramlint.toml", 'target = "rtx3090"\nreserve = "4GiB"\n[set]\nper_device_train_batch_size = 1\nuse_peft = true\n')
    record = json.loads(as_json(vramlint, "train.yaml").stdout)["files"][0]
    plain = json.loads(as_json(vramlint, "--isolated", "--target", "rtx3090", "train.yaml").stdout)["files"][0]
    assert plain["target"]["usable"] - record["target"]["usable"] == 4 << 30
    assert record["estimate"]["device"]["typical"] < plain["estimate"]["device"]["typical"]


def test_a_severity_is_another_here(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", '[severity]\neager-attention = "error"\n')
    done = vramlint("--output-format", "concise", "train.yaml")
    assert done.returncode == 1
    assert "error VRM406" in done.stdout


def test_our_own_file_is_no_training_config(vramlint: Run, put: Put) -> None:
    keys = 'model_name_or_path = "x"\nper_device_train_batch_size = 1\nlearning_rate = 1e-4\nbf16 = true\n'
    put("vramlint.toml", f"[set]\n{keys}")
    assert as_json(vramlint, ".").stdout == as_json(vramlint, "--isolated", ".").stdout
    assert json.loads(as_json(vramlint, ".").stdout)["files"] == []


@pytest.mark.parametrize(("text", "place", "message"), [
    ('[severity]\n"VRM9x" = "error"\n', "2:1", "there is no rule 'VRM9x'"),
    ('[severity]\nVRM406 = "fatal"\n', "2:10", "VRM406 takes one of error, warning, info"),
    ('targt = "rtx3090"\n', "1:1", "unknown key 'targt'"),
    ('\ntarget = "rtx30700"\n', "2:10", "unknown target 'rtx30700'"),
    ("fail-on = 3\n", "1:11", "fail-on takes"),
    ('fail-on = "warn"\n', "1:11", "fail-on takes one of error, warning, info"),
    ('ignore = ["VRM406", "eager-attentoin"]\n', "1:21", "there is no rule 'eager-attentoin'"),
    ('reserve = "much"\n', "1:11", "'much' is no size"),
    ('dialect = "hugingface"\n', "1:11", "there is no dialect"),
    ("[set]\nmax_lenght = 5\n", "2:14", "there is no key max_lenght; did you mean max_length?"),
    ('[per-file-ignores]\n"*" = ["VRM9999"]\n', "2:8", "there is no rule 'VRM9999'"),
    ('rules = ["nowhere/*.yaml"]\n', "1:10", "no file is called nowhere/*.yaml"),
    ('target = "${CARD}"\n', "1:10", "cannot be known"),
])
def test_what_is_wrong_is_said_at_its_place(vramlint: Run, put: Put, text: str, place: str, message: str) -> None:
    put("train.yaml")
    put("vramlint.toml", text)
    done = vramlint("--output-format", "concise", "train.yaml")
    assert done.returncode == 1
    [line] = [line for line in done.stdout.splitlines() if "VRM008" in line]
    assert line.startswith(f"vramlint.toml:{place}: error VRM008 [bad-configuration] ")
    assert message in line


def test_a_misspelt_key_has_a_suggestion_and_the_rest_counts(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", 'targt = "rtx4090"\ntarget = "rtx3090"\n')
    done = vramlint("train.yaml")
    assert "did you mean 'target'?" in done.stdout
    assert "fits on rtx3090" in done.stdout


@pytest.mark.parametrize("data", [b"target = ", b"a: b", b"\xff\xfe", b"", b"[tool.vramlint]\n", b"x = 1\n" * 300_000])
def test_a_configuration_that_cannot_be_read_is_a_finding_or_empty(vramlint: Run, put: Put, data: bytes) -> None:
    put("train.yaml")
    put("vramlint.toml", "").write_bytes(data)
    done = vramlint("--output-format", "concise", "train.yaml")
    assert done.returncode == (0 if not data else 1)
    assert done.stdout.count("vramlint.toml") == (1 if data else 0)


def test_a_broken_pyproject_without_our_table_is_none_of_our_business(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("pyproject.toml", "[project\n")
    assert codes(as_json(vramlint, "train.yaml")) == ["VRM406"]
    put("pyproject.toml", "[tool.vramlint\n")
    assert codes(as_json(vramlint, "train.yaml")) == ["VRM006", "VRM406"]


def test_an_unknown_dialect_on_the_command_line_is_a_usage_error(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    assert vramlint("--dialect", "nonsense", "train.yaml").returncode == 2


def test_estimate_takes_the_configuration_too(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", 'target = "rtx3090"\n')
    assert target_of(vramlint("estimate", "--output-format", "json", "train.yaml")) == ["rtx3090"]


@pytest.mark.parametrize("command", ["estimate", "targets"])
def test_what_is_wrong_is_said_by_every_command(vramlint: Run, put: Put, command: str) -> None:
    put("train.yaml")
    put("vramlint.toml", 'targt = "rtx3090"\n')
    done = vramlint(command, "train.yaml")
    assert done.returncode == 1
    assert "vramlint.toml:1:1: error VRM008" in done.stderr

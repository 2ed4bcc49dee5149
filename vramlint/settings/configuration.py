"""`vramlint.toml`, or `[tool.vramlint]` of `pyproject.toml`: what a team has settled, the nearest above a file in force."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vramlint.dataclass import dataclass, field

if TYPE_CHECKING:
    from vramlint.shape import Fault
    from vramlint.source import Node, SourceError, SourceFile, Span

OWN = "vramlint.toml"
SHARED = "pyproject.toml"
TABLE = ("tool", "vramlint")
MENTIONS_US = rb"tool[ \t]*\.[ \t]*[\"']?vramlint"
"""A pyproject.toml without this is not parsed, so that a run without a configuration loads no TOML reader."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration as far as it can be followed; `faults` and `error` say what cannot.

    `directory` is what its paths and patterns are relative to; `file` is None where there is none, or it cannot be read.
    """

    path: str | None = None
    directory: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    file: SourceFile | None = None
    root: Node | None = None
    faults: tuple[Fault, ...] = ()
    error: SourceError | None = None

    def words(self, key: str) -> tuple[str, ...]:
        """The texts of a key that holds one text or a list of them."""
        value = self.values.get(key, ())
        return (value,) if isinstance(value, str) else tuple(value)

    def place(self, *steps: str | int) -> Span | None:
        """Where the value at these steps is written; of a mapping, its key."""
        node, span = self.root, None
        for step in steps:
            if node is None:
                return None
            if isinstance(step, int):
                node = node.items[step] if node.kind == "seq" else node
                span = node.span
                continue
            entry = next((entry for entry in node.entries if entry.key == step), None)
            node = entry.value if entry else None
            if entry is not None:
                span = entry.value.span if entry.value.kind == "scalar" else entry.key_span
        return span

    def key_place(self, table: str, key: str) -> Span | None:
        """Where a key of a table is written."""
        entries = self.root.entries if self.root is not None else ()
        node = next((entry.value for entry in entries if entry.key == table), None)
        return next((entry.key_span for entry in (node.entries if node else ()) if entry.key == key), None)


NONE = Configuration()


def nearest(directory: str, cache: dict[str, Configuration]) -> Configuration:
    """The configuration in force for files of a directory: its own, else that of the one above, and so on."""
    directory = os.path.abspath(directory)
    passed: list[str] = []
    found = NONE
    while True:
        if directory in cache:
            found = cache[directory]
            break
        passed.append(directory)
        path = _in(directory)
        if path is not None:
            found = read_configuration(path)
            break
        above = os.path.dirname(directory)
        if above == directory:
            break
        directory = above
    cache.update(dict.fromkeys(passed, found))
    return found


def _in(directory: str) -> str | None:
    own, shared = (os.path.join(directory, name) for name in (OWN, SHARED))
    if os.path.isfile(own):
        return own
    try:
        with open(shared, "rb") as file:
            data = file.read()
    except OSError:
        return None
    # The cheap look first: compiling a pattern takes longer than reading the file.
    return shared if b"vramlint" in data and re.search(MENTIONS_US, data) else None


def read_configuration(path: str) -> Configuration:
    """The configuration that a file holds. What is wrong in it is told in `faults`, and the rest is followed."""
    # Read only where there is one: the TOML reader and the schema cost start-up.
    from vramlint.dialects.schemas import schema_json  # noqa: PLC0415
    from vramlint.shape import faults_of  # noqa: PLC0415
    from vramlint.source import SourceError, effective, read  # noqa: PLC0415

    directory, shown = os.path.dirname(os.path.abspath(path)), _shown(path)
    try:
        with open(path, "rb") as content:
            data = content.read((1 << 20) + 1)
        file = read(shown, data, "toml")
    except OSError as error:
        why = SourceError("unreadable", f"cannot be read: {(error.strerror or str(error)).lower()}", shown)
        return Configuration(shown, directory, error=why)
    except SourceError as error:
        is_empty = error.kind == "empty"
        return Configuration(shown, directory, error=None if is_empty else error)
    values = effective(file, file.documents[0])
    root = file.documents[0].root
    for step in TABLE if os.path.basename(path) == SHARED else ():
        below = values.entries(root).get(step)
        if below is None:
            return Configuration(shown, directory, {}, file)
        root = below[0].value
    faults = tuple(faults_of(values, root, schema_json("config")))
    wrong = {fault.path[0] for fault in faults if fault.path}
    plain = values.plain(root) if root.kind == "map" else {}
    kept = {key: value for key, value in plain.items() if key not in wrong} if isinstance(plain, dict) else {}
    return Configuration(shown, directory, kept, file, root, faults)


def _shown(path: str) -> str:
    """The path as a person in the current directory would write it."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if relative.startswith("..") else relative

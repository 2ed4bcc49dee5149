"""Bytes → `SourceFile`: decoding, limits, and the choice of the reader."""

from __future__ import annotations

import os
import re

from vramlint.source.limits import MOST_BYTES
from vramlint.source.positions import LineIndex, Span
from vramlint.source.tree import Document, Duplicate, Format, SourceError, SourceFile

FORMATS: dict[str, Format] = {
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".jsonc": "json", ".py": "python",
}
PYTHON_LINE = re.compile(
    r"^(?:import \w|from [\w.]+ import|def \w|class \w|@\w|if __name__|\w+ *= *[A-Z]\w*\()", re.MULTILINE,
)
ASSIGNMENT_LINE = re.compile(r"^[ \t]*[\w\"'.-]+[ \t]*=(?!=)", re.MULTILINE)
TABLE_LINE = re.compile(r"^\[[\w\"'. -]+\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
MAPPING_LINE = re.compile(r"^[ \t-]*[\w\"'.-]+[ \t]*:(?:[ \t]|\r?$)", re.MULTILINE)


def format_of(path: str) -> Format | None:
    """The format that a file name promises, or None."""
    return FORMATS.get(os.path.splitext(path)[1].lower())


def read(path: str, data: bytes, format: Format | None = None) -> SourceFile:  # noqa: A002 (the word that all rooms use)
    """The file as trees with positions; without a `format` or a telling name, what it looks like decides.

    Raises `SourceError` of kind too-large, not-utf8, empty, too-deep or syntax.
    """
    if len(data) > MOST_BYTES:
        message = f"more than {MOST_BYTES:,} bytes, which no config has"
        raise SourceError("too-large", message, path, None, "is this a data file?")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = len(data[: error.start].decode("utf-8"))
        message = f"not UTF-8: byte 0x{data[error.start]:02x}"
        raise SourceError("not-utf8", message, path, Span(before, before, path), _encoding_hint(data)) from None
    if not text.strip("\ufeff \t\r\n"):
        raise SourceError("empty", "the file is empty", path, None, "is this the right file?")
    chosen = format or format_of(path) or looks_like(text)
    try:
        documents, duplicates = _documents(path, text, chosen)
    except (RecursionError, MemoryError):
        raise SourceError("too-deep", "nested too deep to be read", path, None) from None
    return SourceFile(path, text, chosen, documents, LineIndex(text), tuple(duplicates))


def looks_like(text: str) -> Format:
    """The format of a text without a name (standard input): YAML unless something speaks against it."""
    if text.lstrip("\ufeff \t\r\n").startswith(("{", "//", "/*")):
        return "json"
    if PYTHON_LINE.search(text):
        return "python"
    if ASSIGNMENT_LINE.search(text) and (TABLE_LINE.search(text) or not MAPPING_LINE.search(text)):
        return "toml"
    return "yaml"


def _encoding_hint(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "it looks like UTF-16; save it as UTF-8"
    return "save the file as UTF-8"


def _documents(path: str, text: str, chosen: Format) -> tuple[tuple[Document, ...], list[Duplicate]]:
    # Each reader is imported only where its format is read: ast, yaml and tomllib cost start-up.
    if chosen == "yaml":
        from vramlint.source.yaml_reader import YamlReader  # noqa: PLC0415

        yaml_reader = YamlReader(path, text)
        return yaml_reader.read(), yaml_reader.duplicates
    if chosen == "json":
        from vramlint.source.json_reader import JsonReader  # noqa: PLC0415

        json_reader = JsonReader(path, text)
        return json_reader.read(), json_reader.duplicates
    if chosen == "toml":
        from vramlint.source.toml_reader import TomlReader  # noqa: PLC0415

        return TomlReader(path, text).read(), []
    from vramlint.source.python_reader import PythonReader  # noqa: PLC0415

    python_reader = PythonReader(path, text)
    return python_reader.read(), python_reader.duplicates

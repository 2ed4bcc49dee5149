"""Bytes → `SourceFile`: decoding, limits, and the choice of the reader."""

from __future__ import annotations

import os

from vramlint.source.limits import MOST_BYTES
from vramlint.source.positions import LineIndex, Span
from vramlint.source.tree import Document, Duplicate, Format, SourceError, SourceFile

FORMATS: dict[str, Format] = {
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".jsonc": "json", ".py": "python",
}


def format_of(path: str) -> Format | None:
    """The format that a file name promises, or None."""
    return FORMATS.get(os.path.splitext(path)[1].lower())


def read(path: str, data: bytes, format: Format | None = None) -> SourceFile:
    """The file as trees with positions; without a `format` or a telling name it is read as YAML.

    Raises `SourceError` of kind too-large, not-utf8, empty, too-deep or syntax.
    """
    if len(data) > MOST_BYTES:
        raise SourceError(
            "too-large", f"{len(data):,} bytes; a config has at most {MOST_BYTES:,}", path, None,
            "is this a data file?",
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", errors="ignore")
        raise SourceError(
            "not-utf8", f"not UTF-8: byte 0x{data[error.start]:02x}", path, Span(len(before), len(before), path),
            "save the file as UTF-8",
        ) from None
    if not text.strip("\ufeff \t\r\n"):
        raise SourceError("empty", "the file is empty", path, None)
    documents, duplicates = _documents(path, text, format or format_of(path) or "yaml")
    return SourceFile(path, text, format or format_of(path) or "yaml", documents, LineIndex(text), tuple(duplicates))


def _documents(path: str, text: str, chosen: Format) -> tuple[tuple[Document, ...], list[Duplicate]]:
    # Each reader is imported only where its format is read: ast and tomllib cost start-up.
    try:
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

        return PythonReader(path, text).read(), []
    except RecursionError:
        raise SourceError("too-deep", "nested too deep to be read", path, None) from None

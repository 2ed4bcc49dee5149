"""Entries that have lines of their own, in and out: YAML block maps, TOML tables, assignments in Python."""

from __future__ import annotations

import keyword
import re

from vramlint.source.locate import Refusal, entry_in
from vramlint.source.operations import Delete, Insert
from vramlint.source.render import render, render_key
from vramlint.source.text_edit import TextEdit, break_at, comment_end, line_end, line_start, newline_near
from vramlint.source.tree import Entry, Node, SourceFile

YAML_LEAD = re.compile(r" *(?:- +)?")
TABLES = frozenset({"table", "implicit", "dotted", "tables"})


def insert_line(file: SourceFile, parent: Node, operation: Insert) -> TextEdit:
    """A new line behind the sibling's last one, as far indented as the sibling."""
    text = file.text
    pair = _pair(file, parent, operation)
    sibling = _sibling(file, parent, operation.after)
    if sibling is None:
        if file.format != "toml" or parent.style != "table":
            raise Refusal("there is no key to stand beside")
        header = line_start(file, parent.span.start)
        return _line_behind(file, parent.span.end, text[header : parent.span.start], pair)
    lead = text[line_start(file, sibling.key_span.start) : sibling.key_span.start]
    if file.format == "yaml":
        if not YAML_LEAD.fullmatch(lead):
            raise Refusal("the key stands in an unusual position")
        lead = " " * len(lead)
    elif lead.strip():
        raise Refusal("the key does not begin its line")
    return _line_behind(file, sibling.value.span.end, lead, pair)


def delete_lines(file: SourceFile, parent: Node, entry: Entry, operation: Delete) -> TextEdit:
    """The entry's own lines, with the comment on its last one; the lines around it stay."""
    text = file.text
    if file.format == "toml" and (entry.value.style in TABLES or parent.style == "dotted"):
        raise Refusal("a table or a dotted key stands there")
    if file.format == "yaml" and len(parent.entries) == 1:
        raise Refusal(f"{operation.path[-1]} is the only key: the mapping would be left empty")
    start = line_start(file, entry.key_span.start)
    if text[start : entry.key_span.start].strip():
        raise Refusal("the key does not begin its line")
    end = _end_of_line(file, entry.value.span.end)
    after = break_at(text, end)
    if not after and start > 0 and text[start - 1] in "\r\n":
        # The last line had no line break: the one before it must not get one either.
        start -= 2 if text[start - 2 : start] == "\r\n" else 1
    return TextEdit(start, end + len(after), "")


def _line_behind(file: SourceFile, offset: int, indent: str, pair: str) -> TextEdit:
    stop = _end_of_line(file, offset)
    return TextEdit(stop, stop, f"{newline_near(file.text, stop)}{indent}{pair}")


def _end_of_line(file: SourceFile, offset: int) -> int:
    """The end of the line on which nothing but a comment may follow. Raises `Refusal`."""
    end = comment_end(file.text, offset, file.format)
    if end != line_end(file.text, end):
        raise Refusal("something else stands on the line")
    return end


def _sibling(file: SourceFile, parent: Node, after: str | None) -> Entry | None:
    if after is not None:
        sibling = entry_in(file, parent, after)
        if sibling.locked:
            raise Refusal(sibling.locked)
        if file.format == "toml" and sibling.value.style in TABLES:
            raise Refusal("a table or a dotted key stands there")
        return sibling
    usual = [entry for entry in parent.entries if not entry.locked and entry.value.style not in TABLES]
    short = [entry for entry in usual if entry.value.kind == "scalar"]
    if file.format in ("toml", "python"):
        return short[-1] if short else None
    found = short or usual
    return found[-1] if found else None


def _pair(file: SourceFile, parent: Node, operation: Insert) -> str:
    value = render(operation.value, file.format)
    if file.format == "yaml":
        return f"{render_key(operation.key, 'yaml')}: {value}"
    if file.format == "toml":
        if parent.style not in ("table", "root"):
            raise Refusal("a table or a dotted key stands there")
        return f"{render_key(operation.key, 'toml')} = {value}"
    name = operation.key
    if not name.isidentifier() or keyword.iskeyword(name):
        raise Refusal(f"{name} cannot be a name")
    if re.search(rf"\b{name}\b", file.text):
        raise Refusal(f"{name} is used in the file already")
    return f"{name} = {value}"

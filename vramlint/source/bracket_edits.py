"""Entries between brackets, in and out with their commas: flow maps, JSON, inline tables, Python calls and dicts."""

from __future__ import annotations

import keyword
import re

from vramlint.source.locate import Refusal, entry_in
from vramlint.source.operations import Delete, Insert
from vramlint.source.render import render, render_key
from vramlint.source.text_edit import TextEdit, break_at, comment_end, line_end, line_start, newline_near
from vramlint.source.tree import Entry, Node, SourceFile

TRIVIA = {
    "yaml": re.compile(r"(?:[ \t\r\n]+|(?<=[ \t\r\n])#[^\r\n]*)*"),
    "toml": re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*"),
    "json": re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL),
    "python": re.compile(r"(?:[ \t\f\r\n]+|\\\r?\n|#[^\r\n]*)*"),
}
EMPTY = re.compile(r"[({][ \t\r\n]*[)}]$")


def insert_between(file: SourceFile, parent: Node, operation: Insert) -> TextEdit:
    """`key: value` beside a sibling, on a line of its own where the sibling has one."""
    if parent.why:
        raise Refusal(f"{operation.key} may be there already: {parent.why}")
    text = file.text
    pair = _pair(file, parent, operation)
    siblings = [entry for entry in parent.entries if _stands_inside(parent, entry)]
    if operation.after is not None:
        named = entry_in(file, parent, operation.after)
        if named not in siblings:
            raise Refusal(named.locked or "the neighbour is written elsewhere")
        if named.key_span != named.value.span:
            siblings = [named]
    if not siblings:
        empty = EMPTY.search(text, parent.span.start, parent.span.end)
        if parent.entries or empty is None:
            raise Refusal("there is no key to stand beside")
        return TextEdit(empty.start() + 1, parent.span.end - 1, pair)
    sibling = max(siblings, key=lambda entry: entry.key_span.start)
    end, comma = _behind(file, parent, sibling)
    start = line_start(file, sibling.key_span.start)
    indent = text[start : sibling.key_span.start]
    rest = comment_end(text, comma + 1 if comma >= 0 else end, file.format)
    own_line = not indent.strip() and rest == line_end(text, rest) and start > parent.span.start
    if not own_line:
        return TextEdit(comma + 1, comma + 1, f" {pair},") if comma >= 0 else TextEdit(end, end, f", {pair}")
    line = f"{newline_near(text, rest)}{indent}{pair}"
    if comma >= 0:
        return TextEdit(rest, rest, line + ",")
    return TextEdit(end, rest, f",{text[end:rest]}{line}")


def delete_between(file: SourceFile, parent: Node, entry: Entry, operation: Delete) -> TextEdit:
    """The entry with one comma; with its line and the comment on it where it has one of its own."""
    if not _stands_inside(parent, entry):
        raise Refusal(f"{operation.path[-1]} is written elsewhere")
    text, start = file.text, entry.key_span.start
    end, comma = _behind(file, parent, entry)
    first = line_start(file, start)
    rest = comment_end(text, comma + 1 if comma >= 0 else end, file.format)
    own_line = not text[first:start].strip() and rest == line_end(text, rest) and first > parent.span.start
    before = [other for other in parent.entries if other.key_span.start < start and _is_within(parent, other)]
    if comma < 0 and parent.why:
        raise Refusal(f"the call cannot be read whole: {parent.why}")
    if comma < 0 and before:
        previous, separator = _behind(file, parent, max(before, key=lambda other: other.key_span.start))
        if not previous <= separator < start:
            raise Refusal("the comma before it cannot be placed")
        return TextEdit(separator, rest if own_line else end, text[separator + 1 : start].rstrip())
    if own_line:
        return TextEdit(first, rest + len(break_at(text, rest)), "")
    if comma < 0:
        return TextEdit(start, end, "")
    stop = comma + 1
    while text[stop : stop + 1] in (" ", "\t"):
        stop += 1
    if stop == line_end(text, stop):
        while text[start - 1] in " \t":
            start -= 1
    return TextEdit(start, stop, "")


def _pair(file: SourceFile, parent: Node, operation: Insert) -> str:
    value = render(operation.value, file.format)
    if parent.style != "call":
        return f"{render_key(operation.key, file.format)}{' = ' if file.format == 'toml' else ': '}{value}"
    if not operation.key.isidentifier() or keyword.iskeyword(operation.key):
        raise Refusal(f"{operation.key} cannot be the name of an argument")
    return f"{operation.key}={value}"


def _is_within(parent: Node, entry: Entry) -> bool:
    return parent.span.start <= entry.key_span.start < parent.span.end


def _stands_inside(parent: Node, entry: Entry) -> bool:
    """Written between the brackets in the usual way: not through `**`, nor by a statement of its own."""
    positional = entry.key_span == entry.value.span
    whole = entry.value.style not in ("dotted", "pair")
    return _is_within(parent, entry) and whole and not entry.merge and (entry.locked is None or positional)


def _behind(file: SourceFile, parent: Node, entry: Entry) -> tuple[int, int]:
    """Where the value ends, parentheses around it included, and where its comma is (-1: it has none)."""
    text, closing = file.text, parent.span.end - 1
    end = offset = entry.value.span.end
    while True:
        match = TRIVIA[file.format].match(text, offset)
        offset = match.end() if match else offset
        if offset >= closing or file.format != "python" or text[offset] != ")":
            break
        offset += 1
        end = offset
    if offset > closing:
        raise Refusal("the value reaches beyond its brackets")
    return end, offset if text[offset] == "," and offset < closing else -1

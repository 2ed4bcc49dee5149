"""Where exactly in the text an entry goes in or comes out, format by format; and when it must not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vramlint.source.operations import Delete, Insert, Operation
from vramlint.source.render import render, render_key
from vramlint.source.tree import Entry, Node, Path, SourceFile

LEADS = re.compile(r"(?:- +)*")


class Refusal(Exception):
    """Why an edit cannot be made safely."""


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the code points `start` to `end` by `text`."""

    start: int
    end: int
    text: str


def node_at(file: SourceFile, path: Path, document: int) -> Node:
    """The node written at `path`; what is only inherited (alias, merge key) cannot be edited there."""
    node = file.documents[document].root
    for step in path:
        node = entry_in(node, step).value if isinstance(step, str) else _item(node, step)
    return node


def entry_at(file: SourceFile, path: Path, document: int) -> Entry:
    """The entry written at `path`, whose last step is a key."""
    parent = node_at(file, path[:-1], document)
    entry = entry_in(parent, path[-1])
    if file.text[: entry.key_span.start].rstrip(" \t").endswith("?"):
        raise Refusal("the key stands in an unusual position")
    return entry


def entry_in(node: Node, key: str | int) -> Entry:
    """The entry `key` of a mapping as written."""
    if node.kind == "alias":
        raise Refusal(f"the value is inherited from &{node.target}")
    for entry in node.entries:
        if entry.key == key:
            return entry
    if any(entry.key == "<<" for entry in node.entries):
        raise Refusal("the value is inherited through a merge key")
    raise Refusal(f"there is no {key} there")


def _item(node: Node, index: int) -> Node:
    if node.kind != "seq" or not 0 <= index < len(node.items):
        raise Refusal(f"there is no item {index} there")
    return node.items[index]


def check_unlocked(node: Node) -> None:
    """Raise `Refusal` for a value whose text must stay."""
    if node.locked:
        raise Refusal(node.locked)
    if node.kind == "opaque":
        raise Refusal("the value is an expression")


def check_not_shared(file: SourceFile, operation: Operation) -> None:
    """Raise `Refusal` where the place stands under an anchor that is used elsewhere: two values would change."""
    document = file.documents[operation.document]
    if not document.anchors:
        return
    used = _alias_targets(document.root)
    node = document.root
    for step in (None, *operation.path):
        if isinstance(step, str):
            node = entry_in(node, step).value
        elif isinstance(step, int):
            node = _item(node, step)
        if node.anchor in used:
            raise Refusal(f"the value is also used through *{node.anchor}")


def _alias_targets(node: Node) -> set[str]:
    found: set[str] = set()
    pending = [node]
    while pending:
        node = pending.pop()
        if node.kind == "alias" and node.target:
            found.add(node.target)
        pending += [*(entry.value for entry in node.entries), *node.items]
    return found


def python_literal(file: SourceFile, node: Node) -> Node:
    """The literal behind a name, if this use is its only one."""
    literal = node.referent
    if literal is None:
        raise Refusal("the value is a name")
    root = file.documents[0].root
    name = next((e.key for e in root.entries if e.value is literal), None)
    if name is None or literal.style == "name":
        raise Refusal("the value is a name")
    uses = len(re.findall(rf"\b{re.escape(name)}\b", file.text)) - 1
    if uses > 1:
        raise Refusal(f"{name} is used in {uses} places")
    return literal


def insert_entry(file: SourceFile, operation: Insert) -> TextEdit:
    """`key: value` beside a sibling, in the sibling's habit."""
    parent = node_at(file, operation.path, operation.document)
    if parent.kind != "map":
        raise Refusal("there is no mapping to insert into")
    if any(entry.key == operation.key for entry in parent.entries):
        raise Refusal(f"{operation.key} is there already")
    if file.format == "python" and parent.style == "module":
        raise Refusal("a statement would have to be added")
    if parent.style == "flow" or file.format in ("json", "python"):
        return _insert_flow(file, parent, operation)
    sibling = _sibling(parent, operation.after)
    if sibling is None:
        raise Refusal("the mapping is empty")
    return _insert_line(file, parent, sibling, operation)


def _sibling(parent: Node, after: str | None) -> Entry | None:
    if after is not None:
        return entry_in(parent, after)
    plain = [e for e in parent.entries if e.value.kind not in ("map",) or e.value.style == "flow"]
    return (plain or list(parent.entries) or [None])[-1]


def _insert_line(file: SourceFile, parent: Node, sibling: Entry, operation: Insert) -> TextEdit:
    text = file.text
    line_start = file.lines.line_start(file.lines.position(sibling.key_span.start)[0])
    lead = text[line_start : sibling.key_span.start].removeprefix("\ufeff")
    if file.format == "toml":
        if parent.style == "dotted" or sibling.value.style in ("table", "dotted", "tables") or lead.strip():
            raise Refusal("a table or a dotted key stands there")
        indent, separator = lead, " = "
    else:
        if LEADS.sub("", lead.lstrip(" ")).strip() or "\t" in lead or lead.count("- ") > 1:
            raise Refusal("the key stands in an unusual position")
        indent, separator = " " * len(lead), ": "
    end = sibling.value.span.end
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"{indent}{render_key(operation.key, file.format)}{separator}{render(operation.value, file.format)}"
    if sibling.value.style in ("|", ">"):
        if not text[:end].endswith(("\n", "\r")):
            return TextEdit(end, end, newline + line)
        return TextEdit(end, end, line + newline)
    stop = _line_end(text, end)
    return TextEdit(stop, stop, newline + line)


def _insert_flow(file: SourceFile, parent: Node, operation: Insert) -> TextEdit:
    text = file.text
    key = operation.key if parent.style == "call" else render_key(operation.key, file.format)
    separator = "=" if parent.style == "call" else " = " if file.format == "toml" else ": "
    pair = f"{key}{separator}{render(operation.value, file.format)}"
    named = [e for e in parent.entries if not e.key.isdigit()] if parent.style == "call" else list(parent.entries)
    if parent.why and parent.style != "call":
        raise Refusal(f"the mapping cannot be read whole: {parent.why}")
    sibling = _sibling_in(named, operation.after) or (parent.entries[-1] if parent.entries else None)
    if sibling is None:
        opening = text.rfind("(" if parent.style == "call" else "{", parent.span.start, parent.span.end)
        return TextEdit(opening + 1, opening + 1, pair)
    if not parent.span.start <= sibling.value.span.start < parent.span.end:
        raise Refusal("the neighbouring value comes through **")
    end = sibling.value.span.end
    closing = re.compile(r"[ \t\r\n)]*").match(text, end)
    # Parentheses around a value are outside its node.
    if parent.style in ("call", "flow") and file.format == "python" and closing and text[end : end + 1] == ")":
        inner = text.count("(", sibling.value.span.start, end) - text.count(")", sibling.value.span.start, end)
        if end + 1 < parent.span.end and inner == 0 and text[end:parent.span.end - 1].strip(" \t\r\n),") == "":
            end = end + 1 if text[sibling.key_span.end : sibling.value.span.start].strip().endswith("(") else end
    lines = file.lines
    own_line = lines.position(sibling.key_span.start)[0] != lines.position(parent.span.start)[0]
    line_start = lines.line_start(lines.position(sibling.key_span.start)[0])
    indent = text[line_start : sibling.key_span.start]
    if not own_line or indent.strip():
        return TextEdit(end, end, f", {pair}")
    newline = "\r\n" if "\r\n" in text else "\n"
    comma = re.compile(r"[ \t]*,[ \t]*(?:#[^\r\n]*|//[^\r\n]*)?(?=\r?\n)").match(text, end)
    if comma and _has_next_on_later_line(parent, sibling):
        return TextEdit(comma.end(), comma.end(), f"{newline}{indent}{pair},")
    return TextEdit(end, end, f",{newline}{indent}{pair}")


def _has_next_on_later_line(parent: Node, sibling: Entry) -> bool:
    return any(entry.key_span.start > sibling.value.span.end for entry in parent.entries)


def _sibling_in(entries: list[Entry], after: str | None) -> Entry | None:
    if after is not None:
        return next((entry for entry in entries if entry.key == after), None)
    return entries[-1] if entries else None


def delete_entry(file: SourceFile, operation: Delete) -> TextEdit:
    """The entry's own lines, or its place in a flow mapping with one comma."""
    parent = node_at(file, operation.path[:-1], operation.document)
    entry = entry_at(file, operation.path, operation.document)
    text = file.text
    if parent.style == "flow" or file.format in ("json", "python"):
        if parent.style == "module" or entry.key.isdigit():
            raise Refusal("a statement would have to go")
        return _delete_flow(file, parent, entry)
    if len(parent.entries) == 1 and file.format == "yaml":
        raise Refusal("the mapping would be left empty")
    start = file.lines.line_start(file.lines.position(entry.key_span.start)[0])
    if text[start : entry.key_span.start].removeprefix("\ufeff").strip():
        raise Refusal("the key does not begin its line")
    if file.format == "toml" and entry.value.style in ("table", "dotted", "tables"):
        raise Refusal("a whole table would go")
    if text.startswith("\ufeff") and start == 0:
        start = 1
    end = entry.value.span.end
    if entry.value.style not in ("|", ">"):
        end = _line_end(text, end)
        end += 2 if text.startswith("\r\n", end) else 1 if end < len(text) else 0
    return TextEdit(start, end, "")


def _delete_flow(file: SourceFile, parent: Node, entry: Entry) -> TextEdit:
    text, start, end = file.text, entry.key_span.start, entry.value.span.end
    if not parent.span.start <= entry.value.span.start < parent.span.end:
        raise Refusal("the value comes through **")
    after = re.compile(r"[ \t]*,[ \t]*").match(text, end)
    if after:
        end = after.end()
        line_start = file.lines.line_start(file.lines.position(start)[0])
        if not text[line_start:start].strip() and text[end : end + 1] in ("\r", "\n"):
            end += 2 if text.startswith("\r\n", end) else 1
            return TextEdit(line_start, end, "")
        return TextEdit(start, end, "")
    before = re.compile(r",[ \t\r\n]*$").search(text, parent.span.start, start)
    return TextEdit(before.start() if before else start, end, "")


def _line_end(text: str, offset: int) -> int:
    """The offset of the line break (or the end of the text) at or after `offset`."""
    while offset < len(text) and text[offset] not in "\r\n":
        offset += 1
    return offset

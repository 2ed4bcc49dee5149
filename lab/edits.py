"""Sets every scalar and inserts beside every key of every file, and reads the result with a parser that is not ours.

usage: python -m lab.edits DIRECTORY …
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vramlint.source import Edited, Insert, Node, Operation, Refused, Set, SourceError, SourceFile, apply, format_of, read

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NEW_KEY = "vramlint_probe"
NEW_VALUE = 41523


def operations_of(file: SourceFile) -> Iterator[Operation]:
    """One `Set` per scalar and one `Insert` per key."""
    for document in file.documents:
        for path, node in _walk(document.root, ()):
            if node.kind == "scalar":
                yield Set(path, NEW_VALUE, document.index)
            for entry in node.entries if node.kind == "map" else ():
                yield Insert(path, NEW_KEY, NEW_VALUE, after=entry.key, document=document.index)


def _walk(node: Node, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    yield path, node
    for entry in node.entries:
        yield from _walk(entry.value, (*path, entry.key))
    for position, item in enumerate(node.items):
        yield from _walk(item, (*path, position))


def independent(text: str, kind: str) -> Any:
    """The data as another parser reads it; for Python, the dump of the syntax tree."""
    text = text.removeprefix("\ufeff")
    if kind == "yaml":
        return list(yaml.load_all(text, yaml.CBaseLoader))
    if kind == "toml":
        return tomllib.loads(text)
    if kind == "json":
        return json.loads(text)
    return ast.dump(ast.parse(text))


def verdict(before: Any, file: SourceFile, operation: Operation, edited: Edited) -> bool:
    """Whether the other parser sees the old data with that one change."""
    try:
        after = independent(edited.text, file.format)
    except Exception:  # noqa: BLE001 (whatever another parser raises is a wrong edit)
        return False
    if file.format == "python":
        grown = after.replace(f"keyword(arg='{NEW_KEY}', value=Constant(value={NEW_VALUE}))", "", 1)
        return str(NEW_VALUE) in after and _skeleton(grown) in (_skeleton(before), _skeleton(after))
    return _differences(before, after, file.format) == 1


def _skeleton(dump: str) -> str:
    return re.sub(r"Constant\(value=.*?\)", "Constant", dump).replace(", ]", "]").replace("[, ", "[")


def _differences(before: Any, after: Any, kind: str) -> int:
    if isinstance(before, dict) and isinstance(after, dict):
        if list(before) != [key for key in after if key in before]:
            return 99
        added = sum(1 for key in after if key not in before)
        return added + sum(_differences(before[key], after[key], kind) for key in before if key in after)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return sum(_differences(a, b, kind) for a, b in zip(before, after, strict=True))
    if before == after and type(before) is type(after):
        return 0
    return 1 if str(after) == str(NEW_VALUE) else 99


def main(directories: list[str]) -> int:
    """Print the counts; 1 if any edit was wrong."""
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for path in sorted(p for directory in directories for p in Path(directory).rglob("*") if format_of(str(p))):
        try:
            data = path.read_bytes()
            file = read(str(path), data)
            before = independent(file.text, file.format)
        except (SourceError, ValueError, yaml.YAMLError, SyntaxError):
            counts["files not read"] += 1
            continue
        counts["files"] += 1
        for operation in operations_of(file):
            result = apply(file, [operation])
            if isinstance(result, Refused):
                counts["refused"] += 1
                reasons[result.why] += 1
            elif verdict(before, file, operation, result):
                counts["edits"] += 1
            else:
                counts["WRONG"] += 1
                print(f"wrong: {path} {operation}")
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    for reason, count in reasons.most_common(30):
        print(f"  {count:6,} refused: {reason}")
    return 1 if counts["WRONG"] else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

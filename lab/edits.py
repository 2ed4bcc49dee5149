"""Edits every scalar and every key of every file, and reads the result with a parser that is not ours.

usage: python -m lab.edits [--every N] DIRECTORY …

Per scalar one `Set` (the new value goes round a list of awkward ones), per key one `Insert` beside it, one `Delete` and
one `Rename`. PyYAML, tomllib, json and ast then say what really changed: that one value or key, or the edit is wrong.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml

from vramlint.source import (
    Delete,
    Edited,
    Insert,
    Node,
    Operation,
    PlainValue,
    Refused,
    Rename,
    Set,
    SourceError,
    SourceFile,
    apply,
    format_of,
    read,
)

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NEW_KEY = "vramlint_probe"
AWKWARD: tuple[PlainValue, ...] = (
    41523, 2e-05, "probe", True, "no", 1e16, "2e-5", "", "a: b # c", None, ["q_proj", 1, 0.5],
    "it's \"so\"", -1, "日本 😀",
)
ABSENT = object()


class Loader(yaml.CSafeLoader):
    """PyYAML's safe loader, which also lets unknown tags through."""


class Syntax(dict[str, Any]):
    """A node of Python's syntax tree: of another type it is another value, not one with other fields."""


def _tagged(loader: Any, suffix: str, node: Any) -> Any:
    scalar = node.id == "scalar"
    value = loader.construct_scalar(node) if scalar else getattr(loader, f"construct_{node.id}")(node, deep=True)
    return {"tag": suffix, "value": value}


Loader.add_multi_constructor("!", _tagged)
Loader.add_multi_constructor("tag:", _tagged)


def operations_of(file: SourceFile) -> Iterator[Operation]:
    """A `Set` per scalar; an `Insert`, a `Delete` and a `Rename` per key."""
    values = cycle(AWKWARD)
    for document in file.documents:
        for path, node in _walk(document.root, ()):
            if node.kind == "scalar":
                yield Set(path, next(values), document.index)
            for entry in node.entries:
                yield Insert(path, NEW_KEY, next(values), after=entry.key, document=document.index)
                yield Delete((*path, entry.key), document.index)
                yield Rename((*path, entry.key), NEW_KEY, document.index)


def _walk(node: Node, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    yield path, node
    for entry in node.entries:
        yield from _walk(entry.value, (*path, entry.key))
    for position, item in enumerate(node.items):
        yield from _walk(item, (*path, position))


def independent(text: str, kind: str) -> Any:
    """The data as another parser reads it; for Python the syntax tree as data."""
    text = text.removeprefix("\ufeff")
    if kind == "yaml":
        return list(yaml.load_all(text, Loader))
    if kind == "toml":
        return [tomllib.loads(text)]
    if kind == "json":
        return [json.loads(text)]
    return [_tree(ast.parse(text))]


def _tree(node: Any) -> Any:
    """A syntax tree as dicts and lists: keywords of a call and entries of a dict by their key."""
    if isinstance(node, list):
        return [_tree(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: _tree(value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind")}
    if isinstance(node, ast.Call):
        fields["keywords"] = {keyword.arg or ast.dump(keyword.value): _tree(keyword.value) for keyword in node.keywords}
    if isinstance(node, ast.Dict):
        keys = [ast.literal_eval(key) if isinstance(key, ast.Constant) else f"** {key}" for key in node.keys]
        fields = {"entries": dict(zip(keys, (_tree(value) for value in node.values), strict=True))}
    if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.If):
        fields["body"] = _body(node.body)
    return Syntax({"type": type(node).__name__, **fields})


def _body(statements: list[ast.stmt]) -> dict[str, Any]:
    """Assignments by what they assign to, other statements by their place among themselves."""
    found: dict[str, Any] = {}
    for statement in statements:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            key = ast.dump(target)
        else:
            key = "statement"
        number = sum(1 for known in found if known.partition(" ")[0] == key.replace(" ", ""))
        found[f"{key.replace(' ', '')} {number}"] = _tree(statement)
    return found


def differences(before: Any, after: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any, Any]]:
    """Each (path, old, new) where the two differ."""
    if isinstance(before, Syntax) and isinstance(after, Syntax) and before["type"] != after["type"]:
        yield path, before, after
    elif isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(old, new, (*path, index))
    elif type(before) is not type(after) or repr(before) != repr(after):
        yield path, before, after


def is_right(before: Any, file: SourceFile, operation: Operation, edited: Edited) -> bool:
    """Whether the other parser sees the old data with that one change."""
    try:
        found = list(differences(before, independent(edited.text, file.format)))
    except Exception:  # noqa: BLE001 (whatever another parser raises is a wrong edit)
        return False
    if isinstance(operation, Rename):
        gone = [old for _, old, new in found if new is ABSENT]
        come = [new for path, old, new in found if old is ABSENT and path[-1] == NEW_KEY]
        return len(found) == 2 and repr(gone) == repr(come)
    if isinstance(operation, Set) and not found:
        return True  # it had that value
    if len(found) != 1:
        return False
    place, old, new = found[0]
    if file.format != "python":
        wanted = (operation.document, *operation.path, *([NEW_KEY] if isinstance(operation, Insert) else []))
        if len(place) != len(wanted) or not all(map(_is_key, place, wanted)):
            return False
    if isinstance(operation, Delete):
        return new is ABSENT
    if isinstance(operation, Insert) and (old is not ABSENT or place[-1] != NEW_KEY):
        return file.format == "python" and old is ABSENT and NEW_KEY in str(place[-1])
    return file.format == "python" or repr(new) == repr(operation.value)


def _is_key(there: Any, step: str | int) -> bool:
    """Whether the other parser's key is the one that our path names by its text."""
    if there == step:
        return True
    try:
        return bool(yaml.safe_load(str(step)) == there)
    except yaml.YAMLError:
        return False


def main() -> int:
    """Print the counts; 1 if any edit was wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="only every Nth operation of a file")
    arguments = parser.parse_args()
    done: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    begun = time.monotonic()
    files = 0
    for path in sorted(p for directory in arguments.directories for p in directory.rglob("*") if format_of(str(p))):
        try:
            file = read(str(path), path.read_bytes())
        except SourceError as error:
            unread[error.kind] += 1
            continue
        try:
            before = independent(file.text, file.format)
        except (ValueError, yaml.YAMLError, TypeError) as error:
            unread[f"only by us ({type(error).__name__})"] += 1
            continue
        files += 1
        for number, operation in enumerate(operations_of(file)):
            if (number + files) % arguments.every:
                continue
            kind = type(operation).__name__
            result = apply(file, [operation])
            if isinstance(result, Refused):
                done[f"{kind} refused"] += 1
                reasons[_kind_of(result.why)] += 1
            elif is_right(before, file, operation, result):
                done[f"{kind} right"] += 1
            else:
                done["WRONG"] += 1
                print(f"wrong: {path} {operation}")
    edits = sum(count for name, count in done.items() if not name.endswith("refused"))
    print(f"{files:,} files, {edits:,} edits made, {done['WRONG']:,} wrong, in {time.monotonic() - begun:.0f} s")
    for name, count in sorted(done.items()):
        print(f"  {count:8,} {name}")
    for reason, count in reasons.most_common(30):
        print(f"  {count:8,} refused: {reason}")
    for reason, count in unread.most_common():
        print(f"  {count:8,} files not read: {reason}")
    return 1 if done["WRONG"] else 0


def _kind_of(reason: str) -> str:
    """The reason without the names that are in it."""
    words = [word for word in reason.split() if "_" not in word and word[0] not in "&*0123456789"]
    return " ".join(words[:9])


if __name__ == "__main__":
    raise SystemExit(main())

"""Configs that a config builds on: `_base_` of mmengine and XTuner, `defaults` of Hydra. What the config itself says wins.

After mmengine 0.10 (config/config.py: a path or a list, relative to the file) and Hydra 1.3 (the defaults list: groups are files
in folders, their keys stand under the group or the package named; `_self_` is last unless it is said where).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vramlint.dataclass import dataclass
from vramlint.dialects.companions import Companions, Joined, opened_file
from vramlint.dialects.gather import Gathered, gather
from vramlint.dialects.marks import dialects_of
from vramlint.dialects.tables import Tables
from vramlint.dialects.walk import Reading, reading_of
from vramlint.source import Document, Effective, Node, SourceFile, Span, effective

BASE, DEFAULTS, SELF = "_base_", "defaults", "_self_"
GLOBAL = re.compile(r"\A(?:\s*#.*\n)*?\s*#\s*@package\s+_global_")
WORDS = re.compile(r"^(?:override|optional)\s+")


@dataclass(frozen=True, slots=True)
class Base:
    """One entry of a list of bases: the file as written, where, where its keys come to stand, and whether they win."""

    text: str
    span: Span
    at: tuple[str, ...]
    wins: bool


def bases_of(values: Effective) -> list[Base]:
    """The bases that a document names, in order; none for most."""
    entries = values.entries(values.root)
    if BASE in entries:
        return [Base(text, span, (), wins=False) for text, span in _texts(values, entries[BASE][0].value)]
    if DEFAULTS in entries and values.file.format == "yaml":
        return list(_hydra(values, entries[DEFAULTS][0].value))
    return []


def dialect_through_bases(
    values: Effective, companions: Companions, joined: Joined, within: tuple[str, ...],
) -> str | None:
    """The dialect of the nearest base that is in one."""
    for base in bases_of(values):
        file = opened_file(base.text, base.span, values.file.path, companions, joined, within)
        if file is None:
            continue
        inner = effective(file, file.documents[0])
        names = dialects_of(inner, file.format)
        if names:
            return names[0]
        found = dialect_through_bases(inner, companions, joined, (*within, file.path))
        if found is not None:
            return found
    return None


def join_bases(
    reading: Reading, gathered: Gathered, companions: Companions, joined: Joined, within: tuple[str, ...],
) -> list[Reading]:
    """Put what the bases say into `gathered`, and give their readings; those that come last in a list win among them."""
    readings: list[Reading] = []
    for base in reversed(bases_of(reading.values)):
        file = opened_file(base.text, base.span, reading.file.path, companions, joined, within)
        if file is None:
            continue
        inner = _reading(reading.tables, file, file.documents[0], base.at)
        if inner is None:
            continue
        own = gather(inner, {})
        readings += [inner, *join_bases(inner, own, companions, joined, (*within, file.path))]
        where = f"stated in {file.path}"
        for key, origin in own.origins.items():
            if gathered.is_said(key) and not (base.wins and gathered.origins[key].kind != "set"):
                continue
            moved = type(origin)(origin.kind, origin.key_span, origin.value_span, None, origin.why or where)
            if key in own.unknown:
                gathered.values.pop(key, None)
                gathered.unknown[key], gathered.origins[key] = own.unknown[key], moved
            else:
                gathered.put(key, own.values[key], moved)
    return readings


def _reading(known: Tables, file: SourceFile, document: Document, at: tuple[str, ...]) -> Reading | None:
    if document.root.kind != "map":
        return None
    place = () if GLOBAL.match(file.text) else at
    try:
        return reading_of(known, document, effective(file, document), at=place)
    except KeyError:  # a group of which this dialect has nothing to say
        return None


def _texts(values: Effective, node: Node) -> Iterator[tuple[str, Span]]:
    found = values.scalar(node)
    for item in found.node.items if found.node.kind == "seq" else (found.node,):
        text = values.scalar(item).value
        if isinstance(text, str) and text:
            yield text, item.span


def _hydra(values: Effective, node: Node) -> Iterator[Base]:
    found = values.scalar(node)
    items = found.node.items if found.node.kind == "seq" else (found.node,)
    after_self = False
    for item in items:
        resolved = values.scalar(item)
        if resolved.value == SELF:
            after_self = True
        elif isinstance(resolved.value, str):
            text = resolved.value
            folder = () if "." in text else tuple(text.strip("/").split("/")[:-1])
            yield Base(_named(text), item.span, folder, after_self)
        elif resolved.node.kind == "map":
            for key, (entry, _) in values.entries(resolved.node).items():
                group, _, package = WORDS.sub("", key).partition("@")
                chosen = values.scalar(entry.value).value
                if not isinstance(chosen, str) or WORDS.match(key):
                    continue  # nothing, a choice of several, or a choice for another's list
                group = group.strip("/")
                at = () if package == "_global_" else tuple(package.split(".")) if package else tuple(group.split("/"))
                yield Base(_named(f"{group}/{chosen}"), entry.value.span, at, after_self)


def _named(text: str) -> str:
    return text if text.endswith((".yaml", ".yml")) else f"{text}.yaml"

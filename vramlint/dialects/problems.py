"""What a document says that its framework does not take: each at its place, with the edit that mends it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from vramlint.dialects.check import check
from vramlint.dialects.foreign import name_elsewhere
from vramlint.dialects.gather import Gathered
from vramlint.dialects.judge import UNKNOWN_KEYS, Verdict, judged
from vramlint.dialects.recognised import SchemaProblem
from vramlint.dialects.tables import ABOUT, Json, Tables, word
from vramlint.dialects.values import number, takes
from vramlint.dialects.walk import MOST_DEPTH, Reading, Stray, said_elsewhere
from vramlint.findings import Fix, Safety
from vramlint.source import UNKNOWN, Document, Effective, Entry, Node, Path, Rename, Resolved, Set, Span
from vramlint.spelling import is_slip

NEAR = 0.75
NEARER = 0.85
"""How alike an unknown key must be to a known one where keys of one's own are allowed."""
SAME = 0.05
MOST_PROBLEMS = 50
UNBOUNDED = ("max_grad_norm",)
"""Keys for which infinity means something: gradients that are never clipped."""
DECIMALS = frozenset({
    "learning_rate", "lr", "weight_decay", "max_grad_norm", "num_train_epochs", "num_epochs", "lora_dropout", "warmup_ratio",
    "adam_beta1", "adam_beta2", "adam_epsilon", "beta", "label_smoothing_factor", "temperature",
})
"""Keys whose numbers have a fraction, so that a NaN passes for one."""
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")


def problems_of(reading: Reading, gathered: Gathered, *, closed: bool) -> Iterator[SchemaProblem]:
    """Every problem, in no order. `closed` says that a key which no class has is ignored by the framework."""
    tables, document, values, found = reading.tables, reading.document, reading.values, reading.found
    reference = tables.root_reference(reading.file.format)
    data = values.plain(values.root) if not reading.python else _data_of(values, values.root, 0)
    if tables.about.get("reads_numbers"):
        data = _with_numbers(data)
    valid, _ = check(tables, tables.at(reference), data)
    yield from _not_finite(values, data)
    if not valid:
        for verdict in _first_by_place(judged(tables, reference, data))[:MOST_PROBLEMS]:
            problem = _invalid(values, verdict, document)
            if problem is not None:
                yield problem
    for stray in found.strays[:MOST_PROBLEMS]:
        problem = _unknown(tables, stray, document, closed)
        if problem is not None:
            yield problem
    if closed and not reading.python:
        yield from _elsewhere(reading)
    for path, entry, note, section in found.renamed:
        yield _renamed(path, entry, note, document, others={e.key for e in section.node.entries})
    for key in tables.about.get("required", ()):
        if not gathered.is_said(key):
            name = local_name(tables, tables.at(reference), key)
            yield SchemaProblem("required", f"missing {name!r}", None, (), name, (_where(name, reading.python),))


def _not_finite(values: Effective, data: Any) -> Iterator[SchemaProblem]:
    """Numbers of the root that are none, or have no end, which JSON Schema has no word for; integers are its own matter."""
    for key, value in data.items() if isinstance(data, dict) else ():
        if not isinstance(value, float) or math.isfinite(value) or (value > 0 and key in UNBOUNDED):
            continue
        resolved = values.get((key,)) if values.file.format != "python" else None
        span = _span_of(values, (key,), resolved) if resolved is not None else None
        if key in DECIMALS:
            yield SchemaProblem("minimum", f"{key} is {value}; it takes a number with an end", span, (key,))


def local_name(tables: Tables, node: Json, key: str) -> str:
    """What a canonical key is called in a mapping of the dialect; its canonical name where it has none there."""
    for name, described in tables.keys(node).items():
        about = tables.resolved(described).get(ABOUT, {})
        if about.get("key") == key and "renamed" not in about:
            return name
    return key


def _where(key: str, python: bool) -> str:
    return f"name it in the script: # vramlint: {key}=…" if python else f"state {key}"


def _with_numbers(data: Any) -> Any:
    """Data as a framework has it whose reader takes 2e-5 for a number, as OmegaConf and command lines do."""
    if isinstance(data, dict):
        return {key: _with_numbers(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_with_numbers(item) for item in data]
    return number(data) if isinstance(data, str) and EXPONENT.fullmatch(data) else data


def _first_by_place(verdicts: list[Verdict]) -> list[Verdict]:
    """One verdict a place: a wrong type is not an unknown word too. Unknown keys are said by `_unknown`."""
    places: dict[Path, Verdict] = {}
    for verdict in sorted(verdicts, key=lambda v: v.keyword != "type"):
        if verdict.keyword not in UNKNOWN_KEYS:
            places.setdefault(verdict.path, verdict)
    return list(places.values())


def _data_of(values: Effective, node: Node, depth: int) -> Any:
    """A script's values as data, those that only the running script knows as `UNKNOWN`."""
    if depth > MOST_DEPTH:
        return UNKNOWN
    if depth == 1 and node.kind == "alias":
        return UNKNOWN  # a name bound to what a call gives; the call has an entry of its own
    found = values.scalar(node)
    node = found.node
    if node.kind == "map" and (depth <= 1 or said_elsewhere(node) is None):
        return {key: _data_of(values, entry.value, depth + 1) for key, (entry, _) in values.entries(node).items()}
    if node.kind == "seq":
        return [_data_of(values, item, depth + 1) for item in node.items]
    return UNKNOWN if node.kind == "map" or said_elsewhere(node) is not None else found.value


def _invalid(values: Effective, verdict: Verdict, document: Document) -> SchemaProblem | None:
    """A verdict of jsonschema as a problem, or None where it speaks of what this file cannot say."""
    resolved = values.get(verdict.path)
    if resolved is None or not verdict.path:
        return None
    name = _name_of(verdict.path)
    span = _span_of(values, verdict.path, resolved)
    found = verdict.found
    if isinstance(found, str) and verdict.keyword == "type" and _takes_number(verdict.schema):
        value = number(found)
        if not isinstance(value, str) and math.isfinite(value):
            return _number_as_text(values, verdict, span, value, document)
    if verdict.keyword == "enum" or (found is False and "no" in verdict.schema.get("enum", ())):
        return _no_such_word(verdict, span, name, document)
    if verdict.keyword in ("minimum", "maximum", "exclusiveMinimum"):
        message = f"{name} is {_shown(found)}; it takes {takes(verdict.schema)}"
        return SchemaProblem("minimum", message, span, verdict.path)
    message = f"{name} takes {takes(verdict.schema)}, not {_shown(found)}{_kind(found)}"
    return SchemaProblem("type", message, span, verdict.path, *_retyped(verdict, document))


def _name_of(path: Path) -> str:
    """The key that a place is under."""
    return next((str(step) for step in reversed(path) if isinstance(step, str)), "")


def _retyped(verdict: Verdict, document: Document) -> tuple[str | None, tuple[str, ...], tuple[Fix, ...]]:
    """A quoted true or false without its quotes."""
    found = verdict.found
    if isinstance(found, str) and found.lower() in ("true", "false", "yes", "no") and _takes(verdict.schema, "boolean"):
        value = found.lower() in ("true", "yes")
        fix = Fix(f"write {word(value)}", Safety.UNSAFE, operations=(Set(verdict.path, value, document.index),))
        return word(value), (f"write {word(value)} without quotes",), (fix,)
    return None, (), ()


def _number_as_text(
    values: Effective, verdict: Verdict, span: Span, value: float, document: Document,
) -> SchemaProblem:
    shown, text, name = spelled(value), verdict.found, _name_of(verdict.path)
    fix = Fix(f"write {shown}", Safety.SAFE, operations=(Set(verdict.path, value, document.index),))
    reader = "YAML 1.1 reads" if values.file.format == "yaml" else "the file has"
    return SchemaProblem(
        "number-as-text", f"{name}: {reader} {text} as text, not as a number", span, verdict.path, shown,
        (f"write {shown}",), (fix,),
    )


def _no_such_word(verdict: Verdict, span: Span, name: str, document: Document) -> SchemaProblem:
    words = [w for w in verdict.schema["enum"] if isinstance(w, str)]
    found = verdict.found
    if found is False and "no" in words:
        fix = Fix('write "no"', Safety.SAFE, operations=(Set(verdict.path, "no", document.index),))
        return SchemaProblem(
            "enum", f"{name}: YAML 1.1 reads no as false", span, verdict.path, '"no"', ('write "no"',), (fix,),
        )
    message = f"{name} does not take {_shown(found)}"
    near = resembling(str(found), words, 0.6)
    if near:
        fix = Fix(f"write {near[0]}", Safety.UNSAFE, operations=(Set(verdict.path, near[0], document.index),))
        help_text = (f"did you mean {near[0]!r}?",)
        fixes = (fix,) if is_slip(str(found), near[0]) else ()
        return SchemaProblem("enum", message, span, verdict.path, near[0], help_text, fixes)
    some = ", ".join(words[:8]) + (" …" if len(words) > 8 else "")
    return SchemaProblem("enum", message, span, verdict.path, None, (f"it takes {some}",))


def _unknown(tables: Tables, stray: Stray, document: Document, closed: bool) -> SchemaProblem | None:
    """A key that its place does not have: another framework's, a misspelling, or unknown where that means anything."""
    section, entry = stray.section, stray.entry
    if section.node.style == "module" or not isinstance(stray.path[-1], str):
        return None
    is_root = section.path == ()
    is_closed = closed if is_root else tables.resolved(section.schema).get("unevaluatedProperties") is False
    for framework, names in tables.about.get("foreign", {}).items():
        if entry.key in names and (is_root or is_closed):
            return _foreign(framework, entry, names[entry.key], stray)
    elsewhere = name_elsewhere(tables, entry.key, section.schema, closed=is_closed) if is_root else None
    if elsewhere is not None and not is_closed:
        return _foreign(elsewhere[0], entry, elsewhere[1], stray)
    if is_root and entry.value.kind in ("map", "seq") and not closed:
        return None
    said = {e.key for e in section.node.entries}
    known = [
        key for key, described in tables.keys(section.schema).items()
        if key not in said and is_slip(entry.key, key, left_out=1) and _may_be(entry.value, tables.resolved(described))
    ]
    meant = nearest(entry.key, known, NEAR if is_closed else NEARER)
    if meant is not None:
        fix = Fix(f"rename to {meant}", Safety.UNSAFE, operations=(Rename(stray.path, meant, document.index),))
        return SchemaProblem(
            "unknown-key", f"unknown key {entry.key!r}", entry.key_span, stray.path, meant,
            (f"did you mean {meant!r}?",), (fix,),
        )
    if is_closed:
        if elsewhere is not None:
            return _foreign(elsewhere[0], entry, elsewhere[1], stray)
        return SchemaProblem("unknown-key", f"unknown key {entry.key!r}", entry.key_span, stray.path)
    return None


def _may_be(node: Node, described: Json) -> bool:
    """Whether what stands there could be meant for a key so described: a mapping is no number."""
    kinds = described.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    wanted = {"map": "object", "seq": "array"}.get(node.kind)
    return not kinds or (wanted in kinds if wanted else set(kinds) != {"object"})


def _elsewhere(reading: Reading) -> Iterator[SchemaProblem]:
    """Keys of the root that are known, but of a class which the framework's command line does not read."""
    tables, root = reading.tables, reading.found.sections[0]
    instead: dict[str, str] = tables.about.get("elsewhere", {})
    for key, (entry, _) in reading.values.entries(root.node).items():
        described = tables.property(root.schema, key) or {}
        of_class = str(described.get("$ref", "")).removeprefix("#/$defs/").partition("/")[0]
        if of_class not in instead:
            continue
        meaning = tables.resolved(described).get(ABOUT, {}).get("key")
        ours = tables.class_keys(instead[of_class])
        read = tables.keys(tables.schema["$defs"][instead[of_class]])
        names = [name for name, own in read.items() if own is ours.get(meaning)]
        hint = f"; here it is {names[0]}" if names else ""
        yield SchemaProblem(
            "foreign-key", f"{key} is a name of {of_class}, which is not read here{hint}", entry.key_span, (key,),
            names[0] if names else None, (f"write {names[0]}",) if names else (),
        )


def nearest(name: str, known: list[str], cutoff: float) -> str | None:
    """The known key that a name most resembles; of several about as near, the one that the schema has first."""
    near = resembling(name, known, cutoff)
    return min(near, key=known.index, default=None)


def resembling(name: str, known: list[str], cutoff: float) -> list[str]:
    """The known words that a name most resembles: the likest, and those that are about as alike."""
    import difflib  # noqa: PLC0415  # only where something is wrong

    near = difflib.get_close_matches(name, known, n=4, cutoff=cutoff)
    likeness = {key: difflib.SequenceMatcher(None, name, key).ratio() for key in near}
    return [key for key in near if likeness[key] > likeness[near[0]] - SAME]


def _foreign(framework: str, entry: Entry, ours: str | None, stray: Stray) -> SchemaProblem:
    here = f"here it is {ours}" if ours else "there is none here"
    return SchemaProblem(
        "foreign-key", f"{entry.key} is the {framework} name; {here}", entry.key_span, stray.path, ours,
        (f"write {ours}",) if ours else (),
    )


def _renamed(path: Path, entry: Entry, note: Json, document: Document, others: set[str]) -> SchemaProblem:
    successor, since = note["to"], note["since"]
    more = f" ({note['note']})" if "note" in note else ""
    if successor is None:
        message = f"{entry.key} was taken out with {since}{more}"
        return SchemaProblem("renamed-key", message, entry.key_span, path, None, ("take it out",))
    message = f"{entry.key} is called {successor} since {since}{more}"
    fixes: tuple[Fix, ...] = ()
    if "note" not in note and successor not in others and path:
        fixes = (Fix(f"rename to {successor}", Safety.UNSAFE, operations=(Rename(path, successor, document.index),)),)
    return SchemaProblem("renamed-key", message, entry.key_span, path, successor, (f"write {successor}",), fixes)


def _span_of(values: Effective, path: Path, resolved: Resolved) -> Span:
    """Where a value stands in this file: where it is used, if it is inherited; its key, if it is empty."""
    if resolved.via is not None:
        return resolved.via
    span = resolved.node.span
    if span.start < span.end:
        return span
    above = values.get(path[:-1])
    entry = values.entries(above.node).get(str(path[-1])) if above else None
    return entry[0].key_span if entry else span


def spelled(value: float) -> str:
    """A number with a point before its exponent, so that YAML 1.1 reads it as one."""
    mantissa, mark, exponent = repr(value).partition("e")
    return (mantissa if "." in mantissa or not mark else mantissa + ".0") + mark + exponent


def _takes_number(schema: Json) -> bool:
    return _takes(schema, "number") or _takes(schema, "integer")


def _takes(schema: Json, kind: str) -> bool:
    kinds = schema.get("type", [])
    return kind == kinds or (isinstance(kinds, list) and kind in kinds)


def _shown(value: Any) -> str:
    text = word(value) if not isinstance(value, dict | list) else "a mapping" if isinstance(value, dict) else "a list"
    return repr(text[:40]) if isinstance(value, str) else text[:40]


def _kind(value: Any) -> str:
    return " (text)" if isinstance(value, str) else ""

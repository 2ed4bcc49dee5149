"""What a document says, settled per canonical key: one value, where it stands, or why it cannot be known."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vramlint.dataclass import dataclass, field
from vramlint.dialects.comments import said_in_comments
from vramlint.dialects.recognised import Origin, SchemaProblem
from vramlint.dialects.schemas import run_keys
from vramlint.dialects.tables import ABOUT, Tables, word
from vramlint.dialects.values import UnfitError, canonical, set_value
from vramlint.dialects.walk import Reading, Section, Written
from vramlint.run import Value
from vramlint.source import UNKNOWN, SourceFile, Span

PROBE = re.compile(r"(not\s+)?[\w.]*\bis_bf(?:loat)?16_supported\(\)")
CHOICE = re.compile(r"torch\.(\w+)\s+if\s+[\w.]*\bis_bf(?:loat)?16_supported\(\)\s+else\s+torch\.\w+")
OF_TORCH = "cuda.is_bf16_supported()"
"""True on cards before Ampere too (torch 2.11, cuda/__init__.py: including_emulation)."""
MARKED = "_"
"""Keys that begin so are facts for the dialect's adaptor, not canonical."""


@dataclass(slots=True)
class Gathered:
    """Values and origins by canonical key; `unknown` says why a written one is not known, `asks_card` which a probe decides."""

    values: dict[str, Value] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    problems: list[SchemaProblem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    asks_card: set[str] = field(default_factory=set)

    def is_said(self, key: str) -> bool:
        """Whether the document, a comment or the command line says this key, known or not."""
        return key in self.values or key in self.unknown

    def put(self, key: str, value: Value, origin: Origin) -> None:
        """Take a value over whatever was there."""
        self.values[key] = value
        self.origins[key] = origin
        self.unknown.pop(key, None)


def gather(reading: Reading, overrides: Mapping[str, Value]) -> Gathered:
    """Everything said about the run: keys in their places, then comments, then the command line."""
    gathered = Gathered()
    file, found = reading.file, reading.found
    by_key: dict[str, list[Written]] = {}
    for written in found.written:
        by_key.setdefault(written.key, []).append(written)
    for places in by_key.values():
        _settle(gathered, file, places)
    for section in found.sections:
        _open_ended(reading.tables, gathered, section)
    for said in said_in_comments(file, reading.document):
        if said.key not in run_keys():
            continue
        try:
            value = set_value(said.key, said.text)
        except ValueError as error:
            gathered.problems.append(SchemaProblem("enum", str(error), said.value_span, ()))
            continue
        gathered.put(said.key, value, Origin("written", said.key_span, said.value_span, None, "stated in a comment"))
    for key, value in overrides.items():
        gathered.put(key, value, Origin("set", why="given by --set"))
    return gathered


def _settle(gathered: Gathered, file: SourceFile, places: list[Written]) -> None:
    """The place that counts: of the least rank; of equals the last, and none if Python says different things."""
    places = [p for p in places if not _says_nothing(p)] or places[-1:]
    known = [p for p in places if p.value is not UNKNOWN or p.rank == 0]
    least = min((p.rank for p in known), default=None)
    if least is None:
        least = min(p.rank for p in places)
        known = places
    chosen = [p for p in known if p.rank == least]
    # What stands there itself comes before what is inherited: an edit can reach it.
    chosen = [p for p in chosen if p.via is None] or chosen
    if len({repr(_meaning(p)) for p in chosen}) > 1:
        different = sorted({word(p.value)[:40] for p in chosen if p.value is not UNKNOWN})
        _mark(gathered, chosen[-1], f"it is said in {len(chosen)} places ({', '.join(different)})")
        return
    _take(gathered, file, chosen[0])


def _says_nothing(place: Written) -> bool:
    """A flag that is off where several name one thing: `xformers_attention: false` says nothing of the others."""
    words = place.about.get("values", {})
    return place.value is not UNKNOWN and not isinstance(place.value, dict | list) and words.get(word(place.value)) == {}


def _meaning(place: Written) -> object:
    words = place.about.get("values", {})
    return place.value if isinstance(place.value, dict | list) else words.get(word(place.value), place.value)


def _take(gathered: Gathered, file: SourceFile, place: Written) -> None:
    value = place.value
    if value is UNKNOWN:
        probed = _probed(place, file)
        if probed is None:
            _mark(gathered, place, place.why or "it cannot be known from this file")
            return
        span = place.entry.value.span
        if OF_TORCH in file.text[span.start : span.end]:
            gathered.notes.append(f"{place.entry.key}: torch says of every card that it has bf16, counting emulation")
        else:
            gathered.notes.append(f"{place.entry.key} asks the card for bf16: without a target, taken as one that has it")
            gathered.asks_card.add(place.key)
        value = probed
    if isinstance(value, list) and any(item is UNKNOWN for item in value):
        _mark(gathered, place, "a part of it cannot be known from this file")
        return
    try:
        meant = canonical(place.key, value, place.about)
    except UnfitError as error:
        _mark(gathered, place, str(error))
        return
    for key, inner in meant.items():
        gathered.values[key] = inner
        gathered.origins[key] = _origin(place)


def _mark(gathered: Gathered, place: Written, why: str) -> None:
    gathered.unknown[place.key] = why
    gathered.origins[place.key] = _origin(place)


def _origin(place: Written) -> Origin:
    if place.implied:
        return Origin("inferred", place.entry.key_span, place.entry.key_span, place.path, place.implied)
    span = place.entry.value.span
    shown: Span = span if span.start < span.end else place.entry.key_span
    if place.via is not None:
        return Origin("written", place.via, place.via, place.path)
    return Origin("written", place.entry.key_span, shown, place.path)


def _probed(place: Written, file: SourceFile) -> Value:
    """What an expression that asks for bf16 comes to on a card that has it; None if it asks for nothing of the kind."""
    span = place.entry.value.span
    text = file.text[span.start : span.end] if file.format == "python" else ""
    if place.key in ("bf16", "fp16", "bf16_full_eval", "fp16_full_eval") and (match := PROBE.fullmatch(text)):
        return match[1] is None
    if (match := CHOICE.fullmatch(text)) is not None:
        return f"torch.{match[1]}"
    return None


def _open_ended(tables: Tables, gathered: Gathered, section: Section) -> None:
    """A call that takes `**` of something unknown may say any of its keys."""
    if section.node.style != "call" or not section.node.why:
        return
    for described in tables.keys(section.schema).values():
        key = tables.resolved(described).get(ABOUT, {}).get("key")
        if key and not key.startswith(MARKED) and not gathered.is_said(key):
            gathered.unknown[key] = f"{section.name} {section.node.why}"

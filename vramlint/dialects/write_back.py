"""Changes on canonical keys → operations on the file, under the file's own names and in its own places."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dataclass import dataclass
from vramlint.dialects.adaptor import adaptor_for
from vramlint.dialects.check import is_of
from vramlint.dialects.gather import MARKED
from vramlint.dialects.recognised import Recognised
from vramlint.dialects.tables import ABOUT, WHOLE, Json, tables, word
from vramlint.dialects.values import number
from vramlint.dialects.walk import Reading, Section, reading_of
from vramlint.run import Change, Value
from vramlint.source import (
    Delete,
    Document,
    Expression,
    Insert,
    Node,
    Operation,
    Path,
    PlainValue,
    Set,
    SourceFile,
    effective,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change cannot be written into this file."""

    why: str


@dataclass(frozen=True, slots=True)
class Home:
    """Where a key that is not there yet would go: the mapping, and the key's name in it."""

    section: Section
    name: str
    described: Json


def to_operations(
    file: SourceFile, document: Document, recognised: Recognised, changes: Sequence[Change],
) -> tuple[Operation, ...] | Refusal:
    """The operations that make the changes, or why they cannot be made in this file.

    A change to what already holds needs none. Values are written in the dialect's words; a new key goes into the group
    or call that has keys of its class, beside its nearest relative.
    """
    known = tables(recognised.dialect)
    values = effective(file, document)
    adaptor = adaptor_for(recognised.dialect)
    skipped = adaptor.skipped(document) if file.format == "python" else frozenset()
    reading = reading_of(known, document, values, skipped)
    writer = _Writer(reading, recognised)
    rewritten = adaptor.rewritten(reading, recognised.runs[0], changes)
    if isinstance(rewritten, str):
        return Refusal(rewritten)
    operations: list[Operation] = []
    for change in rewritten:
        made = writer.operation(change)
        if isinstance(made, Refusal):
            return made
        if made is not None and made not in operations:
            operations.append(made)
    return tuple(operations)


class _Writer:
    """One document to be changed."""

    def __init__(self, reading: Reading, recognised: Recognised) -> None:
        self._reading = reading
        self._tables = reading.tables
        self._document = reading.document
        self._recognised = recognised
        self._values = reading.values
        self._found = reading.found

    def operation(self, change: Change) -> Operation | Refusal | None:
        """The operation for one change; None where the file already says or means it."""
        if change.key.startswith(MARKED):
            return self._mark(change)
        origin = self._recognised.origins.get(change.key)
        kind = origin.kind if origin else "default"
        path = origin.path if origin else None
        if kind == "written" and path is None:
            return Refusal(f"{change.key} is {origin.why if origin and origin.why else 'stated in a comment'}")
        if kind == "written" and path is not None:
            if change.delete:
                return Delete(path, self._document.index)
            return self._set(path, change)
        if change.delete:
            return None
        runs = self._recognised.runs
        if all(getattr(run, change.key) == change.value and change.key not in run.unknown for run in runs):
            return None
        if kind == "inferred" and path:
            return Refusal(f"it follows from {path[-1]}, which would have to go")
        return self._insert(change)

    def _mark(self, change: Change) -> Operation | Refusal | None:
        """A key that is no canonical one: a fact of the dialect's own, which its adaptor asks to be changed."""
        place = next((w for w in self._found.written if w.key == change.key and not w.implied), None)
        if place is None:
            return None if change.delete else self._insert(change)
        if place.via is not None:
            return Refusal(f"{place.path[-1]} is inherited from elsewhere in the file")
        return Delete(place.path, self._document.index) if change.delete else self._set(place.path, change)

    def _set(self, path: Path, change: Change) -> Operation | Refusal:
        name = str(path[-1])
        section = self._section_of(path)
        schema = self._tables.property(section.schema, _named(section, name)) if section else None
        described = self._tables.resolved(schema) if schema else None
        node = self._node(path)
        written = self._written(described or {}, change.key, change.value, node)
        if isinstance(written, Refusal):
            return written
        return Set(path, written, self._document.index)

    def _insert(self, change: Change) -> Operation | Refusal | None:
        homes = self._homes(change.key)
        if not homes and self._follows(change.key):
            return None  # the other changes bring it along; what is read again tells
        if not homes:
            title = self._tables.about.get("title", self._tables.name)
            return Refusal(f"{'no call here takes' if self._reading.python else f'{title} has no key for'} {change.key}")
        # Of several names for one thing, the nearest that has a word for this value.
        written = [(home, self._written(home.described, change.key, change.value, None)) for home in homes]
        home, value = next((pair for pair in written if not isinstance(pair[1], Refusal)), written[0])
        if isinstance(value, Refusal):
            return value
        node = home.section.node
        after = self._sibling(home)
        if node.kind != "map" or (node.style == "module"):
            return Refusal(f"this file has no place for {change.key}")
        return Insert(home.section.path, home.name, value, after, self._document.index)

    def _follows(self, key: str) -> bool:
        """Whether the dialect has no key for it, and makes it follow from others."""
        rules = self._tables.about.get("follows", ())
        return any(key in rule.get(kind, {}) for rule in rules for kind in ("set", "force", "copy"))

    def _homes(self, key: str) -> list[Home]:
        """The mappings that may hold the key under one of its names, in the order of the classes of the run."""
        classes = adaptor_for(self._tables.name).classes_for(self._reading, self._recognised.runs[0].trainer)
        sections = [s for s in self._found.sections if s.node.kind == "map" and s.node.style != "module"]
        found = []
        for section in sections:
            for name in self._tables.keys(section.schema):
                described = self._tables.resolved(self._tables.keys(section.schema)[name])
                about = described.get(ABOUT, {})
                if about.get("key") == key and "renamed" not in about and not about.get("rank"):
                    found.append((self._distance(section, name, key, classes), Home(section, name, described)))
        return [home for _, home in sorted(found, key=lambda pair: pair[0])]

    def _distance(self, section: Section, name: str, key: str, classes: Sequence[str]) -> tuple[int, ...]:
        """How far a place is from where a person would write the key; the least is taken."""
        own = str(section.about.get("from", "")).partition(" of ")[0]
        place = classes.index(own) if own in classes else len(classes)
        of_class = next((i for i, c in enumerate(classes) if self._of_class(c, name, key)), len(classes))
        kin = 0
        if of_class < len(classes):
            with_default = self._tables.class_keys(classes[of_class])
            kin = sum(w.key in with_default and w.path[:-1] == section.path for w in self._found.written)
        return (of_class, place if self._reading.python else 0, -kin, int(section.path == ()), int(name != key))

    def _of_class(self, class_name: str, name: str, key: str) -> bool:
        if class_name == WHOLE:
            return True
        described = self._tables.keys(self._tables.schema["$defs"][class_name]).get(name)
        return described is not None and self._tables.resolved(described).get(ABOUT, {}).get("key") == key

    def _sibling(self, home: Home) -> str | None:
        """The entry behind which the new one goes: the last of its relatives, else the last that is one line."""
        entries = [e for e in home.section.node.entries if not e.key.isdigit() and e.key != "<<"]
        related = [e.key for e in entries if _stem(e.key) == _stem(home.name)]
        beside = [e.key for e in entries if e.key in BESIDE.get(home.name, ())]
        plain = [e.key for e in entries if e.value.kind in ("scalar", "opaque") and e.value.locked is None]
        found = beside or related or plain
        return found[-1] if found else None

    def _section_of(self, path: Path) -> Section | None:
        return next((s for s in self._found.sections if s.path == path[:-1]), None)

    def _node(self, path: Path) -> Node | None:
        found = self._values.get(path[:-1])
        entry = self._values.entries(found.node).get(str(path[-1])) if found else None
        return entry[0].value if entry else None

    def _written(self, described: Json, key: str, value: Value, node: Node | None) -> PlainValue | Refusal:
        """A canonical value in the words of the file."""
        about = described.get(ABOUT, {})
        words: dict[str, Value] = about.get("values", {})
        if self._reading.python and isinstance(value, str) and node is not None and node.style == "attribute":
            return Expression(f"torch.{value}")
        allowed, kinds = described.get("enum"), described.get("type", [])
        is_own = key.startswith(MARKED)  # then the adaptor has said it in the words of the file
        means_another = not is_own and not isinstance(value, tuple) and words.get(word(value), value) != value
        means_another = means_another or (about.get("values_only", False) and word(value) not in words)
        is_unheard = allowed is not None and not isinstance(value, tuple) and value not in allowed
        fits = not kinds or any(is_of(plain(value), kind) for kind in ([kinds] if isinstance(kinds, str) else kinds))
        means_another = means_another or (isinstance(value, bool) and kinds == "string") or (not fits and value in words.values())
        if means_another or is_unheard:
            meant = [w for w, canonical in words.items() if canonical == value]
            return _as_data(meant[0], kinds) if meant else Refusal(f"{key} cannot be {word(value)} here")
        if not fits:
            return Refusal(f"{key} cannot be {word(value)[:40]} here")
        return plain(value)


def _as_data(text: str, kinds: str | list[str]) -> PlainValue:
    """A value word of a schema as the data that it spells, where the key takes data of that type."""
    literal = {"true": True, "false": False, "null": None}
    if text in literal and ("boolean" in kinds or text == "null"):
        return literal[text]
    return number(text) if "integer" in kinds or "number" in kinds else text


def plain(value: Value) -> PlainValue:
    """A canonical value as data to be written: tuples are lists."""
    return [plain(item) for item in value] if isinstance(value, tuple) else value


BESIDE = {
    "gradient_accumulation_steps": ("per_device_train_batch_size",),
    "per_device_eval_batch_size": ("per_device_train_batch_size",),
    "gradient_checkpointing": ("gradient_accumulation_steps", "per_device_train_batch_size"),
    "use_liger_kernel": ("bf16", "fp16", "gradient_checkpointing"),
    "optim": ("learning_rate", "lr_scheduler_type"),
    "activation_offloading": ("gradient_checkpointing",),
    "max_length": ("packing",),
    "dtype": ("model_name_or_path", "pretrained_model_name_or_path"),
    "attn_implementation": ("dtype", "torch_dtype", "model_name_or_path"),
    "load_in_4bit": ("dtype", "torch_dtype", "model_name_or_path"),
}
"""Whom a key likes to stand behind; else the last key with the same first word."""


def _stem(name: str) -> str:
    return name.partition("_")[0]


def _named(section: Section, name: str) -> str:
    positional = section.about.get("positional", ())
    return str(positional[int(name)]) if name.isdigit() and int(name) < len(positional) else name

"""Changes on canonical keys → operations on the file, under the file's own names and in its own places."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dataclass import dataclass
from vramlint.dialects.huggingface import CLASS_OF_TRAINER, Layout, layout_of
from vramlint.dialects.recognised import Recognised
from vramlint.dialects.schema import canonical_key, schema
from vramlint.run import Change, Value
from vramlint.source import Delete, Document, Expression, Insert, Operation, PlainValue, Set, SourceFile, effective

PREFERRED_SIBLINGS = (
    "per_device_train_batch_size", "gradient_accumulation_steps", "bf16", "fp16", "optim", "learning_rate", "output_dir",
)
DTYPE_KEYS = frozenset({"dtype", "bnb_4bit_compute_dtype", "bnb_4bit_quant_storage"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change cannot be written into this file."""

    why: str


def to_operations(
    file: SourceFile, document: Document, recognised: Recognised, changes: Sequence[Change],
) -> tuple[Operation, ...] | Refusal:
    """The operations that make the changes, or why they cannot be made in this file."""
    rules = schema("huggingface")
    layout = layout_of(file, effective(file, document), rules)
    if layout is None:
        return Refusal("the file is no longer recognised")
    operations: list[Operation] = []
    for change in changes:
        operation = _operation(file, document, recognised, layout, change)
        if isinstance(operation, Refusal):
            return operation
        if operation is not None:
            operations.append(operation)
    return tuple(operations)


def _operation(
    file: SourceFile, document: Document, recognised: Recognised, layout: Layout, change: Change,
) -> Operation | Refusal | None:
    origin = recognised.origins.get(change.key)
    if origin is not None and origin.kind == "written" and origin.path is not None:
        if change.delete:
            return Delete(origin.path, document.index)
        if file.format == "python" and origin.path[0] == "prepare_model_for_kbit_training()":
            return Refusal("the call prepare_model_for_kbit_training(...) has to go: edit the script")
        return Set(origin.path, _written(change.key, change.value, file), document.index)
    if change.delete:
        return None
    return _insert(file, document, recognised, layout, change)


def _insert(
    file: SourceFile, document: Document, recognised: Recognised, layout: Layout, change: Change,
) -> Operation | Refusal:
    trainer = recognised.runs[0].trainer
    own = CLASS_OF_TRAINER.get(trainer, "TrainingArguments")
    name, class_name = _name_of(change.key, trainer, file.format == "python", layout)
    if name is None:
        return Refusal(f"{change.key} has no key in this kind of file")
    home = layout.homes.get(class_name or own)
    if home is None and file.format == "python":
        return Refusal(f"there is no {class_name or own}(...) call to put {name} into")
    if home is None and layout.homes and class_name is not None:
        home = layout.homes.get("TrainingArguments") or layout.homes.get(own)
    path = home or ()
    beside = [place for place in layout.places if place.path[:-1] == path and place.via is None]
    names = [place.name for place in beside]
    after = next((sibling for sibling in PREFERRED_SIBLINGS if sibling in names), names[-1] if names else None)
    return Insert(path, name, _written(change.key, change.value, file), after, document.index)


def _name_of(key: str, trainer: str, python: bool, layout: Layout) -> tuple[str | None, str | None]:
    """(the file's own name for a canonical key, the class that has it)."""
    wanted = [CLASS_OF_TRAINER.get(trainer, "TrainingArguments")]
    wanted += ["LoraConfig", "BitsAndBytesConfig"] if python or trainer == "transformers" else ["ModelConfig"]
    candidates = []
    for name, entry in schema("huggingface")["properties"].items():
        marked = canonical_key(name, entry)
        if marked != (key, None):
            continue
        classes = entry["x-vramlint"].get("classes", ())
        holder = next((c for c in wanted if c in classes), None)
        if holder is not None or not classes:
            candidates.append((name, holder))
    if python and candidates and candidates[0][1] is None:
        return None, None
    ordered = sorted(candidates, key=lambda c: (c[1] not in layout.homes, c[0] != key))
    return ordered[0] if ordered else (None, None)


def _written(key: str, value: Value, file: SourceFile) -> PlainValue:
    if file.format == "python" and key in DTYPE_KEYS and isinstance(value, str) and value != "auto":
        return Expression(f"torch.{value}")
    return list(value) if isinstance(value, tuple) else value

"""Keys that are another framework's: whose name a key is, and what this framework calls the same thing."""

from __future__ import annotations

from collections.abc import Iterator

from vramlint.dialects.schemas import dialect_names
from vramlint.dialects.tables import ABOUT, Json, Tables
from vramlint.dialects.tables import tables as tables_of

COPIED = ("huggingface", "axolotl", "llamafactory")
"""Dialects whose names people carry into files of other frameworks; they are looked at first."""
TITLES = {"huggingface": "Hugging Face"}
TELLING = frozenset({
    "per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps", "gradient_checkpointing",
    "model_name_or_path", "load_in_4bit", "load_in_8bit", "max_seq_length", "attn_implementation", "use_liger_kernel", "lora_r",
    "lora_rank", "lora_alpha", "lora_target_modules", "lora_target", "max_grad_norm", "micro_batch_size", "sequence_len",
    "cutoff_len", "base_model", "sample_packing",
})
"""Names that no framework has for anything else, so that they tell even where keys of one's own are allowed."""
MOST_NESTED = 4


def name_elsewhere(tables: Tables, key: str, here: Json, *, closed: bool) -> tuple[str, str | None] | None:
    """Whose name the key is, and what this dialect calls it, dotted where it stands further down.

    Where the dialect is not `closed`, only names that tell, and only if there is one here to be written instead.
    """
    if not closed and key not in TELLING:
        return None
    for dialect in _in_order():
        if dialect == tables.name:
            continue
        other = tables_of(dialect)
        described = other.property(other.root("yaml"), key)
        canonical = other.resolved(described).get(ABOUT, {}).get("key") if described else None
        if canonical and not canonical.startswith("_"):
            ours = next(_names(tables, here, canonical, 0), None)
            if ours is None and not closed:
                return None
            return str(TITLES.get(dialect) or other.about.get("title", dialect)), ours
    return None


def _in_order() -> Iterator[str]:
    names = dialect_names()
    yield from (name for name in COPIED if name in names)
    yield from (name for name in names if name not in COPIED)


def _names(tables: Tables, node: Json, canonical: str, depth: int) -> Iterator[str]:
    """What a mapping, and those in it, call a canonical key: at the top first."""
    inner = []
    for name, described in tables.keys(node).items():
        own = tables.resolved(described)
        about = own.get(ABOUT, {})
        if about.get("key") == canonical and "renamed" not in about and not about.get("rank"):
            yield name
        if depth < MOST_NESTED and "properties" in own:
            inner.append((name, own))
    for name, own in inner:
        for found in _names(tables, own, canonical, depth + 1):
            yield f"{name}.{found}"

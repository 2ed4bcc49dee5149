"""The huggingface dialect: which keys stand where (flat, in groups, in Python calls) and what trainer they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vramlint.dataclass import dataclass
from vramlint.source import Effective, Entry, Node, Path, SourceFile, Span

TRAINER_OF_CLASS = {
    "SFTConfig": "trl-sft", "SFTTrainer": "trl-sft", "DPOConfig": "trl-dpo", "DPOTrainer": "trl-dpo",
    "RewardConfig": "trl-reward", "RewardTrainer": "trl-reward", "KTOConfig": "trl-kto", "KTOTrainer": "trl-kto",
    "GRPOConfig": "trl-grpo", "GRPOTrainer": "trl-grpo", "RLOOConfig": "trl-rloo", "RLOOTrainer": "trl-rloo",
}
CLASS_OF_TRAINER = {
    "transformers": "TrainingArguments", "trl-sft": "SFTConfig", "trl-dpo": "DPOConfig", "trl-reward": "RewardConfig",
    "trl-kto": "KTOConfig", "trl-grpo": "GRPOConfig", "trl-rloo": "RLOOConfig",
}
ONLY_IN = {
    "num_generations": "trl-grpo", "steps_per_generation": "trl-grpo", "reward_funcs": "trl-grpo",
    "precompute_ref_log_probs": "trl-dpo", "reference_model": "trl-dpo", "rpo_alpha": "trl-dpo",
    "desirable_weight": "trl-kto", "undesirable_weight": "trl-kto", "center_rewards_coefficient": "trl-reward",
    "packing": "trl-sft", "packing_strategy": "trl-sft", "dataset_text_field": "trl-sft", "padding_free": "trl-sft",
    "assistant_only_loss": "trl-sft", "completion_only_loss": "trl-sft", "eval_packing": "trl-sft",
}
"""Keys that one trainer has and the others have not, after the fields of transformers 5.17 and TRL 1.16."""

CALLS = ("TrainingArguments", "Seq2SeqTrainingArguments", *CLASS_OF_TRAINER.values(), "LoraConfig", "BitsAndBytesConfig",
         "ModelConfig")
LENGTH_NAMES = re.compile(r"(?:MAX_?(?:SEQ(?:UENCE)?_?)?(?:LEN|LENGTH)|SEQ(?:UENCE)?_?LEN(?:GTH)?|CUTOFF_LEN)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """One key as written: under which class's name it counts (None: flat), and the path to it."""

    name: str
    class_name: str | None
    entry: Entry
    path: Path
    via: Span | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The keys of a document, where new ones of a class go in, and what its calls say of the trainer."""

    places: tuple[Place, ...]
    homes: Mapping[str, Path]
    trainer: str | None = None
    calls: frozenset[str] = frozenset()


def layout_of(file: SourceFile, effective: Effective, schema: Mapping[str, Any]) -> Layout | None:
    """The document's keys if it is a Hugging Face config, else None."""
    if file.format == "python":
        return _python_layout(effective)
    root = effective.root
    if root.kind != "map":
        return None
    groups = {alias: name for name, aliases in schema["x-vramlint"]["groups"].items() for alias in aliases}
    places: list[Place] = []
    homes: dict[str, Path] = {}
    for key, (entry, via) in effective.entries(root).items():
        target = effective.scalar(entry.value).node
        class_name = groups.get(key)
        if class_name and target.kind == "map":
            homes[class_name] = (key,)
            places += [
                Place(name, class_name, inner, (key, name), inner_via or via)
                for name, (inner, inner_via) in effective.entries(target).items()
            ]
        else:
            places.append(Place(key, None, entry, (key,), via))
    return Layout(tuple(places), homes) if _is_ours(places, schema) else None


def _is_ours(places: list[Place], schema: Mapping[str, Any]) -> bool:
    names = {place.name for place in places}
    marks = schema["x-vramlint"]
    if names & set(marks["excluded"]):
        return False
    evidence = names & set(marks["evidence"])
    training = {"per_device_train_batch_size", "gradient_accumulation_steps", "trainer"} & names
    has_model = {"model_name_or_path", "model_name", "model_id"} & names
    return (bool(training) and len(evidence) >= 2) or (bool(has_model) and len(evidence) >= 3)


def _python_layout(effective: Effective) -> Layout | None:
    """The keywords of the configuration classes, of `from_pretrained`, and the length that reaches the tokenizer."""
    entries = effective.root.entries
    calls = {entry.key.partition("()")[0] for entry in entries if entry.value.style == "call"}
    if not calls & set(CALLS[:-3]):
        return None
    places: list[Place] = []
    homes: dict[str, Path] = {}
    seen: set[str] = set()
    for entry in entries:
        name = entry.key.partition("()")[0]
        if name in CALLS and name not in seen:
            seen.add(name)
            class_name = "TrainingArguments" if name == "Seq2SeqTrainingArguments" else name
            homes[class_name] = (entry.key,)
            places += [Place(e.key, class_name, e, (entry.key, e.key)) for e in entry.value.entries if not e.key.isdigit()]
    places += _from_pretrained(entries)
    places += _switches(entries)
    if not any(place.name == "max_length" for place in places):
        places += _length(entries)
    trainers = [TRAINER_OF_CLASS[name] for name in TRAINER_OF_CLASS if name in calls]
    return Layout(tuple(places), homes, trainers[0] if trainers else "transformers", frozenset(calls))


def _from_pretrained(entries: tuple[Entry, ...]) -> Iterator[Place]:
    """Model name, dtype and attention of the first model that is loaded."""
    for entry in entries:
        name = entry.key.partition("()")[0]
        owner, _, method = name.rpartition(".")
        if method != "from_pretrained" or not re.search(r"Model|ForCausalLM", owner):
            continue
        for argument in entry.value.entries:
            if argument.key in ("0", "pretrained_model_name_or_path"):
                yield Place("model_name_or_path", "from_pretrained", argument, (entry.key, argument.key))
            elif argument.key in ("dtype", "torch_dtype", "attn_implementation", "load_in_4bit", "load_in_8bit"):
                key = "dtype" if argument.key == "torch_dtype" else argument.key
                yield Place(key, "from_pretrained", argument, (entry.key, argument.key))
        return


def _switches(entries: tuple[Entry, ...]) -> Iterator[Place]:
    for entry in entries:
        if entry.key in ("prepare_model_for_kbit_training()", "peft.prepare_model_for_kbit_training()"):
            span = entry.key_span
            made = Entry(entry.key, span, Node("scalar", span, True, "call", locked="it is a call"))
            yield Place("prepare_model_for_kbit_training", None, made, (entry.key,))


def _length(entries: tuple[Entry, ...]) -> Iterator[Place]:
    """The literal that reaches a tokenizer or collator as `max_length`, else a constant named for it."""
    for entry in entries:
        if entry.value.style == "call" and re.search(r"tokenizer|processor|[Cc]ollator|encode", entry.key):
            for argument in entry.value.entries:
                if argument.key == "max_length" and argument.value.kind == "scalar":
                    yield Place("max_length", None, argument, (entry.key, "max_length"))
                    return
    for entry in entries:
        if entry.value.kind == "scalar" and LENGTH_NAMES.fullmatch(entry.key):
            yield Place("max_length", None, entry, (entry.key,))
            return


def trainers_of(layout: Layout, stated: object) -> tuple[tuple[str, ...], str, str | None]:
    """(the trainers that the document may mean, how that is known, what would settle it if there are several)."""
    if isinstance(stated, str):
        return (stated,), "written", None
    if layout.trainer:
        return (layout.trainer,), "the class called", None
    names = {place.name for place in layout.places}
    homes = [TRAINER_OF_CLASS[name] for name in layout.homes if name in TRAINER_OF_CLASS]
    if homes:
        return (homes[0],), f"the group for {homes[0]}", None
    for name, trainer in ONLY_IN.items():
        if name in names:
            return (trainer,), f"{name}, which only {trainer} has", None
    if "TrainingArguments" in layout.homes and "max_length" not in names:
        return ("transformers",), "the group for TrainingArguments", None
    return ("transformers", "trl-sft"), "nothing in the file says which", "state trainer: transformers or trainer: trl-sft"

"""Which trainer a document means: stated, by the class called, by keys that only some have; else it stays open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vramlint.dataclass import dataclass
from vramlint.dialects.tables import Tables, word
from vramlint.dialects.walk import Findings, Reading
from vramlint.run import Value

BARE = ("transformers", "trl-sft")
"""What a config without any telling key is taken for: the other trainers' runs state at least one of their own."""
IN_WORDS = {
    "transformers": "the transformers Trainer", "trl-sft": "TRL's SFTTrainer", "trl-dpo": "TRL's DPOTrainer",
    "trl-reward": "TRL's RewardTrainer", "trl-kto": "TRL's KTOTrainer", "trl-grpo": "TRL's GRPOTrainer",
    "trl-rloo": "TRL's RLOOTrainer",
}


@dataclass(frozen=True, slots=True)
class Trainers:
    """The candidates, how they are known, and for more than one: what would settle it."""

    candidates: tuple[str, ...]
    why: str
    open: str | None = None


def trainers_of(reading: Reading, stated: Value, facts: Mapping[str, Value] | None = None) -> Trainers:
    """The trainers that may run the document. `stated` is the key `trainer`, wherever it was said.

    `facts` are the values and marks that the schema's `trainer_when` looks at; its first entry that holds wins over
    what is stated in the framework's own words.
    """
    for entry in reading.tables.about.get("trainer_when", ()):
        if all(word((facts or {}).get(key)) in [word(one) for one in words] for key, words in entry["when"].items()):
            return Trainers((str(entry["trainer"]),), str(entry["why"]))
    if isinstance(stated, str):
        return Trainers((stated,), "stated")
    tables, found = reading.tables, reading.found
    if "trainer" in tables.about:
        name = str(tables.about["trainer"])
        title = tables.about.get("title", tables.name)
        return Trainers((name,), f"{title} trains with {IN_WORDS.get(name, 'a loop of its own')}")
    called = [section for section in found.sections if "trainer" in section.about]
    if called:
        names = tuple(dict.fromkeys(str(section.about["trainer"]) for section in called))
        return _of(names, f"{called[0].name} is called")
    configured = list(_by_class(tables, found))
    if configured:
        return _of(tuple(dict.fromkeys(name for name, _ in configured)), f"{configured[0][1]} is given")
    return _by_keys(tables, found)


def _by_class(tables: Tables, found: Findings) -> Iterator[tuple[str, str]]:
    """The trainers whose configuration class is called or has a group of its name, with that name."""
    of_class = {about["config"]: name for name, about in tables.about.get("trainers", {}).items()}
    in_python = found.sections[0].node.style == "module"
    for section in found.sections[1:]:
        name = str(section.about.get("from", "")).partition(" of ")[0]
        if name in of_class and (in_python or of_class[name] != "transformers"):
            yield of_class[name], section.name
        elif in_python and section.name.startswith("Seq2SeqTrainingArguments"):
            yield "transformers", section.name


def _by_keys(tables: Tables, found: Findings) -> Trainers:
    every = tuple(tables.about.get("trainers", {}))
    telling = list(_telling(tables, found))
    if not telling:
        return _of(tuple(name for name in BARE if name in every) or every, "nothing in the file says which")
    left = [name for name in every if all(name in names for _, names in telling)]
    if not left:  # keys that contradict one another: those that most of them point to
        votes = {name: sum(name in names for _, names in telling) for name in every}
        left = [name for name in every if votes[name] == max(votes.values())]
    specific = min(telling, key=lambda told: len(told[1]))
    if len(left) > 1 and "trl-sft" in left and all(len(names) > 2 for _, names in telling):
        left = ["trl-sft"]  # TRL's own keys and none of another of its trainers
    return _of(tuple(left), f"{specific[0]} is a key of {' and '.join(left)}")


def _telling(tables: Tables, found: Findings) -> Iterator[tuple[str, list[str]]]:
    by_key: dict[str, list[str]] = tables.about.get("told_by", {})
    by_value: dict[str, dict[str, list[str]]] = tables.about.get("told_by_value", {})
    for name, places in found.names.items():
        if name in by_key:
            yield name, by_key[name]
        for value in _words(places[-1][2]) if name in by_value else ():
            if value in by_value[name]:
                yield f"{name} {value}", by_value[name][value]


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [word(item) for item in value] if isinstance(value, list) else []


def _of(candidates: tuple[str, ...], why: str) -> Trainers:
    if len(candidates) == 1:
        return Trainers(candidates, why)
    names = " or ".join(IN_WORDS.get(name, name) for name in candidates)
    stating = " or ".join(f"`trainer: {name}`" for name in candidates)
    return Trainers(candidates, why, f"it may be {names}: state {stating}")

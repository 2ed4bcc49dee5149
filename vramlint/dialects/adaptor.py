"""What a dialect may do beyond its schema: the protocol of an adaptor, and which dialects have one."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence

from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.tables import WHOLE
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value
from vramlint.source import Document

MODULES = {
    "axolotl": "axolotl", "huggingface": "huggingface", "llamafactory": "llamafactory", "litgpt": "litgpt",
    "ms-swift": "ms_swift", "torchtune": "torchtune",
    "nanogpt": "nanogpt", "torchtitan": "torchtitan", "unsloth": "unsloth",
    "nemo-automodel": "nemo_automodel", "openrlhf": "openrlhf", "oumi": "oumi", "verl": "verl",
}
"""Dialects with a module of their own in this package; it holds its adaptor as `ADAPTOR`. All others are data alone."""


# ruff: noqa: ARG002  # a default does nothing with what it is given
class Adaptor:
    """A dialect that its schema says completely. Override what a schema cannot say; each default does nothing."""

    def skipped(self, document: Document) -> frozenset[str]:
        """Keys of the root that do not count, such as calls of a script which do not load what is trained."""
        return frozenset()

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """The trainers that may run the document, given what is said and marked; None leaves it to the schema."""
        return None

    def classes_for(self, reading: Reading, trainer: str) -> list[str]:
        """The definitions whose defaults hold under a trainer, in order of precedence; `WHOLE` is the schema itself."""
        about = reading.tables.about.get("trainers", {})
        chain: list[str] = (about.get(trainer) or {}).get("flat") or [WHOLE]
        return chain

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Fill in what follows from the values, after the schema's `follows`."""
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Changes in terms of keys that the file has, marks included, or why they cannot be made here."""
        return changes


@functools.cache
def adaptor_for(dialect: str) -> Adaptor:
    """The adaptor of a dialect; its module is imported only now."""
    module = MODULES.get(dialect)
    if module is None:
        return Adaptor()
    adaptor: Adaptor = importlib.import_module(f"vramlint.dialects.{module}").ADAPTOR
    return adaptor

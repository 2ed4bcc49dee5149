"""The parameters of encoders and encoder-decoders, counted from the catalogue's fields, are as many as its sources publish."""

from __future__ import annotations

from typing import Any

import pytest

from vramlint.catalog.models import all_models, architecture_of_entry
from vramlint.memory.encoders.model import encoder_of
from vramlint.memory.encoders.weights import inventory
from vramlint.run import Run

NOT_SIMULATED = {"deberta-v2"}
ENTRIES = [entry for entry in all_models() if entry["kind"] in ("encoder", "seq2seq-lm")]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: str(entry["id"]))
def test_as_many_parameters_as_published(entry: dict[str, Any]) -> None:
    architecture = architecture_of_entry(entry, entry["id"])
    run = Run(task=None if entry["kind"] == "seq2seq-lm" else "seq-cls")
    encoder = encoder_of(run, architecture)
    if entry["model_type"] in NOT_SIMULATED:
        assert encoder is None
        return
    assert encoder is not None
    # The published counts are of the model under no head; a bert or roberta then has a pooler.
    heads = {linear.name for linear in encoder.head}
    counted = sum(
        weight.elements * weight.count for weight in inventory(architecture, encoder, run, "float32", "float32")
        if weight.name.removesuffix(" bias").removesuffix(" norm") not in heads
    )
    pooler = architecture.hidden_size * (architecture.hidden_size + 1) if entry.get("pooler") else 0
    buffers = architecture.vocab_size if entry["model_type"] == "bart" else 0
    assert counted + pooler - buffers == architecture.parameters


def test_there_are_enough_of_them() -> None:
    assert sum(entry["model_type"] not in NOT_SIMULATED for entry in ENTRIES) >= 30

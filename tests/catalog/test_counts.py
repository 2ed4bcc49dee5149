"""The parameters counted from the fields of a catalogue entry are as many as its source publishes."""

from __future__ import annotations

from vramlint.catalog.models import all_models, architecture_of_entry
from vramlint.memory.blocks import block_of
from vramlint.memory.inventory import inventory
from vramlint.memory.stacks import stacks_of
from vramlint.run import Run

NOT_SIMULATED = {
    "CohereForAI/c4ai-command-r-plus": "norms of queries and keys (use_qk_norm)",
    "facebook/opt-350m": "an embedding narrower than the layers (word_embed_proj_dim)",
    "stabilityai/stablelm-2-12b": "norms of queries and keys (qk_layernorm)",
}
"""Models that have more than their type's block says: no number rather than a wrong one."""


def test_every_entry_that_is_simulated_has_as_many_parameters_as_published() -> None:
    run = Run()
    differing, simulated = {}, 0
    for entry in all_models():
        architecture = architecture_of_entry(entry, entry["id"])
        block = block_of(architecture)
        if block is None or architecture.parameters is None:
            continue
        simulated += 1
        weights = inventory(architecture, block, stacks_of(run, architecture, block), run, "bfloat16", "float32")
        counted = sum(weight.elements * weight.count for weight in weights)
        if counted != architecture.parameters:
            differing[entry["id"]] = counted - architecture.parameters
    assert simulated > 550
    assert not differing


def test_what_a_block_does_not_say_gives_no_number() -> None:
    for entry in all_models():
        if entry["id"] in NOT_SIMULATED:
            assert block_of(architecture_of_entry(entry, entry["id"])) is None

"""What unsloth makes of a run: which of its runs are simulated, and the plan of its step."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory.dtypes import BYTES
from vramlint.memory.masks import NO_MASKS
from vramlint.memory.step_plan import Plan
from vramlint.memory.unsloth.loss import HAND_WRITTEN
from vramlint.run import Run

SEVEN = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})
OFFLOADED_ABOVE = 2 << 20
"""Bytes of a layer's input from which it goes to the host (unsloth_zoo/gradient_checkpointing.py, MINIMUM_SIZE)."""
ROTATED, ROTATED_AT_ONCE = 32_768, 8192
"""Positions up to which tables of cosines and sines are as long as the model's, and the steps above (models/llama.py)."""

POSITIONS = {"llama": 2048, "mistral": 131_072, "qwen2": 32_768, "qwen3": 32_768, "gemma": 8192}
"""Where a config says none (transformers 5.17, configuration files)."""


def refusals(run: Run, a: Architecture) -> tuple[tuple[bool, str, str], ...]:
    """(whether it applies, why there is no number, the key) for each run that is not simulated."""
    targets = run.lora_target_modules
    names = {targets} if isinstance(targets, str) else set(targets or ())
    window = a.sliding_window is not None and (run.max_length or 0) > a.sliding_window
    autocast = "bfloat16" if run.bf16 else "float16" if run.fp16 else None
    return (
        (not run.use_peft, "full fine-tuning under unsloth is not simulated yet", "use_peft"),
        (not (run.padding_free or run.packing),
         "unsloth compiles each layer where rows are padded, which is not simulated", "padding_free"),
        (bool(run.lora_dropout), "unsloth with dropout in LoRA is not simulated yet", "lora_dropout"),
        (run.lora_bias != "none", "unsloth with trained biases is not simulated yet", "lora_bias"),
        (run.use_peft and names not in (SEVEN, {"all-linear"}),
         "unsloth is simulated with adapters on all seven projections only", "lora_target_modules"),
        (bool(run.lora_modules_to_save), "unsloth with modules_to_save is not simulated yet", "lora_modules_to_save"),
        (run.attn_implementation not in (None, "sdpa"),
         "unsloth is simulated with torch's attention only", "attn_implementation"),
        (window, "unsloth's attention over a window shorter than a row is not simulated yet", "max_length"),
        (autocast is None or (run.dtype not in ("auto", autocast)),
         "unsloth in another dtype than that of mixed precision is not simulated", "dtype"),
        (run.num_processes > 1, "unsloth on several cards is not simulated yet", "num_processes"),
    )


def under_unsloth(run: Run, plan: Plan) -> Plan:
    """The plan of a step under the Trainer as unsloth has it."""
    setting, a = plan.setting, plan.architecture
    hidden = setting.tokens * a.hidden_size * BYTES[setting.weight]
    hosts = plan.checkpointing and run.activation_offloading and hidden > OFFLOADED_ABOVE
    table = _rows(a, setting.tokens) * a.head_dim * BYTES[setting.weight]
    kept: list[tuple[str, int, int]] = [("cosines and sines of the positions", table, 2)]
    if hosts:  # the second only where 512 MiB are free behind the first pass (unsloth_zoo, DOUBLE_BUFFER_HEADROOM)
        kept.append(("a layer's input on its way back from the host", hidden, 2))
    if setting.bits:
        largest = max(p.inputs * p.outputs for stack in plan.stacks for p in stack.projections)
        kept.append(("the last 4-bit weight unpacked", largest * BYTES[setting.weight], 1))
    setting = replace(
        setting, compute=setting.weight, liger_norm=True, masks=NO_MASKS,
        batch=1, length=setting.tokens,
    )
    return replace(
        plan, setting=setting, loss=HAND_WRITTEN, offloads=False, hosts=hosts, expandable=True,
        spare=hidden if hosts else 0, runs_ahead=False, evaluation=None,
        embeds_gradient=True, buffers=(*plan.buffers, *kept),
    )


def _rows(a: Architecture, tokens: int) -> int:
    """Of a table: for all positions of the model, and for the rows of a batch laid end to end where those are longer."""
    positions = a.max_position_embeddings or POSITIONS.get(a.model_type, ROTATED_AT_ONCE)
    if tokens <= positions <= ROTATED:
        return positions
    return -(-max(tokens, positions) // ROTATED_AT_ONCE) * ROTATED_AT_ONCE

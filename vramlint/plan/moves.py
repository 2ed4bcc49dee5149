"""What may be changed to save memory: every single move on a run, how safe it is and what it costs in speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vramlint.dataclass import dataclass
from vramlint.findings import Safety
from vramlint.run import Change, Run


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the framework, the card and the installed packages let a plan use.

    `liger` says that its kernels exist for this architecture; `liger_installed` that the project's lock or requirements
    file has the package, or the framework brings it along, which makes using it safe. `adapters`: the framework makes
    adapters where a key of its file says so. `attention_targets`: the modules that peft adapts of this architecture unless told.
    """

    bf16: bool = True
    flash_attention_2: bool = False
    liger: bool = False
    liger_installed: bool = False
    bitsandbytes: bool = True
    four_bit: bool = True
    adapters: bool = False
    attention_targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Move:
    """One thing to do. Moves of one `axis` exclude one another and are ordered from mild to strong.

    `slowdown` is the rough share of speed it costs (0.3: a third slower), `harm` how far it changes what is learnt (0: not,
    1: rounding, 2 to 4: less is trained or on less, 6: another method); both only order plans.
    """

    axis: str
    title: str
    safety: Safety
    slowdown: float
    changes: tuple[Change, ...]
    harm: int = 0


TRL = "trl-"
PLAIN_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")
NEED_FULL_WEIGHTS = ("lomo", "adalomo", "galore_adamw", "galore_adamw_8bit", "galore_adafactor", "apollo_adamw")
"""Optimizers for all weights; adapters have no use for them."""
OFFLOADING_SINCE = {"trl-sft": (0, 18), "trl-dpo": (0, 29), "trl-reward": (0, 29), "trl-kto": (1, 16)}
"""The versions of TRL whose configs are known to have `activation_offloading` (trl/trainer/*_config.py); GRPO's has none."""
PADDING_FREE_SINCE = (0, 16)
CHUNKED_LOSS_SINCE = (1, 4)
PAGED = {
    "adamw_8bit": "paged_adamw_8bit", "adamw_bnb_8bit": "paged_adamw_8bit", "paged_adamw": "paged_adamw_8bit",
    "paged_adamw_32bit": "paged_adamw_8bit", "lion_8bit": "paged_lion_8bit", "ademamix_8bit": "paged_ademamix_8bit",
}
"""bitsandbytes' optimizers → what of them takes less room: states that can move to the host, and in 8 bit."""
HUGGING_FACE = (
    "transformers", "trl-sft", "trl-dpo", "trl-reward", "trl-kto", "trl-grpo", "trl-rloo", "trl-orpo", "trl-cpo",
)


def moves_for(run: Run, allowed: Allowed) -> list[Move]:
    """All moves that the run leaves open, mild before strong within an axis, safe axes first."""
    found = [move for source in SOURCES for move in source(run, allowed)]
    return [move for move in found if not _touches_unknown(run, move)]


def needed_moves(run: Run, allowed: Allowed) -> list[Move]:
    """The moves without which the run does not run on this card at all: fp16 where there is no bf16."""
    if not run.bf16 or allowed.bf16:
        return []
    changes = [Change("bf16", value=False), Change("fp16", value=True)]
    if run.load_in_4bit and run.bnb_4bit_compute_dtype == "bfloat16":
        changes.append(Change("bnb_4bit_compute_dtype", "float16"))
    if run.dtype != "float16" and not run.use_peft:
        # GradScaler cannot unscale 16-bit gradients: torch/amp/grad_scaler.py, _unscale_grads_
        changes += [] if run.dtype == "float32" else [Change("dtype", "float32")]
    elif run.dtype == "bfloat16":
        changes.append(Change("dtype", "float16"))
    return [Move("precision", "bf16 → fp16, which this card has", Safety.UNSAFE, 0.0, tuple(changes), harm=1)]


def _has(run: Run, library: str, since: tuple[int, int]) -> bool:
    """Whether the run's version of a library is one of those from `since` on; where none is named it is the current one."""
    numbers = [int(part) for part in run.stack.get(library, "").split(".")[:2] if part.isdecimal()]
    return not numbers or tuple(numbers) >= since


def _touches_unknown(run: Run, move: Move) -> bool:
    return any(change.key in run.unknown for change in move.changes)


def least_batch(run: Run) -> int:
    """The smallest micro batch that the trainer takes: KTO compares rows with each other (trl 1.16, kto_trainer.py)."""
    return 2 if run.trainer == "trl-kto" else 1


def _batch(run: Run, _: Allowed) -> Iterator[Move]:
    batch, accumulation = run.per_device_train_batch_size, run.gradient_accumulation_steps
    for divisor in range(2, batch // least_batch(run) + 1):
        if batch % divisor == 0:
            yield Move(
                "batch", f"batch {batch} → {batch // divisor}, accumulation {accumulation} → {accumulation * divisor}",
                Safety.SAFE, 0.02 * divisor,
                (
                    Change("per_device_train_batch_size", batch // divisor),
                    Change("gradient_accumulation_steps", accumulation * divisor),
                ),
            )


def _checkpointing(run: Run, _: Allowed) -> Iterator[Move]:
    if not run.gradient_checkpointing:
        yield Move(
            "checkpointing", "gradient checkpointing on", Safety.SAFE, 0.3, (Change("gradient_checkpointing", True),),
        )


def _loss(run: Run, allowed: Allowed) -> Iterator[Move]:
    chunks = run.trainer == "trl-sft" and _has(run, "trl", CHUNKED_LOSS_SINCE)
    if chunks and run.loss_type == "nll" and not run.use_liger_kernel:
        yield Move("loss", "TRL's chunked loss", Safety.SAFE, 0.0, (Change("loss_type", "chunked_nll"),))
    elif not run.use_liger_kernel and allowed.liger and run.trainer in HUGGING_FACE:
        yield Move(
            "loss", "Liger kernels: the loss without the logits",
            Safety.SAFE if allowed.liger_installed else Safety.UNSAFE, -0.05,
            (Change("use_liger_kernel", True),), harm=0,
        )


def _attention(run: Run, allowed: Allowed) -> Iterator[Move]:
    if run.attn_implementation == "eager":
        yield Move("attention", "sdpa attention", Safety.SAFE, -0.1, (Change("attn_implementation", "sdpa"),))
    elif run.attn_implementation in (None, "sdpa") and allowed.flash_attention_2 and run.padding and (run.bf16 or run.fp16):
        yield Move(
            "attention", "flash-attention 2", Safety.UNSAFE, -0.1, (Change("attn_implementation", "flash_attention_2"),),
        )


def _reentrant(run: Run, _: Allowed) -> Iterator[Move]:
    if run.gradient_checkpointing and run.use_reentrant:
        yield Move("reentrant", "non-reentrant checkpointing", Safety.SAFE, 0.0, (Change("use_reentrant", value=False),))


def _padding_free(run: Run, _: Allowed) -> Iterator[Move]:
    flash = run.attn_implementation in ("flash_attention_2", "flash_attention_3")
    supported = run.trainer == "trl-sft" and _has(run, "trl", PADDING_FREE_SINCE)
    if supported and flash and run.padding and not (run.packing or run.padding_free):
        yield Move("padding", "padding-free batches", Safety.UNSAFE, -0.1, (Change("padding_free", True),))


def _fused_optimizer(run: Run, _: Allowed) -> Iterator[Move]:
    if run.optim in ("adamw_torch", "adamw_hf"):
        yield Move("optimizer", "fused AdamW", Safety.SAFE, 0.0, (Change("optim", "adamw_torch_fused"),))


def _evaluation(run: Run, _: Allowed) -> Iterator[Move]:
    if run.eval_strategy != "no" and run.per_device_eval_batch_size > run.per_device_train_batch_size:
        yield Move(
            "evaluation", f"evaluation batch {run.per_device_eval_batch_size} → {run.per_device_train_batch_size}",
            Safety.SAFE, 0.0, (Change("per_device_eval_batch_size", run.per_device_train_batch_size),),
        )


def _evaluated_logits(run: Run, _: Allowed) -> Iterator[Move]:
    if run.eval_strategy != "no" and not run.prediction_loss_only and run.eval_accumulation_steps is None:
        yield Move(
            "evaluated-logits", "evaluation's logits to the CPU after each step", Safety.SAFE, 0.02,
            (Change("eval_accumulation_steps", 1),),
        )


def _small_optimizer(run: Run, allowed: Allowed) -> Iterator[Move]:
    if not allowed.bitsandbytes or run.deepspeed or run.fsdp:
        return
    if run.optim in PAGED:
        harm = int(run.optim.endswith(("32bit", "adamw")))
        yield Move(
            "optimizer-state", f"{PAGED[run.optim]}, whose states can move to the host", Safety.UNSAFE, 0.1,
            (Change("optim", PAGED[run.optim]),), harm=harm,
        )
    elif run.optim.startswith("adamw_torch"):
        yield Move("optimizer-state", "8-bit AdamW", Safety.UNSAFE, 0.02, (Change("optim", "adamw_8bit"),), harm=1)
        yield Move(
            "optimizer-state", "paged 8-bit AdamW", Safety.UNSAFE, 0.1, (Change("optim", "paged_adamw_8bit"),), harm=1,
        )


def _loading_dtype(run: Run, allowed: Allowed) -> Iterator[Move]:
    full_with_scaler = run.fp16 and not run.use_peft  # GradScaler cannot unscale 16-bit gradients
    if run.dtype == "float32" and run.trainer in HUGGING_FACE and not full_with_scaler:
        dtype = "bfloat16" if allowed.bf16 else "float16"
        yield Move("dtype", f"load the model in {dtype}", Safety.UNSAFE, 0.0, (Change("dtype", dtype),), harm=1)


def _upcast(run: Run, _: Allowed) -> Iterator[Move]:
    if run.prepare_model_for_kbit_training and (run.load_in_4bit or run.load_in_8bit) and run.trainer == "transformers":
        yield Move(
            "upcast", "no upcast of embeddings, head and norms to fp32", Safety.UNSAFE, 0.0,
            (Change("prepare_model_for_kbit_training", value=False),), harm=1,
        )


def _quantisation(run: Run, allowed: Allowed) -> Iterator[Move]:
    if run.load_in_4bit:
        if not run.bnb_4bit_use_double_quant:
            yield Move(
                "quantisation", "double quantisation", Safety.UNSAFE, 0.02,
                (Change("bnb_4bit_use_double_quant", True),), harm=1,
            )
    elif run.use_peft and allowed.four_bit:
        eight = (Change("load_in_8bit", value=False),) if run.load_in_8bit else ()
        yield Move("quantisation", "4-bit base (QLoRA)", Safety.UNSAFE, 0.3, (*eight, *_four_bit(allowed)), harm=2)


def _offload(run: Run, _: Allowed) -> Iterator[Move]:
    since = OFFLOADING_SINCE.get(run.trainer)
    if since is not None and _has(run, "trl", since) and not run.activation_offloading:
        yield Move(
            "offload", "activation offloading", Safety.UNSAFE, 0.4, (Change("activation_offloading", True),),
        )


def _rank(run: Run, _: Allowed) -> Iterator[Move]:
    rank, alpha = run.lora_r, run.lora_alpha
    while run.use_peft and rank % 2 == 0 and rank > 8 and "lora_alpha" not in run.unknown:
        rank, alpha = rank // 2, alpha / 2
        scaled = int(alpha) if alpha == int(alpha) else alpha
        yield Move(
            "rank", f"LoRA rank {rank}, alpha {scaled:g}", Safety.UNSAFE, 0.0,
            (Change("lora_r", rank), Change("lora_alpha", scaled)), harm=3,
        )


def _targets(run: Run, allowed: Allowed) -> Iterator[Move]:
    named, fewer = run.lora_target_modules, allowed.attention_targets
    if run.use_peft and fewer and (named == "all-linear" or (isinstance(named, tuple) and set(fewer) < set(named))):
        yield Move(
            "targets", f"LoRA on {' and '.join(fewer)} only", Safety.UNSAFE, 0.0, (Change("lora_target_modules", fewer),), harm=3,
        )


def _sequence(run: Run, _: Allowed) -> Iterator[Move]:
    length = run.max_length
    while length and length % 2 == 0 and length > 256:
        length //= 2
        yield Move(
            "sequence", f"sequences of {length} tokens", Safety.UNSAFE, 0.0, (Change("max_length", length),), harm=4,
        )


def _adapters(run: Run, allowed: Allowed) -> Iterator[Move]:
    if run.use_peft or not (allowed.adapters or run.trainer.startswith(TRL)) or run.optim in NEED_FULL_WEIGHTS:
        return
    lora: tuple[Change, ...] = (Change("use_peft", True), Change("lora_r", 16), Change("lora_alpha", 32))
    if allowed.adapters:  # frameworks with no default of their own for the modules, or with this one
        lora = (*lora, Change("lora_target_modules", "all-linear"))
    yield Move("method", "LoRA (rank 16) instead of training every weight", Safety.UNSAFE, 0.0, lora, harm=6)
    if allowed.four_bit:
        yield Move(
            "method", "QLoRA (rank 16, 4-bit base) instead of training every weight", Safety.UNSAFE, 0.3,
            (*lora, *_four_bit(allowed)), harm=8,
        )


def _four_bit(allowed: Allowed) -> tuple[Change, ...]:
    compute = "bfloat16" if allowed.bf16 else "float16"
    return (
        Change("load_in_4bit", True), Change("bnb_4bit_quant_type", "nf4"), Change("bnb_4bit_compute_dtype", compute),
    )


def _sharding(run: Run, _: Allowed) -> Iterator[Move]:
    """FSDP over the cards that train together anyway; under mixed precision it keeps fp32 weights, so results may differ."""
    alone = run.deepspeed is None and run.fsdp is None and not run.zero_stage
    if run.num_processes > 1 and alone and run.optim in PLAIN_OPTIMIZERS and run.trainer in ("transformers", "trl-sft"):
        yield Move(
            "sharding", f"shard over the {run.num_processes} cards (FSDP)", Safety.UNSAFE, 0.15,
            (Change("fsdp", "full_shard auto_wrap"),), harm=1,
        )


SOURCES: tuple[Callable[[Run, Allowed], Iterator[Move]], ...] = (
    _loss, _attention, _reentrant, _padding_free, _fused_optimizer, _evaluation, _evaluated_logits, _batch, _checkpointing,
    _sharding, _small_optimizer, _loading_dtype, _upcast, _quantisation, _offload, _rank, _targets, _sequence, _adapters,
)
"""In the order in which plans of equal size and speed are preferred."""

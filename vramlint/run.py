"""The vocabulary all rooms meet at: what is trained and how, in Hugging Face's names.

A `Run` is plain data. Its schema is `schemas/run.schema.json`: a test holds the two to the same keys,
types and vocabularies. Every dialect maps its own keys onto these; nothing here knows a file format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from vramlint.dataclass import dataclass, field, replace

Value = str | int | float | bool | None | tuple["Value", ...]
"""What a canonical key may hold; lists are tuples so that a `Run` is hashable data."""

Dtype = Literal["float32", "bfloat16", "float16", "auto"]
Trainer = Literal[
    "transformers", "trl-sft", "trl-dpo", "trl-reward", "trl-kto", "trl-grpo", "trl-rloo", "trl-orpo", "trl-cpo",
    "torchtune", "litgpt", "torchtitan", "nanogpt", "unsloth", "axolotl", "llamafactory", "other",
    "oumi", "verl", "llm-foundry", "xtuner", "openrlhf", "nemo-automodel", "prime-rl", "gpt-neox", "kohya", "diffusion-pipe",
]


Task = Literal["causal-lm", "seq-cls", "token-cls", "masked-lm", "seq2seq-lm", "other"]
"""Which head is trained: that of AutoModelForCausalLM, …SequenceClassification, …TokenClassification, …MaskedLM, …Seq2SeqLM."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a canonical key: set it to `value`, or with `delete` take it out (back to the default).

    Whether setting means replacing a value or inserting a key depends on the file; `dialects` decides.
    """

    key: str
    value: Value = None
    delete: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One training run. Every field is the value in force: as written, or the framework's default.

    `unknown` names the keys whose value cannot be known (`${…}`, a call, required but absent) and why; the
    field itself then holds its default so that the type is right, and must not be trusted. Where such a key
    decides the memory there is no estimate.
    """

    # what is trained
    model_name_or_path: str | None = None
    dtype: Dtype = "auto"
    attn_implementation: str | None = None
    trainer: Trainer = "transformers"
    task: Task | None = None
    num_labels: int = 2
    prepare_model_for_kbit_training: bool = False
    float32_ends: bool = False

    # 4-bit and 8-bit base (BitsAndBytesConfig)
    load_in_4bit: bool = False
    load_in_8bit: bool = False
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "fp4"
    bnb_4bit_use_double_quant: bool = False
    bnb_4bit_compute_dtype: Dtype = "float32"
    bnb_4bit_quant_storage: str = "uint8"
    llm_int8_skip_modules: tuple[str, ...] | None = None

    # adapters (LoraConfig; TRL's flat names, since `r` alone says nothing in a flat file)
    use_peft: bool = False
    peft_type: str = "LORA"
    lora_r: int = 8
    lora_alpha: float = 8
    lora_dropout: float = 0.0
    lora_target_modules: tuple[str, ...] | str | None = None
    lora_modules_to_save: tuple[str, ...] | None = None
    lora_bias: str = "none"
    use_rslora: bool = False
    use_dora: bool = False
    autocast_adapter_dtype: bool = True
    unfrozen_parameters: tuple[str, ...] | None = None

    # batch and sequence
    per_device_train_batch_size: int = 8
    per_device_eval_batch_size: int = 8
    gradient_accumulation_steps: int = 1
    max_length: int | None = None
    max_target_length: int | None = None
    padding: bool = True
    packing: bool = False
    packing_strategy: str = "bfd"
    padding_free: bool = False
    eval_packing: bool | None = None

    # precision
    bf16: bool = False
    fp16: bool = False
    tf32: bool | None = None
    bf16_full_eval: bool = False
    fp16_full_eval: bool = False

    # the step
    gradient_checkpointing: bool = False
    selective_checkpointing: str | None = None
    use_reentrant: bool | None = None
    activation_offloading: bool = False
    use_liger_kernel: bool = False
    liger_kernel_config: tuple[str, ...] | None = None
    loss_type: str | None = None
    use_cache: bool = False
    transformers_model: bool = False
    torch_compile: bool = False
    max_grad_norm: float = 1.0
    neftune_noise_alpha: float | None = None
    auto_find_batch_size: bool = False
    torch_empty_cache_steps: int | None = None
    label_smoothing_factor: float = 0.0

    # optimizer
    optim: str = "adamw_torch_fused"
    optimizer_in_backward: bool = False
    optim_args: str | None = None
    optim_target_modules: tuple[str, ...] | str | None = None
    learning_rate: float = 5e-5
    lr_scheduler_type: str = "linear"
    weight_decay: float = 0.0

    # evaluation
    eval_strategy: Literal["no", "steps", "epoch"] = "no"
    eval_accumulation_steps: int | None = None
    prediction_loss_only: bool = False
    eval_steps: float | None = None

    # saving and loading, which decide no memory and do decide whether a run starts
    save_strategy: Literal["no", "steps", "epoch", "best"] = "steps"
    save_steps: float = 500
    save_only_model: bool = False
    load_best_model_at_end: bool = False
    metric_for_best_model: str | None = None
    dataloader_num_workers: int = 0
    dataloader_prefetch_factor: int | None = None

    # preference and reinforcement trainers
    beta: float | None = None
    reference_model: bool | None = None
    precompute_ref_log_probs: bool = False
    max_prompt_length: int | None = None
    max_completion_length: int | None = None
    num_generations: int | None = None
    generation_batch_size: int | None = None
    steps_per_generation: int | None = None
    num_iterations: int = 1
    use_vllm: bool = False
    vllm_mode: str | None = None
    vllm_gpu_memory_utilization: float | None = None

    # parallelism
    num_processes: int = 1
    zero_stage: int = 0
    offload_optimizer: bool = False
    offload_param: bool = False
    zero_reduce_bucket_size: int | None = 500_000_000
    zero_allgather_bucket_size: int = 500_000_000
    zero_overlap_comm: bool | None = None
    zero_contiguous_gradients: bool = True
    fsdp: str | None = None
    fsdp_offload: bool = False
    fsdp_version: int = 2
    fsdp_auto_wrap: bool = True
    fsdp_reshard_after_forward: bool = True
    tensor_parallel_size: int = 1
    pipeline_parallel_size: int = 1
    context_parallel_size: int = 1
    deepspeed: str | None = None

    unknown: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    stack: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Library → version that the run is estimated for; empty means the current stack."""


def with_changes(run: Run, changes: Iterable[Change]) -> Run:
    """The run with each key set; what a changed key unlocked or implied elsewhere is the dialect's to say, not this."""
    values = {change.key: change.value for change in changes if not change.delete}
    unknown = {key: why for key, why in run.unknown.items() if key not in values}
    return replace(run, **values, unknown=unknown)  # type: ignore[arg-type]  # keys and types are the schema's

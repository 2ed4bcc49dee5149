"""Every parameter of a model: how many of each shape, in which dtype, trained or not, quantised or not."""

from __future__ import annotations

from math import prod

from vramlint.catalog import PEFT_DEFAULT_TARGETS, Architecture
from vramlint.dataclass import dataclass, replace
from vramlint.memory.blocks import BlockShape
from vramlint.memory.delta_shape import delta_rows, delta_vectors
from vramlint.memory.dtypes import BYTES
from vramlint.memory.experts import Experts, experts_of
from vramlint.memory.latent import latent_names, latent_norms, latent_of, latent_rows
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class Weight:
    """`count` parameters of one shape. `quantized`: stored in 4 or 8 bits; `role` says what they are."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    trained: bool
    count: int = 1
    quantized: int = 0
    role: str = "weights"

    @property
    def elements(self) -> int:
        """Of one of them."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of one of them as kept between steps, without the allocator's rounding."""
        return self.elements * BYTES[self.dtype] if not self.quantized else self.elements * self.quantized // 8


@dataclass(frozen=True, slots=True)
class Projection:
    """A linear layer of the block: its inputs, outputs, whether it has a bias, whether LoRA is on it.

    `plain`: it stays as it is where the base is quantised. `parts`: of one that makes queries, keys and values at once, how
    many of the three LoRA is on, and `reached`, how many of the outputs.
    """

    name: str
    inputs: int
    outputs: int
    bias: bool
    adapted: bool = False
    plain: bool = False
    parts: int = 0
    reached: int = 0


TOGETHER = "qkv"
"""The name of a projection to queries, keys and values whose adapters are switched for each of the three (LitGPT)."""


def projections_of(architecture: Architecture, block: BlockShape, run: Run) -> tuple[Projection, ...]:
    """The linear layers of one decoder block in order."""
    a = architecture
    hidden, query = a.hidden_size, a.num_attention_heads * a.head_dim
    key, inner = a.num_key_value_heads * a.head_dim, a.intermediate_size
    qkv, out, mlp = a.attention_bias, a.attention_output_bias, _mlp_bias(a)
    latent = latent_of(a) if block.latent else None
    if latent is not None:
        rows = latent_rows(a, latent)
    elif block.delta:
        rows = delta_rows(a)
    elif block.gated:
        rows = [(hidden, 2 * query, qkv), (hidden, key, qkv), (hidden, key, qkv), (query, hidden, out)]
    elif block.qkv == "fused":
        rows = [(hidden, query + 2 * key, qkv), (query, hidden, out)]
    else:
        rows = [(hidden, query, qkv), (hidden, key, qkv), (hidden, key, qkv), (query, hidden, out)]
    if block.mlp == "gated":
        rows += [(hidden, inner, mlp), (hidden, inner, mlp), (inner, hidden, mlp)]
    elif block.mlp == "fused-gated":
        rows += [(hidden, 2 * inner, mlp), (inner, hidden, mlp)]
    elif block.experts is not None:
        rows += _shared_rows(architecture, block)
    else:
        rows += [(hidden, inner, mlp), (inner, hidden, mlp)]
    targets = lora_targets(architecture, run) if run.use_peft else ()
    # peft turns the names that the experts' parts had into names of fused parameters, and looks for no module under them.
    moved = block.experts.adapts if block.experts else ()
    made = [
        Projection(name, *row, adapted=name not in moved and is_lora_target(name, targets))
        for name, row in zip((*(latent_names(latent) if latent else ()), *block.names), rows, strict=True)
    ]
    if block.names[0] == TOGETHER and targets:
        sizes = {"q_proj": query, "k_proj": key, "v_proj": key}
        reached = [size for name, size in sizes.items() if is_lora_target(name, targets)]
        made[0] = replace(made[0], adapted=bool(reached), parts=len(reached), reached=sum(reached))
    return tuple(made)


def _shared_rows(architecture: Architecture, block: BlockShape) -> list[tuple[int, int, bool]]:
    """The linear layers of the experts that every token goes to."""
    if block.experts is None or not block.experts.shared:
        return []
    hidden, extra = architecture.hidden_size, architecture.extra
    inner = extra.get("shared_expert_intermediate_size")
    if not isinstance(inner, int):
        shared = extra.get("n_shared_experts") or extra.get("moe_num_shared_experts") or 1
        inner = architecture.moe_intermediate_size * int(str(shared))
    rows = [(hidden, inner, False), (hidden, inner, False), (inner, hidden, False)]
    return [*rows, (hidden, 1, False)] if block.experts.shared == "gated" else rows


def routed_experts(architecture: Architecture, block: BlockShape, run: Run) -> Experts | None:
    """The experts that a router chooses from, where the layer has any."""
    if block.experts is None:
        return None
    adapts = run.use_peft and run.trainer != "nemo-automodel"  # whose LoRA is on linear layers alone
    return experts_of(architecture, block.experts, lora_targets(architecture, run) if adapts else ())


def lora_targets(architecture: Architecture, run: Run) -> tuple[str, ...]:
    """The names that LoRA looks for; `("all-linear",)` stands for every linear layer but the head."""
    wanted = run.lora_target_modules
    if wanted is None:
        return PEFT_DEFAULT_TARGETS.get(architecture.model_type, ())
    return (wanted,) if isinstance(wanted, str) else wanted


def is_lora_target(name: str, targets: tuple[str, ...]) -> bool:
    """Whether a module of that name in a layer, or beside the layers, is among what `lora_targets` gave."""
    if "all-linear" in targets:
        return True
    if len(targets) == 1 and targets[0].startswith("*"):
        return name.endswith(targets[0][1:])
    if len(targets) == 1 and any(character in targets[0] for character in ".*|(["):
        return name in targets[0]
    return any(target.rpartition(".")[2] == name for target in targets)


def _mlp_bias(architecture: Architecture) -> bool:
    kind, extra = architecture.model_type, architecture.extra
    plain = kind in ("gpt2", "opt", "phi", "gpt_neox", "gpt_bigcode") or (kind == "falcon" and bool(extra.get("bias")))
    return architecture.mlp_bias or plain or bool(extra.get("use_bias") and kind in ("starcoder2", "ernie4_5"))


def norm_sizes(architecture: Architecture, block: BlockShape) -> list[int]:
    """The elements of each parameter of one block that is no matrix: of norms above all (weight, and bias if there is one)."""
    hidden = architecture.hidden_size
    main = 4 if block.sandwich else 1 if block.shared_norm else 2
    sizes = [hidden] * main
    if block.norm.startswith("layer") and architecture.model_type != "olmo":
        sizes = sizes * (1 if architecture.model_type in ("cohere", "cohere2") else 2)
    if block.norm == "layer" and architecture.model_type == "olmo":
        sizes = []
    latent = latent_of(architecture) if block.latent else None
    if latent is not None:
        sizes += latent_norms(latent)
    if block.delta:
        return sizes + delta_vectors(architecture)
    if block.qk_norm == "head":
        sizes += [architecture.head_dim] * 2
    elif block.qk_norm == "full":
        sizes += [
            architecture.num_attention_heads * architecture.head_dim,
            architecture.num_key_value_heads * architecture.head_dim,
        ]
    return sizes

"""What each optimizer keeps of every parameter between steps, after transformers 5.17 and the libraries that it takes."""

from __future__ import annotations

from vramlint.dataclass import dataclass, replace
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class LowRank:
    """Gradients projected to a low rank: the library, the rank, the modules whose weights are (`optim_target_modules`)."""

    kind: str
    rank: int
    targets: tuple[str, ...] | str


@dataclass(frozen=True, slots=True)
class Optimizer:
    """`states` tensors of the parameter's size, `state_bytes` per element (0: the parameter's dtype).

    `blockwise`: 8-bit states with one fp32 maximum per 256 elements; parameters under 4096 elements keep fp32 states
    (bitsandbytes 0.50, optim/optimizer.py). `paged`: the states live in managed memory. `factored`: a row and a column in fp32
    instead. `torchao`: bits of the states of torchao, in blocks of `block`. `scalars`: tensors of one element besides, for each
    parameter. `kahan`: one state more for 16-bit parameters, a scalar for others.
    `remainder`: flashoptim's: two states of a byte, a 16-bit scale for each 32, so many bytes of what 16 bits leave out.
    `group`: bytes for a moment for each byte of a group's parameters (foreach). `update`: which of `updates.UPDATES` is played
    for each parameter. `in_backward`: each gradient is used up as soon as it is there (`layerwise`: by a hook of its own; else
    when the next one comes).
    """

    states: int
    state_bytes: int = 0
    blockwise: bool = False
    paged: bool = False
    factored: bool = False
    torchao: int = 0
    block: int = 256
    scalars: int = 0
    kahan: bool = False
    remainder: int = -1
    group: float = 0.0
    update: str = ""
    in_backward: bool = False
    layerwise: bool = False
    low_rank: LowRank | None = None
    outer_states: bool = True
    """Whether 8-bit optimizers keep the states of an embedding in 32 bits, as the Trainer has them do."""


_BLOCKWISE = Optimizer(2, 1, blockwise=True)
_PAGED = Optimizer(2, 4, paged=True)
_ADAFACTOR = Optimizer(0, factored=True, update="adafactor")

OPTIMIZERS: dict[str, Optimizer] = {
    "adamw_torch": Optimizer(2, group=1.0), "adam": Optimizer(2, group=1.0),
    "adamw_torch_fused": Optimizer(2, scalars=1),  # its step counters are on the card (torch/optim/adam.py, _init_group)
    "adamw_8bit": _BLOCKWISE, "adamw_bnb_8bit": _BLOCKWISE,
    "paged_adamw_8bit": replace(_BLOCKWISE, paged=True),
    "paged_adamw": _PAGED, "paged_adamw_32bit": _PAGED,
    "lion_8bit": replace(_BLOCKWISE, states=1), "lion_32bit": Optimizer(1, 4),
    "paged_lion_8bit": replace(_BLOCKWISE, states=1, paged=True), "paged_lion_32bit": replace(_PAGED, states=1),
    "ademamix": Optimizer(3, 4), "ademamix_8bit": replace(_BLOCKWISE, states=3),  # two averages in one tensor, and a third
    "paged_ademamix_32bit": replace(_PAGED, states=3), "paged_ademamix_8bit": replace(_BLOCKWISE, states=3, paged=True),
    "rmsprop_bnb": Optimizer(1, 4), "rmsprop_bnb_32bit": Optimizer(1, 4), "rmsprop_bnb_8bit": replace(_BLOCKWISE, states=1),
    "adafactor": _ADAFACTOR,
    "sgd": Optimizer(0), "adagrad": Optimizer(1, group=2.0), "rmsprop": Optimizer(1, group=1.0),
    "adamw_torch_4bit": Optimizer(2, torchao=4, update="torchao"), "adamw_torch_8bit": Optimizer(2, torchao=8, update="torchao"),
    "galore_adamw": Optimizer(2, update="galore"),
    "galore_adamw_layerwise": Optimizer(2, update="galore", in_backward=True, layerwise=True),
    "galore_adamw_8bit": replace(_BLOCKWISE, update="galore_8bit"),
    "galore_adamw_8bit_layerwise": replace(_BLOCKWISE, update="galore_8bit", in_backward=True, layerwise=True),
    "galore_adafactor": _ADAFACTOR,
    "apollo_adamw": Optimizer(2, update="apollo"),
    "apollo_adamw_layerwise": Optimizer(2, update="apollo", in_backward=True, layerwise=True),
    "lomo": Optimizer(0, update="lomo", in_backward=True),
    "adalomo": Optimizer(0, factored=True, update="adalomo", in_backward=True),
    "grokadamw": Optimizer(0, update="grokadamw"),  # its three states are on the host (grokadamw 0.1.2, _update_group)
    "schedule_free_adamw": Optimizer(2, group=1.0), "schedule_free_radam": Optimizer(2, group=1.0),
    "schedule_free_sgd": Optimizer(1),
    "stable_adamw": Optimizer(2, scalars=2, kahan=True), "flash_adamw": Optimizer(0, remainder=1),
}
"""After torch 2.11 (torch/optim), bitsandbytes 0.50, torchao 0.16, galore-torch 1.0, apollo-torch 1.0, lomo-optim 0.1,
schedulefree 1.4, torch-optimi 0.3 and transformers 5.17 (optimization.py)."""

ELSEWHERE = {
    "adamw_torch_xla": "runs on XLA devices, not on a GPU under CUDA",
    "adamw_torch_npu_fused": "runs on Ascend NPUs, not on a GPU under CUDA",
    "adamw_anyprecision": "is in torchdistx, which no longer builds against today's PyTorch",
    "adamw_apex_fused": "is gone since transformers 5 (and was apex's)",
    "adamw_hf": "is gone since transformers 5: write adamw_torch",
}
"""Optimizers with no number, and why."""


def optimizer_of(run: Run) -> Optimizer:
    """The run's optimizer with what `optim_args`, weight decay and target modules make of it; KeyError for an unknown one."""
    found, given = OPTIMIZERS[run.optim], _arguments(run.optim_args)
    if run.optim == "flash_adamw":  # flashoptim 0.1.4, optimizers.py: 24 bits unless it is said
        bits = given.get("master_weight_bits", "24")
        found = replace(found, remainder=(int(bits) - 16) // 8 if bits.isdigit() else 0)
    if run.optim in ("adam", "adamw_torch") and given.get("foreach", "").lower() in ("false", "0", "no"):
        found = replace(found, group=0.0, update="one_by_one")
    if run.optim == "sgd" and _number(given.get("momentum"), 0.0):
        found = replace(found, states=1)
    if run.optim == "rmsprop":
        centred = given.get("centered", "").lower() in ("true", "1", "yes")
        found = replace(found, states=1 + bool(_number(given.get("momentum"), 0.0)) + centred)
    if run.weight_decay and run.optim in ("sgd", "adagrad", "rmsprop"):  # `_foreach_add(grads, params)`: a copy of the gradients
        found = replace(found, group=found.group + 1.0)
    if found.torchao:
        found = replace(found, block=int(_number(given.get("block_size"), 256)))
    kind = "galore" if run.optim.startswith("galore") else "apollo" if run.optim.startswith("apollo") else None
    if kind and run.optim_target_modules is not None:
        rank = max(1, int(_number(given.get("rank"), 128)))
        found = replace(found, low_rank=LowRank(kind, rank, run.optim_target_modules))
    return found


def _arguments(text: str | None) -> dict[str, str]:
    """`"rank=64, scale=0.1"` as transformers takes it apart; what is no pair is left out."""
    pairs = (part.split("=", 1) for part in (text or "").replace(" ", "").split(",") if "=" in part)
    return {pair[0]: pair[1] for pair in pairs}


def _number(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text is not None else otherwise
    except ValueError:
        return otherwise

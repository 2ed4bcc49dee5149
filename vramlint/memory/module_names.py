"""Names of modules as the libraries match them: `model.layers.0.self_attn.q_proj` for the projection `q_proj`."""

from __future__ import annotations

import re

ATTENTION = {"gpt_neox": "attention", "gpt2": "attn"}
"""What the attention module of a layer is called where it is not `self_attn` (transformers 5.17, modeling files)."""
LAYERS = {"gpt_neox": "gpt_neox.layers", "gpt2": "transformer.h", "opt": "model.decoder.layers"}
ATTENDING = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "out_proj", "qkv_proj", "dense", "query_key_value", "c_attn"})


def module_name(model_type: str, projection: str, layer: int = 0) -> str:
    """The full name of a projection's module in one layer."""
    base = f"{LAYERS.get(model_type, 'model.layers')}.{layer}"
    if projection in ATTENDING:
        return f"{base}.{ATTENTION.get(model_type, 'self_attn')}.{projection}"
    return f"{base}.{projection}" if model_type == "opt" else f"{base}.mlp.{projection}"


def is_optimizer_target(targets: tuple[str, ...] | str, name: str) -> bool:
    """Whether a module's weight is projected (transformers 5.17, trainer_utils.py, check_target_module_exists)."""
    if isinstance(targets, str):
        return targets.replace("_", "-") == "all-linear" or matches(targets, name)
    return any(target in name or matches(target, name) for target in targets)


def matches(pattern: str, name: str) -> bool:
    """`re.fullmatch`; a pattern that is none matches nothing."""
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False

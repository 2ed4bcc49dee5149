"""Decoder blocks as data: which operations a layer has, model type by model type, after transformers 5.17's modeling files."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass, replace
from vramlint.memory.delta_shape import DELTA_NAMES
from vramlint.memory.experts import ExpertShape


@dataclass(frozen=True, slots=True)
class BlockShape:
    """One decoder layer.

    `norm`: rms (HF's own fp32 arithmetic, then the weight), rms-fp32 (the weight in fp32 too), rms-fused (the same in one kernel
    of inductor's), layer (torch's kernel),
    layer-low (torch's kernel in autocast's dtype), layer-fp32 (Cohere's own arithmetic).
    `mlp`: gated, plain, fused-gated (one gate_up projection), experts (then `experts` describes them). `qkv`: split or fused.
    `sandwich`: norms after attention and mlp too. `post_only`: norms only there.
    `parallel`: attention and mlp read the same input. `attention_softcap`: eager attention caps its scores by a tanh.
    `partial_rope`: positions on some of each head, put together by `cat`, whose layout the attention's output then copies.
    `qkv_copied`: queries, keys and values are copied out of the fused projection, a key and value for each head.
    `broadcast_heads`: one key and value is broadcast to all heads, which only sdpa's math takes.
    `scaled_queries`: queries are multiplied by a number before attention. `feeds_inline`: the plain mlp is lines of the
    layer itself, which lets go of its input when the first projection is done.
    `own_linear`: its linear layers are of a class of its own, which bitsandbytes does not take for one.
    `latent`: MLA, whose widths the config has. `rotation`: how positions are turned in, a word of rotations.py.
    `parts_checkpointed`: under checkpointing each norm, attention and the MLP is a checkpoint of its own, not the layer.
    `sinks`: attention has a learned score beside those of the keys, and computes the scores in full.
    `written`: attention is written out as torchtune's gemma2 does it.
    `gated`: the output of attention is gated by a half of the queries' projection. `hybrid`: some layers have a gated delta net
    in the place of attention, `delta` says that this is one.
    `names`: the projections' module names (of the rest of the layer with MLA).
    """

    norm: str = "rms"
    mlp: str = "gated"
    qkv: str = "split"
    sandwich: bool = False
    post_only: bool = False
    parallel: bool = False
    shared_norm: bool = False
    qk_norm: str = ""
    rope: bool = True
    partial_rope: bool = False
    rotation: str = "halves"
    learned_positions: int = 0
    scaled_residual: bool = False
    scaled_embedding: bool = False
    lm_head_bias: bool = False
    final_softcap: bool = False
    attention_softcap: bool = False
    embedding_norm: bool = False
    conv1d: bool = False
    experts: ExpertShape | None = None
    latent: bool = False
    qkv_copied: bool = False
    broadcast_heads: bool = False
    own_linear: bool = False
    parts_checkpointed: bool = False
    scaled_queries: bool = False
    feeds_inline: bool = False
    sinks: bool = False
    written: bool = False
    gated: bool = False
    hybrid: bool = False
    delta: bool = False
    names: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    @property
    def attention_names(self) -> tuple[str, ...]:
        """Those of `names` that are projections of attention."""
        if self.delta:
            return DELTA_NAMES
        return () if self.latent else self.names[:2 if self.qkv == "fused" else 4]


LLAMA = BlockShape()
GLM_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
PLAIN_NAMES = ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2")
ATTENTION_NAMES = ("q_proj", "k_proj", "v_proj", "o_proj")
SHARED_NAMES = (*ATTENTION_NAMES, "gate_proj", "up_proj", "down_proj")
AS_MIXTRAL, AS_QWEN = ("gate", "w1", "w3", "w2"), ("gate", "gate_proj", "up_proj", "down_proj")
QWEN3_5 = replace(LLAMA, norm="rms-fp32", qk_norm="head", partial_rope=True, gated=True, hybrid=True)
MIXTURE = replace(LLAMA, mlp="experts", names=ATTENTION_NAMES)
QWEN3_5_MOE = replace(QWEN3_5, mlp="experts", names=(*SHARED_NAMES, "shared_expert_gate"), experts=ExpertShape(shared="gated"))
BLOCKS: dict[str, BlockShape] = {
    "llama": LLAMA, "mistral": LLAMA, "ministral": LLAMA, "qwen2": LLAMA, "smollm3": LLAMA, "seed_oss": LLAMA,
    "qwen3": replace(LLAMA, qk_norm="head"),
    "granite": replace(LLAMA, scaled_residual=True, scaled_embedding=True),
    "olmo": replace(LLAMA, norm="layer"),
    "olmo2": replace(LLAMA, post_only=True, qk_norm="full", norm="rms-fp32"),
    "olmo3": replace(LLAMA, post_only=True, qk_norm="full", norm="rms-fp32"),
    "gemma": replace(LLAMA, norm="rms-fp32", scaled_embedding=True),
    "gemma2": replace(LLAMA, scaled_embedding=True, sandwich=True, norm="rms-fp32", final_softcap=True, attention_softcap=True),
    "gemma3_text": replace(LLAMA, sandwich=True, norm="rms-fp32", qk_norm="head"),
    "helium": replace(LLAMA, norm="rms-fp32"),
    "arcee": replace(LLAMA, mlp="plain", names=("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")),
    "glm": replace(LLAMA, partial_rope=True, mlp="fused-gated", names=GLM_NAMES),
    "glm4": replace(LLAMA, partial_rope=True, mlp="fused-gated", sandwich=True, names=GLM_NAMES),
    "phi3": replace(LLAMA, partial_rope=True, qkv="fused", mlp="fused-gated",
                    names=("qkv_proj", "o_proj", "gate_up_proj", "down_proj")),
    "phi": BlockShape(partial_rope=True, norm="layer", mlp="plain", parallel=True, shared_norm=True, lm_head_bias=True,
                      names=("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2")),
    "gpt_neox": BlockShape(partial_rope=True, norm="layer", mlp="plain", qkv="fused", parallel=True,
                           names=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    "gpt2": BlockShape(norm="layer", mlp="plain", qkv="fused", rope=False, learned_positions=1, conv1d=True,
                       names=("c_attn", "c_proj", "c_fc", "c_proj")),
    "opt": BlockShape(norm="layer", mlp="plain", rope=False, learned_positions=1, scaled_queries=True, feeds_inline=True,
                      names=PLAIN_NAMES),
    "starcoder2": BlockShape(norm="layer", mlp="plain",
                             names=("q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj")),
    "stablelm": BlockShape(partial_rope=True, norm="layer", mlp="gated"),
    "cohere": BlockShape(norm="layer-fp32", mlp="gated", parallel=True, shared_norm=True, rotation="halves-fp32"),
    "cohere2": BlockShape(norm="layer-fp32", mlp="gated", parallel=True, shared_norm=True, rotation="halves-fp32"),
    "nemotron": BlockShape(norm="layer-low", mlp="plain", partial_rope=True,
                           names=("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")),
    "gpt_bigcode": BlockShape(norm="layer", mlp="plain", qkv="fused", rope=False, learned_positions=1,
                              names=("c_attn", "c_proj", "c_fc", "c_proj")),
    "falcon": BlockShape(norm="layer", mlp="plain", qkv="fused", parallel=True, shared_norm=True, broadcast_heads=True,
                         own_linear=True, names=("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h")),
    "ernie4_5": replace(LLAMA, rotation="halves-fp32"),
    "ministral3": LLAMA,
    "exaone4": replace(LLAMA, post_only=True, qk_norm="head"),
    "hunyuan_v1_dense": replace(LLAMA, qk_norm="head"),
    "mixtral": replace(MIXTURE, experts=ExpertShape(scores="float32", adapts=AS_MIXTRAL)),
    "qwen2_moe": replace(MIXTURE, experts=ExpertShape(shared="gated"),
                         names=(*SHARED_NAMES, "shared_expert_gate")),
    "qwen3_moe": replace(MIXTURE, qk_norm="head", experts=ExpertShape(adapts=AS_QWEN)),
    "olmoe": replace(MIXTURE, qk_norm="full", experts=ExpertShape(adapts=AS_QWEN)),
    "granitemoe": replace(MIXTURE, scaled_residual=True, scaled_embedding=True,
                          experts=ExpertShape(router="chosen", scores="input", counted=False)),
    "deepseek_v3": replace(MIXTURE, latent=True, names=SHARED_NAMES[4:],
                           experts=ExpertShape(router="sigmoid", shared="plain", adapts=AS_QWEN)),
    "deepseek_v2": replace(MIXTURE, latent=True, names=SHARED_NAMES[4:],
                           experts=ExpertShape(router="wide", shared="plain", scores="float32", adapts=AS_QWEN)),
    "glm4_moe": replace(MIXTURE, partial_rope=True, names=SHARED_NAMES,
                        experts=ExpertShape(router="sigmoid", shared="plain", adapts=AS_QWEN)),
    "gpt_oss": replace(MIXTURE, norm="rms-fp32", rotation="chunks", sinks=True,
                       experts=ExpertShape(router="top", gate="clamped", biased=True)),
    "qwen3_5": QWEN3_5, "qwen3_5_text": QWEN3_5,
    "qwen3_5_moe": QWEN3_5_MOE, "qwen3_5_moe_text": QWEN3_5_MOE,
    "glm4_moe_lite": replace(MIXTURE, latent=True, names=SHARED_NAMES[4:],
                             experts=ExpertShape(router="sigmoid", shared="plain", adapts=AS_QWEN)),
    "ernie4_5_moe": replace(MIXTURE, rotation="halves-fp32", names=SHARED_NAMES,
                            experts=ExpertShape(router="wide", shared="before", scores="input", adapts=AS_QWEN, corrected=True)),
    "phimoe": replace(MIXTURE, norm="layer", lm_head_bias=True,
                      experts=ExpertShape(router="mixer", scores="autocast", counted=False)),
}


def block_of(architecture: Architecture) -> BlockShape | None:
    """The layer of a model type, or None if it is not described yet, or not with what this model has besides."""
    extra = architecture.extra
    narrow = extra.get("word_embed_proj_dim", architecture.hidden_size) != architecture.hidden_size
    normed = extra.get("use_qk_norm") or extra.get("qk_layernorm") or extra.get("qk_norm") == "per-head-layernorm"
    if narrow or (normed and architecture.model_type in ("cohere", "stablelm")):
        return None
    if architecture.model_type == "falcon":
        return _falcon(architecture)
    if architecture.model_type == "glm4_moe" and (extra.get("use_qk_norm") or extra.get("qk_norm") == "head"):
        return replace(BLOCKS["glm4_moe"], qk_norm="head")
    spaced = extra.get("moe_layer_interval", 1) != 1 or extra.get("moe_layer_end_index", -1) not in (
        -1, architecture.num_hidden_layers - 1)
    if extra.get("mlp_only_layers") or extra.get("decoder_sparse_step", 1) != 1 or spaced:  # some layers without experts
        return None
    return BLOCKS.get(architecture.model_type)


def _falcon(a: Architecture) -> BlockShape | None:
    """Falcon's 7B has one key and value for all heads, its larger models groups of them, its first ones alibi."""
    extra = a.extra
    if extra.get("alibi") or extra.get("position") == "alibi" or not extra.get("parallel_attn", True):
        return None
    if a.num_key_value_heads == 1:
        return BLOCKS["falcon"]
    norms = extra.get("num_ln_in_parallel_attn") or extra.get("norms_per_layer") or 2
    return replace(BLOCKS["falcon"], broadcast_heads=False, qkv_copied=True, shared_norm=norms == 1)

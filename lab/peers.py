"""What other static estimators say of the published runs: `python -m lab.peers > lab/data/peers.csv`.

Runs the released packages through their own Python interfaces, each told everything it can be told. In an environment
of its own: `pip install --no-deps fitscout==0.1.1 ftuneai==0.4.1 torch-preflight==0.5.0 PyYAML libcst`.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from typing import Any

from lab.case import architecture_fields
from lab.published_data import ARCHITECTURES, PLAIN, published_rows

PARAMETERS = {
    "santacoder": 1_124_886_528,
    "powerlm-3b": 3_512_017_152,
    "mistral-7b-v0.1": 7_241_732_096,
    "mixtral-8x7b": 46_702_792_704,
    "llama-2-70b": 68_976_648_192,
}
GIB = 2**30


def shape(row: Mapping[str, str]) -> dict[str, Any]:
    """The model's sizes under one set of names."""
    name = ARCHITECTURES[row["model"]]
    fields = architecture_fields({"arch": name})
    heads = fields.get("num_attention_heads", fields.get("n_head"))
    return {
        "params": PARAMETERS[name],
        "layers": fields.get("num_hidden_layers", fields.get("n_layer")),
        "hidden": fields.get("hidden_size", fields.get("n_embd")),
        "heads": heads,
        "kv_heads": 1 if fields.get("multi_query") else fields.get("num_key_value_heads", heads),
        "intermediate": fields.get("intermediate_size", fields.get("n_inner")),
        "vocab": fields["vocab_size"],
        "tied": fields["tie_word_embeddings"],
        "experts": fields.get("num_local_experts", 1),
    }


def fitscout(row: Mapping[str, str]) -> float:
    """The total of fitscout, in bytes."""
    from fitscout.memory.estimator import estimate_memory
    from fitscout.model.profile import ModelProfile

    s = shape(row)
    profile = ModelProfile(
        params=s["params"],
        num_layers=s["layers"],
        hidden_size=s["hidden"],
        num_attention_heads=s["heads"],
        num_kv_heads=s["kv_heads"],
        intermediate_size=s["intermediate"],
        vocab_size=s["vocab"],
        tie_word_embeddings=s["tied"],
        num_experts=s["experts"],
    )
    made = estimate_memory(
        profile,
        method=row["method"],
        micro_batch=int(row["batch"]),
        seq_len=int(row["seq"]),
        grad_ckpt=True,
        lora_rank=int(row["lora_r"] or 16),
    )
    return float(made.total_gb) * GIB


def ftuneai(row: Mapping[str, str]) -> float:
    """The total of ftuneai in bytes."""
    from ftuneai import loader
    from ftuneai.core.models import ModelSpec
    from ftuneai.estimator import Estimator

    s = shape(row)
    loader.load_models()[row["model"]] = ModelSpec(
        name=row["model"],
        parameters=s["params"],
        hidden_size=s["hidden"],
        num_layers=s["layers"],
        num_attention_heads=s["heads"],
        num_kv_heads=s["kv_heads"],
        intermediate_size=s["intermediate"],
        vocab_size=s["vocab"],
        max_seq_length=4096,
        is_moe=s["experts"] > 1,
        num_experts=s["experts"] if s["experts"] > 1 else None,
    )
    estimator = Estimator(
        model=row["model"],
        method=row["method"],
        quantization="4bit" if row["method"] == "qlora" else "none",
        batch_size=int(row["batch"]),
        seq_length=int(row["seq"]),
        lora_rank=int(row["lora_r"] or 16),
        lora_target="attention_all",
        flash_attention=True,
    )
    return float(estimator.estimate_memory().total_gb) * GIB


def torch_preflight(row: Mapping[str, str]) -> float:
    """torch-preflight's total in bytes; of adapters it knows only that part of the model is frozen."""
    from torch_preflight.vram import costmodel, types

    s = shape(row)
    profile = types.ModelProfile(
        name=row["model"],
        param_count=s["params"],
        trainable_params=s["params"],
        source="formula",
        confidence=types.Confidence.HIGH,
        kind=types.ModelKind.TRANSFORMER,
        shape=types.TransformerShape(
            layers=s["layers"],
            hidden=s["hidden"],
            heads=s["heads"],
            vocab=s["vocab"],
            intermediate=s["intermediate"],
            kv_heads=s["kv_heads"],
            tied_embeddings=s["tied"],
            gated_mlp=True,
            has_lm_head=True,
        ),
    )
    config = types.RunConfig(
        batch_size=int(row["batch"]),
        seq_len=int(row["seq"]),
        precision=types.PrecisionMode.PURE_BF16,
        gradient_checkpointing=True,
        flash_attention=True,
        frozen_fraction=0.0 if row["method"] == "full" else 0.998,
    )
    return float(costmodel.estimate(profile, config).total)


PEERS: tuple[tuple[str, Callable[[Mapping[str, str]], float]], ...] = (
    ("fitscout 0.1.1", fitscout),
    ("ftuneai 0.4.1", ftuneai),
    ("torch-preflight 0.5.0", torch_preflight),
)


def main() -> None:
    """Print the table: peer, row, bytes."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["peer", "id", "bytes"])
    for row in published_rows():
        if row["kernels"] in PLAIN and "GPTQ" not in row["quantisation"]:
            for name, peer in PEERS:
                out.writerow([name, row["id"], round(peer(row))])


if __name__ == "__main__":
    main()

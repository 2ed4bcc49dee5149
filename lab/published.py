"""The published runs of lab/published_data.py, estimated, with what other estimators say of the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from lab.case import architecture_fields
from lab.compare import quantile
from lab.published_data import ARCHITECTURES, PLAIN, peer_rows, published_rows
from vramlint import catalog, memory
from vramlint.run import Run

A100 = (8, 0)
SURVEY = (
    ("unsloth Studio", "37 % mean"),
    ("fitscout 0.1.1", "67 % mean"),
    ("ftuneai 0.4.1", "38 % mean"),
    ("torch-preflight 0.5.0", "313 % mean"),
    ("EleutherAI cookbook", "550 % mean"),
    ("accelerate estimate-memory", "68 % mean (7 runs)"),
    ("alloc 0.0.16 ghost", "372 % mean"),
)
"""An earlier survey of eleven published runs of other kinds (nvidia-smi or reserved where known, else allocated)."""


EARLIER = {"ibm/PowerLM-3b": {"transformers": "4.45.2"}}
"""The file names 4.48.1 for every row. With it the phantom takes 2 bytes more for each logit than the PowerLM rows print,
to 0.02 % (lab/data/measured/stacks.jsonl): they were made before 4.46, whose models replaced the 16-bit logits by fp32 ones."""


def run_of_published(row: Mapping[str, str]) -> Run:
    """The run that a row describes: TRL's SFT on packed rows of full length, checkpointed, FlashAttention 2."""
    quantized = row["method"] == "qlora"
    return Run(
        model_name_or_path=row["model"],
        dtype="float16" if row["precision"].startswith("float16") else "bfloat16",
        attn_implementation="flash_attention_2",
        trainer="trl-sft",
        prepare_model_for_kbit_training=row["kernels"] == "baseline-peft-bnb",
        load_in_4bit=quantized,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype="bfloat16",
        use_peft=row["method"] != "full",
        lora_r=int(row["lora_r"] or 8),
        lora_target_modules=tuple(row["lora_targets"].split()) or None,
        per_device_train_batch_size=int(row["batch"]),
        max_length=int(row["seq"]),
        padding=False,
        packing=True,
        packing_strategy="wrapped",
        bf16="bf16=True" in row["precision"],
        fp16="fp16=True" in row["precision"],
        gradient_checkpointing=True,
        use_reentrant=True,
        loss_type="nll",
        optim="adamw_torch",
        stack=MappingProxyType(dict(part.split(" ") for part in row["stack"].split(", ")) | EARLIER.get(row["model"], {})),
    )


def estimate_of(row: Mapping[str, str]) -> int | str:
    """The estimate of a row in bytes, or why there is none."""
    if row["kernels"] not in PLAIN or "GPTQ" in row["quantisation"]:
        return "kernels of that project's own"
    architecture = catalog.architecture_from_config(architecture_fields({"arch": ARCHITECTURES[row["model"]]}))
    made = memory.estimate(run_of_published(row), architecture, capability=A100)
    return made.why if isinstance(made, memory.NoEstimate) else made.allocated.typical


def published_errors() -> list[float]:
    """The signed errors of the rows that have an estimate, as parts of the published figure."""
    pairs = [(estimate_of(row), int(row["allocated_bytes"])) for row in published_rows()]
    return [made / truth - 1 for made, truth in pairs if isinstance(made, int)]


def published_table() -> Iterator[str]:
    """The section of the report on published runs."""
    yield "## Published runs on real cards"
    yield ""
    yield "Peak allocated that fms-acceleration printed from A100-80GB cards (`lab/data/published.csv`), and the"
    yield "estimate of the same run with those versions (for PowerLM with transformers 4.45: `EARLIER` in lab/published.py)."
    yield ""
    yield "| run | model | method | batch × tokens | published GiB | estimated GiB | error |"
    yield "|" + "---|" * 7
    signed = []
    for row in published_rows():
        made, truth = estimate_of(row), int(row["allocated_bytes"])
        if isinstance(made, int):
            signed.append(abs(made / truth - 1))
        elif row["kernels"] not in PLAIN:
            continue
        figures = f"no estimate | {made}"
        if isinstance(made, int):
            figures = f"{made / 2**30:.3f} | {100 * (made / truth - 1):+.2f} %"
        yield (
            f"| {row['id']} | {row['model']} | {row['method']} ({row['kernels']}) | {row['batch']} × {row['seq']} | "
            f"{truth / 2**30:.3f} | {figures} |"
        )
    yield ""
    yield from peers_table(signed)


def peers_table(ours: list[float]) -> Iterator[str]:
    """Ours beside the other estimators on the same runs, and what an earlier survey found."""
    truths = {row["id"]: int(row["allocated_bytes"]) for row in published_rows()}
    by_peer: dict[str, list[float]] = {}
    for row in peer_rows():
        by_peer.setdefault(row["peer"], []).append(abs(int(row["bytes"]) / truths[row["id"]] - 1))
    yield "The other estimators were run through their own interfaces (`lab/peers.py`), told all they can be told."
    yield ""
    yield "| estimator | runs | median error | 95th percentile | worst |"
    yield "|---|---|---|---|---|"
    for name, sizes in (("vramlint", ours), *by_peer.items()):
        if sizes:
            ordered = sorted(sizes)
            figures = (quantile(ordered, 0.5), quantile(ordered, 0.95), ordered[-1])
            yield f"| {name} | {len(ordered)} | " + " | ".join(f"{100 * value:.1f} %" for value in figures) + " |"
    yield ""
    yield (
        "On eleven other published runs an earlier survey found these mean errors: "
        + "; ".join(f"{n} {e}" for n, e in SURVEY)
        + "."
    )
    yield ""

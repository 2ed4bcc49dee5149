"""Plans that are said to fit, run: random runs that do not fit a card, the planner's edit of each, on the phantom in that memory.

    python -m lab.plans PLANS.jsonl --phantom VENV [--count 200] [--cards]     draws, plans and runs; goes on where it was
    python -m lab.plans PLANS.jsonl                                  says what came of it

A line: the case as drawn, what is usable on the card, the plan, the case as planned, whether that ran in the memory that is
left beside the CUDA context, and whether the case as drawn runs out of memory there. The reference configuration is there first,
on the cards that its page names and on one without bf16. With `--cards` the runs are drawn another way, each on a card of the
catalogue: more trainers and optimizers, older and newer cards.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lab.case import complete, identity, short
from lab.cases import architecture_of, capability_of, run_of
from lab.draw import DECODERS
from lab.measure import Worker
from vramlint.catalog import FoundModel, Target, allowances, find_target
from vramlint.memory import Estimate
from vramlint.plan import Plan
from vramlint.planning import Estimator, allowed_of, plans_of
from vramlint.run import Change

SEVEN = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
REFERENCE = {
    "arch": "r1-distill-qwen-1.5b", "method": "qlora", "lora_r": 32, "lora_targets": SEVEN, "batch": 8, "grad_accum": 8,
    "seq": 512, "padded": True,
}
OTHER_NAMES = ("phi-2", "phi-3-mini", "gpt2", "pythia-410m", "opt-125m", "starcoder2-3b")
"""Architectures whose layers are not called as those of Llama are."""
REAL_CARDS = (
    "t4", "v100-16gb", "rtx2080ti", "rtx3060", "rtx3080", "rtx3090", "a10g", "l4", "rtx4060", "rtx4070", "rtx4090", "rtx5070",
    "rtx5090", "a100-40gb",
)
CARDS = ("rtx3070", "rtx3080", "rtx3060", "t4")
FIELDS = {
    "per_device_train_batch_size": "batch", "gradient_accumulation_steps": "grad_accum",
    "gradient_checkpointing": "checkpointing",
    "use_liger_kernel": "liger", "attn_implementation": "attn", "optim": "optim", "dtype": "weights", "max_length": "seq",
    "prepare_model_for_kbit_training": "kbit_prepare", "bnb_4bit_use_double_quant": "double_quant", "lora_r": "lora_r",
    "bnb_4bit_quant_type": "quant_type", "activation_offloading": "offload",
    "use_reentrant": "reentrant", "loss_type": "loss_type",
}
FOLLOWS = {"bnb_4bit_compute_dtype", "lora_alpha", "load_in_8bit", "bf16"}
"""Keys that a case has no field for: the compute dtype follows `amp`, alpha is twice the rank."""


def changed(case: Mapping[str, Any], changes: tuple[Change, ...]) -> dict[str, Any]:
    """The case with a plan's changes made."""
    made = dict(case)
    for change in changes:
        if change.key in FIELDS:
            made[FIELDS[change.key]] = change.value
        elif change.key == "fp16":
            made["amp"] = "fp16" if change.value else made.get("amp")
        elif change.key == "load_in_4bit" and change.value:
            made |= {"method": "qlora", "bits": 4, "kbit_prepare": made["trainer"] == "hf"}
        elif change.key == "use_peft" and change.value:
            made["method"] = "lora" if made["method"] == "full" else made["method"]
        elif change.key == "lora_target_modules":
            made["lora_targets"] = list(change.value) if isinstance(change.value, tuple) else change.value
        elif change.key not in FOLLOWS and change.key != "load_in_4bit":
            raise ValueError(f"a plan changes {change.key}, for which a case has no field")
    return short(made)


def drawn() -> Iterator[tuple[dict[str, Any], Target]]:
    """The reference on its cards, then random cases, each on a card that is too small for it."""
    for name in CARDS:
        card = find_target(name)
        if isinstance(card, Target):
            yield complete({**REFERENCE, "capability": "{}.{}".format(*card.compute_capability)}), card
    draw = random.Random(11)  # noqa: S311 — drawn alike each time
    while True:
        method = draw.choice(("full", "lora", "lora", "qlora"))
        weights, amp = draw.choice((("bfloat16", "bf16"), ("bfloat16", "bf16"), ("float32", "bf16"), ("bfloat16", "none")))
        case = complete({
            "arch": draw.choice(DECODERS), "method": method, "weights": weights if method == "full" else "bfloat16", "amp": amp,
            "batch": draw.choice((2, 4, 8, 16)), "grad_accum": draw.choice((1, 2, 4)), "seq": draw.choice((256, 512, 1024, 2048)),
            "checkpointing": draw.random() < 0.5, "padded": draw.random() < 0.5, "trainer": draw.choice(("hf", "hf", "sft")),
            "optim": draw.choice(("adamw_torch", "adamw_torch_fused")), "lora_r": draw.choice((16, 32, 64)),
            "capability": draw.choice(("8.0", "8.6", "8.9", "9.0", "12.0")),
        })
        yield case, Target("drawn", "drawn", "nvidia", 0, int(draw.uniform(300, 850)), capability_of(case), "share")


def drawn_on_cards() -> Iterator[tuple[dict[str, Any], Target]]:
    """Random cases, each on a card of the catalogue."""
    draw = random.Random(12)  # noqa: S311 — drawn alike each time
    cards = [card for name in REAL_CARDS if isinstance(card := find_target(name), Target)]
    while True:
        card = draw.choice(cards)
        method = draw.choice(("full", "lora", "lora", "qlora"))
        case = {
            "arch": draw.choice(DECODERS), "method": method, "trainer": draw.choice(("hf", "hf", "sft", "dpo", "reward", "kto")),
            "weights": draw.choice(("bfloat16", "bfloat16", "float32")), "batch": draw.choice((2, 3, 4, 8, 16)),
            "grad_accum": draw.choice((1, 2, 8)), "seq": draw.choice((384, 512, 1000, 2048, 4096)), "padded": draw.random() < 0.5,
            "checkpointing": draw.random() < 0.6, "reentrant": draw.random() < 0.3, "lora_r": draw.choice((8, 16, 64)),
            "lora_targets": draw.choice(("all-linear", SEVEN)), "double_quant": draw.random() < 0.5,
            "optim": draw.choice(("adamw_torch_fused", "adamw_torch", "adamw_8bit", "paged_adamw_32bit")),
            "capability": "{}.{}".format(*card.compute_capability),
        }
        if case["lora_targets"] == SEVEN and case["arch"] in OTHER_NAMES:
            case["lora_targets"] = "all-linear"
        yield complete(case), card


def planned(case: dict[str, Any], card: Target) -> tuple[Target, Estimate, Plan] | None:
    """The card with its size, the estimate as drawn, and the plan; None where it fits, has no estimate or no plan."""
    run, architecture = run_of(case), architecture_of(case)
    if architecture.max_position_embeddings and case["seq"] > architecture.max_position_embeddings:
        return None
    estimator = Estimator(run, FoundModel(str(case["arch"]), architecture, "the lab"))
    result = estimator.estimate((), card)
    if not isinstance(result, Estimate):
        return None
    if card.id == "drawn":  # its reserve is the share of the need that it has, in thousandths
        size = result.device.typical * card.reserve // 1000
        card = Target("drawn", "drawn", "nvidia", size, 0, card.compute_capability, "share")
    allowed = allowances(architecture, card.compute_capability, "nvidia") | {"flash_attention_2": False}
    best = plans_of(run, card, allowed_of(allowed, architecture), estimator, lambda _: True).best
    return (card, result, best) if best is not None and best.moves else None


def measure(sink: Path, venv: Path, count: int, source: Iterator[tuple[dict[str, Any], Target]]) -> None:
    """Append what came of each plan, until there are `count`."""
    done = [json.loads(line) for line in sink.read_text().splitlines()] if sink.exists() else []
    known = {(identity(row["case"]), row["card"]) for row in done}
    workers: dict[str, Worker] = {}
    left = count - len(done)
    for case, drawn_card in source:
        if left <= 0:
            break
        found = planned(case, drawn_card)
        if found is None or (identity(case), drawn_card.id) in known:
            continue
        known.add((identity(case), drawn_card.id))
        card, before, plan = found
        edited = changed(case, plan.changes)
        if case["capability"] not in workers:
            workers[case["capability"]] = Worker(case["capability"], venv)
        worker = workers[case["capability"]]
        left_beside_context = card.usable - before.context.typical
        ran = worker.run(complete(edited), left_beside_context / (1 << 42))
        unedited = worker.run(case, left_beside_context / (1 << 42))
        row: dict[str, Any] = {
            "case": short(case), "card": drawn_card.id, "usable": card.usable, "plan": plan.title,
            "device": plan.outcome.device_typical, "edited": edited, "ran": ran.get("error") or True,
            "unedited": unedited.get("error") or "ran",
        }
        left -= 1
        with sink.open("a") as file:
            print(json.dumps(row), file=file, flush=True)
        print(row["ran"], row["unedited"], row["plan"][:100], identity(case)[:120], flush=True)
    for worker in workers.values():
        worker.close()


def report(sink: Path) -> str:
    """How many plans ran, and those that did not."""
    rows = [json.loads(line) for line in sink.read_text().splitlines()]
    judged = [row for row in rows if row["ran"] is True or row["ran"] == "oom"]
    passed = sum(row["ran"] is True for row in judged)
    lines = [
        f"{passed} of {len(judged)} plans ran in the memory they were made for ({100 * passed / max(1, len(judged)):.1f} %)",
        f"{sum(row['unedited'] == 'oom' for row in judged)} of them run out of memory unedited",
        f"{len(rows) - len(judged)} did not run for another reason",
    ]
    lines += [f"  {row['ran']}: {row['plan']} | {json.dumps(row['case'])}" for row in rows if row["ran"] is not True]
    return "\n".join(lines)


def main() -> None:
    """Parse the arguments; measure or report."""
    parser = argparse.ArgumentParser(prog="lab.plans", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plans", type=Path)
    parser.add_argument("--phantom", type=Path, metavar="VENV")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--cards", action="store_true", help="draw on cards of the catalogue")
    given = parser.parse_args()
    if given.phantom:
        measure(given.plans, given.phantom, given.count, drawn_on_cards() if given.cards else drawn())
    print(report(given.plans))


if __name__ == "__main__":
    main()

"""In one process: loading schemas, reading 200 lines, recognising a config, the estimate of an 8B model and its plan."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from vramlint.catalog import FoundModel, Target, allowances, find_model, find_target
from vramlint.dataclass import replace
from vramlint.dialects import compiled_schemas, recognise
from vramlint.memory import Estimate, estimate
from vramlint.plan import Plans
from vramlint.planning import Estimator, allowed_of, plans_of
from vramlint.run import Run
from vramlint.source import read

TARGETS = {
    "load the schemas of a wheel": 4.0, "recognise the example": 3.0, "estimate of an 8B model": 10.0,
    "plan for an 8B model": 150.0,
}
"""Most milliseconds that a part may take."""
EXAMPLE = Path(__file__).parents[1] / "examples" / "reference" / "train.yaml"
REPEATS = 30


def report() -> bool:
    """Prints the table; whether every target is met."""
    print("\nparts, in one process (ms)")
    print(f"  {'':<28} {'median':>7} {'fastest':>8}")
    met = True
    for name, part in parts().items():
        taken = [1000 * seconds for seconds in _timed(part)]
        middle = statistics.median(taken)
        line = f"  {name:<28} {middle:>7.2f} {min(taken):>8.2f}"
        if name in TARGETS:
            met &= middle <= TARGETS[name]
            line += f"   target {TARGETS[name]:.0f}: {'met' if middle <= TARGETS[name] else 'missed'}"
        print(line)
    return met


def parts() -> dict[str, Callable[[], object]]:
    """What is timed."""
    model = find_model("meta-llama/Llama-3.1-8B", base_directory=None, isolated=True)
    if not isinstance(model, FoundModel):
        raise TypeError(f"the catalogue lacks the model: {model}")
    run = Run(
        model_name_or_path="meta-llama/Llama-3.1-8B", use_peft=True, lora_r=16, lora_target_modules="all-linear",
        max_length=4096, padding=False, per_device_train_batch_size=2, gradient_checkpointing=True, bf16=True,
        dtype="bfloat16",
    )
    if not isinstance(result := estimate(run, model.architecture), Estimate):
        raise TypeError(f"no estimate: {result}")
    text = two_hundred_lines()
    others = (replace(run, learning_rate=number / 1e6) for number in count(1))  # of a run asked about before, the tape is kept
    compiled = json.dumps(compiled_schemas())
    file = read("train.yaml", EXAMPLE.read_bytes())
    return {
        "load the schemas of a wheel": lambda: [json.loads(json.loads(compiled)["schemas"][n]) for n in ("run", "huggingface")],
        "read 200 lines of YAML": lambda: read("train.yaml", text),
        "recognise the example": lambda: recognise(file, file.documents[0]),
        "estimate of an 8B model": lambda: estimate(next(others), model.architecture),
        "plan for an 8B model": lambda: planned(next(others), model),
    }


def planned(run: Run, model: FoundModel) -> Plans:
    """The plan for a card of 12 GiB, which takes several changes."""
    card = find_target("rtx3060")
    if not isinstance(card, Target):
        raise TypeError(f"the catalogue lacks the card: {card}")
    allowed = allowances(model.architecture, card.compute_capability, card.vendor)
    plans = plans_of(run, card, allowed_of(allowed, model.architecture), Estimator(run, model), lambda _: True)
    if plans.best is None:
        raise ValueError("there is a plan: a 4-bit base")
    return plans


def two_hundred_lines() -> bytes:
    """A config as long as the longest that people write."""
    lines = ["model_name_or_path: meta-llama/Llama-3.1-8B"]
    for number in range(33):
        lines += [
            f"# section {number}", f"section_{number}:", f"  learning_rate: 2.0e-{number % 5 + 1}  # as before",
            "  modules: [q_proj, k_proj, v_proj]", f"  steps: {number}", "",
        ]
    return "\n".join([*lines, "bf16: true"]).encode()


def _timed(part: Callable[[], object]) -> list[float]:
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        part()
        taken.append(time.perf_counter() - start)
    return taken

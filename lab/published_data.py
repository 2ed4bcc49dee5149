"""Figures that another project printed from real A100 cards.

lab/data/published.csv: the single-GPU rows of fms-acceleration's benchmark (Apache-2.0; each row's `source`), which
name every setting and give `torch.cuda.max_memory_allocated()` to the byte. Rows under `kernels` that are the
project's own (foak: fused LoRA and Triton kernels; autogptq) are not what a config of the libraries we know runs.
"""

from __future__ import annotations

import csv
from pathlib import Path

FOLDER = Path(__file__).parent / "data"
PLAIN = {"none", "baseline-peft-bnb", "accelerated-peft-bnb"}
ARCHITECTURES = {
    "bigcode/gpt_bigcode-santacoder": "santacoder",
    "ibm/PowerLM-3b": "powerlm-3b",
    "mistralai/Mistral-7B-v0.1": "mistral-7b-v0.1",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": "mixtral-8x7b",
    "NousResearch/Llama-2-70b-hf": "llama-2-70b",
}
"""Names in lab/phantom/architectures.json."""


def published_rows() -> list[dict[str, str]]:
    """The file's rows."""
    with (FOLDER / "published.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def peer_rows() -> list[dict[str, str]]:
    """What other estimators say of them (lab/peers.py)."""
    with (FOLDER / "peers.csv").open(newline="") as file:
        return list(csv.DictReader(file))

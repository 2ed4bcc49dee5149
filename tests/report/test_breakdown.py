"""The screen and the JSON of `vramlint estimate`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from vramlint.report import render_estimate

Make = Callable[..., dict[str, Any]]


def test_the_breakdown(record: Make) -> None:
    target = {"id": "rtx3070", "name": "GeForce RTX 3070", "usable": 8 << 30}
    assert render_estimate([record(target=target, verdict="does-not-fit")]) == """\
train.yaml: Qwen/Qwen2.5-0.5B, trl-sft (huggingface)

  on the device        12.0 GiB  11.0 GiB to 13.0 GiB     what must fit
    CUDA context        1.0 GiB                           outside the allocator
    required           11.0 GiB  10.0 GiB to 12.0 GiB     least allocator capacity that the run gets through in
    allocated          10.0 GiB                           peak of live tensors
  does not fit: GeForce RTX 3070 has 8.0 GiB usable

  at the peak, backward of the loss, step 2:
    logits          4.0 GiB   40%
    optimizer       2.0 GiB   20%
    activations     2.0 GiB   20%
    weights         1.0 GiB   10%
    gradients       1.0 GiB   10%
    without it the peak would be 6.0 GiB, optimizer step

  largest tensors then:
       4.0 GiB  logits in fp32 2 of 8×512×151936 fp32

  assumed:
    padding = true: batches are padded by default
"""


def test_without_a_target_there_is_no_verdict(record: Make) -> None:
    text = render_estimate([record()])
    assert "fit:" not in text
    assert "usable" not in text


def test_no_estimate_says_why(record: Make) -> None:
    unknown = [{"key": "max_length", "why": "it is ${length}"}]
    text = render_estimate([record(estimate=None, error="max_length is not known", unknown=unknown)])
    assert "  no estimate: max_length is not known\n" in text
    assert "    max_length: it is ${length}\n" in text


def test_every_trainer_that_it_may_be_is_shown(record: Make) -> None:
    candidates = [
        {"trainer": "transformers", "device": {"low": 1, "typical": 13 << 30, "high": 1}},
        {"trainer": "trl-sft", "device": None},
    ]
    text = render_estimate([record(candidates=candidates)])
    assert re.search(r"transformers +13\.0 GiB\n +trl-sft +no estimate", text)


def test_several_documents_are_set_apart(record: Make) -> None:
    text = render_estimate([record(), record(document=1)])
    assert "\n\ntrain.yaml (document 2): Qwen" in text
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_json_is_the_records_under_a_version(record: Make) -> None:
    records = [record(), record(estimate=None, error="x")]
    assert json.loads(render_estimate(records, "json")) == {"version": 1, "files": records}


def test_names_from_a_file_cannot_drive_the_terminal(record: Make) -> None:
    text = render_estimate([record(model={"name": "a\x1b[2Jb"}, path="\x1b[2J.yaml", error="\x1b")])
    assert "\x1b" not in text

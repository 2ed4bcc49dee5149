"""Comments that take findings back, those that take back none, and `--add-ignore`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
Run = Callable[..., Any]
Put = Callable[..., Path]
LINE = "attn_implementation: eager\n"


def found(done: Any) -> list[tuple[str, int]]:
    return [(f["code"], f["span"]["start"]["line"]) for f in json.loads(done.stdout)["findings"]]


def check(vramlint: Run, *more: str) -> list[tuple[str, int]]:
    return found(vramlint("--output-format", "json", *more, "train.yaml"))


@pytest.mark.parametrize("comment", [
    "ignore[VRM406]", "ignore[eager-attention] the weights are looked at", "ignore[VRM4]", "ignore",
    "ignore[VRM201, VRM406]", "ignore [ VRM406 ]",
])
@pytest.mark.parametrize("placed", ["beside", "above", "two above", "file"])
def test_a_comment_takes_the_finding_back(vramlint: Run, put: Put, comment: str, placed: str) -> None:
    text = put("train.yaml").read_text()
    comment = f"# vramlint: {comment}"
    edited = {
        "beside": text.replace(LINE, f"{LINE.rstrip()}  {comment}\n"),
        "above": text.replace(LINE, f"{comment}\n{LINE}"),
        "two above": text.replace(LINE, f"{comment}\n# and more\n\n{LINE}"),
        "file": comment.replace("ignore", "ignore-file", 1) + "\n" + text,
    }[placed]
    put("train.yaml", edited)
    assert check(vramlint) == []


def test_elsewhere_it_takes_nothing_back_and_is_unused(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", text.replace("bf16: true\n", "bf16: true  # vramlint: ignore[VRM406]\n"))
    assert check(vramlint) == [("VRM009", 8), ("VRM406", 10)]


def test_of_several_codes_only_the_idle_one_is_unused(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", text.replace(LINE, f"{LINE.rstrip()}  # vramlint: ignore[VRM406, VRM501]\n"))
    [finding] = json.loads(vramlint("--output-format", "json", "train.yaml").stdout)["findings"]
    assert finding["code"] == "VRM009"
    assert "VRM501" in finding["message"]


def test_one_that_needs_a_card_is_not_unused_without_one(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", f"# vramlint: ignore-file[VRM201]\n{text}")
    assert check(vramlint) == [("VRM406", 11)]
    assert check(vramlint, "--target", "a100-80gb") == [("VRM009", 1), ("VRM406", 11)]
    assert check(vramlint, "--target", "a100-80gb", "--ignore", "VRM201") == [("VRM406", 11)]


@pytest.mark.parametrize("comment", ["ignore[VRM999]", "ignore[]", "ignore[VRM406"])
def test_a_comment_that_names_no_rule_is_an_error(vramlint: Run, put: Put, comment: str) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", text.replace(LINE, f"{LINE.rstrip()}  # vramlint: {comment}\n"))
    assert check(vramlint) == [("VRM406", 10), ("VRM010", 10)]


def test_what_is_quoted_is_no_comment(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", f'run_name: "# vramlint: ignore-file[VRM406]"\n{text}')
    assert check(vramlint) == [("VRM406", 11)]


def test_the_reason_sets_no_key(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", text.replace(LINE, f"{LINE.rstrip()}  # vramlint: ignore[VRM406] as max_length=64 is rare\n"))
    files = json.loads(vramlint("--output-format", "json", "train.yaml").stdout)["files"]
    put("train.yaml", text)
    plain = json.loads(vramlint("--output-format", "json", "train.yaml").stdout)["files"]
    assert files[0]["estimate"] == plain[0]["estimate"]


@pytest.mark.parametrize("line", [
    "# vramlint: target=rtx30700", "# vramlint: dialect=axolotol", "# vramlint: max_lenght=512", "# vramlint: max_length=many",
])
def test_a_modeline_that_cannot_be_followed_is_a_finding_with_its_place(vramlint: Run, put: Put, line: str) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", f"{line}\n{text}")
    done = vramlint("--output-format", "json", "train.yaml")
    assert done.returncode == 1
    assert 1 in [place for _, place in found(done)]


def test_a_modeline_names_several_cards(vramlint: Run, put: Put) -> None:
    text = put("train.yaml").read_text()
    put("train.yaml", f"# vramlint: target=rtx3090,rtx4090\n{text}")
    files = json.loads(vramlint("--output-format", "json", "train.yaml").stdout)["files"]
    assert [record["target"]["id"] for record in files] == ["rtx3090", "rtx4090"]


@pytest.mark.parametrize("suffix", ["yaml", "toml", "py"])
def test_add_ignore_takes_all_back_and_changes_only_comments(vramlint: Run, put: Put, suffix: str) -> None:
    name = f"train.{suffix}"
    before = (ROOT / "examples" / "reference" / name).read_text(encoding="utf-8")
    path = put(name, before)
    asked = ("--target", "rtx3070", "--output-format", "json")
    assert found(vramlint(*asked, name))
    assert vramlint("--target", "rtx3070", "--add-ignore", "--reason", "rented by the hour", name).returncode == 0
    assert found(vramlint(*asked, name)) == []
    once = path.read_text(encoding="utf-8")
    kept = [line.partition("  # vramlint: ignore[")[0] for line in once.splitlines()]
    assert kept == before.splitlines()
    assert "rented by the hour" in once
    vramlint("--target", "rtx3070", "--add-ignore", name)
    assert path.read_text(encoding="utf-8") == once


def test_add_ignore_joins_a_comment_that_is_there(vramlint: Run, put: Put) -> None:
    text = (ROOT / "examples" / "reference" / "train.yaml").read_text(encoding="utf-8")
    old = "per_device_train_batch_size: 8\n"
    path = put("train.yaml", text.replace(old, f"{old.rstrip()}  # vramlint: ignore[VRM401] known\n"))
    assert vramlint("--target", "rtx3070", "--add-ignore", "train.yaml").returncode == 0
    assert f"{old.rstrip()}  # vramlint: ignore[VRM401, VRM201] known\n" in path.read_text(encoding="utf-8")


def test_json_gets_no_comment_and_says_what_to_write_instead(vramlint: Run, put: Put) -> None:
    before = (ROOT / "examples" / "reference" / "train.json").read_text(encoding="utf-8")
    path = put("train.json", before)
    done = vramlint("--target", "rtx3070", "--add-ignore", "train.json")
    assert path.read_text(encoding="utf-8") == before
    assert '"train.json" = ["VRM201", "VRM401"]' in done.stderr
    table = done.stderr[done.stderr.index("[per-file-ignores]") :].partition("\n\n")[0]
    put("vramlint.toml", table)
    assert found(vramlint("--target", "rtx3070", "--output-format", "json", "train.json")) == []


def test_windows_line_ends_and_a_byte_order_mark_stay(vramlint: Run, put: Put) -> None:
    text = "\ufeff" + put("train.yaml").read_text().replace("\n", "\r\n")
    path = put("train.yaml", text)
    assert vramlint("--add-ignore", "train.yaml").returncode == 0
    wanted = text.replace("attn_implementation: eager\r\n", "attn_implementation: eager  # vramlint: ignore[VRM406]\r\n")
    assert path.read_bytes().decode() == wanted

"""Models and cards: what is found under which name, and that bad configs are refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vramlint.catalog import (
    FoundModel,
    MissingModel,
    Target,
    UnknownTarget,
    all_models,
    all_targets,
    architecture_from_config,
    architecture_of_entry,
    find_model,
    find_target,
    target_of_entry,
)

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 100, "tie_word_embeddings": False,
}


def test_there_are_enough_of_both_and_each_can_be_used() -> None:
    models, cards = list(all_models()), list(all_targets())
    assert len(models) >= 250
    assert len(cards) >= 120
    for entry in models:
        architecture = architecture_of_entry(entry, entry["id"])
        assert architecture.num_hidden_layers > 0
        assert entry["source"], entry["id"]
    for entry in cards:
        target = target_of_entry(entry)
        assert 0 < target.total <= entry["nominal"]
        assert entry["source"], entry["id"]


@pytest.mark.parametrize(("text", "expected"), [
    ("rtx3070", "rtx3070"), ("RTX 3070", "rtx3070"), ("NVIDIA GeForce RTX 3070", "rtx3070"), ("A100-40GB", "a100-40gb"),
    ("t4", "t4"), ("colab-t4", "t4"), ("g5.xlarge", "a10g"), ("modal:H100", "h100-sxm"),
    ("Standard_NC24ads_A100_v4", "a100-pcie-80gb"), ("rtx 3070 laptop", "rtx3070-laptop"),
])
def test_spellings_of_a_card(text: str, expected: str) -> None:
    target = find_target(text)
    assert isinstance(target, Target)
    assert target.id == expected


def test_a_size_is_a_target_and_says_what_it_assumes() -> None:
    plain, exact = find_target("24GiB"), find_target("24GiB@8.6", reserve=1 << 30)
    assert isinstance(plain, Target)
    assert isinstance(exact, Target)
    assert plain.kernels_assumed
    assert not exact.kernels_assumed
    assert exact.usable == 23 << 30
    assert exact.compute_capability == (8, 6)


@pytest.mark.parametrize(("text", "count", "one"), [
    ("8xA100-80GB", 8, "a100-80gb"), ("2 x rtx3090", 2, "rtx3090"), ("4x24GiB@8.6", 4, "24GiB@8.6"), ("1xt4", 1, "t4"),
    ("2xp4de.24xlarge", 16, "a100-80gb"),
])
def test_a_number_before_a_card_is_so_many_of_it(text: str, count: int, one: str) -> None:
    found, card = find_target(text), find_target(one)
    assert isinstance(found, Target)
    assert isinstance(card, Target)
    assert (found.gpu_count, found.usable, found.compute_capability) == (count, card.usable, card.compute_capability)


@pytest.mark.parametrize("text", ["0xrtx3090", "-1xrtx3090", "99999xrtx3090", "2x", "2x2xrtx3090", "x2"])
def test_no_number_of_cards(text: str) -> None:
    assert isinstance(find_target(text), UnknownTarget)


def test_of_several_unknown_cards_the_suggestions_are_as_many() -> None:
    found = find_target("8xrtx30700")
    assert isinstance(found, UnknownTarget)
    assert "8xrtx3070" in found.suggestions


def test_an_unknown_card_gets_suggestions() -> None:
    found = find_target("rtx30700")
    assert isinstance(found, UnknownTarget)
    assert "rtx3070" in found.suggestions


def test_a_card_has_less_than_its_box_says() -> None:
    target = find_target("rtx3070")
    assert isinstance(target, Target)
    assert 7.7 * 2**30 < target.usable < 8 * 2**30


def test_a_local_config_wins_over_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(LLAMA))
    found = find_model("model", base_directory=tmp_path, isolated=True)
    assert isinstance(found, FoundModel)
    assert found.architecture.vocab_size == 100
    assert "config.json" in found.source


def test_the_cache_comes_after_the_catalogue_and_not_when_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "hub" / "models--nobody--tiny" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(LLAMA))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    found = find_model("nobody/tiny", base_directory=None)
    assert isinstance(found, FoundModel)
    assert found.source == "the Hugging Face cache"
    assert isinstance(find_model("nobody/tiny", base_directory=None, isolated=True), MissingModel)


def test_a_local_path_is_matched_by_its_last_part_and_says_so() -> None:
    found = find_model("/models/Qwen2.5-7B", base_directory=None, isolated=True)
    assert isinstance(found, FoundModel)
    assert found.name == "Qwen/Qwen2.5-7B"
    assert found.assumed


def test_a_quantised_mirror_is_its_model_in_four_bits() -> None:
    found = find_model("unsloth/DeepSeek-R1-Distill-Qwen-1.5B-bnb-4bit", base_directory=None, isolated=True)
    assert isinstance(found, FoundModel)
    assert found.quantized == "bnb-4bit"


@pytest.mark.parametrize(("change", "message"), [
    ({"num_attention_heads": 7}, "does not divide"), ({"num_key_value_heads": 3}, "does not divide"),
    ({"hidden_size": 0}, "hidden_size is 0"), ({"hidden_size": "big"}, "hidden_size is missing"),
    ({"model_type": None}, "no model_type"), ({"vocab_size": 10**9}, "vocab_size"),
])
def test_a_bad_config_is_refused_with_a_reason(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        architecture_from_config(LLAMA | change)


@pytest.mark.parametrize("text", ["", "[1, 2]", "{", '{"model_type": "llama", "hidden_size": -1}'])
def test_a_broken_config_file_is_a_missing_model(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    found = find_model("x", base_directory=None, model_config=path)
    assert isinstance(found, MissingModel)
    assert "config.json" in found.why


@pytest.mark.parametrize("name", ["/data/models/Qwen2.5-7B", "./Qwen2.5-7B/", "models/Qwen2.5-7B", "C:\\models\\Qwen2.5-7B"])
def test_a_folder_is_taken_for_the_model_of_its_last_part(name: str, tmp_path: Path) -> None:
    found = find_model(name, base_directory=tmp_path, isolated=True)
    assert isinstance(found, FoundModel)
    assert found.name == "Qwen/Qwen2.5-7B"
    assert "by its last part" in (found.assumed or "")


def test_the_name_of_an_organisation_is_no_folder(tmp_path: Path) -> None:
    assert isinstance(find_model("nobody/Qwen2.5-7B", base_directory=tmp_path, isolated=True), MissingModel)


@pytest.mark.parametrize(("name", "method"), [
    ("unsloth/Qwen3-0.6B-bnb-4bit", "bnb-4bit"), ("TheBloke/Llama-2-7B-GPTQ", "gptq"), ("Qwen/Qwen3-0.6B-MLX-4bit", "mlx"),
    ("unsloth/Qwen3-0.6B-FP8", "fp8"), ("unsloth/Qwen3-0.6B", None), ("TheBloke/Mistral-7B-v0.1-AWQ", "awq"),
    ("nobody/Qwen2.5-7B-Instruct-GPTQ-Int8", "gptq"), ("nobody/Qwen2.5-7B-Instruct-unsloth-bnb-4bit", "bnb-4bit"),
])
def test_a_stored_quantisation_is_known(name: str, method: str | None) -> None:
    found = find_model(name, base_directory=None, isolated=True)
    assert isinstance(found, FoundModel)
    assert found.quantized == method


def test_a_mirror_is_stored_as_its_name_says() -> None:
    for entry in all_models():
        for name, method in entry["quantized"].items():
            for said in ("gptq", "awq", "mlx"):
                assert said not in name.lower() or method.startswith(said) or "mlx" in method, (name, method)

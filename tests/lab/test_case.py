"""Cases: complete, short, the same, held out."""

import json
from pathlib import Path

import pytest

from lab.case import ARCHITECTURES_FILE, architecture_fields, complete, held_out, identity, short
from lab.grid import LISTS

MEASURED = Path(__file__).parents[2] / "lab" / "data" / "measured"


def test_a_misspelt_field_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size"):
        complete({"arch": "gpt2", "batch_size": 4})


def test_a_case_is_the_same_however_much_of_the_defaults_it_says() -> None:
    said = {"arch": "gpt2", "batch": 1, "optim": "adamw_torch_fused", "capacity": True}
    assert identity(said) == identity({"arch": "gpt2"}) != identity({"arch": "gpt2", "batch": 2})
    assert short(complete(said)) == {"arch": "gpt2", "capacity": True}
    assert held_out(said) == held_out({"arch": "gpt2"})


def test_a_model_is_a_name_or_its_fields() -> None:
    assert architecture_fields({"arch": "gpt2"})["n_embd"] == 768
    assert architecture_fields({"arch": {"model_type": "llama"}}) == {"model_type": "llama"}
    with pytest.raises(TypeError, match="expected a name or an object"):
        architecture_fields({"arch": 3})


@pytest.mark.parametrize("name", sorted(LISTS))
def test_a_list_of_cases_is_the_same_each_time_and_names_models_that_are_there(name: str) -> None:
    first, second = ([identity(case) for case in LISTS[name]()] for _ in range(2))
    assert first == second
    known = json.loads(ARCHITECTURES_FILE.read_text())
    assert all(case["arch"] in known for case in LISTS[name]())


def test_about_three_in_ten_measured_rows_are_held_out() -> None:
    cases = [json.loads(line) for path in MEASURED.glob("*.jsonl") for line in path.read_text().splitlines()]
    assert 0.25 < sum(map(held_out, cases)) / len(cases) < 0.35


def test_no_measured_row_says_where_a_machine_keeps_its_files() -> None:
    for path in MEASURED.glob("*.jsonl"):
        assert 'File \\"/' not in path.read_text(), path


def test_every_measured_row_has_its_versions_and_says_what_failed() -> None:
    for path in MEASURED.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            measured = json.loads(line)["measured"]
            assert "error" in measured or {"torch", "transformers"} <= set(measured["versions"]), path
            assert "error" in measured or measured["peak_allocated"] <= measured["peak_reserved"], path

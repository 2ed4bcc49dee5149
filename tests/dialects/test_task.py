"""Which head is trained: read off the class that loads the model, peft's task, or our own key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised

Recognise = Callable[..., Recognised]
SCRIPT = """\
    from peft import LoraConfig
    from transformers import *
    model = {model}
    args = TrainingArguments("out", per_device_train_batch_size=8)
    Trainer(model=model, args=args).train()
    """


@pytest.mark.parametrize(("call", "task"), [
    ("AutoModelForSequenceClassification.from_pretrained('a/b')", "seq-cls"),
    ("BertForSequenceClassification.from_pretrained('a/b')", "seq-cls"),
    ("AutoModelForTokenClassification.from_pretrained('a/b')", "token-cls"),
    ("AutoModelForMaskedLM.from_pretrained('a/b')", "masked-lm"),
    ("AutoModelForSeq2SeqLM.from_pretrained('a/b')", "seq2seq-lm"),
    ("T5ForConditionalGeneration.from_pretrained('a/b')", "seq2seq-lm"),
    ("AutoModelForCausalLM.from_pretrained('a/b')", "causal-lm"),
    ("AutoModelForQuestionAnswering.from_pretrained('a/b')", "other"),
    ("Qwen2VLForConditionalGeneration.from_pretrained('a/b')", None),
    ("load('a/b')", None),
])
def test_the_class_of_a_script_says_it(recognised: Recognise, call: str, task: str | None) -> None:
    (run,) = recognised(SCRIPT.format(model=call), "python").runs
    assert run.task == task


def test_labels_stand_in_the_call(recognised: Recognise) -> None:
    call = "AutoModelForTokenClassification.from_pretrained('a/b', num_labels=9)"
    (run,) = recognised(SCRIPT.format(model=call), "python").runs
    assert (run.task, run.num_labels) == ("token-cls", 9)
    (run,) = recognised(SCRIPT.format(model="AutoModelForTokenClassification.from_pretrained('a/b')"), "python").runs
    assert run.num_labels == 2


def test_pefts_task_counts_where_no_class_says_it(recognised: Recognise) -> None:
    lora = "\n    lora = LoraConfig(task_type='SEQ_CLS')"
    (run,) = recognised(SCRIPT.format(model="load('a/b')" + lora), "python").runs
    assert run.task == "seq-cls"
    (run,) = recognised(SCRIPT.format(model="AutoModelForTokenClassification.from_pretrained('a/b')" + lora), "python").runs
    assert run.task == "token-cls"


@pytest.mark.parametrize(("line", "kind"), [
    ("{key}: {value}", "yaml"), ("{key} = {value}", "toml"), ('"{key}": {value},', "json"),
])
def test_our_own_keys(recognised: Recognise, line: str, kind: str) -> None:
    said = {
        "model_name_or_path": '"a/b"', "trainer": '"transformers"', "output_dir": '"o"', "per_device_train_batch_size": "2",
        "max_length": "64", "task": '"token-cls"', "num_labels": "9", "max_target_length": "32",
    }
    text = "\n".join(line.format(key=key, value=value) for key, value in said.items())
    (run,) = recognised("{" + text.rstrip(",") + "}" if kind == "json" else text, kind).runs
    assert (run.task, run.num_labels, run.max_target_length) == ("token-cls", 9, 32)


def test_what_a_decoder_writes_is_cut_by_its_own_bound(recognised: Recognise) -> None:
    text = """\
    from transformers import *
    name = "google-t5/t5-small"
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForSeq2SeqLM.from_pretrained(name)
    def prepare(rows):
        inputs = tokenizer(rows["document"], max_length=1024, truncation=True)
        inputs["labels"] = tokenizer(text_target=rows["summary"], max_length=128, truncation=True)["input_ids"]
        return inputs
    args = Seq2SeqTrainingArguments(output_dir="o", per_device_train_batch_size=16)
    Seq2SeqTrainer(model=model, args=args)
    """
    (run,) = recognised(text, "python").runs
    assert (run.task, run.max_length, run.max_target_length) == ("seq2seq-lm", 1024, 128)

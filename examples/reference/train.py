"""QLoRA fine-tuning of a distilled 1.5B model, plain transformers Trainer."""
# ruff: noqa
# vramlint: padding=false  (the data is cut into blocks of exactly MAX_LENGTH tokens)

import torch
from datasets import load_dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import (
    AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Trainer, TrainingArguments, default_data_collator,
)

MODEL_NAME = "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B"
MAX_LENGTH = 512


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_NAME)
    model = AutoModelForCausalLM.from_pretrained(
        MODEL_NAME,
        quantization_config=BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
    )
    model = prepare_model_for_kbit_training(model)
    model = get_peft_model(model, LoraConfig(
        r=32,
        lora_alpha=64,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
    ))

    def blocks(rows: dict) -> dict:
        tokens = [token for text in rows["text"] for token in tokenizer(text)["input_ids"]]
        whole = range(0, len(tokens) - MAX_LENGTH + 1, MAX_LENGTH)
        cut = [tokens[start:start + MAX_LENGTH] for start in whole]
        return {"input_ids": cut, "labels": cut}

    text = load_dataset("text", data_files="corpus.txt", split="train")
    data = text.map(blocks, batched=True, remove_columns=["text"])

    arguments = TrainingArguments(
        output_dir="out",
        per_device_train_batch_size=8,
        gradient_accumulation_steps=8,
        gradient_checkpointing=True,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        bf16=True,
        optim="adamw_torch_fused",
        learning_rate=2e-4,
        num_train_epochs=3,
    )
    Trainer(model=model, args=arguments, train_dataset=data, data_collator=default_data_collator).train()


if __name__ == "__main__":
    main()

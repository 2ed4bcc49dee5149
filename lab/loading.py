"""A case's model on the device, as `from_pretrained` leaves it there, quantised and adapted.

Needs the training libraries (torch, transformers, peft, bitsandbytes); only a measuring process imports this.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Mapping
from typing import Any

import peft
import torch
import transformers

from lab.case import architecture_fields
from lab.sharding import SHARDED, is_launched

AUTO_CLASSES = {
    "causal-lm": "AutoModelForCausalLM",
    "seq-cls": "AutoModelForSequenceClassification",
    "token-cls": "AutoModelForTokenClassification",
    "masked-lm": "AutoModelForMaskedLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
}
TASKS = {
    "causal-lm": "CAUSAL_LM", "seq-cls": "SEQ_CLS", "token-cls": "TOKEN_CLS", "masked-lm": None, "seq2seq-lm": "SEQ_2_SEQ_LM",
}
NOT_QUANTIZED = ("lm_head", "embed_out", "router", "gate", "score", "classifier", "decoder")
"""Linear layers that bitsandbytes leaves alone: output heads (transformers' get_keys_to_not_convert) and MoE
routers."""


def head_of(case: Mapping[str, Any]) -> str:
    """Which head the case's trainer trains."""
    return "seq-cls" if case["trainer"] == "reward" else str(case["head"])


def build(case: Mapping[str, Any]) -> Any:
    """The model on the device, weight by weight: never more than one unquantised weight at a time."""
    fields = architecture_fields(case)
    config = transformers.AutoConfig.for_model(fields.pop("model_type"), **fields)
    config.use_cache = False
    if head_of(case) in ("seq-cls", "token-cls"):
        config.num_labels = 1 if case["trainer"] == "reward" else case["labels"]
        config.pad_token_id = 0
    positions = getattr(config, "max_position_embeddings", None)
    if positions is not None and positions < case["seq"]:
        config.max_position_embeddings = case["seq"]
    version = int(transformers.__version__.split(".")[0])
    options = {"dtype" if version >= 5 else "torch_dtype": getattr(torch, case["weights"])}
    if case["experts"]:
        options["experts_implementation"] = case["experts"]
    factory = getattr(transformers, AUTO_CLASSES[head_of(case)])
    with torch.device("meta"):
        model = factory.from_config(config, attn_implementation=case["attn"], **options)
    if case["method"] == "qlora":
        quantize(model, case)
    model.tie_weights()
    filled: dict[int, Any] = {}
    for module in model.modules():
        fill(module, filled, "cpu" if is_launched(case) and case["parallel"] in SHARDED else "cuda")
    model.tie_weights()
    as_loaded(model, case)
    gc.collect()
    torch.cuda.empty_cache()
    return model


def as_loaded(model: Any, case: Mapping[str, Any]) -> None:
    """What `from_pretrained` does beside filling in weights (transformers 5.17, modeling_utils.py).

    A head that a T5 checkpoint has beside its embedding is not tied to it, whatever the config's class says
    (`tie_weights`); loaded in float16, the modules that the class names stay in float32 (`_get_dtype_plan`).
    """
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    own = architecture_fields(case).get("tie_word_embeddings") is False
    if own and head is not None and embedding is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(torch.zeros_like(embedding.weight).normal_(std=0.02))
    if case["weights"] == "float16":
        for name, module in model.named_modules():
            if name.rpartition(".")[2] in (model._keep_in_fp32_modules or ()):  # noqa: SLF001 — it has no public name
                module.float()


def fill(module: Any, known: dict[int, Any], device: str = "cuda") -> None:
    """Put the module's own tensors on the device; what it shares with one of `known`, by the identity of the empty one, once."""
    for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
        if tensor.device.type != "meta":
            if tensor.device.type == "cpu" and name in module._buffers:  # noqa: SLF001 — a buffer has no public setter
                module._buffers[name] = tensor.to(device)  # noqa: SLF001
            continue
        if id(tensor) in known:
            setattr(module, name, known[id(tensor)][1])
            continue
        # What waits on the host is never looked at: memory that nobody writes to takes none.
        filled = torch.zeros_like(tensor, device=device) if device == "cuda" else torch.empty_like(tensor, device=device)
        if filled.is_floating_point() and device == "cuda":
            filled.normal_(std=0.02)  # a real card's MoE routers need numbers that differ
        if isinstance(tensor, torch.nn.Parameter):
            parameter = torch.nn.Parameter(filled, requires_grad=tensor.requires_grad)
            known[id(tensor)] = (tensor, parameter)  # the empty one is kept, so that its identity is
            setattr(module, name, parameter)
        else:
            module._buffers[name] = filled  # noqa: SLF001


def quantize(model: Any, case: Mapping[str, Any]) -> None:
    """Replace the linear layers by bitsandbytes' 4-bit or 8-bit ones, one weight after the other."""
    import bitsandbytes
    from transformers.quantizers import AutoHfQuantizer

    four = case["bits"] == 4
    compute = torch.float16 if case["amp"] == "fp16" else torch.bfloat16
    for name, module in list(model.named_modules()):
        # transformers quantises gpt2's Conv1D too, the weight transposed (integrations/bitsandbytes.py, 5.17)
        conv1d = isinstance(module, transformers.pytorch_utils.Conv1D)
        if not (conv1d or type(module) is torch.nn.Linear) or name.endswith(NOT_QUANTIZED):
            continue
        inputs, outputs = module.weight.shape if conv1d else module.weight.shape[::-1]
        bias = module.bias is not None
        if four:
            weight = torch.empty((outputs, inputs), dtype=module.weight.dtype, device="cuda").normal_(std=0.02)
            linear = bitsandbytes.nn.Linear4bit(
                inputs,
                outputs,
                bias=bias,
                compute_dtype=compute,
                compress_statistics=case["double_quant"],
                quant_type=case["quant_type"],
                device="meta",
            )
            parameter = bitsandbytes.nn.Params4bit(
                weight,
                requires_grad=False,
                quant_type=case["quant_type"],
                compress_statistics=case["double_quant"],
                module=linear,
            )
            linear.weight = parameter._quantize("cuda")  # noqa: SLF001 — what moving it to the device calls
            del parameter
            del weight
        else:
            linear = bitsandbytes.nn.Linear8bitLt(
                inputs, outputs, bias=bias, has_fp16_weights=False, threshold=6.0, device="meta"
            )
            # bitsandbytes quantises when a weight is moved to the device; from_pretrained moves it from the host
            linear.weight = bitsandbytes.nn.Int8Params(
                torch.zeros((outputs, inputs), dtype=torch.float16), requires_grad=False, has_fp16_weights=False
            ).to("cuda")
        linear.bias = module.bias
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, linear)
    quantization = transformers.BitsAndBytesConfig(
        load_in_4bit=four,
        load_in_8bit=not four,
        bnb_4bit_quant_type=case["quant_type"],
        bnb_4bit_compute_dtype=compute,
        bnb_4bit_use_double_quant=case["double_quant"],
    )
    model.hf_quantizer = AutoHfQuantizer.from_config(quantization, pre_quantized=False)
    model.config.quantization_config = quantization
    model.is_quantized = True
    setattr(model, "is_loaded_in_4bit" if four else "is_loaded_in_8bit", True)
    model.quantization_method = "bitsandbytes"


def adapt(model: Any, case: Mapping[str, Any]) -> Any:
    """The model as it goes to the trainer: adapters on it, or with only the named parameters trained."""
    if case["float32_ends"]:
        for name, module in model.named_modules():
            if "norm" in name or any(end in name for end in ("embed_tokens", "embed_in", "embed_out", "wte", "wpe", "lm_head")):
                module.float()
    if case["method"] == "full":
        if case["unfrozen"]:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(any(re.match(pattern, name) for pattern in case["unfrozen"]))
        return model
    checkpoint = {"use_reentrant": case["reentrant"]}
    if case["method"] == "qlora" and case["kbit_prepare"]:
        model = peft.prepare_model_for_kbit_training(
            model, use_gradient_checkpointing=case["checkpointing"], gradient_checkpointing_kwargs=checkpoint
        )
    elif case["checkpointing"]:
        model.enable_input_require_grads()
    options = {"use_dora": True} if case["dora"] else {}
    config = peft.LoraConfig(
        r=case["lora_r"],
        lora_alpha=2 * case["lora_r"],
        lora_dropout=case["lora_dropout"],
        target_modules=case["lora_targets"],
        task_type=TASKS[head_of(case)],
        use_rslora=case["rslora"],
        modules_to_save=case["modules_to_save"],
        bias=case["lora_bias"],
        **options,
    )
    return peft.get_peft_model(model, config, autocast_adapter_dtype=case["autocast_adapters"])

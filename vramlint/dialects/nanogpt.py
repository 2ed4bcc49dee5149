"""What nanoGPT's schema cannot say: the model, whose sizes the file itself holds.

Read off nanoGPT 3adf61e1 (2025-11-12): train.py, model.py (GPTConfig, GPT.from_pretrained), data/shakespeare_char/prepare.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run

PUBLISHED = {"gpt2": (12, 12, 768), "gpt2-medium": (24, 16, 1024), "gpt2-large": (36, 20, 1280), "gpt2-xl": (48, 25, 1600)}
"""Layers, heads and width of what `init_from` names; all with biases, 1024 positions and 50257 tokens."""
VOCABULARIES = {"shakespeare_char": 65}
"""Data sets of nanoGPT that come with a vocabulary of their own (meta.pkl)."""
PADDED_VOCABULARY = 50304
SIZES = ("_init_from", "_layers", "_heads", "_width")
PRECISIONS = {"bf16": "bfloat16", "fp16": "float16"}


# ruff: noqa: ARG002  # the protocol's arguments
class NanoGPT(Adaptor):
    """nanoGPT's own loop."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Precision by its default, then the model."""
        if "dtype" not in it.said.values and "_precision" not in it.unknown:
            for key, value in (("dtype", "float32"), ("bf16", True), ("fp16", False)):
                it.infer(key, value, "train.py takes bfloat16 on a card that has it, by autocast over weights in float32")
        self._model(it)
        settle_step(it)

    def _model(self, it: Settlement) -> None:
        start = it.mark("_init_from")
        unknown = next((it.said.unknown[key] for key in SIZES if key in it.said.unknown), None)
        if unknown is not None:
            it.doubt("model_name_or_path", unknown)
            return
        if start == "resume":
            it.doubt("model_name_or_path", "the sizes stand in the checkpoint that is resumed: state model_name_or_path")
            return
        published = PUBLISHED.get(str(start))
        if published is None and start != "scratch":
            it.doubt("model_name_or_path", f"init_from takes scratch, resume, {', '.join(PUBLISHED)}")
            return
        layers, heads, width = published or (it.mark("_layers"), it.mark("_heads"), it.mark("_width"))
        vocabulary = 50257 if published else VOCABULARIES.get(str(it.mark("_dataset")), PADDED_VOCABULARY)
        if not published and vocabulary == PADDED_VOCABULARY:
            it.note("the data set is taken to have no meta.pkl with a vocabulary of its own: 50304 tokens")
        positions = it.values["max_length"] if isinstance(it.values["max_length"], int) else 1024
        biased = True if published else bool(it.mark("_bias"))
        it.model_config.update({
            "model_type": "nanogpt", "hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads,
            "vocab_size": vocabulary, "max_position_embeddings": positions, "tie_word_embeddings": True, "hidden_act": "gelu",
            "attention_bias": biased, "mlp_bias": biased, "hidden_dropout": it.mark("_dropout"),
            "attention_dropout": it.mark("_dropout"), "dtype": "float32",
        })
        name = str(start) if published else f"a GPT of {layers} layers, {width} wide"
        it.infer("model_name_or_path", name, "init_from names it" if published else "n_layer, n_head and n_embd say its sizes")

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Precision is one word; there are no adapters, no checkpointing and one optimizer."""
        known = {
            "per_device_train_batch_size", "gradient_accumulation_steps", "max_length", "torch_compile", "bf16", "fp16",
            "max_grad_norm", "learning_rate", "weight_decay", "per_device_eval_batch_size",
        }
        if any(change.key not in known for change in changes):
            return "nanoGPT has no key for it"
        return list(_rewritten(changes))


def _rewritten(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.key in PRECISIONS:
            if change.value and not change.delete:
                yield Change("_precision", PRECISIONS[change.key])
        elif change.key != "per_device_eval_batch_size":  # it is the batch of training
            yield change


ADAPTOR = NanoGPT()

"""One decoder layer as unsloth plays it: its norms, its rotation, its functions over projections, sdpa over packed rows.

After models/llama.py, models/qwen3.py, models/gemma.py, kernels/rms_layernorm.py, kernels/rope_embedding.py and
utils/attention_dispatch.py (`_sdpa_packed_segments`) of unsloth 2026.10.9, and recorded runs of it.
"""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import replace
from vramlint.memory.attention import attention
from vramlint.memory.autograd import Graph, Tensor
from vramlint.memory.blocks import BlockShape
from vramlint.memory.linear import linear
from vramlint.memory.operations import Setting, add, norm
from vramlint.memory.parameters import Projection
from vramlint.memory.unsloth.functions import gated_mlp, projected

REPEATED = frozenset({"keys-repeated-in-sdpa"})


class FastLayer:
    """One decoder layer of a model under a setting."""

    __slots__ = ("_architecture", "_block", "_projections", "_setting")

    def __init__(
        self, architecture: Architecture, block: BlockShape, projections: tuple[Projection, ...], setting: Setting,
    ) -> None:
        self._architecture = architecture
        self._block = block
        self._projections = projections
        # Below 8.0 no kernel takes grouped heads: keys and values are repeated (`_sdpa_flash_takes_gqa`).
        self._setting = setting if setting.capability >= (8, 0) else replace(setting, facts=setting.facts | REPEATED)

    has_adapters = True
    """Always: there is no number without (run.py)."""

    def forward(self, graph: Graph, hidden: Tensor, _mask: Tensor | None, name: str) -> Tensor:
        """The layer's output; takes over `hidden`."""
        setting, block, width = self._setting, self._block, self._architecture.hidden_size
        normed = norm(graph, setting, hidden, block.norm, f"{name}.norm1", width)
        attended = self._attention(graph, normed, name)
        middle = add(graph, hidden, attended, "hidden states")
        graph.drop(attended, hidden)
        normed = norm(graph, setting, middle, block.norm, f"{name}.norm3", width)
        fed = gated_mlp(graph, setting, normed, self._projections[4:], name)
        graph.drop(normed)
        out = add(graph, middle, fed, "hidden states")
        graph.drop(fed, middle)
        return out

    def _attention(self, graph: Graph, hidden: Tensor, name: str) -> Tensor:
        """Projections, rotation, attention row by row, output projection; takes over `hidden`."""
        a, setting = self._architecture, self._setting
        *inputs, output = self._projections[:4]
        names = tuple(f"{name}.{each.name}.in" for each in inputs)
        if any(each.bias for each in inputs):  # left to peft (models/llama.py, patch_peft_model)
            made = [linear(graph, setting, hidden, each, called) for each, called in zip(inputs, names, strict=True)]
        else:
            made = projected(graph, setting, hidden, tuple(inputs), names, overwrites=True)
        query, key, value = (self._headed(graph, tensor) for tensor in made)
        if self._block.qk_norm:
            query, key = (
                self._normed(graph, tensor, f"{name}.{which}") for tensor, which in ((query, "q_norm"), (key, "k_norm"))
            )
        turned = [graph.tensor(tensor.shape, tensor.dtype, "queries or keys, turned") for tensor in (query, key)]
        for after, before in zip(turned, (query, key), strict=True):
            graph.record(after, (before,), saves_nothing=True)
        graph.drop(query, key)
        variables = [*turned, value]
        parts = [graph.view(tensor, tensor.shape) for tensor in variables]  # the rows of a batch, one after another
        attended = attention(graph, setting, parts[0], parts[1], parts[2], a.num_attention_heads, a.num_key_value_heads, None)
        joined = graph.tensor(attended.shape, attended.dtype, "output of attention, rows joined")
        graph.record(joined, (attended,), passes=True)
        graph.drop(attended)
        (out,) = projected(graph, setting, joined, (output,), (f"{name}.{output.name}.out",), overwrites=False)
        graph.drop(*variables, joined, hidden)
        return out

    @staticmethod
    def _headed(graph: Graph, tensor: Tensor) -> Tensor:
        """The same tensor head by head, whose gradient is copied; takes over `tensor`."""
        made = graph.view(tensor, tensor.shape)
        graph.drop(tensor)
        return made

    def _normed(self, graph: Graph, tensor: Tensor, name: str) -> Tensor:
        made = norm(graph, self._setting, tensor, self._block.norm, name, self._architecture.head_dim)
        graph.drop(tensor)
        return made

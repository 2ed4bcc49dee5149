"""Backward passes of more than one kernel: what each takes and lets go of, in the order of torch 2.11's.

Each takes over the gradient it receives and what its operation saved, and adds those of the inputs to `gradients`. All orders are
those of recorded runs (`lab/record.py`).
"""

from __future__ import annotations

from math import prod

from vramlint.memory.autograd import Graph, Operation, Tensor

Gradients = dict[int, Tensor]
WIDTHS_OF_FLASH = 32
"""Head sizes are filled up to a multiple of this in flash attention's fp32 buffer (flash_api.cpp, mha_bwd)."""


def fresh(graph: Graph, like: Tensor, what: str = "gradients of activations", dtype: str = "") -> Tensor:
    """Memory as `like` needs it."""
    return graph.tensor(like.shape, dtype or like.dtype, what, needs_grad=False)


def root_mean_square(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of `x * rsqrt(x.pow(2).mean(-1) + eps)`: the product's, then the mean's and the power's."""
    (hidden,) = operation.inputs
    summed, made = fresh(graph, hidden, "backward temporaries"), fresh(graph, hidden)
    graph.drop(summed, received)
    graph.accumulate(gradients, hidden, made)
    spread, power, doubled = (fresh(graph, hidden, "backward temporaries") for _ in range(3))
    product = fresh(graph, hidden)
    graph.drop(doubled, power)
    graph.release(operation, spread)
    graph.accumulate(gradients, hidden, product)


def times_weight(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of a product with a trained vector: its gradient is there for every token before it is summed."""
    made, each = fresh(graph, operation.inputs[0]), fresh(graph, operation.output, "backward temporaries")
    graph.release(operation, received, each)
    graph.accumulate(gradients, operation.inputs[0], made)


def softmax(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """`softmax_backward_cuda_out`: the product of gradient and output lies beside the result."""
    made = fresh(graph, operation.inputs[0])
    graph.drop(fresh(graph, operation.output, "backward temporaries"))
    graph.release(operation, received)
    graph.accumulate(gradients, operation.inputs[0], made)


def rotation(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of `x * cos + rotate_half(x) * sin`: each half comes back into zeros of the whole, and they are added up."""
    (hidden,) = operation.inputs
    turned = fresh(graph, hidden, "backward temporaries")
    half = graph.tensor((prod(hidden.shape) // 2,), hidden.dtype, "backward temporaries", needs_grad=False)
    made = fresh(graph, hidden)
    graph.drop(half)
    second = fresh(graph, hidden)
    graph.drop(turned, second)
    straight = fresh(graph, hidden)
    graph.release(operation, received)
    graph.drop(straight)
    graph.accumulate(gradients, hidden, made)


def chunked_rotation(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of two halves that are turned and put together by `cat`: four products, one of them of the gradient with the other sign."""
    (hidden,) = operation.inputs
    half = (prod(hidden.shape) // 2,)
    first, second, negated, product = (
        graph.tensor(half, hidden.dtype, "backward temporaries", needs_grad=False) for _ in range(4)
    )
    graph.drop(product, negated)
    last = graph.tensor(half, hidden.dtype, "backward temporaries", needs_grad=False)
    graph.release(operation, received)
    graph.drop(last)
    made = fresh(graph, hidden)
    graph.drop(first, second)
    graph.accumulate(gradients, hidden, made)


def sliced(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """Of two slices of one tensor: each gradient comes back into zeros of the whole."""
    (hidden,) = operation.inputs
    made = fresh(graph, hidden)
    rest = gradients.pop(id(operation.parts[0]), None)
    if rest is not None:
        graph.drop(rest)
    second = fresh(graph, hidden)
    graph.release(operation, received)
    graph.drop(second)
    graph.accumulate(gradients, hidden, made)


def flash(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """`mha_bwd` (flash_attn/flash_api.cpp): queries' gradients are collected in fp32; grouped heads get theirs one by one."""
    query, *others = operation.saved[2], operation.saved[3], operation.saved[1]
    made = [fresh(graph, tensor) for tensor in (query, *others)]
    inner = [fresh(graph, query, "backward temporaries", "float32")]
    if prod(others[0].shape) != prod(query.shape):
        inner += [fresh(graph, query, "backward temporaries") for _ in others]
    graph.drop(*reversed(inner))
    _give(graph, operation, received, gradients, (query, *others), made)


def efficient(graph: Graph, operation: Operation, received: Tensor, gradients: Gradients) -> None:
    """`_efficient_attention_backward` (attention_backward.cu): gradients of the queries are collected in fp32.

    In blocks of 64 with 16 bytes each (kernel_backward.h, GradQTempStorage); in fp32 `grad * out` comes before.
    """
    query, *others = operation.saved[2], operation.saved[3], operation.saved[1]
    made = [fresh(graph, tensor) for tensor in (query, *others)]
    if query.dtype == "float32":
        graph.drop(fresh(graph, query, "backward temporaries"))
    blocks = prod(operation.saved[-1].shape[:2]) * -(-query.shape[1] // 64)
    size = prod(query.shape) * 4 + blocks * 16
    graph.tape.free(graph.tape.allocate(size, "workspace", "workspace of attention's backward"))
    _give(graph, operation, received, gradients, (query, *others), made)


def _give(
    graph: Graph, operation: Operation, received: Tensor, gradients: Gradients, tensors: tuple[Tensor, ...], made: list[Tensor],
) -> None:
    graph.release(operation, received)
    for tensor, gradient in zip(tensors, made, strict=True):
        if tensor in operation.inputs:
            graph.accumulate(gradients, tensor, gradient)
        else:
            graph.drop(gradient)

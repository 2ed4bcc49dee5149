"""A run on several cards, as one of its processes sees it: the first of a group whose collectives move nothing.

PyTorch's fake process group (torch.testing._internal.distributed.fake_pg) accepts every collective and does none, so that rank 0
of N allocates what it would on N cards. Needs the training libraries; only a measuring process imports this.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

SHARDED = ("fsdp1", "fsdp2", "zero3")
"""Where no card ever holds all parameters: the model is loaded on the host."""


def is_launched(case: Mapping[str, Any]) -> bool:
    """Whether a launcher starts the case's processes; DeepSpeed and FSDP want one even for a single process."""
    return bool(case["processes"] > 1 or case["parallel"] != "ddp")


def start(case: Mapping[str, Any]) -> None:
    """Make this process the first of the case's group, before anything asks how many there are."""
    if not is_launched(case):
        return
    from torch.testing._internal.distributed.fake_pg import FakeStore

    os.environ.update(
        RANK="0", LOCAL_RANK="0", WORLD_SIZE=str(case["processes"]), LOCAL_WORLD_SIZE=str(case["processes"]),
        MASTER_ADDR="127.0.0.1", MASTER_PORT="29500",
    )
    torch.cuda.set_device(0)
    torch.distributed.init_process_group("fake", rank=0, world_size=case["processes"], store=FakeStore())
    # It reads back what other ranks wrote on the card, and a phantom gives zeros.
    torch.nn.parallel.distributed._verify_param_shape_across_processes = lambda *_, **__: True  # noqa: SLF001
    _reduced.__annotations__ = {"bucket": torch.distributed.GradBucket, "return": torch.futures.Future[torch.Tensor]}
    plain = torch.nn.parallel.DistributedDataParallel.__init__

    def hooked(self: Any, *given: Any, **more: Any) -> None:
        plain(self, *given, **more)
        self.register_comm_hook(None, _reduced)
        self.reducer = _Unordered(self.reducer)

    torch.nn.parallel.DistributedDataParallel.__init__ = hooked


class _Unordered:
    """DDP's reducer but for its order of buckets after the first step: it reads that off the card, where a phantom has zeros."""

    def __init__(self, reducer: Any) -> None:
        self._reducer = reducer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reducer, name)

    def _rebuild_buckets(self) -> bool:
        return False


def _reduced(_: None, bucket: Any) -> Any:
    """A reduction in place that is done at once; the fake group's own gives DDP nothing that it could go on with."""
    future: Any = torch.futures.Future()
    future.set_result(bucket.buffer())
    return future


def arguments(case: Mapping[str, Any]) -> dict[str, Any]:
    """What the training arguments say of sharding."""
    kind = case["parallel"]
    if kind == "ddp":
        return {"ddp_bucket_cap_mb": case["bucket_mb"], "ddp_find_unused_parameters": False}
    if kind in ("fsdp1", "fsdp2"):
        more = {"version": 2, "reshard_after_forward": case["reshard"]} if kind == "fsdp2" else {
            "version": 1, "reshard_after_forward": "full_shard" if case["reshard"] else "shard_grad_op",
        }
        return {"fsdp": True, "fsdp_config": {**more, "cpu_offload": case["offload_param"]}}
    if kind.startswith("zero"):
        return {"deepspeed": _zero(case)}
    raise ValueError(f"there is no way to share called {kind!r}")


def _zero(case: Mapping[str, Any]) -> dict[str, Any]:
    zero: dict[str, Any] = {"stage": int(case["parallel"][-1])}
    if case["reduce_bucket"] is not None:
        zero["reduce_bucket_size"] = case["reduce_bucket"]
    if case["allgather_bucket"] is not None:
        zero["allgather_bucket_size"] = case["allgather_bucket"]
    if case["overlap_comm"] is not None:
        zero["overlap_comm"] = case["overlap_comm"]
    if case["offload_optimizer"]:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": False}
    if case["offload_param"]:
        zero["offload_param"] = {"device": "cpu", "pin_memory": False}
    return {
        "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto", "train_batch_size": "auto",
        "gradient_clipping": "auto", "bf16": {"enabled": "auto"}, "fp16": {"enabled": "auto"}, "zero_optimization": zero,
        "zero_force_ds_cpu_optimizer": False,
    }

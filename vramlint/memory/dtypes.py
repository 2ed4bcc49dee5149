"""Bytes per element of a dtype."""

from __future__ import annotations

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "bool": 1, "int8": 1, "uint8": 1, "int32": 4, "int64": 8}


def promoted(first: str, second: str) -> str:
    """The dtype of an elementwise result of two floating tensors."""
    return first if BYTES[first] >= BYTES[second] else second

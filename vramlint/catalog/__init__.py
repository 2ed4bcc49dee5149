"""Facts: model architectures, GPUs, and what each GPU, framework and version allows."""

from vramlint.catalog.architecture import Architecture, FoundModel, MissingModel
from vramlint.catalog.target import Target, UnknownTarget

__all__ = ["Architecture", "FoundModel", "MissingModel", "Target", "UnknownTarget"]

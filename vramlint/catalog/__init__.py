"""Facts: model architectures, GPUs, and what each GPU, framework and version allows."""

from vramlint.catalog.allows import LIGER_MODEL_TYPES, PEFT_DEFAULT_TARGETS, allowances
from vramlint.catalog.architecture import Architecture, FoundModel, MissingModel
from vramlint.catalog.config import architecture_from_config
from vramlint.catalog.context import communicator_for, context_for
from vramlint.catalog.libraries import library_facts
from vramlint.catalog.models import all_models, architecture_of_entry, described_model, find_model
from vramlint.catalog.target import Target, UnknownTarget
from vramlint.catalog.targets import all_instances, all_targets, find_target, target_of_entry

__all__ = [
    "LIGER_MODEL_TYPES", "PEFT_DEFAULT_TARGETS", "Architecture", "FoundModel", "MissingModel", "Target",
    "UnknownTarget", "all_instances", "all_models", "all_targets", "allowances", "architecture_from_config",
    "architecture_of_entry", "communicator_for", "context_for", "described_model", "find_model", "find_target", "library_facts",
    "target_of_entry",
]

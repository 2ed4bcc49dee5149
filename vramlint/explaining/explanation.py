"""What `vramlint estimate` says beyond the number: the facts that would turn the verdict, and a measured run as a receipt."""

from __future__ import annotations

from typing import Any

from vramlint.catalog import FoundModel
from vramlint.examine import DEFAULT_CAPABILITY, Facts, Numbers, Subject
from vramlint.explaining.receipt import receipt_of
from vramlint.explaining.turning import turning_facts
from vramlint.memory import Estimate


def explanation_of(subject: Subject, numbers: Numbers, facts: Facts) -> dict[str, Any]:
    """The entries `turning` and `receipt` of a document's record; all sizes in bytes."""
    receipt = None
    if isinstance(numbers.worst.estimate, Estimate) and isinstance(subject.model, FoundModel):
        capability = numbers.target.compute_capability if numbers.target else DEFAULT_CAPABILITY
        receipt = receipt_of(numbers.worst.run, subject.model.architecture, capability)
    return {"turning": turning_facts(subject, numbers, facts), "receipt": receipt}

"""What `vramlint estimate` says beyond the number: what would turn the verdict, and the measured run that is nearest."""

from vramlint.explaining.explanation import explanation_of

__all__ = ["explanation_of"]

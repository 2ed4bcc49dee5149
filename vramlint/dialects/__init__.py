"""Which framework wrote a file, and what its keys mean: documents ⇄ runs. Knows nothing of memory."""

from vramlint.dialects.recognised import Origin, Recognised, SchemaProblem

__all__ = ["Origin", "Recognised", "SchemaProblem"]

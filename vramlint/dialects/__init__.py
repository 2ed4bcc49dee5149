"""Which framework wrote a file, and what its keys mean: documents ⇄ runs. Knows nothing of memory."""

from vramlint.dialects.companions import Companions, Opener
from vramlint.dialects.compile import compiled_schemas
from vramlint.dialects.recognise import recognise
from vramlint.dialects.recognised import Origin, Recognised, SchemaProblem
from vramlint.dialects.schemas import run_schema
from vramlint.dialects.values import set_value
from vramlint.dialects.write_back import Refusal, to_operations

__all__ = [
    "Companions", "Opener", "Origin", "Recognised", "Refusal", "SchemaProblem", "compiled_schemas", "recognise", "run_schema",
    "set_value", "to_operations",
]

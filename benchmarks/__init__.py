"""How long vramlint takes: `python -m benchmarks`."""

"""Measurement and proof: what the tool is held against."""

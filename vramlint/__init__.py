"""Tells whether a training run fits a GPU, and what to change if not."""

__version__ = "0.1.0"

"""Frameworks with a training loop of their own: each launcher sets the real framework up for a case, unmodified."""

"""unsloth's own functions: layers whose forward and backward are written by hand, and its loss. After unsloth 2026.10.9."""

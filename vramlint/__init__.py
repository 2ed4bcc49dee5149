"""Will this training run fit this GPU, and if not, what do I change?"""

__version__ = "0.1.0"

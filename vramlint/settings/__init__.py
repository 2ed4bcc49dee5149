"""What is in force for a file: the command line, over its nearest configuration, own rules and library versions."""

from vramlint.settings.session import Session, Settings

__all__ = ["Session", "Settings"]

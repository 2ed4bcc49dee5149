"""`vramlint compare`: a recorded run read back and held against its estimate."""

from vramlint.comparing.comparison import NothingToCompare, comparison
from vramlint.comparing.recording import RecordingError, recording_of

__all__ = ["NothingToCompare", "RecordingError", "comparison", "recording_of"]

"""The outside world: one file per system, source and sink side by side."""

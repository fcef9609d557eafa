"""Pure functions on frames: no input, no output, no clock."""

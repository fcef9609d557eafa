"""Every shape that two parts of the hub agree on. Imports nothing of ours."""

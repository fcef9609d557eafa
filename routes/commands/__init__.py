"""Groups of commands, and what all commands have in common; `run_hub.py` puts them together."""

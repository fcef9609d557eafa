"""Configuration: strict YAML in, resolved and checked objects out, every error with its place."""

"""Formats: bytes in, frames out, and back."""

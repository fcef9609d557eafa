"""One more function of the pipe language: importing this module adds it."""

from __future__ import annotations

from transforms.signature import Text, function


@function("before", "Text before the first separator, or all of it.", label="截取前段", examples=[("常样罚〔2026〕1号", 'before("〔")', "常样罚")])
def before(column: Text, separator: str) -> Text:
    """The part before `separator`."""
    return column.str.split(separator).list.first()

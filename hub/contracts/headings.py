"""When two headings are the same: after folding width, case, brackets, spaces and underscores."""

from __future__ import annotations

import re
import unicodedata

_DROPPED = re.compile(r"[\s\u200b-\u200f\ufeff_\-()\[\]{}【】〔〕《》<>\"'“”‘’*:：、,，.。/]+")


def normalise_heading(text: str) -> str:
    """The comparable form of a heading: `行政相对人代码＿1 (统一社会信用代码)` and `行政相对人代码_1（统一社会信用代码）` are one.

    NFKC, lower case, then brackets, quotation marks, spaces, underscores, hyphens, stars and punctuation are removed.
    """
    return _DROPPED.sub("", unicodedata.normalize("NFKC", text).casefold())

"""Headings that may not be collected of persons (禁止采集字段, R131): 征信业管理条例 article 14, and what registers are known to call it.

Religion, genes, fingerprints, blood group, disease and medical history. Whatever source it is, such a column is not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hub.contracts.headings import normalise_heading

RULE = "R131"
HINT = "征信业管理条例 article 14 bans it: religion, genes, fingerprints, blood group, disease and medical history are not collected"

_SURE = frozenset(
    normalise_heading(heading)
    for heading in (
        "宗教信仰", "宗教", "信仰", "教派", "zjxy", "zongjiao", "zongjiaoxinyang", "religion", "religious_belief", "faith",
        "基因", "遗传信息", "jiyin", "gene", "genes", "genome", "genetic_data", "dna",
        "指纹", "zhiwen", "fingerprint", "fingerprints", "zwxx", "zwtx",
        "血型", "xuexing", "blood_type", "blood_group", "bloodtype",
        "疾病", "疾病名称", "疾病史", "疾病情况", "疾病和病史", "患病情况", "患病名称", "疾病代码", "jibing", "jbmc", "disease", "diseases",
        "病史", "病历", "jwbs", "jwbingshi", "bingshi", "jibingshi", "medical_history", "disease_history",
    )
)  # fmt: skip
_MEANT = re.compile(r"宗教信仰|血型|指纹|(?<!转)基因(?!工程)|病史|遗传病")
_DOUBTFUL = frozenset(("xx", "zw", "jb", "bs"))
"""Xuzhou's register of persons calls the blood group XX; elsewhere it may be 信息: read only where the item or the feed's map knows it."""


def denied(heading: str, known: frozenset[str] = frozenset()) -> bool:
    """Whether a column under this heading may not be read. `known` are headings that the item or the feed's map gives a meaning, normalised."""
    name = normalise_heading(heading)
    return name in _SURE or _MEANT.search(name) is not None or (name in _DOUBTFUL and name not in known)


def denied_among(headings: Iterable[str], known: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Those headings that may not be read."""
    return tuple(heading for heading in headings if denied(heading, known))

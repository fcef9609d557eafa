"""What agencies and their tools write where they mean nothing."""

from __future__ import annotations

from datetime import date

NULL_WORDS = ("\\N", "NULL", "null", "Null", "None", "NONE", "none", "无", "暂无", "/", "-", "--", "—", "——", "[]号", "〔〕号", "不详", "空", "N/A", "n/a")
EMPTY_DATES = (date(1899, 12, 30), date(1899, 12, 31), date(1900, 1, 1))  # what spreadsheets and databases make of nothing

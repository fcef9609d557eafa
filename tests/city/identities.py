"""Synthetic identifiers with right check digits, made by another library than the product's own code."""

from __future__ import annotations

from stdnum.cn import ric, uscc

REGION = "320581"


def firm(number: int) -> str:
    """The USCC (GB 32100) of the firm with this number."""
    body = f"91{REGION}MA{number:07d}"
    return body + str(uscc.calc_check_digit(body))


def citizen(number: int) -> str:
    """The ID number (GB 11643) of the person with this number, born in 1901: nobody alive."""
    body = f"{REGION}1901{number // 28 % 12 + 1:02d}{number % 28 + 1:02d}{number % 1000:03d}"
    return body + str(ric.calc_check_digit(body + "0"))

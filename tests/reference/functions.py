"""The page of the pipe language's functions, by group."""

from __future__ import annotations

import re
import sys

from tests.reference.markdown import block, code, document, link
from transforms.functions import FUNCTIONS, describe_text
from transforms.signature import Function

_INTRODUCTION = """\
The functions of the pipe language, for `map:`, `only:` and `check:`. `run_hub.py functions NAME` shows the same in a terminal.

A signature reads like its use: `value: text | date(*formats: text) -> date` takes a text from the left and gives a date. `any` is a value of any type, `value` one type for all
parameters of that name, `*` any number of arguments, `=` a default. Without arguments the brackets may be left out. Every example is run as a test; `null` is a cell with nothing in it."""


def page() -> str:
    """Every function with signature, label, help and examples."""
    groups = _groups()
    index = "\n".join(f"* {link(title)}: " + ", ".join(link(f.name, code(f.name)) for f in found) for title, found in groups.items())
    parts = [part for title, found in groups.items() for part in (f"## {title}", *(_function(f) for f in found))]
    return document("Functions", _INTRODUCTION, index, *parts)


def _groups() -> dict[str, list[Function]]:
    """Functions by the first words of what their module says it holds."""
    groups: dict[str, list[Function]] = {}
    for found in FUNCTIONS.values():
        said = sys.modules[found.build.__module__].__doc__ or ""
        groups.setdefault(re.split(r":| as agencies|\.", said)[0], []).append(found)
    return groups


def _function(found: Function) -> str:
    signature, _, *examples = describe_text(found).splitlines()
    return "\n\n".join(
        [f"### {code(found.name)}", f"{found.label} · {found.help}", block(signature, *([""] if examples else []), *(line.strip() for line in examples))]
    )

"""The page of codes and closed words, and how they are found in the code."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping

from tests.architecture.sources import ROOT, product_files, tree
from tests.reference import words
from tests.reference.markdown import code, document, table

_INTRODUCTION = """\
The words by which the hub says what happened. They are the same in the console, the command line, the logs and the metrics, and they do not change between versions without a line in the change log."""

_NUMBERED = re.compile(r"[A-Z]\d{3}")


def page() -> str:
    """Every code and closed word with its meaning."""
    chinese = json.loads((ROOT / "monitoring" / "console" / "zh-CN.json").read_text("utf-8"))
    fates = [(code(word), chinese["fate"][word], meaning) for word, meaning in words.FATES.items()]
    withheld = [(code(word), chinese["reasons"][word], meaning) for word, meaning in words.WITHHELD.items()]
    states = [(kind, code(word), chinese["states"].get(word, ""), meaning) for kind, found in words.STATES.items() for word, meaning in found.items()]
    return document(
        "Codes",
        _INTRODUCTION,
        "## Files",
        "The whole file is refused: it lies in `refused/` with a page that says why. What was stored of it before stays.",
        _explained(words.FILE_CODES),
        "## Rows",
        "The row is in quarantine under its first and gravest code; its neighbours pass. A row of a file that is refused while it is read carries the file's code.",
        _explained(words.ROW_CODES),
        "## Other errors",
        _explained(words.OTHER_CODES),
        "## Problems of a configuration",
        "`run_hub.py lint` names them with file, line and column.",
        _explained(words.LINT_CODES),
        "## Fates",
        "What became of a record. `read` equals the sum of all the others.",
        table(("fate", "中文", "meaning"), fates),
        "## States",
        table(("of a", "state", "中文", "meaning"), states),
        "## Why a record is withheld",
        "Counted per share. The first that applies is given.",
        table(("reason", "中文", "meaning"), withheld),
        "## What does not fit",
        "`what` of the `differences` that `run_hub.py reconcile` names.",
        _said("difference", words.DIFFERENCES),
        "## Events",
        "What `run_hub.py events` lists.",
        _said("event", words.EVENTS),
    )


def numbered() -> set[str]:
    """Codes such as R111, wherever a string of the product is one."""
    return {text for text in _strings() if _NUMBERED.fullmatch(text)}


def worded() -> set[str]:
    """Words that an error is given as its `code=`, directly or by a constant's name."""
    constants = {name: text for file in product_files() for name, text in _constants(tree(file))}
    calls = [node for file in product_files() for node in ast.walk(tree(file)) if isinstance(node, ast.Call) and _called(node) in _ERRORS]
    given = [part for call in calls for keyword in call.keywords if keyword.arg == "code" for part in _parts(keyword.value)]
    found = {constants.get(part.id, "") if isinstance(part, ast.Name) else str(part.value) for part in given}
    return {word for word in found if word and not _NUMBERED.fullmatch(word)}


def first_words(*functions: str, place: int = 0) -> set[str]:
    """Strings that stand at a place of a call of one of these functions, anywhere in the product."""
    calls = [node for file in product_files() for node in ast.walk(tree(file)) if isinstance(node, ast.Call) and _called(node) in functions]
    wanted = [call.args[place] for call in calls if len(call.args) > place]
    return {word.value for word in wanted if isinstance(word, ast.Constant) and isinstance(word.value, str)}


def strings_of(folder: str, *, but: str = "") -> set[str]:
    """Every string in the sources of a folder, but for one file."""
    files = [file for file in product_files() if file.is_relative_to(ROOT / folder) and file.name != but]
    return {node.value for file in files for node in ast.walk(tree(file)) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


_ERRORS = ("Rejected", "Unavailable", "Misconfigured", "Held")


def _explained(meanings: words.Meanings) -> str:
    return table(("code", "meaning", "中文"), [(code(word), *both) for word, both in meanings.items()])


def _said(heading: str, meanings: Mapping[str, str]) -> str:
    return table((heading, "meaning"), [(code(word), meaning) for word, meaning in meanings.items()])


def _strings() -> Iterator[str]:
    for file in product_files():
        yield from (node.value for node in ast.walk(tree(file)) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _constants(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from ((target.id, node.value.value) for target in node.targets if isinstance(target, ast.Name))


def _parts(value: ast.expr) -> Iterator[ast.Name | ast.Constant]:
    """The possible values of an argument: itself, or both ends of a choice; what is passed on from elsewhere says nothing new."""
    if isinstance(value, ast.IfExp):
        yield from (*_parts(value.body), *_parts(value.orelse))
    elif isinstance(value, ast.Name | ast.Constant):
        yield value


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""

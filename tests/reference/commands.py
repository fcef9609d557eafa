"""The page of the command line: every command with its arguments and options."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer

import run_hub
from routes.commands import asking
from tests.architecture.sources import ROOT
from tests.reference.markdown import block, code, document, link, table

_INTRODUCTION = """\
Type `.venv/bin/python run_hub.py COMMAND`, or `credit-hub COMMAND` where the package is installed. `--help` works on every command.

A command that asks or changes something goes through the running hub, over `HOME/hub.sock`; when none runs it opens the home itself. Whatever is decided needs `--because`."""

_EXITS = (
    (asking.FINE, "all is well"),
    (asking.FINDINGS, "there are findings: a problem in the configuration, something held or stopped, a difference"),
    (asking.USAGE, "the command cannot be carried out as it was given"),
    (asking.UNREACHABLE, "the hub, its broker or a store does not answer; the same command may work later"),
)
_SHARED = ("config", "home", "output")
_WORDS = {str: "text", int: "number", Path: "path"}
# What the command line leaves unsaid because it is plain there.
_SAID = {
    "events --limit": "How many of the latest are shown.",
    "quarantine list --limit": "How many of the latest are shown.",
    "quarantine ignore ids": "Rows by their id.",
}


def page() -> str:
    """Every command, in the order of `--help`."""
    found = dict(commands())
    index = table(("command", "what it does"), [(link(name, code(name)), _first(command.help)) for name, command in found.items()])
    shared = [_row("status", found["status"], p) for p in found["status"].params if p.name in _SHARED]
    parts = ["## Options that most commands have", table(("option", "value", "default", "meaning"), shared)]
    parts += ["## Exit codes", table(("code", "meaning"), [(str(number), meaning) for number, meaning in _EXITS])]
    return document("Commands", _INTRODUCTION, index, *parts, *(_command(name, command, found["status"]) for name, command in found.items()))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its whole name; those of a group follow one another."""
    for name, command in typer.main.get_command(run_hub.app).commands.items():  # type: ignore[attr-defined]
        inside = getattr(command, "commands", None)
        if inside is None:
            yield name, command
        else:
            yield from ((f"{name} {verb}", one) for verb, one in inside.items())


def _command(name: str, command: Any, usual: Any) -> str:
    defaults = {p.name: p.default for p in usual.params}
    shared = [p for p in command.params if p.name in _SHARED and p.default == defaults[p.name]]
    own = [p for p in command.params if p not in shared]
    rows = table(("argument or option", "value", "default", "meaning"), [_row(name, command, p) for p in own]) if own else ""
    also = f"Also {', '.join(code(p.opts[0]) for p in shared)}." if shared else ""
    return "\n\n".join(filter(None, [f"## {code(name)}", command.help, block(_usage(name, own, shared)), rows, also]))


def _usage(name: str, own: list[Any], shared: list[Any]) -> str:
    words = [f"run_hub.py {name}"]
    for parameter in own:
        word = parameter.opts[0] if _is_option(parameter) else parameter.name.upper()
        if _is_option(parameter) and not parameter.is_flag:
            word += f" {parameter.name.strip('_').rpartition('_')[2].upper()}"
        words.append((word if parameter.required else f"[{word}]") + ("…" if parameter.nargs == -1 or parameter.multiple else ""))
    return " ".join([*words, *(["[OPTIONS]"] if shared else [])])


def _row(name: str, command: Any, parameter: Any) -> tuple[str, str, str, str]:
    typed = " ".join(code(word) for word in parameter.opts) if _is_option(parameter) else code(parameter.name.upper())
    meaning = parameter.help or _SAID.get(f"{name} {parameter.opts[0]}", "")
    if not meaning:
        raise LookupError(f"`run_hub.py {name}` does not say what {parameter.opts[0]} is for: give it a help text")
    return typed, _value(command, parameter), _default(parameter), meaning


def _value(command: Any, parameter: Any) -> str:
    if getattr(parameter, "is_flag", False):
        return ""
    kind, several = get_type_hints(inspect.unwrap(command.callback))[parameter.name], ""
    while (options := [option for option in get_args(kind) if option is not type(None)]) and get_origin(kind):
        several = ", any number" if get_origin(kind) is list else several
        kind = options[0]
    if issubclass(kind, Enum):
        return " or ".join(code(choice.value) for choice in kind)
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    limits = f", {least:,} to {most:,}" if most is not None else f", at least {least:,}" if least is not None else ""
    return _WORDS[kind] + limits + several


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    default = parameter.default
    if default in (None, "", [], False) or default == ():
        return ""
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        return code(default.relative_to(ROOT))
    return code(default.value if isinstance(default, Enum) else default)


def _is_option(parameter: Any) -> bool:
    return str(parameter.opts[0]).startswith("-")


def _first(text: str) -> str:
    return text.partition(": ")[0].partition("; ")[0].partition(" (")[0].rstrip(".")

"""What every command has in common: options, questions to the hub, answers, and errors in the user's terms."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from config.loader import Loaded
    from hub.contracts.errors import HubError

T = TypeVar("T")

FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3
EXAMPLE_CITY = Path(__file__).resolve().parents[2] / "config" / "changshu"


class Format(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"


ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Directory of the configuration.")]
HomeOption = Annotated[Path, typer.Option("--home", help="Directory of the hub's state.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="text for people, json for programs.")]
BecauseOption = Annotated[str, typer.Option("--because", help="Why; kept with the decision.")]
HOME = Path("var")


def fail(error: HubError) -> NoReturn:
    """Print an error in the user's terms and leave with its exit code."""
    from hub.contracts.errors import Unavailable

    typer.echo(f"error: {error.message}", err=True)
    if error.hint:
        typer.echo(f"  way out: {error.hint}", err=True)
    raise typer.Exit(UNREACHABLE if isinstance(error, Unavailable) else USAGE)


def run_async(work: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine; the three errors become messages."""
    from hub.contracts.errors import HubError

    async def main() -> T:
        return await work()

    try:
        return asyncio.run(main())
    except HubError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def read_config(directory: Path) -> Loaded:
    """The configuration with its problems; a package beside the hub that cannot be loaded ends the command."""
    from hub.contracts.errors import HubError

    try:
        from config.loader import load

        return load(directory)
    except HubError as error:
        fail(error)


def loaded_or_exit(directory: Path, output: Format = Format.text) -> Loaded:
    """The configuration, or its errors and exit 1."""
    loaded = read_config(directory)
    if loaded.hub is None:
        show_problems(loaded, output)
        raise typer.Exit(FINDINGS)
    return loaded


def show_problems(loaded: Loaded, output: Format) -> None:
    """Print what is wrong with a configuration."""
    if output is Format.json:
        emit([problem.to_json() for problem in loaded.problems])
        return
    from monitoring.terminal import problems

    problems(loaded.problems)


def emit(answer: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2, default=str))


def ask(question: str, home: Path, config: Path, **arguments: Any) -> Any:
    """Put a question or a decision to the running hub, or open its home when none runs."""

    async def work() -> Any:
        from hub.control import ask as knock
        from hub.control import listens
        from hub.lock import HomeLock, door_of, open_doors

        lock = HomeLock(home)
        for door in open_doors(home):
            if door == door_of(home) or await listens(door):  # in a home that machines share, a node's door opens on its own machine only
                return await knock(door, question, arguments)
        from routes.city import City
        from routes.desk import Desk

        with lock:
            city = City(home, loaded_or_exit(config))
            try:
                await city.open()
                return await Desk(city).call(question, arguments)
            finally:
                await city.close()

    return run_async(work)


def answer(question: str, home: Path, config: Path, output: Format, **arguments: Any) -> Any:
    """Ask, print, and give the answer back."""
    given = ask(question, home, config, **arguments)
    if output is Format.json:
        emit(given)
    else:
        from monitoring import terminal

        terminal.show(question, given)
    return given


def print_or(verb: str, given: Any, output: Format) -> None:
    """Print an answer that is at hand already."""
    if output is Format.json:
        emit(given)
        return
    from monitoring import terminal

    terminal.show(verb, given)

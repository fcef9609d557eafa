"""The command line of Credit Hub (信枢)."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from config.loader import Loaded
    from hub.contracts.errors import HubError

T = TypeVar("T")

FINE, FINDINGS, USAGE, UNREACHABLE = 0, 1, 2, 3

app = typer.Typer(
    name="run_hub.py",
    help="信枢 Credit Hub: collects a city's public credit records, checks and stores them, and shares them back out. Start with `demo` or `init`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
quarantine_app = typer.Typer(help="疑问数据: rows that were set aside, and what to do with them.", no_args_is_help=True)
feed_app = typer.Typer(help="报送: pause, resume, release, refuse or collect a feed.", no_args_is_help=True)
share_app = typer.Typer(help="共享: pause or resume a share.", no_args_is_help=True)
queue_app = typer.Typer(help="队列: look into queues.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(feed_app, name="feed")
app.add_typer(share_app, name="share")
app.add_typer(queue_app, name="queue")

EXAMPLE_CITY = Path(__file__).resolve().parent / "config" / "changshu"


class Format(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"


ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="Directory of the configuration.")]
HomeOption = Annotated[Path, typer.Option("--home", help="Directory of the hub's state.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="text for people, json for programs.")]
BecauseOption = Annotated[str, typer.Option("--because", help="Why; kept with the decision.")]
HOME = Path("var")


# Plumbing ------------------------------------------------------------------------------------------------------------------------------


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


def loaded_or_exit(directory: Path, output: Format = Format.text) -> Loaded:
    """The configuration, or its errors and exit 1."""
    from config.loader import load

    loaded = load(directory)
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
        from hub.lock import HomeLock

        lock = HomeLock(home)
        if lock.taken():
            return await knock(home / "hub.sock", question, arguments)
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


# Running -------------------------------------------------------------------------------------------------------------------------------


@app.command()
def run(
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    once: Annotated[bool, typer.Option("--once", help="Read each feed once, deliver what is due, and end.")] = False,
    batch_rows: Annotated[int | None, typer.Option(help="Most rows in one batch; 32,000 by default.", min=100, max=50_000)] = None,
    listen: Annotated[str, typer.Option(help="Address of the console; the configuration's by default.")] = "",
) -> None:
    """Keep the hub running, or let it work once (exit 1 when something is held or stopped)."""
    loaded = loaded_or_exit(config)

    async def work() -> bool:
        from routes.service import serve

        return await serve(loaded, home, config=config, once=once, batch_rows=batch_rows, listen=listen)

    if not run_async(work):
        raise typer.Exit(FINDINGS)


@app.command()
def demo(home: HomeOption = Path("var/demo"), output: FormatOption = Format.text) -> None:
    """Let the example city's agencies deliver, end to end, and print the reconciliation."""
    loaded = loaded_or_exit(EXAMPLE_CITY)

    async def work() -> dict[str, Any]:
        from routes.demo import play

        return await play(loaded, home, EXAMPLE_CITY)

    result = run_async(work)
    if output is Format.json:
        emit(result)
    else:
        from monitoring import terminal

        terminal.demo(result)
    raise typer.Exit(FINE if result["fine"] else FINDINGS)


@app.command()
def init(directory: Annotated[Path, typer.Argument(help="Where the new configuration goes.")] = Path("my-city")) -> None:
    """Write a minimal configuration with one folder feed, ready to run."""

    async def work() -> list[str]:
        from config.starter import write_starter

        return write_starter(directory)

    for line in run_async(work):
        typer.echo(line)


# Configuration -------------------------------------------------------------------------------------------------------------------------


@app.command()
def lint(config: ConfigOption = EXAMPLE_CITY, output: FormatOption = Format.text) -> None:
    """Check a configuration: every error at once, with file, line, column and the way out."""
    from config.loader import load

    loaded = load(config)
    show_problems(loaded, output)
    raise typer.Exit(FINDINGS if loaded.problems else FINE)


@app.command()
def schema() -> None:
    """Print the JSON Schema that editors use to complete and check the YAML files."""
    from config.schema import json_schema

    emit(json_schema())


@app.command()
def functions(name: Annotated[str, typer.Argument(help="One function; all by default.")] = "", output: FormatOption = Format.text) -> None:
    """List the functions of the pipe language with their help and examples."""
    from transforms.functions import FUNCTIONS, describe, describe_text

    chosen = [f for f in FUNCTIONS.values() if not name or f.name == name]
    if not chosen:
        typer.echo(f"error: there is no function {name!r}\n  way out: `run_hub.py functions` lists them all", err=True)
        raise typer.Exit(USAGE)
    if output is Format.json:
        emit([describe(f) for f in chosen])
        return
    for function in chosen:
        typer.echo(describe_text(function))


@app.command()
def preview(
    feed: Annotated[str, typer.Argument(help="A feed, such as A0030.penalty.")],
    file: Annotated[Path | None, typer.Argument(help="A file to try; by default the feed's next waiting one or its sample.")] = None,
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    rows: Annotated[int, typer.Option(help="Rows to look at.", min=1, max=1000)] = 10,
    output: FormatOption = Format.text,
) -> None:
    """Show what a file would become: raw, parsed, mapped, checked, and what would change in the store. Masked; nothing is written."""
    loaded = loaded_or_exit(config, output)

    async def work() -> dict[str, Any]:
        from routes.preview import look

        return await look(loaded, home, config, feed, file, rows)

    _print_or("preview", run_async(work), output)


@app.command("test")
def try_samples(
    config: ConfigOption = EXAMPLE_CITY,
    feed: Annotated[str, typer.Option(help="Only this feed's tests.")] = "",
    output: FormatOption = Format.text,
) -> None:
    """Run the `tests:` of the YAML files."""
    loaded = loaded_or_exit(config, output)

    async def work() -> list[dict[str, Any]]:
        from routes.preview import try_tests

        return await try_tests(loaded, config, feed)

    results = run_async(work)
    _print_or("test", results, output)
    raise typer.Exit(FINE if all(r["passed"] for r in results) else FINDINGS)


def _print_or(verb: str, given: Any, output: Format) -> None:
    if output is Format.json:
        emit(given)
        return
    from monitoring import terminal

    terminal.show(verb, given)


# Looking -------------------------------------------------------------------------------------------------------------------------------


@app.command()
def status(config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text) -> None:
    """Feeds, shares and queues as they stand."""
    answer("status", home, config, output)


@app.command()
def trace(
    wanted: Annotated[str, typer.Argument(help="USCC, document number, record id, or a file's name with --row.")],
    row: Annotated[int | None, typer.Option(help="Row of the file; 1 is the first below the heading.", min=1)] = None,
    item: Annotated[str, typer.Option(help="Only this item.")] = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Tell a record's whole way, from the agency's file to everyone who received it."""
    found = answer("trace", home, config, output, wanted=wanted, item=item, row=row)
    raise typer.Exit(FINE if found["records"] else FINDINGS)


@app.command()
def reconcile(
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    repair: Annotated[bool, typer.Option("--repair", help="Send again, from landing, what no inbox knows.")] = False,
    output: FormatOption = Format.text,
) -> None:
    """Prove the promise again from landing, ledger, stores, quarantine and deliveries (exit 1 when something does not fit)."""
    proof = answer("reconcile", home, config, output, repair=repair)
    raise typer.Exit(FINE if proof["balanced"] else FINDINGS)


@app.command()
def events(config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, limit: int = 50, output: FormatOption = Format.text) -> None:
    """The latest events: duplicates, refusals, decisions."""
    answer("events", home, config, output, limit=limit)


@app.command()
def doctor(config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text) -> None:
    """Look at this machine, the configuration's needs and the home, and say what to do."""

    async def work() -> list[dict[str, Any]]:
        from routes.doctor import examine

        return await examine(config, home)

    findings = run_async(work)
    _print_or("doctor", findings, output)
    raise typer.Exit(FINE if all(f["ok"] for f in findings) else FINDINGS)


@app.command()
def bench(
    rows: Annotated[int, typer.Option(help="Rows to load.", min=1000)] = 1_309_000,
    home: Annotated[Path | None, typer.Option("--home", help="Where to work; a temporary directory by default.")] = None,
    output: FormatOption = Format.text,
) -> None:
    """Measure the hub end to end against a plain upsert of the same rows on this machine."""

    async def work() -> Mapping[str, Any]:
        from routes.bench import measure

        return await measure(rows, home)

    _print_or("bench", run_async(work), output)


@app.command()
def version(output: FormatOption = Format.text) -> None:
    """Print the version."""
    number = _version()
    if output is Format.json:
        emit({"version": number, "python": sys.version.split()[0]})
    else:
        typer.echo(f"Credit Hub {number}, Python {sys.version.split()[0]}")


def _version() -> str:
    """The installed version; of a checkout that is not installed, the one its project file names."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("credit-hub")
    except PackageNotFoundError:
        import tomllib

        return str(tomllib.loads((Path(__file__).parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


# Deciding ------------------------------------------------------------------------------------------------------------------------------


@quarantine_app.command("list")
def quarantine_list(
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    feed: Annotated[str, typer.Option(help="Only this feed.")] = "",
    code: Annotated[str, typer.Option(help="Only this rule, such as R111.")] = "",
    state: Annotated[str, typer.Option(help="open, reentered or ignored.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    output: FormatOption = Format.text,
) -> None:
    """Rows set aside, with position, rule, field and reason."""
    answer("quarantine_list", home, config, output, feed=feed, code=code, state=state, limit=limit)


@quarantine_app.command("show")
def quarantine_show(
    row: Annotated[int, typer.Argument(help="The row's id.")], config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text
) -> None:
    """One row as the agency wrote it, masked."""
    answer("quarantine_show", home, config, output, row=row)


@quarantine_app.command("retry")
def quarantine_retry(
    ids: Annotated[list[int], typer.Argument(help="Rows to check again under the present configuration.")],
    because: BecauseOption = "",
    set_: Annotated[list[str], typer.Option("--set", help="Correct a cell first: HEADING=VALUE.")] = [],  # noqa: B006  typer copies it
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Send rows again as a new batch that names the rows it resolves."""
    changes = dict(pair.partition("=")[::2] for pair in set_)
    answer("quarantine_retry", home, config, output, ids=ids, changes=changes, because=because)


@quarantine_app.command("ignore")
def quarantine_ignore(
    ids: list[int], because: BecauseOption = "", config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text
) -> None:
    """Decide that rows are not needed."""
    answer("quarantine_ignore", home, config, output, ids=ids, because=because)


def _verb(group: typer.Typer, kind: str, verb: str, text: str) -> None:
    """One command per verb, all alike."""

    def command(
        name: Annotated[str, typer.Argument(help="Its name, as `status` shows it.")],
        because: BecauseOption = "",
        config: ConfigOption = EXAMPLE_CITY,
        home: HomeOption = HOME,
        output: FormatOption = Format.text,
    ) -> None:
        answer(kind, home, config, output, name=name, verb=verb, because=because)

    group.command(verb, help=text)(command)


_verb(feed_app, "feed", "pause", "Read nothing more until resumed.")
_verb(feed_app, "feed", "resume", "Go on after a pause or a stop.")
_verb(feed_app, "feed", "release", "Let a held run pass its limits.")
_verb(feed_app, "feed", "refuse", "Refuse a held run: its file is put aside.")
_verb(feed_app, "feed", "collect", "Look for new data now.")


@feed_app.command("replay")
def feed_replay(
    name: Annotated[str, typer.Argument(help="Its name, as `status` shows it.")],
    arrival: Annotated[int, typer.Option(help="Number of the arrival, as `trace` and `status` show it.", min=1)],
    because: BecauseOption = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Read an arrival again from landing under the present configuration; what later arrivals wrote stays."""
    answer("replay_feed", home, config, output, name=name, arrival=arrival, because=because)


_verb(share_app, "share", "pause", "Deliver nothing more until resumed.")
_verb(share_app, "share", "resume", "Go on after a pause or a stop.")
_verb(queue_app, "queue", "peek", "The first messages, headers only.")
_verb(queue_app, "queue", "purge", "Drop what waits; batches stay in landing and `reconcile --repair` sends them again.")


@queue_app.command("list")
def queue_list(config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text) -> None:
    """All queues and how full they are."""
    answer("queue", home, config, output)


@app.command()
def replay(
    share: Annotated[str, typer.Argument(help="Name of the share.")],
    deliveries: Annotated[list[str] | None, typer.Argument(help="Delivery ids; the share's dead letters by default.")] = None,
    really: Annotated[bool, typer.Option("--really", help="Send; without it, only count.")] = False,
    because: BecauseOption = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Send deliveries again, after counting them first."""
    answer("replay", home, config, output, share=share, deliveries=deliveries, dry_run=not really, because=because)


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()

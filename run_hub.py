"""The command line of Credit Hub (信枢)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from routes.commands import connecting, keeping
from routes.commands.asking import (
    EXAMPLE_CITY,
    FINDINGS,
    FINE,
    HOME,
    USAGE,
    BecauseOption,
    ConfigOption,
    Format,
    FormatOption,
    HomeOption,
    answer,
    emit,
    loaded_or_exit,
    print_or,
    read_config,
    run_async,
    show_problems,
)
from routes.commands.deciding import feed_app, quarantine_app, queue_app, share_app
from routes.commands.keys import key_app
from routes.commands.storing import store_app

app = typer.Typer(
    name="run_hub.py",
    help="信枢 Credit Hub: collects a city's public credit records, checks and stores them, and shares them back out. Start with `demo` or `init`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(connecting.check)
app.command()(connecting.record)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(feed_app, name="feed")
app.add_typer(share_app, name="share")
app.add_typer(queue_app, name="queue")
app.add_typer(key_app, name="key")
app.add_typer(store_app, name="store")
app.command()(keeping.backup)
app.command()(keeping.restore)


# Running -------------------------------------------------------------------------------------------------------------------------------


@app.command()
def run(
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    once: Annotated[bool, typer.Option("--once", help="Read each feed once, deliver what is due, and end.")] = False,
    batch_rows: Annotated[int | None, typer.Option(help="Most rows in one batch; 32,000 by default.", min=100, max=50_000)] = None,
    listen: Annotated[str, typer.Option(help="Address of the console; the configuration's by default.")] = "",
    roles: Annotated[str, typer.Option(help="What this process does, of collect,load,share,deliver,gateway,console; everything by default.")] = "",
    node: Annotated[str, typer.Option(help="Its name among the processes that share a hub; the machine's by default.")] = "",
) -> None:
    """Keep the hub running, or let it work once (exit 1 when something is held or stopped)."""
    loaded = loaded_or_exit(config)

    async def work() -> bool:
        from routes.places import node_of, roles_of
        from routes.service import serve

        assert loaded.hub is not None, "a configuration without errors"
        duties, name = roles_of(roles, loaded.hub, node), node_of(node)
        return await serve(loaded, home, config=config, once=once, batch_rows=batch_rows, listen=listen, roles=duties, node=name)

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
    loaded = read_config(config)
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

    print_or("preview", run_async(work), output)


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
    print_or("test", results, output)
    raise typer.Exit(FINE if all(r["passed"] for r in results) else FINDINGS)


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
    print_or("doctor", findings, output)
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

    print_or("bench", run_async(work), output)


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

"""Commands for a new connection: is it there, does it let us in, and what would its rows become."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from routes.commands.asking import (
    EXAMPLE_CITY,
    FINDINGS,
    FINE,
    HOME,
    UNREACHABLE,
    ConfigOption,
    Format,
    FormatOption,
    HomeOption,
    emit,
    loaded_or_exit,
    print_or,
    run_async,
)


def check(
    name: Annotated[str, typer.Argument(help="An agency, such as A0030, or a feed; all by default.")] = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Test live connections in layers (reach, authenticate, shape, sample, rows), without side effects on either side."""
    loaded = loaded_or_exit(config, output)

    async def work() -> list[dict[str, Any]]:
        from routes.checking import check as look

        assert loaded.hub is not None, "problems end the command"
        return await look(loaded.hub, home, **({"feed": name} if "." in name else {"agency": name}))

    findings = run_async(work)
    print_or("check", findings, output)
    if not all(finding["fine"] for finding in findings):
        away = all(finding["layer"] == "reach" for finding in findings if not finding["fine"])
        raise typer.Exit(UNREACHABLE if away else FINDINGS)
    raise typer.Exit(FINE)


def record(
    feed: Annotated[str, typer.Argument(help="A feed, such as A0030.penalty.")],
    rows: Annotated[int, typer.Option(help="Rows to keep.", min=1, max=1000)] = 20,
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Save a sample of a live source as a fixture for `tests:`, every identity in it replaced by a made-up one."""
    loaded = loaded_or_exit(config, output)

    async def work() -> dict[str, Any]:
        from routes.documents import feed_of
        from routes.recording import record as keep

        assert loaded.hub is not None, "problems end the command"
        return await keep(feed_of(loaded.hub, feed), home, config, rows)

    kept = run_async(work)
    if output is Format.json:
        emit(kept)
        return
    typer.echo(f"{kept['rows']} rows are in {kept['file']}. Look at them, then add to the agency's `tests:`")
    typer.echo(kept["test"])

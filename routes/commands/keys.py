"""Commands for the API keys of agencies that call us."""

from __future__ import annotations

from typing import Annotated

import typer

from routes.commands.asking import EXAMPLE_CITY, HOME, BecauseOption, ConfigOption, Format, FormatOption, HomeOption, answer, ask, emit

key_app = typer.Typer(help="密钥: API keys of agencies that submit over the gateway.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The key's id, as `key list` shows it.")]


def _made(given: dict[str, str], output: Format) -> None:
    if output is Format.json:
        emit(given)
        return
    typer.echo(f"{given['key']}\nThis is shown once and kept nowhere: hand it over now, by a way that you trust. Its id is {given['id']}.")


@key_app.command("add")
def key_add(
    agency: Annotated[str, typer.Argument(help="Code of the agency, such as A0030.")],
    days: Annotated[int, typer.Option(help="After how many days it ends.", min=1, max=3660)] = 365,
    because: BecauseOption = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Make a key for an agency and show it, this once."""
    _made(ask("key", home, config, verb="add", name=agency, days=days, because=because), output)


@key_app.command("list")
def key_list(
    agency: Annotated[str, typer.Argument(help="Only this agency.")] = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Keys with state, times and last use; never what could be used."""
    answer("key", home, config, output, verb="list", name=agency)


@key_app.command("rotate")
def key_rotate(
    key: KeyId,
    overlap: Annotated[int, typer.Option(help="For how many days the old key still holds.", min=0, max=90)] = 7,
    because: BecauseOption = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Make a new key beside the old one, which ends after the overlap."""
    _made(ask("key", home, config, verb="rotate", name=key, days=overlap, because=because), output)


@key_app.command("revoke")
def key_revoke(
    key: KeyId, because: BecauseOption = "", config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text
) -> None:
    """End a key now: the next request with it is refused."""
    answer("key", home, config, output, verb="revoke", name=key, because=because)

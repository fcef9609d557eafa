"""Commands that keep a hub: a backup of everything, and bringing it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from routes.commands.asking import EXAMPLE_CITY, HOME, ConfigOption, Format, FormatOption, HomeOption, loaded_or_exit, print_or
from routes.commands.storing import here

if TYPE_CHECKING:
    from routes.backup_file import Key

PassphraseOption = Annotated[str, typer.Option("--passphrase", help="Where the passphrase is kept: ${env:NAME} or ${file:/path}; asked for by default.")]


def backup(
    file: Annotated[Path, typer.Argument(help="The new file.")],
    passphrase: PassphraseOption = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Keep state, stores, landing, keys and configuration in one encrypted file. The hub may run meanwhile; secrets are not in it."""
    loaded = loaded_or_exit(config, output)
    from routes.backup import back_up

    hub = loaded.hub
    assert hub is not None
    print_or("backup", here(lambda: back_up(hub, loaded.bundle, home, file, _key(passphrase, home, new=True))), output)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `backup` made.")],
    home: Annotated[Path, typer.Option("--home", help="The new home; it must not be there, or hold its secrets/ only.")],
    passphrase: PassphraseOption = "",
    force: Annotated[bool, typer.Option("--force", help="Although a newer backup was restored there before.")] = False,
    config: ConfigOption = EXAMPLE_CITY,
    output: FormatOption = Format.text,
) -> None:
    """Verify a backup from end to end, then bring it back into a new home and empty databases. Go on with `reconcile --repair`."""
    loaded = loaded_or_exit(config, output)
    from routes.backup_restore import restore as bring_back

    hub = loaded.hub
    assert hub is not None
    print_or("restore", here(lambda: bring_back(hub, file, home, _key(passphrase, home, new=False), force=force)), output)


def _key(passphrase: str, home: Path, *, new: bool) -> Key:
    """The passphrase from where it is kept, or from the person who gives the command."""
    from config.secrets import Secrets
    from routes.backup_file import key_of

    if passphrase:
        return key_of(Secrets(home / "secrets").resolve(passphrase).reveal())
    return key_of(typer.prompt("Passphrase of the backup", hide_input=True, confirmation_prompt=new, err=True))

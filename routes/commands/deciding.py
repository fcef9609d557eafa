"""Commands by which a person decides: about quarantined rows, feeds, shares and queues. Each decision keeps its reason."""

from __future__ import annotations

from typing import Annotated

import typer

from routes.commands.asking import EXAMPLE_CITY, HOME, BecauseOption, ConfigOption, Format, FormatOption, HomeOption, answer

quarantine_app = typer.Typer(help="疑问数据: rows that were set aside, and what to do with them.", no_args_is_help=True)
feed_app = typer.Typer(help="报送: pause, resume, release, refuse or collect a feed.", no_args_is_help=True)
share_app = typer.Typer(help="共享: pause or resume a share.", no_args_is_help=True)
queue_app = typer.Typer(help="队列: look into queues.", no_args_is_help=True)


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

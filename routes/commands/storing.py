"""Commands for the tables of the hub's databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from routes.commands.asking import EXAMPLE_CITY, FINDINGS, FINE, HOME, ConfigOption, Format, FormatOption, HomeOption, fail, loaded_or_exit, print_or

T = TypeVar("T")

store_app = typer.Typer(help="库: tables of the stores and of the hub's state.", no_args_is_help=True)


def here(work: Callable[[], T]) -> T:
    """Run what works in this process from beginning to end; the three errors become messages."""
    from hub.contracts.errors import HubError

    try:
        return work()
    except HubError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@store_app.command("plan")
def store_plan(config: ConfigOption = EXAMPLE_CITY, home: HomeOption = HOME, output: FormatOption = Format.text) -> None:
    """What the databases lack of what the catalogue asks for, in words and SQL (exit 1 when something is to be done or refused). Changes nothing."""
    loaded = loaded_or_exit(config, output)
    assert loaded.hub is not None
    from routes.schema import plan

    hub = loaded.hub
    planned = here(lambda: plan(hub, home))
    print_or("store_plan", planned.as_json(), output)
    raise typer.Exit(FINE if planned.clean else FINDINGS)


@store_app.command("apply")
def store_apply(
    plan: Annotated[str, typer.Option("--plan", help="Number of the plan, as `store plan` shows it: what was read is what runs.")] = "",
    config: ConfigOption = EXAMPLE_CITY,
    home: HomeOption = HOME,
    output: FormatOption = Format.text,
) -> None:
    """Make the changes of the plan that was read (exit 1 when something stays refused). Nothing that is stored is lost."""
    loaded = loaded_or_exit(config, output)
    assert loaded.hub is not None
    from routes.schema import apply

    hub = loaded.hub
    done = here(lambda: apply(hub, home, plan))
    print_or("store_apply", done, output)
    raise typer.Exit(FINDINGS if any(database["steps"] or database["refused"] for database in done["databases"]) else FINE)

"""Parts from outside packages, found by Python entry points: `credit_hub.sources`, `credit_hub.outlets`, `credit_hub.functions`."""

from __future__ import annotations

from collections.abc import Container, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from hub.contracts.errors import Misconfigured

GROUPS = ("credit_hub.sources", "credit_hub.outlets", "credit_hub.functions")


def plugins(group: str, taken: Container[str] = ()) -> Iterator[tuple[str, Any]]:
    """Every part that an installed package offers under `group`, by its name, loaded.

    Raises `Misconfigured` that names the package where it cannot be loaded, or where its name is `taken`.
    """
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        if point.name in taken:
            raise Misconfigured(f"{_package(point)} brings {point.name!r}, which the hub has itself", hint="rename its entry point, or remove the package")
        try:
            found = point.load()
        except Exception as error:  # somebody else's module may raise anything while it is imported
            message = f"{point.name} of {_package(point)} cannot be loaded: {type(error).__name__}: {error}"
            raise Misconfigured(message, hint="install a version that fits this hub, or remove the package") from error
        yield point.name, found


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value

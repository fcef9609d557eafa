"""What a site looked like at the last good visit, so that a changed page stops the feed instead of passing for an empty or shorter list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hub.contracts.errors import Misconfigured
from hub.contracts.headings import normalise_heading

NOTE = "layout"
_MOST = 2_000  # headings that are remembered
_HINT = "look at the page: map what is new, and set `layout:` in the feed's `read` to another text once the headings found are right"


class Layout:
    """The headings of lists, details and attachments in one visit, held against those of the visit before.

    `before` is the note of that visit; one under another `label` does not count, because a person has looked at the page since.
    """

    def __init__(self, known: frozenset[str], before: Mapping[str, Any] | None, label: str) -> None:
        self._known = known
        self._label = label
        self._before: Mapping[str, Any] = (before or {}).get("kinds", {}) if (before or {}).get("label") == label else {}
        self._seen: dict[str, list[dict[str, str]]] = {}

    def saw(self, kind: str, titles: Iterable[str]) -> None:
        """Headings, as written, of one table or file of this kind."""
        self._seen.setdefault(kind, []).append({normalise_heading(title): title for title in titles})

    def check(self) -> None:
        """Raise `Misconfigured` where headings are new, or those that stood everywhere are nowhere."""
        for kind, before in self._before.items():
            seen = {name: title for one in self._seen.get(kind, ()) for name, title in one.items()}
            new = [title for name, title in seen.items() if name not in before["ever"] and name not in self._known]
            lost = [title for name, title in before["always"].items() if name not in seen] if seen else []
            if new or lost:
                parts = [f"new headings: {_listed(new)}"] * bool(new) + [f"headings that are gone: {_listed(lost)}"] * bool(lost)
                raise Misconfigured(f"the {kind} page has changed; {'; '.join(parts)}", hint=_HINT)

    def note(self) -> dict[str, Any]:
        """What to remember of this visit (JSON-able)."""
        kinds = dict(self._before)
        for kind, tables in self._seen.items():
            shared = set.intersection(*(set(one) for one in tables))
            ever = dict.fromkeys([*(name for one in tables for name in one), *self._before.get(kind, {}).get("ever", ())])
            kinds[kind] = {"always": {n: t for n, t in tables[0].items() if n in shared}, "ever": list(ever)[:_MOST]}
        return {"label": self._label, "kinds": kinds}


def _listed(titles: list[str]) -> str:
    return "、".join(title[:30] for title in titles[:8]) + (" …" if len(titles) > 8 else "")

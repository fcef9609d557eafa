"""What a site's robots.txt permits (RFC 9309)."""

from __future__ import annotations

from protego import Protego

from hub.contracts.errors import Misconfigured

MOST_BYTES = 500 << 10  # as much as RFC 9309 2.5 asks to be read
_LONGEST = 600.0  # seconds between two requests that a feed can live with


class Robots:
    """The rules of one robots.txt for one agent; an empty text permits everything."""

    def __init__(self, text: bytes, agent: str) -> None:
        self._rules = Protego.parse(text[:MOST_BYTES].decode("utf-8", "replace"))
        self._agent = agent

    @property
    def pause(self) -> float:
        """Seconds between two requests that the site asks for. Raises `Misconfigured` where no feed could live with it."""
        rate = self._rules.request_rate(self._agent)
        pause = max(self._rules.crawl_delay(self._agent) or 0.0, rate.seconds / rate.requests if rate else 0.0)
        if pause > _LONGEST:
            raise Misconfigured(
                f"robots.txt asks for {pause:g} s between requests", hint="agree with the site's owner, then set `robots: ignore` and `because`"
            )
        return pause

    def check(self, url: str, place: str) -> None:
        """Raise `Misconfigured` where the site does not want this address to be fetched; `place` is how it is called in the message."""
        if not self._rules.can_fetch(url, self._agent):
            hint = "ask the agency for another way, or for its consent: then set `robots: ignore` and `because`"
            raise Misconfigured(f"robots.txt of {place} does not permit this address", hint=hint)

"""How much one caller may take, in time that passes only when a test says so."""

from __future__ import annotations

import pytest

from connectors.gateway.limits import Buckets, Connections, GatewayLimits
from connectors.gateway.problems import Refusal
from connectors.gateway.settings import GatewayConfig


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    now = [0.0]
    buckets = Buckets(lambda: now[0])

    at_once = [buckets.take("A0001", 1.0, 3) for _ in range(4)]
    now[0] += 1.0
    later = [buckets.take("A0001", 1.0, 3) for _ in range(2)]

    assert at_once == [0.0, 0.0, 0.0, 1.0]
    assert later == [0.0, 1.0]


def test_one_caller_does_not_spend_what_another_has() -> None:
    buckets = Buckets(lambda: 0.0)
    buckets.spend("A0001", 0.1, 1)

    buckets.spend("A0002", 0.1, 1)
    with pytest.raises(Refusal) as refused:
        buckets.spend("A0001", 0.1, 1)

    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "10")


def test_connections_are_counted_by_address_and_in_all() -> None:
    connections = Connections(GatewayLimits(connections=3, per_address=2))

    entered = [connections.enter(address) for address in ("a", "a", "a", "b", "c")]
    connections.leave("a")
    afterwards = connections.enter("c")

    assert entered == [True, True, False, True, False]
    assert afterwards is True


@pytest.mark.parametrize(("rate", "per_second", "burst"), [("5/s", 5.0, 5), ("60/m", 1.0, 60), ("3600/h", 1.0, 3600)])
def test_a_rate_is_written_as_people_say_it(rate: str, per_second: float, burst: int) -> None:
    config = GatewayConfig(rate=rate)

    assert (config.per_second, config.burst) == (per_second, burst)


@pytest.mark.parametrize("rate", ["0/s", "60", "60/d", "-1/s", "1.5/m", ""])
def test_what_is_no_rate_is_refused(rate: str) -> None:
    with pytest.raises(ValueError, match="how many requests"):
        GatewayConfig(rate=rate)

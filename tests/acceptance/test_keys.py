"""API keys of agencies from the command line."""

from __future__ import annotations

from tests.city.command import Hub


def test_a_key_is_shown_once_rotated_with_overlap_and_revoked(hub: Hub) -> None:
    made = hub.ask("key", "add", "A0001", "--because", "接入申请")
    rotated = hub.ask("key", "rotate", made["id"], "--overlap", "3", "--because", "例行更换")
    hub("key", "revoke", made["id"], "--because", "泄露")

    listed = {key["id"]: key for key in hub.ask("key", "list", "A0001")}
    events = [event["what"] for event in hub.ask("events")]

    assert made["key"].startswith(f"chk_{made['id']}_")
    assert rotated["key"] != made["key"]
    assert (listed[made["id"]]["state"], listed[rotated["id"]]["state"]) == ("revoked", "in force")
    assert not any(secret["key"].rpartition("_")[2] in str(listed) for secret in (made, rotated))
    assert {"key_added", "key_rotated", "key_revoked"} <= set(events)


def test_a_key_needs_a_reason_and_an_agency_that_there_is(hub: Hub) -> None:
    hasty = hub("key", "add", "A0001")
    unknown = hub("key", "add", "A9999", "--because", "x")

    assert (hasty.code, unknown.code) == (2, 2)
    assert "--because" in hasty.err
    assert "A9999" in unknown.err

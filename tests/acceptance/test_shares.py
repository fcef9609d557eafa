"""What agencies receive: exactly what they may see, signed, once, and again when a person says so."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.city.command import FIRM_HEADING, Hub, firm_row, person_row
from tests.city.configuration import agency_yaml
from tests.city.identities import citizen, firm

SECRET = "whsec_" + "c2hhcmVkIHNlY3JldCBvZiB0aGUgY291cnQgaG9vaw=="
INNER = "内部意见不得外传"
MOST = 100  # requests


class Court:
    """A receiver on a free loopback port: keeps what it is sent and answers with `status`."""

    def __init__(self) -> None:
        court, self.status, self.calls = self, 200, list[tuple[dict[str, str], bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert len(court.calls) < MOST
                court.calls.append(({k.lower(): v for k, v in self.headers.items()}, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(court.status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for _, body in self.calls for record in json.loads(body)["data"]["records"]]


@pytest.fixture
def court() -> Iterator[Court]:
    court = Court()
    thread = threading.Thread(target=court.server.serve_forever)
    thread.start()
    yield court
    court.server.shutdown()
    court.server.server_close()
    thread.join()


def webhook_share(court: Court) -> str:
    deliver = f'{{webhook: {{url: "{court.url}", secret: "${{env:COURT_HOOK}}", allow: [127.0.0.0/8]}}}}'
    return f"\nshares:\n  firms-to-court:\n    items: [A0001-F08-01]\n    to: A0011\n    fields: [uscc, org_name, honor_name]\n    deliver: {deliver}\n    because: 本机\n"


def status_of(hub: Hub, share: str, **environment: str) -> dict[str, Any]:
    answer = hub("status", "--format", "json", **environment)
    return dict(next(s for s in answer.json["shares"] if s["share"] == share))


def test_a_webhook_gets_signed_events_dead_letters_are_kept_and_replayed(hub: Hub, court: Court) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(shares=webhook_share(court)))
    hook = {"COURT_HOOK": SECRET}
    rows = [f"{firm_row(1)},{INNER},0", f"{firm_row(2)},{INNER},2"]
    hub.drop("firms", "a.csv", "\n".join([FIRM_HEADING + ",内部意见,数据状态", *rows, ""]))
    court.status = 400

    refused = hub("run", "--once", **hook)
    dead = status_of(hub, "A0001.firms-to-court", **hook)
    counted = hub("replay", "A0001.firms-to-court", "--format", "json", **hook)
    court.status = 200
    hub("run", "--once", **hook)
    untouched = len(court.calls)
    hasty = hub("replay", "A0001.firms-to-court", "--really", **hook)
    replayed = hub("replay", "A0001.firms-to-court", "--really", "--because", "对方已修复", **hook)
    hub("run", "--once", **hook)

    delivered = status_of(hub, "A0001.firms-to-court", **hook)
    headers, body = court.calls[-1]
    assert refused.code == 0, refused.err
    assert (dead["delivered"], dead["dead"], dead["withheld"]) == (0, 1, {"disputed": 1})
    assert (counted.json["deliveries"], counted.json["dry_run"]) == (1, True)
    assert (untouched, hasty.code, replayed.code, len(court.calls)) == (1, 2, 0, 2)
    assert (delivered["delivered"], delivered["dead"], delivered["withheld"]) == (1, 0, {"disputed": 1})
    assert Webhook(SECRET).verify(body.decode(), headers)["data"]["records"]
    assert [r.get("fields", r)["uscc"] for r in json.loads(body)["data"]["records"]] == [firm(1)]
    assert INNER.encode() not in b"".join(body for _, body in court.calls)
    assert json.dumps(INNER).strip('"').encode() not in b"".join(body for _, body in court.calls)
    assert hub("reconcile", **hook).code == 0


def test_a_receiver_that_is_down_is_tried_again_later_and_run_once_does_not_wait(hub: Hub, court: Court) -> None:
    (hub.config / "agencies/A0001.yaml").write_text(agency_yaml(shares=webhook_share(court)))
    hub.drop("firms", "a.csv", [firm_row(1)])
    court.status = 503

    once = hub("run", "--once", COURT_HOOK=SECRET)
    waiting = status_of(hub, "A0001.firms-to-court", COURT_HOOK=SECRET)

    assert once.code == 0, once.err
    assert (waiting["delivered"], waiting["waiting"], waiting["state"]) == (0, 1, "waiting")
    assert 1 <= len(court.calls) <= 3


def test_a_folder_share_writes_masked_events_and_tells_of_withdrawals(hub: Hub) -> None:
    hub.drop("persons", "a.csv", [person_row(1, "赵样甲"), person_row(2, "钱样乙")])
    hub.drop("firms", "a.csv", [firm_row(1)])
    first = hub.once()
    hub.drop("firms", "b.csv", f"{FIRM_HEADING},数据状态\n{firm_row(1)},1\n")
    hub.once()

    police = _records(hub.home / "out/police")
    court = _records(hub.home / "out/court")
    text = "".join(path.read_text() for path in (hub.home / "out").rglob("*") if path.is_file())
    assert first.code == 0, first.err
    assert len(police) == 2
    assert "赵**" in text
    assert f"{citizen(1)[:6]}********{citizen(1)[-4:]}" in text
    assert [r["op"] for r in court] == ["upsert", "withdraw"]
    for secret in ("赵样甲", "钱样乙", citizen(1), citizen(2), "认定日期", "decision_date"):
        assert secret not in text


def _records(folder: Path) -> list[dict[str, str]]:
    """Records of all files that have their manifest, in the order of their sequence."""
    told = [json.loads(path.read_text()) for path in folder.rglob("*.csv.json")]
    files = [folder / manifest["file"] for manifest in sorted(told, key=lambda m: int(m["sequence"]))]
    return [record for file in files for record in csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines())]


def test_a_paused_share_delivers_nothing_and_goes_on_where_it_stopped(hub: Hub) -> None:
    hub("share", "pause", "A0001.firms-to-court", "--because", "对方停机")
    hub.drop("firms", "a.csv", [firm_row(1)])
    meanwhile = hub.once()
    before = _records(hub.home / "out/court")
    hub("share", "resume", "A0001.firms-to-court", "--because", "恢复")
    hub.once()

    assert meanwhile.code == 0, meanwhile.err
    assert before == []
    assert len(_records(hub.home / "out/court")) == 1

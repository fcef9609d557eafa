"""After a fault the same pull brings every row once: the hub as a process, an agency of each kind, a link between them that goes wrong, and the reconciliation."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.city import bulletin_site, rest_agency, soap_agency
from tests.city.command import FIRM_HEADING, Hub, firm_row
from tests.city.identities import firm
from tests.city.sftp_agency import SftpAgency
from tests.city.soap_agency import WSDL
from tests.faults.proxy import Faults, Proxy
from tests.integration.test_web_city import ITEM

ROWS = 6
_AGENCY = """\
agency: {{code: A0001, name: 工商局}}
sources:
  court: {{rest: {{url: "http://127.0.0.1:{rest}", allow: [127.0.0.0/8], rate: 100/s, timeout: 300ms, api_key: {{value: "${{env:COURT_KEY}}"}}}}}}
  tax:
    soap:
      wsdl: rating.wsdl
      digest: "sha256:{digest}"
      imports: {{types/rating.xsd: "sha256:{types}"}}
      address: http://127.0.0.1:{soap}/services/rating
      allow: [127.0.0.0/8]
      timeout: 300ms
  site: {{web: {{url: "http://127.0.0.1:{web}", allow: [127.0.0.0/8], rate: 100/s, timeout: 300ms}}}}
  server:
    sftp: {{host: 127.0.0.1, port: {sftp}, user: fzb, password: "${{env:SFTP_PASSWORD}}", host_key: "{fingerprint}", path: /, timeout: 300ms}}
feeds:
  rest:
    item: A0001-F08-01
    read: {{from: court, path: /court/link, link: {{}}}}
    when: {{every: 1h}}
  soap:
    item: A0001-F08-01
    read: {{from: tax, operation: getRating, arguments: {{year: "2024"}}, rows: rating, answer: fields}}
    when: {{every: 1h}}
    map: {{uscc: NSRSBH, org_name: NSRMC, honor_name: PJND, decision_date: PJRQ}}
  web:
    item: A0001-F04-01
    read: {{from: site, list: {{path: "/table?page={{page}}", pages: p.pages}}}}
    when: {{every: 1h}}
  sftp:
    item: A0001-F08-01
    read: {{from: server, files: "*.csv", ready: {{marker: .ok}}}}
    when: {{every: 1h}}
"""
ENVIRONMENT = {"COURT_KEY": rest_agency.COURT_KEY, "SFTP_PASSWORD": "fzb-密码"}


FAULTS = [Faults(cut_answer=200, ending="reset"), Faults(cut_answer=0, ending="blackhole")]


@asynccontextmanager
async def city(place: Path) -> AsyncIterator[tuple[Hub, list[Proxy]]]:
    """A hub and four agencies, each behind a proxy of its own; their rows differ in the honour."""
    digests = {}
    for name in ("rating.wsdl", "types/rating.xsd"):
        (place / "home" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "home" / name).write_bytes((WSDL / name).read_bytes())
        digests[name] = hashlib.sha256((WSDL / name).read_bytes()).hexdigest()
    (place / "server").mkdir()
    (place / "server/firms.csv").write_text("\n".join([FIRM_HEADING, *(firm_row(n, honor="sftp") for n in range(1, ROWS + 1)), ""]), encoding="utf-8")
    (place / "server/firms.csv.ok").touch()
    rows = [dict(zip(FIRM_HEADING.split(","), firm_row(n, honor="rest").split(","), strict=True)) for n in range(1, ROWS + 1)]
    runners = {
        "rest": await rest_agency.serve("127.0.0.1", 0, rest_agency.Agencies(judgments=rows)),
        "soap": await soap_agency.serve("127.0.0.1", 0, soap_agency.SoapAgency(ratings=ROWS)),
        "web": await bulletin_site.serve("127.0.0.1", 0, bulletin_site.BulletinSite(firms=ROWS)),
    }
    async with AsyncExitStack() as stack:
        server = stack.enter_context(SftpAgency(place / "server"))
        ports = {name: runner.addresses[0][1] for name, runner in runners.items()} | {"sftp": server.port}
        for runner in runners.values():
            stack.push_async_callback(runner.cleanup)
        proxies = {name: await stack.enter_async_context(Proxy(port)) for name, port in ports.items()}
        told = {name: proxy.port for name, proxy in proxies.items()}
        agency = _AGENCY.format(**told, digest=digests["rating.wsdl"], types=digests["types/rating.xsd"], fingerprint=server.fingerprint)
        hub = Hub(place, agency=agency)
        (hub.config / "catalogue/A0001-F04-01.yaml").write_text(ITEM, encoding="utf-8")
        yield hub, list(proxies.values())


async def test_after_faults_every_row_of_every_source_comes_once(tmp_path: Path) -> None:
    async with city(tmp_path) as (hub, proxies):
        for faults in FAULTS:
            for proxy in proxies:
                proxy.faults = faults
            await asyncio.to_thread(hub, "run", "--once", **ENVIRONMENT)
        stumbled = [len(proxy.links) for proxy in proxies]
        for proxy in proxies:
            proxy.heal()
        healed = [await asyncio.to_thread(hub, "run", "--once", **ENVIRONMENT) for _ in range(2)]
        counts = await asyncio.to_thread(hub.counts)

    firms = sorted(firm(number) for number in range(1, ROWS + 1))
    found = hub.sql("ent", "SELECT honor_name, uscc FROM a0001_f08_01 UNION ALL SELECT 'web', uscc FROM a0001_f04_01")
    assert all(stumbled), "every source tried"
    assert [answer.code for answer in healed] == [0, 0], healed[-1].out + healed[-1].err
    assert {kind: sorted(code for one, code in found if one == kind) for kind in ("rest", "2024", "web", "sftp")} == dict.fromkeys(
        ("rest", "2024", "web", "sftp"), firms
    )
    assert counts["inserted"] == 4 * ROWS == len(found)
    assert set(counts) <= {"read", "inserted", "unchanged", "duplicate"}, "the second pull brought nothing new"

"""`python -m tests.city`: the simulated agencies of the example city in the foreground, and a home whose configuration fits them."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.city.agencies import EMULATED, HOST, SFTP_USER, Ports, SimulatedCity
from tests.city.database_agencies import ORACLE_READER, READER, SERVICE
from tests.city.home import furnish

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config" / "changshu"
SAMPLES = EXAMPLE / "samples"


def main() -> None:
    """Read the words of the command line and run until Ctrl-C, or until standard input ends where a program gives orders."""
    words = argparse.ArgumentParser(prog="python -m tests.city", description="The simulated agencies of the example city, on loopback only.")
    words.add_argument("--home", type=Path, default=Path("var"), help="home of the hub that will talk to them (var)")
    words.add_argument("--free-ports", action="store_true", help="take free ports instead of the usual ones")
    words.add_argument("--orders", action="store_true", help="take orders as JSON lines on standard input and answer in kind")
    chosen = words.parse_args()
    try:
        asyncio.run(_run(chosen.home, Ports(0, 0, 0, 0, 0, 0) if chosen.free_ports else Ports(), orders=chosen.orders))
    except KeyboardInterrupt:
        print("\nThe agencies have closed.")


async def _run(home: Path, wanted: Ports, *, orders: bool) -> None:
    city = SimulatedCity(home / "agencies-outside", SAMPLES)
    try:
        await city.start(wanted)
        config = furnish(home, EXAMPLE, city)
        if orders:
            await _obey(city, config)
        else:
            print("\n".join(_told(city, home, config)), flush=True)
            await asyncio.Event().wait()
    finally:
        await city.close()


async def _obey(city: SimulatedCity, config: Path) -> None:
    """Answer orders: {"day": 2} lets time pass, {"submit": {"gateway": url, "key": key}} lets an agency call the hub, {"marked": true} asks for status columns."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        emulated = {} if "oracle" in city.left_out else {"oracle": EMULATED}
        _say({"config": str(config), "day": city.day, "left_out": city.left_out, "emulated": emulated})
        while line := await reader.readline():
            _say(await _order(city, json.loads(line)))
    finally:
        transport.close()


async def _order(city: SimulatedCity, order: dict[str, Any]) -> dict[str, Any]:
    if "day" in order:
        await city.turn(order["day"])
        return {"day": city.day}
    if "marked" in order:
        return {"marked": city.marked()}
    from tests.city.callers import submit

    return {"submitted": await submit(order["submit"]["gateway"], order["submit"]["key"], SAMPLES)}


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False), flush=True)


def _told(city: SimulatedCity, home: Path, config: Path) -> list[str]:
    ports = city.ports
    lines = {
        "rest": f"REST          http://{HOST}:{ports.rest}/licence  /court  /environment   行政服务中心, 人民法院, 环境保护局",
        "soap": f"SOAP          http://{HOST}:{ports.soap}/services/penalty  /services/rating   法制办公室, 税务局",
        "web": f"bulletin      http://{HOST}:{ports.web}/list   工商局",
        "sftp": f"SFTP          {SFTP_USER}@{HOST}:{ports.sftp}  {city.fingerprint}   人民法院, 住建局, 交通运输局",
        "mysql": f"MySQL         {READER}@{HOST}:{ports.mysql}  spyp gjj fgw zwfw hydj   食药监局, 公积金中心, 发改委, 行政服务中心, 民政局",
        "oracle": f"Oracle        {ORACLE_READER}@{HOST}:{ports.oracle}/{SERVICE}  GSJ RSJ   工商局, 人社局; {EMULATED}",
    }
    told = [f"left out      {kind}: {city.left_out[kind]}" if kind in city.left_out else line for kind, line in lines.items()]
    return [
        "The simulated agencies are open. End them with Ctrl-C.",
        *(f"  {line}" for line in told),
        f"Secrets are in {home / 'secrets'}, WSDL files in {home / 'wsdl'}, the example city with these addresses in {config}. Try:",
        f"  run_hub.py check --config {config} --home {home}",
        f"  run_hub.py run --config {config} --home {home}",
    ]


if __name__ == "__main__":
    main()

"""What the guide for calling agencies shows is what happens: its commands and its program run against a real gateway."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import hmac
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SM3
from cryptography.hazmat.primitives.hmac import HMAC

from connectors.gateway.dialect import WORDS
from connectors.gateway.submissions import SUFFIXES
from tests.acceptance.test_documents import ROOT, blocks, shown
from tests.architecture.sources import product_files, tree
from tests.city.identities import firm
from tests.integration.gateway_city import HEADING, ITEM, GatewayCity, bad, gateway_city, good

GUIDE = ROOT / "docs" / "operations" / "gateway.md"
TEXT = GUIDE.read_text("utf-8")


def curl(word: str) -> str:
    """The one command of the guide that has this word in it."""
    (command,) = [line for line in shown(GUIDE) if line.startswith("curl ") and word in line]
    return command


async def run(place: Path, hub: GatewayCity, *command: str, receipt: str = "") -> str:
    """What a command prints, run with the guide's variables."""
    environment = {"HUB": hub.base, "KEY": hub.key, "RECEIPT": receipt, "PATH": "/usr/bin:/bin", "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(*command, cwd=place, env=environment, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def curled(place: Path, hub: GatewayCity, command: str, receipt: str = "") -> str:
    return await run(place, hub, "bash", "-c", command.replace("curl ", "curl --silent --show-error --fail-with-body ", 1), receipt=receipt)


def deliver(place: Path, *rows: str) -> None:
    (place / "honours.csv").write_text("\n".join([HEADING, *rows, ""]), encoding="utf-8")


async def test_a_submission_goes_the_way_that_the_guide_shows(tmp_path: Path) -> None:
    deliver(tmp_path, good(1), bad(2), good(3))
    async with gateway_city(tmp_path / "hub") as hub:
        items = json.loads(await curled(tmp_path, hub, curl('/v1/items"')))
        taken = json.loads(await curled(tmp_path, hub, curl("@honours.csv")))
        again = json.loads(await curled(tmp_path, hub, curl("@honours.csv")))
        await hub.settled(taken["receipt"])
        receipt = json.loads(await curled(tmp_path, hub, curl('$RECEIPT"'), taken["receipt"]))
        for ending in ("xlsx", "csv"):
            await curled(tmp_path, hub, curl(f"errors.{ending}"), taken["receipt"])
        nil = json.loads(await curled(tmp_path, hub, curl("/nil")))

    example, filled = (json.loads(block) for block in blocks(GUIDE, "json"))
    assert ITEM in [item["item"] for item in items["items"]]
    assert again == taken
    assert taken.keys() == example.keys()
    assert receipt.keys() == filled.keys()
    assert receipt["errors"][0].keys() == filled["errors"][0].keys()
    assert {key: receipt["counts"][key] for key in filled["counts"]} == filled["counts"]
    assert [receipt[key] for key in ("totalSize", "successSize", "failSize", "errorSize")] == [3, 2, 1, 1]
    assert (tmp_path / "errors.xlsx").read_bytes().startswith(b"PK")
    assert "R111" in (tmp_path / "errors.csv").read_text("utf-8-sig")
    assert nil["state"] == "kept"


async def test_the_program_that_signs_is_let_in_where_signatures_are_required(tmp_path: Path) -> None:
    deliver(tmp_path, good(1))
    (program,) = blocks(GUIDE, "python")
    (tmp_path / "submit.py").write_text(program, encoding="utf-8")
    async with gateway_city(tmp_path / "hub", signed="required") as hub:
        printed = await run(tmp_path, hub, sys.executable, "submit.py")

    assert printed.startswith('202 {"receipt":')


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
def test_the_signatures_of_the_guide_are_those_of_its_text(algorithm: str) -> None:
    (text,) = blocks(GUIDE, "text")
    key = re.findall(r"`(chk_[0-9a-f]{12}_[0-9a-f]{64})`", TEXT)[0]
    given = dict(zip(("sha256", "sm3"), re.findall(r"`([0-9a-f]{64})`", TEXT), strict=True))

    made = HMAC(key.encode(), SM3())
    made.update(text.rstrip("\n").encode())
    signature = made.finalize().hex() if algorithm == "sm3" else hmac.new(key.encode(), text.rstrip("\n").encode(), hashlib.sha256).hexdigest()

    assert signature == given[algorithm]


async def test_the_envelope_of_the_guide_is_understood(tmp_path: Path) -> None:
    (envelope,) = blocks(GUIDE, "xml")
    async with gateway_city(tmp_path / "hub") as hub:
        (tmp_path / "execute.xml").write_text(envelope.replace('"KEY"', f'"{hub.key}"').replace("91320581MA0000A19W", firm(1)), encoding="utf-8")
        answer = await curled(tmp_path, hub, curl("@execute.xml"))

    told = json.loads(re.sub(r"&quot;", '"', re.findall(r"return>(.*?)</", answer)[0]))
    assert (told["errorCode"], told["successSize"]) == ("200", 1)
    assert [key for key in told if f"`{key}`" not in TEXT] == []


def test_every_code_of_the_gateway_is_in_the_guide() -> None:
    calls = [node for file in product_files() if "gateway" in file.parts for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    refused = {
        (str(c.args[0].value), str(c.args[1].value))
        for c in calls
        if _name(c) == "Refusal" and isinstance(c.args[0], ast.Constant) and isinstance(c.args[1], ast.Constant)
    }
    ours = {("500", "internal"), ("503", "unavailable"), ("507", "full")}

    told = {(status, code) for status, cell in re.findall(r"^\| (\d{3}) \| (`.*?) \|", TEXT, re.MULTILINE) for code in re.findall(r"`([a-z-]+)`", cell)}

    assert told == refused | ours


def test_the_dialect_and_the_media_types_are_in_the_guide() -> None:
    assert set(re.findall(r"^\| (\d+) \| (\S+) \|", TEXT, re.MULTILINE)) >= set(WORDS.items())
    assert [media for media in SUFFIXES if f"`{media}`" not in TEXT] == []


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def test_every_variable_of_a_command_is_one_of_the_guides() -> None:
    used = {name for line in shown(GUIDE) if line.startswith("curl ") for name in re.findall(r"\$(\w+)", " ".join(shlex.split(line)))}

    assert used == {"HUB", "KEY", "RECEIPT"}

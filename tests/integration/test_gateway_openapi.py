"""What `/openapi.json` says is what the gateway does: schemathesis calls it as the document allows, and as it does not."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode

from hub.contracts.blocking import to_its_end
from tests.integration.gateway_city import ITEM, GatewayCity, bad, gateway_city, good

EXAMPLES = 12


async def test_the_document_names_what_this_caller_may_submit(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        document = (await hub.call("GET", "/openapi.json")).json

    assert document["openapi"] == "3.1.0"
    assert document["paths"]["/v1/items/{item}/batches"]["parameters"][0]["schema"]["enum"] == [ITEM, "A0001-Z06-01"]
    assert document["components"]["schemas"][ITEM]["properties"]["uscc"]["title"] == "统一社会信用代码"
    assert document["components"]["schemas"][ITEM]["required"] == ["uscc", "org_name", "honor_name"]


async def test_every_operation_keeps_to_the_document(tmp_path: Path) -> None:
    async with gateway_city(tmp_path) as hub:
        receipt = (await hub.submit([good(1), bad(2)])).json["receipt"]
        await hub.settled(receipt)
        with ThreadPoolExecutor(1) as pool:
            tried = await to_its_end(pool, _try_everything, hub, (await hub.call("GET", "/openapi.json")).json)

    assert set(tried) == {
        ("GET", "/v1/items"), ("POST", "/v1/items/{item}/batches"), ("POST", "/v1/items/{item}/nil"), ("GET", "/v1/receipts/{receipt}"),
        ("GET", "/v1/receipts/{receipt}/errors.csv"), ("GET", "/v1/receipts/{receipt}/errors.xlsx"),
    }  # fmt: skip
    assert all(calls >= EXAMPLES // 2 or "items" in path for (_, path), calls in tried.items()), tried


def _try_everything(hub: GatewayCity, document: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Calls made by operation. Raises what schemathesis finds."""
    tried: Counter[tuple[str, str]] = Counter()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            if mode is GenerationMode.NEGATIVE and operation.path == "/v1/items":
                continue  # nothing in it can be wrong
            _attempt(operation.as_strategy(generation_mode=mode), hub, tried, fresh=mode is GenerationMode.POSITIVE)
    return dict(tried)


def _attempt(cases: SearchStrategy[schemathesis.Case], hub: GatewayCity, tried: Counter[tuple[str, str]], *, fresh: bool) -> None:
    """`fresh`: each submission gets a key of its own, for the same key with another body is refused."""

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def attempt(case: schemathesis.Case) -> None:
        assume(case.media_type in (None, "application/json") or case.body)  # nothing at all is no submission, and other media types cannot say so
        own = {"Idempotency-Key": f"s-{tried.total()}"} if fresh and case.operation.path.endswith("/batches") else {}
        case.call_and_validate(base_url=hub.base, headers={"Authorization": f"Bearer {hub.key}"} | own)
        tried[case.operation.method.upper(), case.operation.path] += 1

    attempt()

"""A view of a made-up city, for looking at the console without a hub."""

from __future__ import annotations

from typing import Any

from hub.contracts.errors import Unavailable
from monitoring.metrics import Metrics


def counts(read: int, **terms: int) -> dict[str, int]:
    words = ("rejected", "filtered", "duplicate", "unmatched", "inserted", "updated", "unchanged", "superseded", "withdrawn", "in_flight")
    return {"read": read, **{word: terms.get(word, 0) for word in words}}


def busy_city() -> dict[str, Any]:
    at = "2026-11-23T02:00:41+08:00"
    return {
        "city": "常熟市",
        "version": "0.1.0",
        "agencies": [
            {"code": "A0030", "name": "法制办公室"},
            {"code": "A0011", "name": "人民法院"},
            {"code": "A0022", "name": "市场监督管理局"},
            {"code": "A0041", "name": "人力资源和社会保障局"},
            {"code": "B0007", "name": "自来水有限公司"},
        ],
        "feeds": [
            {
                "feed": "A0030.penalty",
                "item": "A0030-F06-01",
                "item_name": "法人行政处罚信息",
                "state": "held",
                "next": "2026-11-24T02:00:00+08:00",
                "last_run": {"state": "held", "at": at, "counts": counts(1209, rejected=88, inserted=1102, unchanged=19)},
            },
            {
                "feed": "A0030.licence",
                "item": "A0030-F05-01",
                "item_name": "法人行政许可信息",
                "state": "idle",
                "next": "2026-11-24T02:00:00+08:00",
                "last_run": {
                    "state": "succeeded",
                    "at": at,
                    "counts": counts(
                        13087, rejected=12, filtered=3, duplicate=4, unmatched=31, inserted=204, updated=96, unchanged=12733, superseded=2, withdrawn=2
                    ),
                },
            },
            {
                "feed": "A0022.register",
                "item": "A0022-F01-01",
                "item_name": "企业基本登记信息",
                "state": "loading",
                "next": None,
                "last_run": {"state": "loading", "at": at, "counts": counts(350000, inserted=215000, rejected=210, in_flight=134790)},
            },
            {
                "feed": "A0041.wages",
                "item": "A0041-F09-02",
                "item_name": "拖欠工资信息",
                "state": "stopped",
                "next": None,
                "last_run": {"state": "failed", "at": at, "counts": counts(40, inserted=37)},
            },
            {
                "feed": "B0007.arrears",
                "item": "B0007-Z09-01",
                "item_name": "水费欠缴信息",
                "state": "idle",
                "next": "2026-12-01T06:00:00+08:00",
                "last_run": None,
            },
        ],
        "shares": [
            {
                "share": "A0030.penalties-to-court",
                "to": "A0011",
                "state": "idle",
                "delivered": 1121,
                "withheld": {"disputed": 3, "public_until": 12},
                "waiting": 0,
                "dead": 0,
            },
            {"share": "A0022.register-to-water", "to": "B0007", "state": "waiting", "delivered": 18200, "withheld": {}, "waiting": 7, "dead": 1},
        ],
        "queues": [
            {"queue": "intake.A0022-F01-01", "ready": 2, "unacked": 1, "oldest_s": 4.2},
            {"queue": "intake.A0030-F06-01", "ready": 0, "unacked": 0, "oldest_s": None},
            {"queue": "share.A0022.register-to-water", "ready": 7, "unacked": 1, "oldest_s": 754.0},
        ],
        "decisions": [
            {
                "feed": "A0030.penalty",
                "run": 7,
                "reason": "疑问数据 7.3%，超过上限 5%：R111 统一社会信用代码校验不通过 80 条，R105 日期格式 8 条",
                "verb": "release|refuse",
            },
            {"feed": "A0041.wages", "run": None, "reason": "登录数据库被拒绝：用户名或密码不对（sources.db）", "verb": "resume"},
        ],
        "reconciliation": {
            "balanced": True,
            "at": "2026-11-23T03:15:00+08:00",
            "batches": 31,
            "counts": counts(
                364336,
                rejected=310,
                filtered=3,
                duplicate=4,
                unmatched=31,
                inserted=216343,
                updated=96,
                unchanged=12755,
                superseded=2,
                withdrawn=2,
                in_flight=134790,
            ),
            "reentered": 0,
            "differences": [],
        },
    }


def empty_city() -> dict[str, Any]:
    return {"feeds": [], "shares": [], "queues": [], "agencies": [], "decisions": [], "reconciliation": None}


class SampleView:
    """Shows what it was given; `away` makes it refuse, as a hub whose state cannot be read."""

    def __init__(self, status: dict[str, Any], checks: dict[str, bool | str] | None = None) -> None:
        self.shown = status
        self.checks: dict[str, bool | str] = checks if checks is not None else {"state": True, "landing": True, "broker": True, "stores": True}
        self.away = False
        self.asked = 0
        self.numbers = Metrics(lambda: self.shown)

    async def status(self) -> dict[str, Any]:
        self.asked += 1
        if self.away:
            raise Unavailable("the hub's state cannot be read", hint="another process holds it")
        return self.shown

    async def ready(self) -> dict[str, bool | str]:
        return self.checks

    def metrics(self) -> bytes:
        return self.numbers.text()

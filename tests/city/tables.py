"""Tables of agencies' databases as they are on the first day, and what becomes of them on the second; all of it made up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from tests.city.identities import citizen, firm
from tests.city.records import ORGAN, company, day, person

Row = tuple[Any, ...]
NOON = datetime(2026, 6, 30, 12, 0)


@dataclass(frozen=True)
class Table:
    """`name` with its database or schema; `body` is what stands between the brackets of its CREATE TABLE. `later` changes it on the second day.

    `status` names the column that the hub writes, and `id` the one that tells its rows apart. `gbk`: declared latin1, and text goes in as GBK bytes.
    """

    name: str
    body: str
    rows: Callable[[], Iterable[Row]]
    later: Callable[[], Iterable[tuple[str, Row]]] = tuple
    status: str = ""
    id: str = ""
    charset: str = "utf8mb4"
    gbk: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(part.split()[0] for part in self.body.split(", "))


def _moment(number: int) -> datetime:
    """Several rows share a second, as bulk loads do."""
    return NOON + timedelta(minutes=number // 4)


def _insert(name: str, row: Row) -> tuple[str, Row]:
    return f"INSERT INTO {name} VALUES ({', '.join(['%s'] * len(row))})", row


def _wrong(code: str) -> str:
    """The same with a check digit that does not hold."""
    return code[:-1] + ("0" if code[-1] != "0" else "1")


def _licence(number: int, op: str = "I", *, place: int = 0, at: datetime | None = None, state: str = "正常") -> Row:
    """食品药品许可 as a middleware writes it, one row for each change."""
    trader = number % 4 == 0
    who = (person(number), citizen(number), "身份证号码") if trader else (company(number), firm(number), "统一社会信用代码")
    begun, place = day(number), place or number - 7000
    return (
        place, *who, person(number), "常熟市样例路1号", "常熟市样例路1号", "餐饮服务经营者", "热食类食品制售", "食品经营许可证", f"JY2320581{number:07d}", f"{begun}",
        ORGAN, f"{begun}", f"{begun + timedelta(days=1825)}", state, "320581", op, at or _moment(place),
    )  # fmt: skip


def _licences_later() -> Iterable[tuple[str, Row]]:
    """One is changed, one is deleted, one is new, and one comes late: it was begun before rows that were read already."""
    yield _insert("spyp.t_spypxk", _licence(7002, "U", place=101, at=_moment(200), state="注销"))
    yield _insert("spyp.t_spypxk", _licence(7003, "D", place=102, at=_moment(200)))
    yield _insert("spyp.t_spypxk", _licence(7041, place=103, at=_moment(201)))
    yield _insert("spyp.t_spypxk", _licence(7042, place=41, at=_moment(39) - timedelta(minutes=5)))


def _deposit(number: int, *, owing: int = 0) -> Row:
    account = f"3205W{number:05d}"
    paid = None if owing else date(2026, 6, 15)
    return (account, company(number), firm(number), "202606", 5 + number % 40, f"{1200 + number}.50", "202606", owing, "01", paid, "常熟分中心")


def _deposits_later() -> Iterable[tuple[str, Row]]:
    """One unit is gone, one owes a month."""
    yield "DELETE FROM gjj.dwjc WHERE dwzh = %s", ("3205W07103",)
    yield "UPDATE gjj.dwjc SET qjys = 1 WHERE dwzh = %s", ("3205W07104",)


def _loan(number: int, *, place: int = 0, owed: str = "") -> Row:
    lent = date(2019, 1, 10) + timedelta(days=number % 900)
    return (
        place or number - 7200,
        person(number),
        "1",
        citizen(number),
        f"CSGJJ{number:06d}",
        lent,
        240,
        owed or f"{3000 + number}.25",
        number % 9 + 3,
        "202606",
    )


def _loans_later() -> Iterable[tuple[str, Row]]:
    """A new one, and a correction, which can only be a new row."""
    yield _insert("gjj.grdkyq", _loan(7226, place=26))
    yield _insert("gjj.grdkyq", _loan(7202, place=27, owed="100.00"))


def _project(number: int) -> Row:
    code = _wrong(firm(number)) if number in (7307, 7311) else firm(number)
    approved = day(number)
    where = ("高新区", "经开区", "虞山街道")[number % 3]
    return (
        number - 7300,
        f"2026-320581-{number:06d}",
        f"样例产业园{number}期",
        company(number),
        code,
        f"常发改〔2026〕{number}号",
        approved,
        f"{number}.80",
        where,
        "0",
    )


def _projects_later() -> Iterable[tuple[str, Row]]:
    """One of the two codes that were refused is corrected and set to wait again; one more project."""
    yield "UPDATE fgw.t_zdxm SET tyshxydm = %s, clzt = '0' WHERE id = %s", (firm(7307), 7)
    yield _insert("fgw.t_zdxm", _project(7321))


def _case(number: int) -> Row:
    begun = datetime.combine(day(number), datetime.min.time()) + timedelta(hours=9)
    ended = "0000-00-00 00:00:00" if number % 5 == 0 else str(begun + timedelta(days=30))
    return (
        number - 7400,
        f"CSWX2026{number:06d}",
        f"XZXK-{number:05d}",
        "样例许可事项",
        ORGAN,
        firm(17),
        begun,
        20,
        ended,
        number % 10 + 1,
        _moment(number - 7400),
    )


def _cases_later() -> Iterable[tuple[str, Row]]:
    """A case that was open is closed."""
    yield "UPDATE zwfw.bj_cq SET bjsj = %s, cqts = 40, gxsj = %s WHERE id = 5", ("2026-06-30 15:00:00", _moment(200))


def _couple(number: int) -> Row:
    registered = day(number)
    return (number - 7500, f"J320581-2026-{number:06d}", person(number), citizen(number), person(number + 500), citizen(number + 500), 1 + number % 2, registered, str(1 + number % 3), "1", "无")  # fmt: skip


def _couples_later() -> Iterable[tuple[str, Row]]:
    """One more, and one that does not count yet."""
    yield _insert("hydj.hy_djb", _couple(7531))
    yield _insert("hydj.hy_djb", (*_couple(7532)[:9], "0", "无"))


_WIDE = "varchar(255)"
_LICENCE = (
    "entname",
    "uniscid",
    "type",
    "leper",
    "zs",
    "lopoc",
    "maintype",
    "licscope",
    "licname",
    "licno",
    "fzrq",
    "fzjg",
    "qsrq",
    "jzrq",
    "opstate",
    "domdic",
    "op",
)

MYSQL = (
    Table(
        "spyp.t_spypxk", f"tongid bigint, {', '.join(f'{name} {_WIDE}' for name in _LICENCE)}, tong_time datetime",
        lambda: map(_licence, range(7001, 7041)), _licences_later, charset="utf8mb3",
    ),
    Table(
        "gjj.dwjc", "dwzh varchar(20), jgqc varchar(200), tyshxydm varchar(18), jcny varchar(6), jcrs int, jcje decimal(18,2), jzny varchar(6), qjys int, "
        "dwzhzt varchar(2), jcrq date, jgh varchar(20)",
        lambda: map(_deposit, range(7101, 7131)), _deposits_later, charset="latin1", gbk=True,
    ),
    Table(
        "gjj.grdkyq", "id bigint, xm varchar(50), zjlx varchar(2), zjhm varchar(32), jkhtbh varchar(40), dkffrq date, dkqs int, yqbj decimal(18,2), ljyqqs int, "
        "sjqj varchar(6)",
        lambda: map(_loan, range(7201, 7226)), _loans_later, charset="utf8mb3",
    ),
    Table(
        "fgw.t_zdxm", "id bigint, xmdm varchar(40), xmmc varchar(200), xmdw varchar(200), tyshxydm varchar(18), pfwh varchar(128), pfrq date, ztz decimal(18,2), "
        "jsdd varchar(200), clzt varchar(2)",
        lambda: map(_project, range(7301, 7321)), _projects_later, status="clzt", id="id",
    ),
    Table(
        "zwfw.bj_cq", "id bigint, bjbh varchar(40), sxbm varchar(40), sxmc varchar(200), blbm varchar(200), bmdm varchar(18), slsj datetime, fdsx int, bjsj datetime, "
        "cqts int, gxsj datetime",
        lambda: map(_case, range(7401, 7426)), _cases_later,
    ),
    Table("hydj.hy_djjg", "jgid bigint, djjg varchar(100)", lambda: [(1, "常熟市样例婚姻登记处"), (2, "常熟市样例镇婚姻登记处")]),
    Table(
        "hydj.hy_djb", "djid bigint, djzzh varchar(40), nfxm varchar(50), nfzjhm varchar(18), nvfxm varchar(50), nvfzjhm varchar(18), jgid bigint, djrq date, "
        "ywlx varchar(2), yxbz char(1), zjxy varchar(20)",
        lambda: map(_couple, range(7501, 7531)), _couples_later,
    ),
)  # fmt: skip
"""Tables on the front-end MySQL server, which several agencies share."""


def _entry(number: int, *, at: datetime | None = None, state: str = "1") -> Row:
    """企业登记; every third firm has no telephone, which Oracle cannot tell from an empty one."""
    founded = datetime(2010, 3, 1) + timedelta(days=number % 3000)
    scope = "；".join(f"样例经营项目{n}" for n in range(1, 12 if number % 10 else 400))
    return (
        firm(number), f"3205811{number:08d}", company(number), state, "1130", "有限责任公司", person(number), "1", citizen(number), f"{number}.123456", "CNY",
        founded, datetime(2026, 6, 1) + timedelta(days=number % 20), scope, "C", "1711", f"常熟市样例路{number}号", "320581", "常熟市市场监督管理局",
        "" if number % 3 == 0 else "0512-52000000", number - 8000, at or _moment(number - 8000),
    )  # fmt: skip


def _entries_later() -> Iterable[tuple[str, Row]]:
    yield "UPDATE GSJ.V_QYDJ SET DJZT = %s, GXSJC = %s WHERE ID = 3", ("4", _moment(200))
    yield _insert("GSJ.V_QYDJ", _entry(8042, at=_moment(39) - timedelta(minutes=5)))


def _change(number: int) -> Row:
    changed = datetime(2026, 6, 1) + timedelta(days=number % 100 // 4)
    return (number - 8100, firm(8000 + number % 40), company(8000 + number % 40), "住所变更", "常熟市样例路1号", f"常熟市样例路{number}号", changed)


def _changes_later() -> Iterable[tuple[str, Row]]:
    """Entered late for a day that was read already."""
    yield _insert("GSJ.V_QYBG", (31, firm(8033), company(8033), "法定代表人变更", person(1), person(2), datetime(2026, 6, 8)))


def _closure(number: int) -> Row:
    approved = "0" if number % 5 == 0 else "1"
    return (
        firm(number),
        company(number),
        str(1 + number % 2),
        "决议解散",
        f"常市监注〔2026〕{number}号",
        datetime(2026, 5, 1) + timedelta(days=number % 30),
        ORGAN,
        approved,
    )


def _closures_later() -> Iterable[tuple[str, Row]]:
    yield "UPDATE GSJ.V_QYZDX SET SHBZ = '1' WHERE TYSHXYDM = %s", (firm(8205),)


def _arrears(number: int) -> Row:
    owing = number % 2
    due, paid = 5000 + number, 0 if owing else 5000 + number
    return (
        number - 8300, f"SB{number:06d}", firm(number), company(number), "11", "202606", 5 + number % 30, due, paid, due - paid, 2 * owing, str(1 - owing),
        None if owing else "202606", str(1 + owing),
    )  # fmt: skip


def _arrears_later() -> Iterable[tuple[str, Row]]:
    """One has paid up, and the query does not show it any more."""
    yield "UPDATE RSJ.AC43 SET SJJE = YJJE, QJJE = 0, JFZT = '1' WHERE AAZ001 = %s", (3,)


def _insured(number: int) -> Row:
    who = _wrong(citizen(number)) if number == 8407 else citizen(number)
    return (
        number - 8400,
        person(number),
        who,
        ("11", "21", "31")[number % 3],
        "1",
        company(8001 + number % 20),
        firm(8001 + number % 20),
        "201501",
        "202606",
        "0",
    )


def _insured_later() -> Iterable[tuple[str, Row]]:
    yield _insert("RSJ.AC02", _insured(8421))


_CODES = "TYSHXYDM VARCHAR2(18), JGQC VARCHAR2(200)"

ORACLE = (
    Table(
        "GSJ.V_QYDJ", "TYSHXYDM VARCHAR2(18), GSZCH VARCHAR2(15), JGQC VARCHAR2(200), DJZT VARCHAR2(2), QYLXDM VARCHAR2(4), QYLXMC VARCHAR2(100), "
        "FDDBRXM VARCHAR2(100), FDDBRZJLX VARCHAR2(2), FDDBRZJHM VARCHAR2(32), ZCZJ NUMBER(18,6), BZ_HB VARCHAR2(3), CLRQ DATE, HZRQ DATE, JYFW CLOB, HYML CHAR(1), "
        "SSHYDM VARCHAR2(5), JGDZ VARCHAR2(500), XZQH CHAR(6), DJJG VARCHAR2(100), LXDH VARCHAR2(40), ID NUMBER(18) PRIMARY KEY, GXSJC DATE",
        lambda: map(_entry, range(8001, 8041)), _entries_later,
    ),
    Table(
        "GSJ.V_QYBG", "BGXH NUMBER(18) PRIMARY KEY, TYSHXYDM VARCHAR2(18), QYMC VARCHAR2(200), BGSX VARCHAR2(100), BGQ VARCHAR2(4000), BGH VARCHAR2(4000), BGRQ DATE",
        lambda: map(_change, range(8101, 8131)), _changes_later,
    ),
    Table(
        "GSJ.V_QYZDX", "TYSHXYDM VARCHAR2(18), QYMC VARCHAR2(200), ZDXLX CHAR(1), ZDXYY VARCHAR2(500), WH VARCHAR2(128), ZDXRQ DATE, ZDXJG VARCHAR2(100), SHBZ CHAR(1)",
        lambda: map(_closure, range(8201, 8221)), _closures_later,
    ),
    Table(
        "RSJ.AC43", f"AAZ001 NUMBER(18) PRIMARY KEY, AAB001 VARCHAR2(20), {_CODES}, AAE140 VARCHAR2(2), AAE002 VARCHAR2(6), YCBZRS NUMBER(8), YJJE NUMBER(18,2), "
        "SJJE NUMBER(18,2), QJJE NUMBER(18,2), LXQJYS NUMBER(4), AAE078 CHAR(1), AAE079 VARCHAR2(6), JFZT CHAR(1)",
        lambda: map(_arrears, range(8301, 8331)), _arrears_later,
    ),
    Table(
        "RSJ.AC02", "AAZ002 NUMBER(18) PRIMARY KEY, AAC003 VARCHAR2(50), AAC002 VARCHAR2(18), AAE140 VARCHAR2(2), AAC008 CHAR(1), AAB004 VARCHAR2(200), "
        "AAB998 VARCHAR2(18), AAE041 VARCHAR2(6), AAE042 VARCHAR2(6), CLZT CHAR(1)",
        lambda: map(_insured, range(8401, 8421)), _insured_later, status="CLZT", id="AAZ002",
    ),
)  # fmt: skip
"""What the agencies' Oracle database shows."""

"""Records of the example city as its agencies' interfaces show them: every column that the catalogue asks for, all of it made up."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from tests.city.identities import citizen, firm

ORGAN, ORGAN_CODE = "常熟市样例机关", "113205810000000274"
_TRADES = ("纺织", "服装", "机械", "电子", "食品", "建材", "物流", "商贸", "化工", "园艺")
_SURNAMES = "赵钱孙李周吴郑王冯陈"
_CLASSES = ("普通", "特许", "认可", "核准", "登记")
_CHANGED = datetime(2026, 7, 1, 8, 0)

Row = dict[str, Any]


def company(number: int) -> str:
    """A firm's name."""
    return f"常熟市样例{_TRADES[number % 10]}{number}号有限公司"


def person(number: int) -> str:
    """A citizen's name."""
    return f"{_SURNAMES[number % 10]}样{'甲乙丙丁戊己庚辛壬癸'[number // 10 % 10]}"


def day(number: int) -> date:
    """A day of 2026."""
    return date(2026, 1, 5) + timedelta(days=number % 150)


def licence(number: int, *, state: str = "1") -> Row:
    """A licence under the identifiers of the 双公示 template."""
    decided = day(number).isoformat()
    return {
        "XK_XDR_MC": company(number), "XK_XDR_LB": "法人及非法人组织", "XK_XDR_SHXYM": firm(number), "XK_FRDB": person(number), "XK_FR_ZJLX": "身份证",
        "XK_FR_ZJHM": citizen(number), "XK_XKWS": "准予行政许可决定书", "XK_WSH": f"常样网许〔2026〕{number}号", "XK_XKLB": _CLASSES[number % 5],
        "XK_XKZS": "样例许可证", "XK_XKBH": f"WX{number:06d}", "XK_NR": "准予从事样例经营活动", "XK_JDRQ": decided, "XK_YXQZ": decided, "XK_YXQZI": "2099-12-31",
        "XK_XKJG": ORGAN, "XK_XKJGDM": ORGAN_CODE, "XK_ZT": state, "XK_LYDW": ORGAN, "XK_LYDWDM": ORGAN_CODE, "BZ": None,
    }  # fmt: skip


def grade(number: int) -> Row:
    """An environmental grade in five colours."""
    return {
        "tyshxydm": firm(number), "jgqc": company(number), "pjnd": "2026", "pjpc": "1", "pjdj": "绿蓝黄红黑"[number % 5], "pjfz": 95.5 - number % 40,
        "kfyy": None, "pjdw": "常熟市样例环境机关", "pjdwtydm": ORGAN_CODE, "pjsj": "2026-06-30", "yxqx": "2027-06-30",
    }  # fmt: skip


def defaulter(number: int, *, late: bool = False) -> Row:
    """A judgment defaulter; every third one is a person. A late one was changed before others that were shown already."""
    personal = number % 3 == 0
    who = {"bzxrmc": person(number), "bzxrxz": 0, "zzjgdm": "", "sfzhm": citizen(number), "xb": "1", "nl": 40 + number % 30, "fddbr": ""}
    firm_is = {"bzxrmc": company(number), "bzxrxz": 1, "zzjgdm": firm(number), "sfzhm": "", "xb": "", "nl": None, "fddbr": person(number)}
    changed = _CHANGED + timedelta(minutes=number - 30 if late else number)
    return {
        "id": number, "sxid": 900_000 + number, **(who if personal else firm_is), "zxfy": "常熟市人民法院", "zxyjwh": f"（2025）苏0581民初{number}号",
        "zczxyjdw": "常熟市人民法院", "ah": f"（2026）苏0581执{9000 + number}号", "larq": day(number).isoformat(), "fbrq": "2026-06-25",
        "sxflwsqdyw": "支付货款，金额以判决书为准", "bzxrlxqk": "全部未履行", "ylxbf": "", "wlxbf": "全部", "sxbzxrxwqk": "违反财产报告制度",
        "更新时间": f"{changed:%Y-%m-%d %H:%M:%S}",
    }  # fmt: skip


def penalty(number: int) -> dict[str, str | None]:
    """A penalty of a natural person under the identifiers of the 双公示 template."""
    return {
        "CF_XDR_MC": person(number), "CF_XDR_LB": "自然人", "CF_XDR_ZJLX": "身份证", "CF_XDR_ZJHM": citizen(number), "CF_WSH": f"常样网罚〔2026〕{number}号",
        "CF_WFXW": "违反市容管理规定", "CF_SY": "占道经营，<经查证>属实 & 已改正", "CF_YJ": "《样例条例》第三条", "CF_CFLB": "罚款", "CF_NR": "处以罚款",
        "CF_NR_FK": f"0.0{number % 9 + 1}", "CF_NR_WFFF": None, "CF_JDRQ": day(number).isoformat(), "CF_YXQ": "2099-12-31", "CF_CFJG": ORGAN,
        "CF_CFJGDM": ORGAN_CODE, "CF_SJLY": ORGAN, "CF_SJLYDM": ORGAN_CODE, "BZ": None,
    }  # fmt: skip


def rating(number: int) -> dict[str, str | None]:
    """A taxpayer's rating."""
    return {"NSRSBH": firm(number), "NSRMC": company(number), "PJND": "2025", "PJDJ": "ABMCD"[number % 5], "PJRQ": "2026-04-30"}


def bad_record(number: int) -> dict[str, str]:
    """A work-safety record under the headings of the standard template, as the agency that submits it writes it."""
    return {
        "统一社会信用代码": firm(number), "企业名称": company(number), "主要负责人": person(number), "失信行为简况": "未按规定开展安全培训",
        "纳入理由": "一年内两次责令改正而未改正", "信息报送机关": "常熟市样例安监机关", "纳入日期": day(number).isoformat(), "管理期限": "一年",
    }  # fmt: skip

"""Two items of the example catalogue, shortened, and synthetic rows of them."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from hub.contracts.batch import LINE, ORDINAL, Batch, Header, Origin
from hub.contracts.item import Field, Identifier, Item, Kind, Level
from hub.contracts.keys import KeyRing

NOW = datetime(2026, 11, 1, 12, 0)
KEYS = KeyRing("5" * 64, {"k1": bytes(32)})
OTHER_KEYS = KeyRing("6" * 64, {"k1": bytes(32)})
CLASSES = {"1": "警告", "2": "罚款", "3": "没收违法所得、没收非法财物", "4": "其他"}

PENALTY = Item(
    code="A0030-F06-01",
    name="行政处罚信息（法人）",
    name_en="Administrative penalties (legal persons)",
    agency="A0030",
    subject="F",
    level=Level.OPEN,
    store="ent",
    natural_key=(("doc_no",), ("uscc", "reg_no")),
    fields=(
        Field("xdr_name", "行政相对人名称", length=200, required=True, aliases=("CF_XDR_MC",), roles=("subject.name",)),
        Field(
            "uscc",
            "行政相对人代码_1(统一社会信用代码)",
            length=18,
            group="C1",
            aliases=("CF_XDR_SHXYM", "统一社会信用代码"),
            identifier=Identifier.USCC,
            roles=("subject.1",),
        ),
        Field("reg_no", "行政相对人代码_2(工商注册号)", length=50, group="C1", identifier=Identifier.REG_NO, roles=("subject.3",)),
        Field("org_code", "行政相对人代码_3(组织机构代码)", length=18, identifier=Identifier.ORG_CODE),
        Field("legal_rep", "法定代表人", length=50, personal="P"),
        Field("legal_rep_id", "法定代表人证件号码", length=64, personal="S"),
        Field("doc_no", "行政处罚决定书文号", length=20, required=True, aliases=("CF_WSH",), roles=("key",)),
        Field("facts", "违法事实", Kind.LONG, length=4000),
        Field("penalty_class", "处罚类别", required=True, codes=CLASSES, multi=True),
        Field("fine_wan", "罚款金额（万元）", Kind.NUMBER, length=18, scale=6, group="C2", unit="万元"),
        Field("cases", "件数", Kind.NUMBER, length=3),
        Field("decision_date", "处罚决定日期", Kind.DATE, required=True, roles=("event_date",)),
        Field("valid_to", "处罚有效期", Kind.DATE),
        Field("op_flag", "操作标识", length=1, codes={"I": "新增", "U": "修改", "D": "删除"}),
        Field("src_update_time", "源更新时间", Kind.TIME, roles=("watermark",)),
        Field("usage_scope", "信息使用范围", codes={"0": "公示", "1": "内部共享", "2": "授权查询"}),
        Field("record_status", "数据状态", codes={"0": "正常", "1": "撤销", "2": "异议", "3": "其他"}, roles=("status",)),
        Field("batch_no", "批次号", length=24),
    ),
)

PERSON = Item(
    code="A0030-Z06-01",
    name="行政处罚信息（自然人）",
    name_en="Administrative penalties (natural persons)",
    agency="A0030",
    subject="Z",
    level=Level.DEPARTMENT,
    store="psn",
    natural_key=(("doc_no",), ("id_no",)),
    fields=(
        Field("name", "姓名", length=50, required=True, personal="P", roles=("subject.name",)),
        Field("id_type", "证件类型", codes={"1": "身份证", "3": "护照"}),
        Field("id_no", "证件号码", length=64, required=True, identifier=Identifier.ID_NO, identifier_if=("id_type", "1"), personal="S", roles=("subject.1",)),
        Field("uscc", "统一社会信用代码", length=18, identifier=Identifier.USCC, roles=("subject.1",)),
        Field("tel", "联系电话", length=40, personal="P"),
        Field("address", "住址", length=200, personal="P"),
        Field("doc_no", "决定书文号", length=128, required=True, roles=("key",)),
    ),
)

GOOD = {
    "行政相对人名称": "常熟市虞山纺织有限公司",
    "行政相对人代码_1(统一社会信用代码)": "91320581MA0000A19W",
    "法定代表人": "张三",
    "行政处罚决定书文号": "常环罚〔2024〕1号",
    "违法事实": "未按规定排放",
    "处罚类别": "罚款",
    "罚款金额（万元）": "2.5",
    "处罚决定日期": "2024-03-05",
    "处罚有效期": "2099/12/31",
}

GOOD_PERSON = {"姓名": "李四", "证件类型": "身份证", "证件号码": "11010519491231002X", "统一社会信用代码": "", "决定书文号": "常公罚〔2024〕7号"}


def batch_of(rows, item=PENALTY):
    """A batch as a source offers it: every cell text, under the agency's headings."""
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    frame = pl.DataFrame({heading: [row.get(heading) for row in rows] for heading in headings}, schema=dict.fromkeys(headings, pl.String))
    places = {ORDINAL: range(len(rows)), LINE: range(2, len(rows) + 2)}
    header = Header("b" * 32, "A0030.penalty", item.code, 1, 0, len(rows), "c1", Origin("0" * 64, "cf.csv", 0, 1))
    return Batch(header, frame.with_columns(pl.Series(name, values, dtype=pl.Int64) for name, values in places.items()))


def good(**changes):
    """A row that passes, with the cells of some fields written otherwise."""
    titles = {field.name: field.title for field in PENALTY.fields}
    return {**GOOD, **{titles[name]: value for name, value in changes.items()}}

"""What every cell gets without a line of configuration."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest

from hub.contracts.item import Field, Identifier, Kind
from transforms.cleaning import NULL_WORDS, careful, doubt, quick, tidied, without_empty_dates


def read(field, cells):
    """The cells as the intake reads them: quickly, and carefully where there is doubt."""
    raw = pl.DataFrame({field.name: cells}, schema={field.name: pl.String})
    value = raw.select(quick(field)).to_series()
    if raw.select(doubt(field)).item() or value.null_count() > raw.get_column(field.name).null_count():
        value = careful(field, raw.get_column(field.name), value)
    return value.to_list()


TEXT = Field("t", "文本")
LONG = Field("l", "长文本", Kind.LONG)
NAME = Field("xdr_name", "名称", roles=("subject.name",))
CODED = Field("c", "类别", codes={"1": "警告", "2": "罚款"})
MULTI = Field("m", "类别", codes={"1": "警告", "2": "罚款", "3": "没收违法所得、没收非法财物"}, multi=True)
USCC = Field("u", "代码", identifier=Identifier.USCC)
MONEY = Field("n", "金额", Kind.NUMBER, scale=2)
COUNT = Field("k", "件数", Kind.NUMBER)
DAY = Field("d", "日期", Kind.DATE)
MOMENT = Field("z", "时间", Kind.TIME)


@pytest.mark.parametrize(
    ("field", "written", "meant"),
    [
        (TEXT, "  常熟\u00a0", "常熟"),
        (TEXT, "常\u200b熟\x07市", "常熟市"),
        (TEXT, "一行\r\n两行", "一行 两行"),
        (LONG, "一行\r\n两行\x00", "一行\n两行"),
        (TEXT, "", None),
        (TEXT, "　", None),
        (TEXT, "e\u0301", "é"),
        (TEXT, "ＡＢ（１）", "ＡＢ（１）"),
        (NAME, "张 三", "张三"),
        (NAME, "王　小 明", "王小明"),
        (NAME, "阿卜杜拉•买买提", "阿卜杜拉·买买提"),
        (NAME, "常熟 纺织 贸易有限公司", "常熟 纺织 贸易有限公司"),
        (CODED, "罚款", "2"),
        (CODED, " ２", "2"),
        (CODED, "拘留", "拘留"),
        (MULTI, "警告；罚款", "1;2"),
        (MULTI, "罚款、没收违法所得、没收非法财物", "2;3"),
        (MULTI, "1,2,1", "1;2"),
        (USCC, "９１３２０５８１ma0000a19w", "91320581MA0000A19W"),
        (USCC, "暂无", None),
        (MONEY, "2,000.50", Decimal("2000.50")),
        (MONEY, "１２．５", Decimal("12.50")),
        (MONEY, "0.006", Decimal("0.01")),
        (MONEY, "二", None),
        (COUNT, "12", 12),
        (COUNT, "12.0", 12),
        (COUNT, "12.5", None),
        (DAY, "2019-03-05", date(2019, 3, 5)),
        (DAY, "2019-3-5", date(2019, 3, 5)),
        (DAY, "20190305", date(2019, 3, 5)),
        (DAY, "2019.3.5", date(2019, 3, 5)),
        (DAY, "2019/3/5", date(2019, 3, 5)),
        (DAY, "2019-3-5 0:00:00", date(2019, 3, 5)),
        (DAY, "2019年3月5日", date(2019, 3, 5)),
        (DAY, "二〇一九年三月五日", date(2019, 3, 5)),
        (DAY, "43529", date(2019, 3, 5)),
        (DAY, "2019-02-30", None),
        (DAY, "19-3-5", None),
        (DAY, "2099/12/31", date(2099, 12, 31)),
        (DAY, "9999-12-31", date(9999, 12, 31)),
        (MOMENT, "2024-03-05 08:30:00", datetime(2024, 3, 5, 8, 30)),
        (MOMENT, "2024/03/05", datetime(2024, 3, 5)),
    ],
)
def test_a_cell_becomes_what_it_means_beside_plain_neighbours(field, written, meant):
    plain = {"n": "1", "k": "1", "d": "2020-01-01", "z": "2020-01-01 00:00:00"}.get(field.name, "1")

    cells = read(field, [plain, written, None])

    assert cells[1] == meant
    assert cells[0] is not None
    assert cells[2] is None


@pytest.mark.parametrize("field", [TEXT, LONG, NAME, USCC, MONEY, DAY])
@pytest.mark.parametrize("word", NULL_WORDS)
def test_null_words_say_nothing(field, word):
    assert read(field, [word]) == [None]
    assert tidied(field, pl.Series([word])).to_list() == [None]


def test_dates_that_stand_for_nothing_become_null_and_open_ends_stay():
    days = pl.Series([date(1899, 12, 31), date(1900, 1, 1), date(2099, 12, 31), None])

    assert without_empty_dates(days).to_list() == [None, None, date(2099, 12, 31), None]


@pytest.mark.parametrize("field", [TEXT, LONG, NAME, CODED, MULTI, USCC, MONEY, COUNT, DAY, MOMENT])
def test_a_column_without_rows_or_values_is_read_too(field):
    assert read(field, []) == []
    assert read(field, [None, None]) == [None, None]

"""From a batch as an agency wrote it to the rows that travel on, with nothing lost on the way."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.contracts.batch import OP, ORDINAL, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, Batch
from hub.contracts.errors import Rejected
from tests.unit.sample_items import GOOD_PERSON, KEYS, NOW, OTHER_KEYS, PENALTY, PERSON, batch_of, good
from transforms.cleaning import dtype_of
from transforms.expression import compile_expression
from transforms.intake import FeedPlan, mapped, prepare, unmapped_values

PLAN = FeedPlan(PENALTY, KEYS)


def ready(*rows, plan=PLAN, item=PENALTY):
    return prepare(batch_of(rows, item), plan, now=NOW)


def test_the_frame_has_the_columns_that_the_load_leg_expects():
    frame = ready(good()).passed.frame

    assert frame.columns == [ORDINAL, OP, RECORD_ID, ROW_HASH, SOURCE_TIME, STATUS, *(field.name for field in PENALTY.fields)]
    assert frame.schema == pl.Schema(
        {
            ORDINAL: pl.Int64, OP: pl.String, RECORD_ID: pl.String, ROW_HASH: pl.String, SOURCE_TIME: pl.Datetime("us"), STATUS: pl.Int8,
            **{field.name: dtype_of(field) for field in PENALTY.fields},
        }
    )  # fmt: skip


def test_values_are_typed_and_what_the_hub_knows_is_filled_in():
    row = ready(good()).passed.frame.row(0, named=True)

    assert row["fine_wan"] == Decimal("2.500000")
    assert row["decision_date"] == date(2024, 3, 5)
    assert row["penalty_class"] == "2"
    assert (row[OP], row[STATUS], row["op_flag"], row["record_status"], row["usage_scope"]) == ("U", 0, "I", "0", "0")
    assert row[SOURCE_TIME] is None


def test_the_scope_follows_the_items_level():
    item = PENALTY.__class__(**{**{name: getattr(PENALTY, name) for name in PENALTY.__dataclass_fields__}, "level": PERSON.level})

    frame = ready(good(), plan=FeedPlan(item, KEYS), item=item).passed.frame

    assert frame.get_column("usage_scope").to_list() == ["1"]


def test_withdrawals_and_states_travel_in_their_columns():
    rows = [good(op_flag="D"), good(op_flag="删除"), good(op_flag="U", record_status="撤销"), good(record_status="2", src_update_time="2024-03-06 01:02:03")]

    frame = ready(*rows).passed.frame

    assert frame.get_column(OP).to_list() == ["D", "D", "U", "U"]
    assert frame.get_column(STATUS).to_list() == [0, 0, 1, 2]
    assert frame.get_column(SOURCE_TIME).to_list() == [None, None, None, datetime(2024, 3, 6, 1, 2, 3)]


def test_column_order_brackets_and_width_make_no_other_row():
    plain = ready(good(xdr_name="常熟（中国）有限公司"))
    row = good(
        xdr_name="常熟(中国)有限公司 ",
        uscc="９１３２０５８１ma0000a19w",
        doc_no="常环罚[2024]1号",
        penalty_class=" 2",
        fine_wan="２.50",
        decision_date="2024/3/5",
    )
    other = ready({f" {heading.replace('(', '（').replace(')', '）')}": cell for heading, cell in reversed(row.items())})

    columns = [RECORD_ID, ROW_HASH]
    assert other.passed.frame.select(columns).rows() == plain.passed.frame.select(columns).rows()


def test_hashes_depend_on_the_keys():
    mine, theirs = ready(good()), ready(good(), plan=FeedPlan(PENALTY, OTHER_KEYS))

    assert mine.passed.frame.item(0, RECORD_ID) != theirs.passed.frame.item(0, RECORD_ID)
    assert mine.passed.frame.item(0, ROW_HASH) != theirs.passed.frame.item(0, ROW_HASH)


CELLS = st.fixed_dictionaries(
    {
        "xdr_name": st.sampled_from(["甲公司", "乙 厂", "", "测试", "丙\u200b店"]),
        "uscc": st.sampled_from(["91320581MA0000A19W", "91320581ma0000b231", "91320581MA0000A19X", None, "9.13206E+17"]),
        "doc_no": st.sampled_from(["1号", "2号", "〔3〕号", "无", "4" * 30]),
        "penalty_class": st.sampled_from(["罚款", "警告", "1、2", "拘留", None]),
        "fine_wan": st.sampled_from(["1", "2,000", "x", None, "-3"]),
        "decision_date": st.sampled_from(["2024-03-05", "2024年3月5日", "43529", "2027-01-01", "1900-01-01", "?"]),
        "src_update_time": st.sampled_from([None, "2024-03-05 00:00:00", "2024/3/5"]),
    }
)


@settings(max_examples=30, deadline=None)
@given(st.lists(CELLS, min_size=2, max_size=12), st.data())
def test_a_batch_in_two_parts_gives_the_same_rows_and_reasons(cells, data):
    whole = batch_of([good(**row) for row in cells])
    cut = data.draw(st.integers(1, len(cells) - 1))

    together = prepare(whole, PLAN, now=NOW)
    parts = [prepare(whole.with_frame(frame), PLAN, now=NOW) for frame in (whole.frame[:cut], whole.frame[cut:])]

    assert together.passed.frame.equals(pl.concat([part.passed.frame for part in parts]))
    assert together.refused.equals(pl.concat([part.refused for part in parts]))
    assert len(together.passed) + together.refused.height == len(cells)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries({name: st.one_of(st.none(), st.text(max_size=30)) for name in CELLS.wrapped_strategy.mapping}), min_size=1, max_size=6))
def test_whatever_a_cell_holds_every_row_is_accounted_for(cells):
    step = prepare(batch_of([good(**row) for row in cells]), PLAN, now=NOW)

    ordinals = [*step.passed.frame.get_column(ORDINAL), *step.refused.get_column(ORDINAL)]
    assert sorted(ordinals) == list(range(len(cells)))
    assert step.passed.frame.get_column(RECORD_ID).null_count() == 0


def test_rows_that_the_source_could_not_read_are_handed_on_as_refused():
    batch = batch_of([good(), good(doc_no="2号", uscc="x")])
    unread = pl.DataFrame({ORDINAL: [7], "code": ["R100"], "field": [""], "reason": ["列数不符"]})
    batch = Batch(batch.header, batch.frame, unread, pl.Series(ORDINAL, [8], dtype=pl.Int64))

    step = prepare(batch, PLAN, now=NOW)

    assert step.refused.get_column("code").to_list() == ["R100", "R111"]
    assert step.filtered.to_list() == [8]
    assert step.passed.refused.is_empty()


def test_rows_that_the_feed_does_not_want_are_filtered_before_they_are_judged():
    only = compile_expression('penalty_class != "1"', {"penalty_class": "text"}, expect="bool")

    step = ready(good(), good(penalty_class="警告", uscc="x"), good(penalty_class=None), plan=FeedPlan(PENALTY, KEYS, only=only))

    assert step.filtered.to_list() == [1, 2]
    assert step.refused.is_empty()
    assert len(step.passed) == 1


def test_a_rule_reads_its_headings_and_its_failures_are_named():
    rules = {
        "fine_wan": compile_expression('col("罚款金额（元）") | money(unit="元", to="万元")', expect="number"),
        "decision_date": compile_expression('处罚决定日期 | date("%d.%m.%Y")', expect="date"),
    }
    first = {**good(), "罚款金额(元)": "25,000元", "处罚决定日期": "05.03.2024"}
    rows = [first, {**first, "处罚决定日期": "gestern"}, {**first, "罚款金额(元)": "许多"}]

    step = ready(*rows, plan=FeedPlan(PENALTY, KEYS, rules=rules))

    assert step.passed.frame.select("fine_wan", "decision_date").rows() == [(Decimal("2.500000"), date(2024, 3, 5))]
    assert step.refused.select(ORDINAL, "code", "field").rows() == [(1, "R105", "decision_date"), (2, "R104", "fine_wan")]


def test_a_rule_that_gives_text_is_cleaned_and_typed_like_a_cell():
    rules = {"decision_date": compile_expression("文号日期 | trim")}

    step = ready({**good(), "文号日期": "2024年3月5日 "}, plan=FeedPlan(PENALTY, KEYS, rules=rules))

    assert step.passed.frame.get_column("decision_date").to_list() == [date(2024, 3, 5)]


def test_a_rule_of_the_clock_takes_the_moment_that_is_passed_in():
    rules = {"decision_date": compile_expression("today()")}

    step = ready(good(), plan=FeedPlan(PENALTY, KEYS, rules=rules))

    assert step.passed.frame.get_column("decision_date").to_list() == [NOW.date()]


def test_an_id_number_in_the_column_of_credit_codes_moves_to_its_own():
    row = {**GOOD_PERSON, "证件号码": "", "统一社会信用代码": "11010519491231002x"}

    frame = ready(row, plan=FeedPlan(PERSON, KEYS), item=PERSON).passed.frame

    assert frame.select("id_no", "uscc").rows() == [("11010519491231002X", None)]


def test_unmapped_code_values_are_counted_and_can_be_listed():
    batch = batch_of([good(), good(penalty_class="拘留"), good(penalty_class="拘留"), good(penalty_class="通报")])

    step = prepare(batch, PLAN, now=NOW)
    values = unmapped_values(batch, PLAN, now=NOW)

    assert step.warned == {"unmapped:penalty_class": 3}
    assert values == {"penalty_class": {"拘留": 2, "通报": 1}}


def test_a_sentinel_date_is_no_date():
    step = ready(good(valid_to="1900-01-01"))

    assert step.passed.frame.get_column("valid_to").to_list() == [None]


def test_headings_that_do_not_fit_refuse_the_arrival():
    with pytest.raises(Rejected, match="标题行内容不正确") as refusal:
        ready({"1": "a", "F8": "b"})

    assert refusal.value.code == "F006"


def test_a_batch_without_rows_stays_empty():
    batch = batch_of([good()])

    step = prepare(batch.with_frame(batch.frame.clear()), PLAN, now=NOW)

    assert len(step.passed) == 0
    assert step.refused.is_empty()


def test_the_mapped_stage_shows_every_row_before_any_is_judged():
    stage = mapped(batch_of([good(), good(uscc="x")]), PLAN, now=NOW)

    assert stage.frame.get_column("uscc").to_list() == ["91320581MA0000A19W", "X"]
    assert stage.binding.ignored == ()

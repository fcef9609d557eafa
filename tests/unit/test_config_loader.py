"""A directory of YAML becomes one resolved configuration, and an older version can be built again from its bundle."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.loader import load, load_bundle
from config.resolved import HubConfig, Limits
from hub.calendar import Due
from hub.contracts.item import Identifier, Level
from tests.unit.sample_config import FILES, bundle

NAMES = [*FILES, "catalogue/common.yaml", "calendar.yaml"]


def written(directory: Path, **changed: str) -> Path:
    for name, content in bundle(**changed).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    (directory / "samples").mkdir()
    (directory / "samples/x.csv").touch()
    return directory


def resolved() -> HubConfig:
    hub = load_bundle(bundle()).hub
    assert hub is not None
    return hub


def test_a_feed_is_resolved_with_item_rules_checks_and_limits() -> None:
    feed = resolved().feeds["A0030.penalty"]

    assert (feed.kind, feed.item.code, feed.agency) == ("folder", "A0030-F06-01", "A0030")
    assert feed.when is not None
    assert (feed.when.cron, feed.when.due) == ("0 2 * * *", Due(7, "workdays", "decision_date"))
    assert {name: rule.type for name, rule in feed.rules.items()} == {"uscc": "text", "fine_wan": "number"}
    assert [(c.action, c.code, c.message, c.field) for c in feed.checks] == [
        ("reject", "X001", "", "decision_date"),
        ("warn", "X002", "金额偏大", "fine_wan"),
        ("fix", "X003", "", "decision_date"),
    ]
    assert feed.only is not None
    assert feed.limits == Limits(rejected=0.05, shrink=0.3)


def test_a_share_is_resolved_with_its_basis_and_way_out() -> None:
    share = resolved().shares["A0030.to-court"]

    assert (share.name, share.kind, share.share.owner, share.share.to) == ("A0030.to-court", "webhook", "A0030", "A0011")
    assert share.share.fields == ("uscc", "doc_no")
    assert share.share.basis is not None
    assert share.share.basis.until == date(2028, 12, 31)


def test_an_item_has_its_own_fields_then_the_common_ones() -> None:
    item = resolved().items["A0030-F06-01"]

    assert item.level is Level.OPEN
    assert (item.store, item.agency, item.subject, item.table) == ("ent", "A0030", "F", "a0030_f06_01")
    assert item.natural_key == (("doc_no",), ("uscc", "reg_no"))
    assert [f.name for f in item.fields][:6] == ["doc_no", "uscc", "reg_no", "kind", "fine_wan", "decision_date"]
    assert {"record_status", "usage_scope", "src_update_time", "op_flag"} < set(item.by_name)
    assert item.by_name["doc_no"].aliases == ("CF_WSH",)
    assert item.by_name["uscc"].identifier is Identifier.USCC
    assert item.by_name["kind"].codes == {"01": "警告", "02": "罚款"}
    assert (item.by_name["fine_wan"].scale, item.by_name["fine_wan"].unit) == (6, "万元")


def test_the_hub_has_defaults_for_what_is_not_said() -> None:
    hub = resolved()

    assert hub.listen == "127.0.0.1:8700"
    assert hub.stores["psn"] == "stores/psn.sqlite"
    assert hub.keep.done == timedelta(days=30)
    assert hub.broker == "amqp://hub:${env:MQ}@127.0.0.1:5672/credit"


def test_words_that_older_yaml_took_for_truth_stay_text() -> None:
    hub = load_bundle(bundle(**{"hub.yaml": "city: no\n"})).hub

    assert hub is not None
    assert hub.city == "no"


def test_a_directory_and_its_bundle_are_the_same_configuration(tmp_path: Path) -> None:
    from_files = load(written(tmp_path))

    again = load_bundle(from_files.bundle)

    assert from_files.hub is not None
    assert again.hub is not None
    assert again.version == from_files.version == from_files.hub.version
    assert set(again.hub.feeds) == {"A0030.penalty"}


@pytest.mark.parametrize("name", FILES)
def test_the_version_changes_with_every_file(name: str) -> None:
    before = load_bundle(bundle()).version

    after = load_bundle(bundle(**{name: FILES[name] + "# a remark\n"})).version

    assert after != before


def test_a_sample_that_a_test_names_must_be_there(tmp_path: Path) -> None:
    directory = written(tmp_path)
    (directory / "samples/x.csv").rename(directory / "samples/y.csv")

    found = load(directory).problems

    assert [(p.code, p.path) for p in found] == [("missing-file", "tests.0.given")]


def test_a_file_with_the_other_ending_is_not_silently_left_out(tmp_path: Path) -> None:
    directory = written(tmp_path)
    (directory / "agencies/A0030.yaml").rename(directory / "agencies/A0030.yml")

    found = load(directory).problems

    assert [(p.file, p.code) for p in found] == [("agencies/A0030.yml", "unknown-file")]


def test_an_empty_directory_is_one_problem(tmp_path: Path) -> None:
    found = load(tmp_path)

    assert [(p.file, p.code) for p in found.problems] == [("hub.yaml", "missing-file")]
    assert found.hub is None


def test_a_directory_named_like_a_file_is_not_read(tmp_path: Path) -> None:
    directory = written(tmp_path)
    (directory / "agencies/x.yaml").mkdir()

    assert load(directory).problems == ()


def test_common_fields_can_be_a_citys_own() -> None:
    own = "fields:\n  - {name: area, title: 区域}\n"

    hub = load_bundle(bundle(**{"catalogue/common.yaml": own})).hub

    assert hub is not None
    assert hub.items["A0030-F06-01"].fields[-1].name == "area"


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(NAMES), content=st.binary(max_size=200))
def test_whatever_bytes_a_file_holds_nothing_is_raised(name: str, content: bytes) -> None:
    found = load_bundle({**bundle(), name: content})

    assert found.hub is None or not found.problems


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_cut_out_of_a_file_nothing_is_raised(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(FILES)))
    text = FILES[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    filler = data.draw(st.sampled_from(["", "1", "[]", "{}", "null", '"', "x: ", "- ", "\n", "${env:A}"]))

    found = load_bundle(bundle(**{name: text[:start] + filler + text[end:]}))

    assert found.hub is None or not found.problems
    assert all(p.line >= 1 and p.column >= 1 and p.message for p in found.problems)

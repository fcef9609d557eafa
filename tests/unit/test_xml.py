"""XML of many shapes, made into its plain form and read from there."""

from __future__ import annotations

import io
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.formats.plain import Document, Widened, heading_line
from connectors.formats.xml import XmlFormat, XmlFormer
from hub.contracts.batch import LINE
from hub.contracts.errors import Rejected
from tests.unit.xml_reading import Dribble, expected, frame_of, rows, xml

TWO = "<DATAS><DATA><doc_no>1</doc_no><name>甲</name></DATA><DATA><doc_no>2</doc_no><name>乙</name></DATA></DATAS>"
BOTH = [{"doc_no": "1", "name": "甲"}, {"doc_no": "2", "name": "乙"}]


@pytest.mark.parametrize(
    "document",
    [
        TWO,
        TWO.replace("DATAS", "ROWDATA").replace("DATA>", "ROW>"),
        f"<Message><Header><sender>A0030</sender></Header><Body>{TWO}</Body></Message>",
        TWO.replace("<DATAS>", '<x:DATAS xmlns:x="urn:one" xmlns="urn:two">').replace("</DATAS>", "</x:DATAS>"),
        TWO.replace("<DATA>", "<!-- one --><DATA><?note?>\n\t"),
        f"<?xml version='1.0'?>\n<!-- made by hand -->\n<?style sheet?>\n{TWO}\n<!-- end -->\n",
    ],
)
def test_records_are_found_wherever_they_are(document: str) -> None:
    found = rows(document)

    assert found == BOTH


@pytest.mark.parametrize(
    ("path", "count"), [("DATAS/DATA", 2), ("/DATAS/DATA", 2), ("//DATA", 3), ("DATAS/old/DATA", 1), ("//old/DATA", 1), ("x:DATAS/x:DATA", 2)]
)
def test_the_feed_may_name_the_path_of_the_records(path: str, count: int) -> None:
    document = TWO.replace("</DATAS>", "<old><DATA><doc_no>3</doc_no></DATA></old></DATAS>")

    found = rows(document, rows=path)

    assert len(found) == count


def test_a_record_within_a_record_of_the_same_name_is_a_part_of_it() -> None:
    document = "<R><DATA><doc_no>1</doc_no><DATA><doc_no>2</doc_no></DATA></DATA></R>"

    found = rows(document, rows="//DATA")

    assert found == [{"doc_no": "1", "DATA.doc_no": "2"}]


@pytest.mark.parametrize("path", ["DATAS//DATA", "DATAS/", "//", "DATA[1]", "*", "@id"])
def test_a_path_that_is_more_than_names_is_refused_when_the_feed_is_loaded(path: str) -> None:
    with pytest.raises(ValidationError, match="DATAS/DATA or //DATA"):
        XmlFormat(rows=path)


def test_a_wrong_path_names_the_right_one() -> None:
    with pytest.raises(Rejected) as raised:
        rows(TWO, rows="ROWDATA/ROW")

    assert raised.value.code == "F006"
    assert raised.value.message == "nothing at ROWDATA/ROW; the item's fields are at DATAS/DATA"


@pytest.mark.parametrize("document", ["<DATAS/>", "<DATAS></DATAS>", "<DATAS><DATA/></DATAS>", "<DATAS>\n <DATA><doc_no/></DATA>\n</DATAS>"])
@pytest.mark.parametrize("path", ["", "DATAS/DATA"])
def test_a_document_without_content_has_no_row(document: str, path: str) -> None:
    _, plain = xml(document, rows=path)

    assert plain.rows == 0


def test_fields_that_no_item_knows_refuse_the_document() -> None:
    with pytest.raises(Rejected) as raised:
        rows("<html><p>please log in</p></html>")

    assert raised.value.code == "F006"


def test_nested_and_repeated_fields_have_names_of_their_own() -> None:
    document = "<R><D><doc_no>1</doc_no><party><name>甲</name><id><no>7</no></id></party><party><name>乙</name></party><name>a</name><name>b</name><name>c</name></D></R>"

    found = rows(document)

    assert found == [{"doc_no": "1", "party.name": "甲", "party.id.no": "7", "party_2.name": "乙", "name": "a", "name_2": "b", "name_3": "c"}]


def test_text_is_whole_whatever_stands_in_it() -> None:
    document = (
        '<R><D><doc_no>a<![CDATA[<&]]> &amp; &#x5E38;<!-- c -->熟<?p?>!</doc_no><name>x<b>y</b>z <i/>w</name><uscc> two  words\n"quoted" </uscc></D>'
        "<D><doc_no> </doc_no><name>&#13;a\r\nb</name><uscc>,|\t</uscc></D></R>"
    )

    found = rows(document)

    assert found[0] == {"doc_no": "a<& & 常熟!", "name": "xz w", "name.b": "y", "uscc": ' two  words\n"quoted" '}
    assert found[1] == {"doc_no": " ", "name": "\ra\nb", "uscc": ",|\t"}


def test_text_of_the_record_itself_is_not_lost() -> None:
    found = rows("<R><D>loose<doc_no>1</doc_no> ends</D><D><doc_no>2</doc_no></D></R>")

    assert found == [{"D": "loose ends", "doc_no": "1"}, {"doc_no": "2"}]


def test_nil_is_nothing() -> None:
    document = TWO.replace("<DATAS>", '<DATAS xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">').replace("<name>甲</name>", '<name xsi:nil="true"/>')

    found = rows(document)

    assert found == [{"doc_no": "1"}, {"doc_no": "2", "name": "乙"}]


def test_attributes_are_fields_where_the_item_knows_them() -> None:
    document = '<R><D doc_no="1" n="9"><name lang="zh">甲</name></D></R>'

    by_itself, told_not_to = rows(document), rows(document, attributes=False)

    assert by_itself == [{"doc_no": "1", "@n": "9", "name": "甲", "name@lang": "zh"}]
    assert told_not_to == [{"name": "甲"}]


def test_attributes_are_left_alone_where_the_item_knows_none() -> None:
    found, told = rows(TWO.replace("<DATA>", '<DATA id="7">')), rows(TWO.replace("<DATA>", '<DATA id="7">'), attributes=True)

    assert found == BOTH
    assert told == [{"@id": "7", **row} for row in BOTH]


def test_records_of_nothing_but_attributes_are_read() -> None:
    found = rows("<R><D doc_no='1' name='甲'/><D doc_no='2' name='乙'/></R>")

    assert found == BOTH


def test_fields_that_only_a_late_record_has_begin_the_conversion_again_with_all_of_them() -> None:
    early = "<D><doc_no>1</doc_no><name>甲</name></D>" * 20_000
    document = f"<R>{early}<D><doc_no>2</doc_no><late>x</late></D><D><doc_no>3</doc_no><later>y</later></D></R>".encode()

    with pytest.raises(Widened) as raised:
        list(XmlFormer(XmlFormat(), expected()).convert(Document(io.BytesIO(document), len(document), "")))
    found = rows(document)

    assert raised.value.titles == ("doc_no", "name", "late", "later")
    assert found[-2:] == [{"doc_no": "2", "late": "x"}, {"doc_no": "3", "later": "y"}]


def test_a_record_is_named_by_the_line_of_its_element() -> None:
    document = "<?xml version='1.0'\n encoding='utf-8'?>\n<!-- \n -->\n<DATAS>\r\n" + "<DATA>\n<doc_no>1</doc_no>\n</DATA>\n" * 20_000 + "</DATAS>"

    text, plain = xml(document)

    assert frame_of(text, plain)[LINE].to_list() == list(range(6, 6 + 3 * 20_000, 3))
    assert plain.evidence["place"] == "line"


@pytest.mark.parametrize("document", [TWO, TWO.replace("</DATA>", "</DATA>\n") + "\n" * 65_535])
def test_records_that_lines_do_not_tell_apart_are_numbered(document: str) -> None:
    text, plain = xml(document)

    assert frame_of(text, plain)[LINE].to_list() == [1, 2]
    assert plain.evidence["place"] == "number"


@pytest.mark.parametrize(
    ("code", "header"),
    [
        ("F007", "<tablecode>A0030-Z06-01</tablecode>"),
        ("F008", "<head><departmentCode>A0011</departmentCode></head>"),
        ("F007", "<head tablecode='A0011-F05-02'/>"),
    ],
)
def test_a_document_for_another_item_or_agency_is_refused(code: str, header: str) -> None:
    with pytest.raises(Rejected) as raised:
        xml(TWO.replace("<DATAS>", f"<DATAS>{header}"))

    assert raised.value.code == code


def test_the_standard_templates_own_codes_pass() -> None:
    document = TWO.replace("<DATAS>", "<DATAS tablecode='A0030-F06-01'><departmentcode> A0030 </departmentcode>")

    assert rows(document) == BOTH


def test_evidence_says_how_the_document_was_read() -> None:
    _, plain = xml(f"<?xml version='1.0' encoding='GB2312'?>{TWO}<!-- 镕 -->".encode("gbk"))

    assert plain.evidence == {
        "encoding": "gb18030",
        "declared": "gb2312",
        "basis": "declared, and all looked at fits",
        "records at": "DATAS/DATA",
        "place": "number",
    }


def test_an_empty_plain_form_is_a_heading_and_nothing_else() -> None:
    text, plain = xml("<DATAS><DATA><doc_no/></DATA></DATAS>", rows="DATAS/DATA")

    assert text == heading_line(("doc_no",))
    assert plain.evidence["empty records"] == 1


NAMES = ("doc_no", "name", "uscc", "决定日期", "备注-1")
CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff") | st.sampled_from(' "\n\t,|<>&;\ufeff'), max_size=12
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(NAMES), CELL.filter(bool)), min_size=1, max_size=8).filter(any)


def document_of(records: list[dict[str, str]]) -> str:
    body = "".join("<DATA>" + "".join(f"<{name}>{escape(text)}</{name}>" for name, text in one.items()) + "</DATA>\n" for one in records)
    return f"<?xml version='1.0' encoding='UTF-8'?>\n<DATAS>\n{body}</DATAS>"


@settings(max_examples=150, deadline=None)
@given(records=RECORDS, encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]))
def test_whatever_is_written_is_read(records: list[dict[str, str]], encoding: str) -> None:
    content = document_of(records).replace("UTF-8", {"gb18030": "GB18030", "utf-16": "UTF-16"}.get(encoding, "UTF-8")).encode(encoding)

    found = rows(content, rows="DATAS/DATA", encoding="gb18030" if encoding == "gb18030" else "auto")

    assert found == [one for one in records if one]


@settings(max_examples=40, deadline=None)
@given(records=RECORDS, encoding=st.sampled_from(["utf-8", "gb18030", "utf-16"]), most=st.integers(1, 9))
def test_the_size_of_the_pieces_changes_nothing(records: list[dict[str, str]], encoding: str, most: int) -> None:
    content = document_of(records).replace("UTF-8", encoding).encode(encoding)
    stream = Dribble(content)
    stream.most = most

    assert xml(content, stream, rows="DATAS/DATA", encoding=encoding) == xml(content, rows="DATAS/DATA", encoding=encoding)

"""Strict decoding decides which character set a page is in."""

from __future__ import annotations

import pytest

from connectors.web.decoding import decode
from hub.contracts.errors import Rejected

TEXT = "<html><head><meta charset='{}'></head><body>常熟市经营异常名录公告</body></html>"


@pytest.mark.parametrize(
    ("header", "meta", "written", "encoding", "conflict"),
    [
        ("text/html; charset=gb2312", "gb2312", "gb18030", "gb18030", False),
        ("text/html", "GBK", "gb18030", "gb18030", False),
        ("text/html; charset=utf-8", "gb2312", "gb18030", "gb18030", True),
        ("text/html; charset=gbk", "utf-8", "utf-8", "utf-8", True),
        ("text/html", "gb2312", "utf-8", "utf-8", True),
        ("text/html; charset=ISO-8859-1", "gb2312", "gb18030", "gb18030", True),
        ("text/html", "", "gb18030", "gb18030", False),
        ("text/html; charset=big5", "big5", "big5", "big5", False),
        ("text/html; charset=nonsense", "utf-8", "utf-8", "utf-8", True),
    ],
)
def test_what_is_declared_is_only_a_hint(header: str, meta: str, written: str, encoding: str, conflict: bool) -> None:
    text = TEXT.format(meta) if written != "big5" else TEXT.format(meta).replace("经营异常名录公告", "").replace("常熟市", "高雄市")

    found = decode(text.encode(written), header)

    assert found.utf8.decode() == text
    assert (found.encoding, found.conflict) == (encoding, conflict)


def test_a_byte_order_mark_wins() -> None:
    found = decode(TEXT.format("gbk").encode("utf-16"), "text/html; charset=gbk")

    assert found.encoding == "utf-16-le"
    assert "常熟市" in found.utf8.decode()


def test_characters_that_the_codec_leaves_private_are_written_out() -> None:
    assert "\ue81e" not in decode(b"<p>\xfe\x59\xfe\x61</p>", "text/html; charset=gbk").utf8.decode()


@pytest.mark.parametrize("body", [b"<p>\xff\xff\xff</p>", b"<p>\x00</p>", "<p>常</p>".encode("gb18030")[:-5] + b"\x81</p>\xff"])
def test_bytes_that_are_no_text_are_refused_without_being_shown(body: bytes) -> None:
    with pytest.raises(Rejected) as refused:
        decode(body, "text/html; charset=gbk")

    assert refused.value.code == "F002"

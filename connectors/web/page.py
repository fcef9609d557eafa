"""A page of HTML as a person sees it: its tables, links, numbers and forms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from lxml import etree
from lxml.cssselect import CSSSelector, ExpressionError, SelectorError
from lxml.html import HTMLParser, document_fromstring

from connectors.web.decoding import Decoded, decode
from connectors.web.tables import WIDEST, Cell, Found, find, spread
from hub.contracts.errors import Misconfigured, Rejected

MOST_CELLS = 200_000
MOST_LINKS = 5_000
MOST_ATTRIBUTES = 2_000  # of one element: the parser compares each with all before it
_MOST_SPAN = 65_534  # rows that a cell may cover (HTML, 4.9.11)
_UNSEEN = ("script", "style", "template", "noscript")
_BREAKS = ("br", "p", "div", "li", "tr")
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_EDGES = " \u3000\xa0\u200b\u200c\u200d\ufeff"
_NUMBER = re.compile(r"\d[\d,]*")
_GUARDED = re.compile("captcha|verifycode|validatecode|checkcode|yzm|验证码", re.IGNORECASE)
_XPATH = ("/", "./", "../", "(")
_ATTRIBUTE = rb"[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>]*+))?+"
_OVERLOADED = re.compile(rb"<[A-Za-z][^\s/>]*+(?:%b){0,%d}+(%b)?+" % (_ATTRIBUTE, MOST_ATTRIBUTES, _ATTRIBUTE))
_ROWS = etree.XPath("./tr | ./thead/tr | ./tbody/tr | ./tfoot/tr")
_CELLS = etree.XPath("./td | ./th")
_INPUTS = etree.XPath("//input")

Element = Any  # an element of the parsed page


@dataclass(frozen=True, slots=True)
class Link:
    """Where a link leads, as an absolute address, and the element it is written in."""

    url: str
    element: Element


class Selector:
    """Elements of a page by a CSS selector, or by an XPath that begins with `/`, `./` or `(`. Raises `Misconfigured` for one that cannot be read."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._find = etree.XPath(text, regexp=False, smart_strings=False) if text.startswith(_XPATH) else CSSSelector(text)
        except (etree.XPathError, SelectorError, ExpressionError) as error:
            raise Misconfigured(f"the selector {text!r} cannot be read", hint="write CSS such as `table.list a`, or XPath that begins with /") from error

    def of(self, root: Element) -> list[Element]:
        """The elements in document order. Raises `Misconfigured` for an XPath that finds no elements but text or numbers."""
        try:
            found = self._find(root)
        except etree.XPathError as error:
            raise Misconfigured(f"the selector {self.text!r} cannot be used", hint="try it in a browser's console") from error
        if not isinstance(found, list) or any(not etree.iselement(one) for one in found):
            raise Misconfigured(f"the selector {self.text!r} finds no elements", hint="leave out text(), @name and functions at its end")
        return found


class Page:
    """One page. Raises `Rejected` F001 (no HTML), F002 (no character set fits) and F003 (tables beyond all measure)."""

    def __init__(self, body: bytes, content_type: str, url: str) -> None:
        self.decoded: Decoded = decode(body, content_type)
        if any(tag[1] for tag in _OVERLOADED.finditer(self.decoded.utf8)):
            raise Rejected(f"an element of the page has more than {MOST_ATTRIBUTES:,} attributes", hint="look at its snapshot in landing", code="F003")
        parser = HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
        try:
            self._root: Element = document_fromstring(self.decoded.utf8, parser=parser)
        except etree.LxmlError as error:
            raise Rejected("the page holds nothing", hint="look at its snapshot in landing", code="F001") from error
        etree.strip_elements(self._root, *_UNSEEN, with_tail=False)
        base = self._root.find(".//base[@href]")
        self._base = url if base is None else _joined(url, base.get("href")) or url
        for element in self._root.iter(*_BREAKS):
            element.tail = "\n" + (element.tail or "")

    def found(self, table: Selector | None, known: frozenset[str]) -> Found[Element]:
        """The records of the tables that `table` selects, or of those with the item's headings."""
        tables = self._root.iter("table") if table is None else (one for one in table.of(self._root) if one.tag == "table")
        left = MOST_CELLS
        lines = []
        for one in tables:
            rows = [([_cell(cell) for cell in _CELLS(row)], row) for row in _ROWS(one)]
            left -= sum(min(cell.columns, WIDEST) for cells, _ in rows for cell in cells) + len(rows)
            if left < 0:
                raise Rejected(f"the page has more than {MOST_CELLS:,} cells", hint="look at its snapshot in landing", code="F003")
            lines.append(spread(rows))
        return find(lines, known, chosen=table is not None)

    def links(self, selector: Selector) -> list[Link]:
        """Links among the selected elements, or the first link in each; those that lead nowhere (script, mail) are left out."""
        found = []
        for element in selector.of(self._root)[:MOST_LINKS]:
            anchor = element if element.tag == "a" else element.find(".//a[@href]")
            url = None if anchor is None else _joined(self._base, anchor.get("href"))
            if url is not None:
                found.append(Link(url, element))
        return found

    def following(self, selector: Selector) -> str | None:
        """Where the next page is; None on the last one, where the link is missing, switched off or leads nowhere."""
        for element in selector.of(self._root):
            if "disabled" not in (element.get("class") or "").split() and element.get("disabled") is None:
                return _joined(self._base, element.get("href"))
        return None

    def number(self, selector: Selector) -> int | None:
        """The last number in the selected text, such as 12 in 第1/12页."""
        numbers = [n for element in selector.of(self._root) for n in _NUMBER.findall(_text(element))]
        return int(numbers[-1].replace(",", "")[:9]) if numbers else None

    def hidden(self) -> dict[str, str]:
        """Hidden inputs, which a form sends back."""
        inputs = [one for one in _INPUTS(self._root) if (one.get("type") or "").lower() == "hidden" and one.get("name")]
        return {one.get("name"): one.get("value") or "" for one in inputs[:100]}

    def guarded(self) -> bool:
        """Whether the page asks for a password or a 验证码."""
        asked = [" ".join(one.get(name) or "" for name in ("name", "id", "placeholder", "class")) for one in _INPUTS(self._root)]
        return any((one.get("type") or "").lower() == "password" for one in _INPUTS(self._root)) or any(map(_GUARDED.search, asked))


def rows_above(element: Element) -> list[Element]:
    """The element itself and everything around it, nearest first."""
    return [element, *element.iterancestors()]


def _cell(element: Element) -> Cell:
    rows = _span(element.get("rowspan"), _MOST_SPAN)
    return Cell(_text(element), _span(element.get("colspan"), WIDEST) or 1, rows or _MOST_SPAN, element.tag == "th")


def _span(value: str | None, most: int) -> int:
    text = (value or "1").strip()
    return min(int(text), most) if text.isascii() and text.isdigit() and len(text) < 9 else 1


def _text(element: Element) -> str:
    return _BLANKS.sub(" ", "".join(element.itertext())).strip(_EDGES)


def _joined(base: str, href: str | None) -> str | None:
    """An address on the web, without its #; None for anything else."""
    if not href or not (target := href.strip()) or target.startswith("#"):
        return None
    try:
        url = urldefrag(urljoin(base, target)).url
        return url if urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname else None
    except ValueError:
        return None

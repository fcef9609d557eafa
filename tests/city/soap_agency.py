"""Agencies that speak SOAP, each in its own way: 法制办 exports penalties as XML in pages, a hub as in Guangdong, 税务 rates firms, 公安 verifies one by one.

They keep what they were asked, and misbehave as they are told: `mischief` is taken from the left, one word for each answer.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable
from pathlib import Path

from aiohttp import web
from lxml import etree

from tests.city.identities import citizen, firm

WSDL = Path(__file__).parent / "wsdl"
ENVELOPES = {"1.1": "http://schemas.xmlsoap.org/soap/envelope/", "1.2": "http://www.w3.org/2003/05/soap-envelope"}
TYPES = {"1.1": "text/xml", "1.2": "application/soap+xml"}
XSI = "http://www.w3.org/2001/XMLSchema-instance"
OFFICE, OFFICE_CODE = "常熟市法制办公室", "113205810000000274"
USER, PASSWORD, LOGIN_TIMEOUT = "xyb", 'p<&>"word', "403:login timeout"

Row = dict[str, str | None]


def penalty(number: int) -> Row:
    """One penalty of 法制办 under the national template's names."""
    return {
        "CF_XDR_MC": f"常熟市第{number}<纺织>&印染有限公司", "CF_XDR_LB": "法人及非法人组织", "CF_XDR_SHXYM": firm(number), "CF_FRDB": f"法人{number}",
        "CF_WSH": f"常信罚〔2024〕{number}号", "CF_WFXW": "虚假宣传", "CF_SY": "在网店中夸大功效", "CF_YJ": "《中华人民共和国广告法》", "CF_CFLB": "罚款", "CF_NR": "罚款",
        "CF_NR_FK": f"{number}.50", "CF_JDRQ": "2024/03/05", "CF_YXQ": "2099/12/31", "CF_CFJG": OFFICE, "CF_CFJGDM": OFFICE_CODE, "CF_SJLY": OFFICE,
        "CF_SJLYDM": OFFICE_CODE, "CF_SYFW": "0", "BZ": None,
    }  # fmt: skip


def rating(number: int) -> Row:
    """One rating of 税务."""
    return {
        "NSRSBH": firm(number),
        "NSRMC": f"常熟市第{number}公司",
        "PJND": "2024",
        "PJDJ": None if number % 3 == 0 else "ABCDM"[number % 5],
        "PJRQ": "2025-04-30",
    }


class SoapAgency:
    """All of them behind one address: /services/penalty, auth, bsync, rating, verify."""

    def __init__(self, penalties: int = 7, ratings: int = 5) -> None:
        self.penalties = [penalty(number) for number in range(1, penalties + 1)]
        self.ratings = [rating(number) for number in range(1, ratings + 1)]
        self.persons = {citizen(number): f"在册{number}" for number in range(1, 6)}
        self.password = PASSWORD
        self.token = "t-0"
        self.mischief: deque[str] = deque()
        self.asked: list[tuple[str, dict[str, str | None]]] = []
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most_under_way = 0
        self.logins = 0

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application(client_max_size=4 << 20)
        app.router.add_post("/services/{name}", self._post)
        app.router.add_get("/services/{name}", self._wsdl)
        return app

    def expire(self) -> None:
        """The token is no longer taken."""
        self.token = f"t-{self.logins}-gone"

    async def _wsdl(self, request: web.Request) -> web.Response:
        return web.Response(body=(WSDL / f"{request.match_info['name']}.wsdl").read_bytes(), content_type="text/xml")

    async def _post(self, request: web.Request) -> web.StreamResponse:
        envelope = etree.fromstring(await request.read())
        version = "1.2" if envelope.tag.startswith("{" + ENVELOPES["1.2"]) else "1.1"
        call = envelope.find("{*}Body")[0]
        operation = etree.QName(call).localname
        arguments = {etree.QName(part).localname: part.text for part in call}
        self.asked.append((operation, arguments))
        self.headers.append(dict(request.headers))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0.005 if operation == "verify" else 0)
            word = self.mischief.popleft() if self.mischief else ""
            return self._misbehave(word, version) or self._answer(word, version, operation, arguments, request)
        finally:
            self.under_way -= 1

    def _answer(self, word: str, version: str, operation: str, arguments: dict[str, str | None], request: web.Request) -> web.Response:
        name = f"_{operation}"
        known: dict[str, Callable[[dict[str, str | None], web.Request], object]] = {
            "_login": self._login, "_exportPenaltyXml": self._export, "_service": self._service,
            "_getRating": self._rating, "_getRatingJson": self._rating_json, "_verify": self._verify,
        }  # fmt: skip
        found = known[name](arguments, request)
        wrapper = etree.Element(f"{operation}Response", nsmap={"xsi": XSI})
        if isinstance(found, list):
            for row in found:
                _fields(etree.SubElement(wrapper, "rating"), row)
        else:
            self._text(etree.SubElement(wrapper, "verifyReturn" if operation == "verify" else "return"), word, found)
        return _sent(_enveloped(wrapper, version), version, word)

    def _text(self, leaf: etree._Element, word: str, found: object) -> None:
        """The text of the answer: nil, or in a CDATA section, or escaped; empty, spoilt or swapped as told."""
        if word == "nil" or found is None:
            leaf.set(f"{{{XSI}}}nil", "true")
            return
        text = {"error-text": "系统繁忙，请稍后再试", "empty-text": ""}.get(word, str(found))
        if word == "spoilt":
            text = text[: len(text) // 2]
        if word == "inner-doctype":
            text = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><ROWDATA><ROW><CF_WSH>&b;</CF_WSH></ROW></ROWDATA>'
        leaf.text = etree.CDATA(text) if word == "cdata" and "]]>" not in text else text

    def _misbehave(self, word: str, version: str) -> web.StreamResponse | None:
        """An answer that is none."""
        pages = {
            "login-page": '<!DOCTYPE html><html><form><input type="password"></form></html>', "maintenance": "<html><body>系统维护中</body></html>",
            "empty": "", "busy": "系统繁忙", "not-soap": "<answer>hello</answer>",
        }  # fmt: skip
        if word in pages:
            return web.Response(text=pages[word], content_type="text/html")
        if word.startswith("status-"):
            return web.Response(status=int(word[7:]), text="", headers={"Retry-After": "3600"} if word == "status-503" else {})
        if word.startswith("fault-"):
            return _sent(_enveloped(_fault(word[6:], version), version), version, "", status=500)
        if word == "doctype":
            body = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>' + _enveloped(etree.Element("x"), version)
            return web.Response(body=body, content_type=TYPES[version])
        if word == "twice":
            return web.Response(body=_enveloped(etree.Element("x"), version) * 2, content_type=TYPES[version])
        return None

    def _login(self, arguments: dict[str, str | None], request: web.Request) -> str:
        user, password = (arguments.get("user"), arguments.get("password")) if arguments else (request.headers.get("user"), request.headers.get("password"))
        if (user, password) != (USER, self.password):
            return "<RESULT><code>01</code><message>用户名或密码错误</message></RESULT>"
        self.logins += 1
        self.token = f"t-{self.logins}"
        return f"<RESULT><code>00</code><token>{self.token}</token></RESULT>" if arguments else self.token

    def _export(self, arguments: dict[str, str | None], request: web.Request) -> str:
        if arguments.get("token") != self.token:
            return LOGIN_TIMEOUT
        asked = etree.fromstring((arguments.get("xml") or "").encode())
        page, size = int(asked.findtext("PAGE") or 1), int(asked.findtext("SIZE") or 100)
        rows = self.penalties[(page - 1) * size : page * size]
        return _row_data(rows, len(self.penalties))

    def _service(self, arguments: dict[str, str | None], request: web.Request) -> str:
        if request.headers.get("token") != self.token:
            return LOGIN_TIMEOUT
        sent = etree.fromstring((arguments.get("xml") or "").encode())
        self.asked.append((request.headers.get("serviceId", ""), {etree.QName(leaf).localname: leaf.text for leaf in sent.iter("flow", "sender", "CF_WSH")}))
        return _row_data(self.penalties, len(self.penalties))

    def _rating(self, arguments: dict[str, str | None], request: web.Request) -> list[Row]:
        return self.ratings

    def _rating_json(self, arguments: dict[str, str | None], request: web.Request) -> str:
        json.loads(arguments.get("query") or "")
        return json.dumps({"code": "200", "data": {"total": len(self.ratings), "rows": self.ratings}}, ensure_ascii=False)

    def _verify(self, arguments: dict[str, str | None], request: web.Request) -> str:
        found = self.persons.get(arguments.get("sfzh") or "")
        if found is None:
            return "<R><CODE>04</CODE></R>" if arguments.get("sfzh") else "<R><CODE>90</CODE></R>"
        return f"<R><CODE>00</CODE><P><STATE>{found}</STATE></P></R>"


async def serve(host: str, port: int, agency: SoapAgency | None = None) -> web.AppRunner:
    """Start the agencies; `await runner.cleanup()` ends them."""
    runner = web.AppRunner((agency or SoapAgency()).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


def _row_data(rows: list[Row], total: int) -> str:
    root = etree.Element("ROWDATA", TOTAL=str(total), CODE="00")
    for row in rows:
        _fields(etree.SubElement(root, "ROW"), row)
    text = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="GBK"?>{text}'


def _fields(element: etree._Element, row: Row) -> None:
    for name, value in row.items():
        leaf = etree.SubElement(element, name)
        leaf.text = value
        if value is None:
            leaf.set(f"{{{XSI}}}nil", "true")


def _enveloped(content: etree._Element, version: str) -> bytes:
    space = ENVELOPES[version]
    envelope = etree.Element(f"{{{space}}}Envelope", nsmap={"soap": space})
    etree.SubElement(envelope, f"{{{space}}}Body").append(content)
    return bytes(etree.tostring(envelope))


def _fault(code: str, version: str) -> etree._Element:
    space = ENVELOPES[version]
    fault = etree.Element(f"{{{space}}}Fault", nsmap={"s": space})
    if version == "1.1":
        etree.SubElement(fault, "faultcode").text = f"s:{code}"
        etree.SubElement(fault, "faultstring").text = "身份证号320581190012310015无效"
    else:
        etree.SubElement(etree.SubElement(fault, f"{{{space}}}Code"), f"{{{space}}}Value").text = f"s:{code}"
        etree.SubElement(etree.SubElement(fault, f"{{{space}}}Reason"), f"{{{space}}}Text").text = "身份证号320581190012310015无效"
    return fault


def _sent(body: bytes, version: str, word: str, status: int = 200) -> web.Response:
    """The bytes as they go out: `gbk` is GBK declared as UTF-8, `multipart` wraps them, `truthful-gbk` says what it is."""
    text = etree.tostring(etree.fromstring(body, etree.XMLParser(strip_cdata=False)), encoding="unicode")
    kind = TYPES[version]
    if word == "multipart":
        part = f"--b\r\nContent-Type: {kind}; charset=utf-8\r\n\r\n{text}\r\n--b--\r\n"
        return web.Response(body=part.encode(), headers={"Content-Type": f'multipart/related; boundary="b"; type="{kind}"'}, status=status)
    if word in ("gbk", "truthful-gbk"):
        declared = "utf-8" if word == "gbk" else "gbk"
        return web.Response(body=text.encode("gbk"), headers={"Content-Type": f"{kind}; charset={declared}"}, status=status)
    return web.Response(body=text.encode(), headers={"Content-Type": f"{kind}; charset=utf-8"}, status=status)

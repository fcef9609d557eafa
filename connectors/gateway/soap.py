"""Our SOAP endpoint in the dialect that agencies' systems speak already: `execute(json)` and `repairData(json)`, answered by a JSON string."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from xml.sax.saxutils import escape

from aiohttp import web

from connectors.formats.worker import Worker
from connectors.gateway.auth import Authentication
from connectors.gateway.dialect import Dialect
from connectors.gateway.exchange import Exchange
from connectors.gateway.problems import Refusal
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable
from hub.contracts.gateway import Reception

NAMESPACE = "http://service.credit-hub.example/InterfaceUploadService"
ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
LARGEST = 8 << 20
LARGEST_FROM_STRANGERS = 1 << 20
"""What is read of a caller whose key stands inside of the JSON and not in a header."""
OPERATIONS = ("execute", "repairData")
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:]{2,45}\](:\d{1,5})?")
_XML = "text/xml; charset=utf-8"


class SoapService:
    """Takes SOAP 1.1, document/literal. A refusal before the operation is known is a fault; afterwards the dialect's own codes speak."""

    def __init__(self, reception: Reception, auth: Authentication, worker: Worker, spend: Callable[[str], None]) -> None:
        self._auth = auth
        self._worker = worker
        self._spend = spend
        self.dialect = Dialect(reception, auth, worker, spend)

    async def wsdl(self, exchange: Exchange) -> web.StreamResponse:
        """`GET ?wsdl`: the contract, with the address under which it was asked for."""
        host = exchange.header("Host")
        if exchange.request.query_string.lower() != "wsdl" or not _HOST.fullmatch(host):
            raise Refusal(404, "unknown-path", "ask for ?wsdl, or POST an envelope")
        return exchange.answer_bytes(_wsdl(host).encode(), _XML)

    async def call(self, exchange: Exchange) -> web.StreamResponse:
        """`POST`: one operation."""
        try:
            known = await self._known(exchange)
            raw = await known.whole(LARGEST if known.caller.agency else LARGEST_FROM_STRANGERS)
            operation, text = await self._worker.do(_operation, raw)
            answer = await self.dialect.answer(known, operation, text)
        except HubError as error:
            return _fault(exchange, error)
        body = f'<r:{operation}Response xmlns:r="{NAMESPACE}"><r:return>{escape(answer)}</r:return></r:{operation}Response>'
        return exchange.answer_bytes(_envelope(body), _XML)

    async def _known(self, exchange: Exchange) -> Exchange:
        """The exchange with its caller where a header names one; a key in the JSON is looked at later."""
        if not (exchange.header("Authorization") or exchange.header("X-Hub-Signature")):
            return exchange
        caller, digest = await self._auth.caller(exchange)
        self._spend(caller.agency)
        return replace(exchange, caller=caller, digest=digest)


def _operation(raw: bytes) -> tuple[str, str]:
    """Name and text of the one operation in an envelope. Raises `Rejected` for anything else, and for any DOCTYPE."""
    try:
        from lxml import etree
    except ImportError as error:  # an extra, and only SOAP needs it
        raise Misconfigured("XML cannot be read here", hint="pip install 'credit-hub[soap]'") from error
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, recover=False, remove_comments=True
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Rejected("the request is not well-formed XML", hint="send a SOAP 1.1 envelope in UTF-8") from error
    if root.getroottree().docinfo.doctype:
        raise Rejected("a DOCTYPE is not taken", hint="SOAP has none")
    found = root.findall(f"{{{ENVELOPE}}}Body/*") if root.tag == f"{{{ENVELOPE}}}Envelope" else []
    operation = etree.QName(found[0]).localname if len(found) == 1 and isinstance(found[0].tag, str) else ""
    if operation not in OPERATIONS:
        raise Rejected("the envelope holds no operation of ours", hint="execute or repairData; see ?wsdl")
    inner = [child for child in found[0] if isinstance(child.tag, str) and etree.QName(child).localname == "json"]
    if len(inner) != 1 or len(inner[0]):
        raise Rejected("the operation needs one json argument, as text", hint="escape it, or put it into CDATA")
    return operation, str(inner[0].text or "")


def _fault(exchange: Exchange, error: HubError) -> web.StreamResponse:
    """A SOAP 1.1 fault. The status is the one of our other refusals, so that proxies and clients understand it."""
    ours = isinstance(error, Unavailable)
    status = error.status if isinstance(error, Refusal) else 503 if ours else 500
    text = f"{error.message} ({error.hint})" if error.hint else error.message
    body = f"<s:Fault><faultcode>s:{'Server' if ours else 'Client'}</faultcode><faultstring>{escape(text)}</faultstring></s:Fault>"
    response = exchange.answer_bytes(_envelope(body), _XML, status)
    response.headers.update(error.headers if isinstance(error, Refusal) else {"Retry-After": "5"} if ours else {})
    return response


def _envelope(body: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<s:Envelope xmlns:s="{ENVELOPE}"><s:Body>{body}</s:Body></s:Envelope>'.encode()


def _wsdl(host: str) -> str:
    def each(template: str) -> str:
        return "\n".join(template.format(name=name) for name in OPERATIONS)

    argument = '<xs:element name="{name}"><xs:complexType><xs:sequence><xs:element name="json" type="xs:string"/></xs:sequence></xs:complexType></xs:element>'
    result = argument.replace('"{name}"', '"{name}Response"').replace('"json"', '"return"')
    message = '<message name="{name}"><part name="parameters" element="t:{name}"/></message>'
    operation = '<operation name="{name}"><input message="t:{name}"/><output message="t:{name}Response"/></operation>'
    bound = '<operation name="{name}"><s:operation soapAction=""/><input><s:body use="literal"/></input><output><s:body use="literal"/></output></operation>'
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions name="InterfaceUploadService" targetNamespace="{NAMESPACE}" xmlns="http://schemas.xmlsoap.org/wsdl/"
  xmlns:t="{NAMESPACE}" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<types><xs:schema targetNamespace="{NAMESPACE}" elementFormDefault="qualified">
{each(argument)}
{each(result)}
</xs:schema></types>
{each(message)}
{each(message.replace("{name}", "{name}Response"))}
<portType name="InterfaceUpload">
{each(operation)}
</portType>
<binding name="InterfaceUploadSoap" type="t:InterfaceUpload"><s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
{each(bound)}
</binding>
<service name="InterfaceUploadService"><port name="InterfaceUpload" binding="t:InterfaceUploadSoap">
<s:address location="http://{escape(host)}/soap/InterfaceUploadService"/></port></service>
</definitions>
"""

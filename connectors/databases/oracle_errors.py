"""What Oracle's error codes mean for a pull: wait, or stop until a person acts, and the way out in plain words."""

from __future__ import annotations

import re
from socket import gaierror

from hub.contracts.errors import HubError, Misconfigured, Unavailable

_CODE = re.compile(r"\b(ORA|DPY|DPI|TNS)-(\d{3,5})\b")
_LOST = ("the connection was lost", "look at the network and firewall between, and at their server's log; reading begins anew by itself")
_BUSY = (
    "it takes no further sessions at present",
    "nothing to do at first; if it lasts, ask the agency to raise processes or sessions, or pull at another hour",
)
_GRANT = ("the account may not do that", "ask the agency: GRANT CREATE SESSION, and GRANT SELECT ON … (UPDATE too, where a status is written)")
_SLOW = ("a statement took longer than allowed", "raise timeout:, give it an index on the columns of since:, or read in quieter hours")
_AWAY = ("it does not answer", "is the server up, are host and port right, does a firewall let the hub through?")
_LISTENER = ("nobody listens there", "is the listener up (lsnrctl status), and are host and port right?")
_NAMELESS = ("no address is known for that name", "is host: spelled right, and does this machine's name server know it?")
_THICK = "say thick: {lib_dir: …} with Oracle's client library on this machine"
_TRUST = ("its certificate is not trusted", "name the authority's certificate in ca:, and the server as its certificate does")

WAIT: dict[str, tuple[str, str]] = {
    "ORA-00054": ("a row is locked by someone else", "it is tried again; if it lasts, ask who holds the lock"),
    "ORA-00060": ("two sessions waited for each other", "it is tried again by itself"),
    "ORA-00028": _LOST, "ORA-01012": _LOST, "ORA-02396": _LOST, "ORA-02399": _LOST, "ORA-03113": _LOST, "ORA-03114": _LOST, "ORA-03135": _LOST,
    "ORA-12537": _LOST, "ORA-12547": _LOST, "ORA-12570": _LOST, "ORA-12571": _LOST, "DPY-1001": _LOST, "DPY-4011": _LOST, "DPI-1080": _LOST,
    "ORA-00018": _BUSY, "ORA-00020": _BUSY, "ORA-02391": _BUSY, "ORA-12516": _BUSY, "ORA-12518": _BUSY, "ORA-12519": _BUSY, "ORA-12520": _BUSY,
    "ORA-01013": _SLOW, "ORA-00040": _SLOW, "DPY-4024": _SLOW, "DPI-1067": _SLOW,
    "ORA-01033": ("it is starting or shutting down", "wait until their administrator has opened it"),
    "ORA-01034": ("the instance is not started", "ask their administrator to start it"),
    "ORA-01089": ("it is shutting down", "wait until it is back"),
    "ORA-01109": ("the database is mounted but not open", "ask their administrator to open it"),
    "ORA-01555": ("what was read is too old to be read on (snapshot too old)", "read in quieter hours, read less with since:, or ask for a larger undo_retention"),
    "ORA-08103": ("the table was rebuilt while it was read", "it is read again from the beginning"),
    "ORA-01652": ("it has no temporary space left for sorting", "ask their administrator, or read by an indexed id"),
    "ORA-12170": _AWAY, "ORA-12535": _AWAY, "ORA-12543": _AWAY, "ORA-12541": _LISTENER, "ORA-12545": _AWAY, "DPY-6005": _AWAY, "DPY-6000": _AWAY,
    "ORA-12528": ("the listener has no instance ready", "wait until the instance is open"),
    "ORA-04068": ("something it depends on was changed while it ran", "it is tried again by itself"),
}  # fmt: skip
"""Codes after which the same call may work later."""

STOP: dict[str, tuple[str, str]] = {
    "ORA-01017": ("user or password is wrong", "correct user: and password:; do not try often: many servers lock an account after three wrong passwords"),
    "ORA-01005": ("the password is empty", "give password: a reference that holds one"),
    "DPY-4001": ("the password is empty", "give password: a reference that holds one"),
    "ORA-28000": ("the account is locked", "ask the agency: ALTER USER … ACCOUNT UNLOCK, and correct the password before that"),
    "ORA-28001": ("the password has expired", "ask the agency for a new one, and best for a profile whose passwords do not expire"),
    "ORA-01045": ("the account may not log in", "ask the agency: GRANT CREATE SESSION"),
    "ORA-12514": ("its listener knows no such service", "database: is the service name; lsnrctl services lists them (it is not the SID)"),
    "DPY-6001": ("its listener knows no such service", "database: is the service name; lsnrctl services lists them (it is not the SID)"),
    "ORA-12505": ("its listener knows no such instance", "database: is the service name, not the SID"),
    "DPY-6003": ("its listener knows no such instance", "database: is the service name, not the SID"),
    "ORA-00942": ("there is no such table or view, or the account may not read it", "look at the name and its schema:, or ask for GRANT SELECT"),
    "ORA-04043": ("there is no such object, or the account may not see it", "look at the name and its schema:, or ask for GRANT SELECT"),
    "ORA-00980": ("the synonym leads nowhere", "ask the agency, or name the table itself with its schema:"),
    "ORA-04063": ("the view has errors", "ask the agency to mend it: something that it reads was dropped or changed"),
    "ORA-00904": ("a column is not there", "compare columns:, since: and where: with the table; was a column renamed or dropped?"),
    "ORA-01031": _GRANT, "ORA-00990": _GRANT, "ORA-41900": _GRANT,
    "ORA-01720": _GRANT, "ORA-01456": ("nothing can be written in a reading session", "let the feed read, and write only the status column"),
    "ORA-01722": ("a text that is compared with numbers is none", "quote the value in where:, as the column is text"),
    "ORA-12154": ("the name cannot be resolved", "write host: and database:, no alias of tnsnames.ora"),
    "ORA-12599": ("it answers in a way that no Oracle server does", "are host and port those of the listener?"),
    "ORA-12660": (f"it demands native encryption, which thin mode has not; {_THICK}", "or use TLS"),
    "ORA-28040": ("it demands an older or newer way of logging in", f"{_THICK}, or ask to set SQLNET.ALLOWED_LOGON_VERSION_SERVER"),
    "ORA-01489": ("a row of the reviewed query is longer than text may be", "let the query choose fewer or shorter columns"),
    "ORA-12899": ("the status value is too long for its column", "compare done: with the column"),
    "ORA-01438": ("the status value is too large for its column", "compare done: with the column"),
    "ORA-02290": ("the table does not allow that status value", "compare done: with the column's check"),
    "DPY-3010": ("the server is older than 12.1, which thin mode cannot talk to", _THICK),
    "DPY-3001": ("it demands something that only the thick mode has (native network encryption, say)", f"{_THICK}, or let the server offer TLS"),
    "DPY-3015": ("the account's password is kept in an old form (10G)", f"let the agency set the password anew, or {_THICK}"),
    "DPY-3012": ("its national character set is an old one", _THICK),
    "DPY-4035": ("it answers in a way that no Oracle server does", "are host and port those of the listener?"),
    "DPY-2017": ("this process uses another client library already", "write the same thick: {lib_dir: …} at each source"),
    "DPY-2019": ("this process has begun in thin mode already", "give every Oracle source the same thick: …, and restart the hub"),
    "DPI-1047": ("Oracle's client library is not found", "install Instant Client (and libaio), and name its directory in thick: {lib_dir: …}"),
    "DPI-1072": ("Oracle's client library is too old", "install Instant Client 19 or newer"),
    "DPY-6002": _TRUST, "DPY-6006": _TRUST, "DPY-6008": _TRUST,
}  # fmt: skip
"""Codes after which nothing improves until a person acts."""


def codes_of(error: BaseException) -> list[str]:
    """The codes that an error names, ORA before the driver's own; the listener's are only in its words ("Similar to ORA-12514")."""
    found = [f"{kind}-{int(number):05d}" if kind != "DPY" and kind != "DPI" else f"{kind}-{number}" for kind, number in _CODE.findall(str(error))]
    found = [code.replace("TNS-", "ORA-") for code in found]
    return sorted(dict.fromkeys(found), key=lambda code: not code.startswith("ORA"))


def translated(error: BaseException, place: str, doing: str = "") -> HubError:
    """One of the three errors for one of the driver's. Its words are the hub's own, because a server's may hold values of records."""
    codes = codes_of(error)
    who = f"Oracle at {place}{f', {doing}' if doing else ''}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error) or "certificate verify failed" in str(error):
        return Misconfigured(f"{who}: {_TRUST[0]}", hint=_TRUST[1], code=codes[0] if codes else "")
    for code in (each for each in codes if each in STOP):  # the driver wraps what it cannot do into "cannot connect"
        said, hint = STOP[code]
        return Misconfigured(f"{who}: {said} ({code}){_named(error, code)}", hint=hint, code=code)
    for code in (each for each in codes if each in WAIT):
        said, hint = _refined(WAIT[code], error)
        return Unavailable(f"{who}: {said} ({codes[0]})", hint=hint, code=code)
    if isinstance(error, OSError):
        said, hint = _NAMELESS if isinstance(error, gaierror) else _LISTENER if isinstance(error, ConnectionRefusedError) else _AWAY
        return Unavailable(f"{who}: {said}", hint=hint)
    return _unknown(error, codes, who)


def _refined(found: tuple[str, str], error: BaseException) -> tuple[str, str]:
    if found is not _AWAY:
        return found
    return _LISTENER if "refused" in str(error) and "Listener refused" not in str(error) else found


def _unknown(error: BaseException, codes: list[str], who: str) -> HubError:
    code = codes[0] if codes else ""
    said = f"{who} answered {code or type(error).__name__}"
    hint = "look the code up in Oracle's error help; their administrator finds it in the alert log"
    kind, _, number = code.partition("-")
    statement = kind == "ORA" and (900 <= int(number) < 1000 or 1700 <= int(number) < 1800 or 30000 <= int(number) < 33000)
    if statement or (kind == "DPY" and number[0] in "23"):
        return Misconfigured(f"{said}{_named(error, code)}", hint=hint, code=code)
    return Unavailable(said, hint=hint, code=code)


def _named(error: BaseException, code: str) -> str:
    """The identifier that the server found wrong, where its words are about a statement; those hold no values of records."""
    if code not in ("ORA-00904", "ORA-00942", "ORA-04063", "ORA-00923", "ORA-00936", "ORA-00933"):
        return ""
    line = next((line for line in str(error).splitlines() if code in line), "")
    said = line.partition(": ")[2].strip()[:160]
    return f": {said}" if said else ""

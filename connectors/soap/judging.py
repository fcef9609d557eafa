"""What an answer means: records, nothing, a token that has expired, or one of the three errors. None of its words are told but short codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.formats.http import Answer
from connectors.soap import wire
from connectors.soap.answers import Told, text_at, told
from connectors.soap.settings import Decisions, Verdict
from hub.contracts.errors import HubError, Misconfigured, Rejected, Unavailable

_OURS = frozenset({"Client", "Sender", "VersionMismatch", "MustUnderstand", "DataEncodingUnknown"})
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_CODE_LENGTH = 4  # characters; what is longer is a text
_ASK = "ask the agency what it means, and name it with `errors`"


@dataclass(frozen=True, slots=True)
class Heard:
    """A good answer: what it says, the bytes it came in, and their charset. `nothing` says that there is no record."""

    told: Told
    body: bytes
    charset: str
    nothing: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked, and how its answer is to be understood."""

    operation: str
    arguments: Mapping[str, Any]
    headers: Mapping[str, str]
    soap_headers: Sequence[str]
    answer: str
    at: str | None
    ok: Verdict | None
    errors: Decisions
    nothing: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    otherwise: type[HubError] = Unavailable  # for a failure that nobody has named


def judged(answer: Answer, asking: Asking, name: str) -> Heard | None:
    """What was heard, None where it says that the token has expired. Blocking, for it parses the whole answer."""
    try:
        reply = wire.read(answer, name)
        found = told(reply.message, asking.answer, asking.at) if reply.message is not None else None
    except Rejected as error:
        hint = "the answer is not used; tried again by the schedule. If it stays so, ask the agency"
        raise Unavailable(f"{name}: {error.message}", hint=hint, code=error.code) from error
    code = text_at(found.tree, asking.ok.at) if found is not None and found.tree is not None and asking.ok else None
    said = [*([code] if code else []), *_words(reply, found)]
    if _is_expired(answer, reply, said, asking.expired):
        return None
    if found is None:
        raise _refusal(answer, reply, asking, name)
    silent = (found.text or "") if asking.answer != "fields" else None
    if code in asking.nothing if code is not None else silent in asking.nothing:
        return Heard(Told(silent, None), answer.body, reply.charset, nothing=True)
    if answer.status != 200:
        raise Unavailable(f"{name} answered {answer.status} with a message that is no fault", hint="tried again by the schedule")
    _check(found, code, asking, said, name)
    return Heard(found, answer.body, reply.charset)


def _words(reply: wire.Reply, found: Told | None) -> list[str]:
    """Short texts that may say what went wrong; data is none."""
    words = [reply.text, *(reply.fault.codes if reply.fault else ()), reply.fault.text if reply.fault else ""]
    if found is not None and found.text and len(found.text) <= wire.SHORT:
        words.append(found.text)
    return [word for word in words if word]


def _is_expired(answer: Answer, reply: wire.Reply, said: Sequence[str], expired: Sequence[str]) -> bool:
    if reply.asks_for_login or (answer.status in (401, 403) and reply.fault is None):
        return True
    return any(pattern in word for pattern in expired for word in said)


def _check(found: Told, code: str | None, asking: Asking, said: Sequence[str], name: str) -> None:
    """Raises the decision for an answer that says of itself that it is none."""
    if asking.answer == "text":
        return
    if found.tree is None:
        what = "an empty text" if not found.text else f"a text that is no {asking.answer.upper()}"
        raise _decision(asking.errors, said, f"{name} answered with {what}")
    if asking.ok is None:
        return
    if code is None:
        raise _decision(asking.errors, said, f"{name} answered without a code at {asking.ok.at}")
    if code not in asking.ok.is_:
        raise _decision(asking.errors, said, f"{name} answered with the code {code if _CODE.fullmatch(code) else '…'}", asking.otherwise)


def _refusal(answer: Answer, reply: wire.Reply, asking: Asking, name: str) -> HubError:
    """The decision for an answer without a message."""
    if reply.fault is not None:
        code = reply.fault.codes[0] if reply.fault.codes else ""
        message = f"{name} answered with the fault {code if _CODE.fullmatch(code) else '…'}"
        kind = Misconfigured if code.split(".")[0] in _OURS else asking.otherwise
        return _decision(asking.errors, [*reply.fault.codes, reply.fault.text], message, kind)
    if reply.page:
        return Unavailable(
            f"{name} answered {answer.status} with a web page", hint="is it under maintenance, or is `address` wrong? Tried again by the schedule"
        )
    if answer.status in (400, 500):
        return _decision(
            asking.errors, [reply.text], f"{name} answered {answer.status} without a message", Misconfigured if answer.status == 400 else Unavailable
        )
    return _decision(asking.errors, [reply.text], f"{name} answered with a text in place of a message")


def _decision(errors: Decisions, said: Sequence[str], message: str, otherwise: type[HubError] = Unavailable) -> HubError:
    """The error that the configuration names for what was said."""
    for kind, patterns in ((Misconfigured, errors.misconfigured), (Rejected, errors.rejected), (Unavailable, errors.unavailable)):
        if any(_matches(pattern, word) for pattern in patterns for word in said):
            return kind(message, hint="`errors` names it" if kind is not Misconfigured else "`errors` says that a person must act: settle it with the agency")
    return otherwise(message, hint=_ASK)


def _matches(pattern: str, word: str) -> bool:
    """A code is the whole word; a longer text may be a part of what was said."""
    return pattern == word or (len(pattern) > _CODE_LENGTH and pattern in word)

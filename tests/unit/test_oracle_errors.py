"""What the driver's errors become: every code that a person on call may meet, in the driver's own exceptions."""

from __future__ import annotations

from socket import gaierror

import pytest
from oracledb import errors

from connectors.databases.oracle_errors import STOP, WAIT, codes_of, translated
from hub.contracts.errors import HubError, Misconfigured, Unavailable

PLACE = "db.example:1521/orcl"


def answered(code: int, words: str = "something about 110101199003070011") -> Exception:
    """As the driver raises what a server answered."""
    error = errors._Error(f"ORA-{code:05d}: {words}", code=code)
    return error.exc_type(error)


def own(number: int, **words: object) -> Exception:
    """As the driver raises what it found itself."""
    return errors._create_exception(number, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "kind", "way_out"),
    [
        (1017, Misconfigured, "password"), (28000, Misconfigured, "UNLOCK"), (28001, Misconfigured, "expire"), (1045, Misconfigured, "CREATE SESSION"),
        (12514, Misconfigured, "service name"), (942, Misconfigured, "GRANT SELECT"), (904, Misconfigured, "columns"), (1031, Misconfigured, "GRANT"),
        (1456, Misconfigured, "status"), (12899, Misconfigured, "done"), (932, Misconfigured, "code"),
        (3113, Unavailable, "network"), (3114, Unavailable, "network"), (3135, Unavailable, "network"), (12170, Unavailable, "firewall"),
        (12541, Unavailable, "listener"), (1555, Unavailable, "since"), (60, Unavailable, "again"), (54, Unavailable, "lock"), (1013, Unavailable, "timeout"),
        (12516, Unavailable, "sessions"), (12519, Unavailable, "sessions"), (12520, Unavailable, "sessions"), (1033, Unavailable, "opened"),
        (8103, Unavailable, "again"), (600, Unavailable, "server's log"),
    ],
)  # fmt: skip
def test_what_a_server_answers(code: int, kind: type[HubError], way_out: str) -> None:
    said = translated(answered(code), PLACE, "reading V_QY")

    assert type(said) is kind
    assert way_out in said.hint
    assert said.message.startswith(f"Oracle at {PLACE}, reading V_QY")
    assert f"ORA-{code:05d}" in said.message
    assert "110101199003070011" not in said.message + said.hint or code in (904, 942)


@pytest.mark.parametrize(
    ("error", "kind", "way_out"),
    [
        (own(errors.ERR_SERVER_VERSION_NOT_SUPPORTED), Misconfigured, "thick"),
        (own(errors.ERR_FEATURE_NOT_SUPPORTED, feature="Native Network Encryption and Data Integrity", driver_type="thick"), Misconfigured, "thick"),
        (own(errors.ERR_CONNECTION_FAILED, connection_id="x", cause=own(errors.ERR_SERVER_VERSION_NOT_SUPPORTED)), Misconfigured, "thick"),
        (own(errors.ERR_UNSUPPORTED_VERIFIER_TYPE, verifier_type=0x939), Misconfigured, "thick"),
        (own(errors.ERR_INVALID_SERVICE_NAME, service_name="x", host="h", port=1), Misconfigured, "service name"),
        (own(errors.ERR_LISTENER_REFUSED_CONNECTION, error_code=12520), Unavailable, "sessions"),
        (own(errors.ERR_LISTENER_REFUSED_CONNECTION, error_code=12505), Misconfigured, "SID"),
        (own(errors.ERR_CALL_TIMEOUT_EXCEEDED, timeout=1000), Unavailable, "timeout"),
        (own(errors.ERR_CONNECTION_CLOSED), Unavailable, "network"),
        (own(errors.ERR_NOT_CONNECTED), Unavailable, "network"),
        (own(errors.ERR_CONNECTION_FAILED, connection_id="x", cause=ConnectionRefusedError(111, "Connection refused")), Unavailable, "listener"),
        (own(errors.ERR_CONNECTION_FAILED, connection_id="x", cause=TimeoutError("timed out")), Unavailable, "firewall"),
        (own(errors.ERR_CONNECTION_FAILED, connection_id="x", cause=OSError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed")), Misconfigured, "ca:"),
        (own(errors.ERR_THIN_CONNECTION_ALREADY_CREATED), Misconfigured, "restart"),
        (gaierror(-2, "Name or service not known"), Unavailable, "host:"),
        (OSError("broken"), Unavailable, "firewall"),
    ],
)  # fmt: skip
def test_what_the_driver_finds_itself(error: Exception, kind: type[HubError], way_out: str) -> None:
    said = translated(error, PLACE)

    assert type(said) is kind
    assert way_out in said.hint


def test_the_identifier_that_is_wrong_is_named() -> None:
    said = translated(answered(904, '"V"."DWMC": invalid identifier'), PLACE)

    assert '"V"."DWMC": invalid identifier' in said.message


def test_a_servers_code_counts_before_the_drivers() -> None:
    assert codes_of(answered(3113))[0] == "ORA-03113"
    assert codes_of(answered(1005))[0] == "ORA-01005"


def test_no_code_means_two_things() -> None:
    assert not WAIT.keys() & STOP.keys()
    assert all(said and hint for said, hint in (WAIT | STOP).values())

"""Errors are decisions: wait, set aside, or stop. There is no fourth decision, so there is no fourth class."""

from __future__ import annotations


class HubError(Exception):
    """Something that the hub can decide about.

    `message` says place and cause in the user's terms and never holds a value of a person's record;
    `hint` is the way out for the person on call; `code` is the rule or error code where one exists (`F002`).
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code


class Unavailable(HubError):
    """The other side did not answer; the same call may work later. Wait and retry.

    `retry_after` is the other side's own wish, in seconds.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint, code=code)
        self.retry_after = retry_after


class Rejected(HubError):
    """This can never be accepted as it is. Set it aside and go on.

    `field` is the identifier of the field that is to blame, "" where none or more than one is.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint, code=code)
        self.field = field


class Misconfigured(HubError):
    """Nothing will improve until a person changes the configuration. Stop this route."""

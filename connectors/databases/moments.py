"""Times as databases hold them: in columns of their own type, or as text and numbers in a few usual spellings. All are local and without zone."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

_ISO = "%Y-%m-%d %H:%M:%S"
_FORMS = (_ISO, "%Y-%m-%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%Y%m%d%H%M%S", "%Y%m%d", "%Y-%m-%dT%H:%M:%S")
_FRACTION = re.compile(r"(?<=:\d\d)\.\d+$")
_ZONE = timedelta(hours=8)
_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time and how it was spelt: a `strptime` form, or the length of a count of (milli)seconds since 1970 as "10" or "13"."""

    time: datetime
    form: str

    def written(self, time: datetime) -> str:
        """Another time in the same spelling, with whole seconds."""
        if self.form in ("10", "13"):
            seconds = int((time - _ZONE - _EPOCH).total_seconds())
            return str(seconds * (1000 if self.form == "13" else 1))
        return time.strftime(self.form)

    def before(self, time: datetime) -> str:
        """A spelling that is strictly less than every time from `time` on, and hardly less."""
        day = "%H" not in self.form and self.form not in ("10", "13")
        floor = time.replace(hour=0, minute=0, second=0, microsecond=0) if day else time.replace(microsecond=0)
        return self.written(floor - (timedelta(days=1) if day else timedelta(seconds=1)))


def moment(text: str) -> Moment | None:
    """The time that a text spells; None where it spells none."""
    text = text.strip()
    if re.fullmatch(r"1\d{9}|1\d{12}", text):
        unit = 1000 if len(text) == 13 else 1
        return Moment(_EPOCH + timedelta(milliseconds=int(text) * 1000 // unit) + _ZONE, str(len(text)))
    bare = _FRACTION.sub("", text)
    for form in _FORMS:
        with suppress(ValueError):
            found = datetime.strptime(bare, form)
            return Moment(found + timedelta(seconds=float("0" + text[len(bare) :])) if len(bare) < len(text) else found, form)
    return None

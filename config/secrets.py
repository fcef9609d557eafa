"""Secrets by reference: a configuration says where a secret is kept, never what it is.

`${env:NAME}` is an environment variable, `${file:name}` a file below the secrets directory (or an absolute path). Lint checks the form only; values are
read when the hub starts, and `doctor` asks `missing`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, SecretStr

from hub.contracts.errors import Misconfigured

REFERENCE: Final = re.compile(r"\$\{(env|file):([^${}\s]{1,200})\}")
FORM: Final = 'write "${env:NAME}" or "${file:name}"'
SECRET_WORDS: Final = re.compile(r"(^|_)(secret|password|passwd|passphrase|token|credential|private_key|app_?key|api_?key)$|^key$")
MAX_BYTES: Final = 64 * 1024

Model = TypeVar("Model", bound=BaseModel)


class Secret:
    """A value that never shows itself: not in `repr`, `str`, a format string, a pickle or a traceback of ours."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value. Call it where it is used and keep no copy."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a secret does not travel")


def is_reference(text: str) -> bool:
    """True where the whole text is one reference."""
    return REFERENCE.fullmatch(text) is not None


def is_secret_field(name: str, model: type[BaseModel] | None = None) -> bool:
    """True where a field holds a secret: its type is `SecretStr`, or its name says so (`secret`, `password`, `key`, …)."""
    known = model.model_fields.get(name) if model else None
    typed = known is not None and "SecretStr" in str(known.annotation)
    return typed or SECRET_WORDS.search(name) is not None


@dataclass(frozen=True)
class Secrets:
    """Reads secrets when they are needed. `directory` is where `${file:name}` is looked up (HOME/secrets, then /run/secrets)."""

    directory: Path
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    fallback: Path = Path("/run/secrets")

    def resolve(self, text: str) -> Secret:
        """The value behind one reference. Raises `Misconfigured` that names the reference when it is missing, empty, too large or open to others."""
        match = REFERENCE.fullmatch(text)
        if match is None:
            raise Misconfigured("a secret is written out where only a reference may be", hint=FORM)
        return Secret(self._from_environment(match[2]) if match[1] == "env" else self._from_file(match[2]))

    def expand(self, text: str) -> str:
        """A text with references inside (`amqp://hub:${env:MQ}@host/`), each replaced by its value."""
        return REFERENCE.sub(lambda match: self.resolve(match[0]).reveal(), text)

    def fill(self, model: Model) -> Model:
        """A copy of a connector's configuration in which every text or `SecretStr` that is a reference has its value."""
        return model.model_copy(update={name: self._filled(getattr(model, name)) for name in type(model).model_fields})

    def missing(self, model: BaseModel) -> list[str]:
        """References of a configuration that cannot be read now, each with the reason; for `doctor`."""
        found = []
        for text in references(model):
            try:
                self.resolve(text)
            except Misconfigured as error:
                found.append(f"{error.message}; {error.hint}")
        return found

    def _filled(self, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return self.fill(value)
        if isinstance(value, SecretStr):
            return SecretStr(self.resolve(value.get_secret_value()).reveal())
        if isinstance(value, str) and is_reference(value):
            return self.resolve(value).reveal()
        return value

    def _from_environment(self, name: str) -> str:
        value = self.environment.get(name, "")
        if not value:
            raise Misconfigured(f"the environment variable {name} of ${{env:{name}}} is not set", hint=f"set {name} where the hub is started")
        return value

    def _from_file(self, name: str) -> str:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            hint = f"put the secret into a file {name} in {self.directory} with mode 0600"
            raise Misconfigured(f"${{file:{name}}} cannot be read: {error.strerror}", hint=hint) from None
        if not stat.S_ISREG(mode) or stat.S_IMODE(mode) & 0o077:
            raise Misconfigured(f"the file of ${{file:{name}}} can be read by others", hint=f"chmod 600 {path}")
        return self._text(name, content)

    def _path(self, name: str) -> Path:
        if name.startswith("/"):
            return Path(name)
        if ".." in Path(name).parts:
            raise Misconfigured(f"${{file:{name}}} leads out of the secrets directory", hint="use a plain name, or an absolute path")
        inside = self.directory / name
        return inside if inside.exists() or not (self.fallback / name).exists() else self.fallback / name

    def _text(self, name: str, content: bytes) -> str:
        try:
            text = content.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            text = ""
        if not text or len(content) > MAX_BYTES:
            raise Misconfigured(f"the file of ${{file:{name}}} is empty, not text or larger than {MAX_BYTES} bytes", hint="write the secret alone into it")
        return text


def references(model: BaseModel) -> Iterator[str]:
    """Every reference in a connector's configuration."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from references(value)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str) and is_reference(text):
            yield text

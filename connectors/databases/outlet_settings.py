"""Settings of a table in an agency's database that a share is written into."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from connectors.databases.settings import Identifier
from hub.contracts.address import Address
from hub.contracts.endpoint import EndpointConfig
from hub.contracts.errors import Misconfigured


class DatabaseOutletConfig(EndpointConfig):
    """A table of the receiving agency's own database."""

    host: str = Field(min_length=1, max_length=255, description="Name or address of the server.")
    port: int | None = Field(default=None, ge=1, le=65535, description="The system's usual port by default.")
    database: str = Field(min_length=1, max_length=128, description="Name of the database.")
    user: str = Field(min_length=1, max_length=128, description="An account that may read and write the two tables, and no more.")
    password: SecretStr = Field(description="A reference: ${env:NAME} or ${file:name}.")
    tls: Literal["verify", "off"] = Field(default="verify", description="off sends passwords and records in clear: beyond this machine it needs because.")
    ca: str = Field(default="", max_length=500, description="File with the certificate of the authority that signed the server's; the system's by default.")
    options: dict[str, str] = Field(default_factory=dict, max_length=20, description="Further connection options, from a short list of allowed ones.")
    table: str = Field(
        default="credit_{item}", pattern=r"^[A-Za-z0-9_{}]{1,60}$", description="Table to write; {item} stands for the item's code: a0030_f06_01."
    )
    deliveries: Identifier = Field(
        default="credit_deliveries", description="Table in which each delivery is noted, in the transaction that brings its records."
    )
    create: bool = Field(default=False, description="Make the tables where they are missing; the account must be allowed to.")
    because: str = Field(default="", max_length=500, description="Why tls is off.")
    _dialect = ""

    def address(self) -> Address:
        """Where it is. Raises `Misconfigured` for what is not allowed."""
        password = self.password.get_secret_value()
        return Address(self._dialect, self.host, self.database, self.user, password, self.port, "", self.options, self.tls, self.ca, self.because)

    @model_validator(mode="after")
    def _allowed(self) -> Self:
        try:
            self.address()
        except Misconfigured as error:
            raise ValueError(f"{error.message}; {error.hint}") from error
        if self.table.replace("{item}", "").count("{"):
            raise ValueError("the only word in braces is {item}")
        return self


class MysqlOutletConfig(DatabaseOutletConfig):
    """A MySQL or MariaDB database."""

    _dialect = "mysql"


class PostgresOutletConfig(DatabaseOutletConfig):
    """A PostgreSQL database."""

    _dialect = "postgresql"

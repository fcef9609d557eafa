"""What is said in YAML about a site, and about the bulletin of one feed on it."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, Self

from pydantic import Field, model_validator

from connectors.formats.forms import FileFormat
from connectors.formats.http import AGENT, HttpSettings
from connectors.formats.pace import RateText
from hub.contracts.endpoint import Duration, EndpointConfig

PAGE = "{page}"
_SELECTOR = "CSS such as `table.list a`, or XPath that begins with /"


class WebConfig(HttpSettings):
    """A public website. One request at a time, no quicker than `rate` and than its robots.txt asks for."""

    rate: RateText = Field(default="1/2s", description="At most so many requests, evenly spaced; where robots.txt asks for longer pauses, those are kept.")
    concurrency: Literal[1] = Field(default=1, description="Requests under way at the same time: one.")
    timeout: Duration = Field(default=timedelta(minutes=1), description="How long one request may take, from name look-up to the end of the answer.")
    max_body: int = Field(default=16 << 20, gt=0, le=100_000_000, description="Bytes of one page or attachment; a larger one stops the feed.")
    agent: str = Field(default=AGENT, pattern=r"^[A-Za-z0-9_.-]+( [ -~]{1,100})?$", description="The name we give, also looked for in robots.txt.")
    robots: Literal["obey", "ignore"] = Field(default="obey", description="Whether robots.txt is kept to; ignoring it needs `because`.")
    because: str = Field(default="", description="Why robots.txt may be ignored: the agreement with the site's owner.")

    @model_validator(mode="after")
    def _reasoned(self) -> Self:
        if (self.robots == "ignore") != bool(self.because.strip()):
            raise ValueError("`robots: ignore` needs `because`, and nothing else does")
        return self


class ListRead(EndpointConfig):
    """Where the entries are listed, and how one gets from one page to the next."""

    path: str = Field(description="Path of the list below the site's url; `{page}` stands for the page's number.")
    form: dict[str, str] = Field(default_factory=dict, description="Fields that are sent by POST, with the page's hidden ones; `{page}` as in `path`.")
    link: str | None = Field(default=None, description=f"Links to the entries' own pages or files; without it the list itself holds the records. {_SELECTOR}.")
    table: str | None = Field(default=None, description=f"The table that holds the entries, where the item's headings do not tell it. {_SELECTOR}.")
    next: str | None = Field(default=None, description=f"The link to the next page. {_SELECTOR}.")
    pages: int | str | None = Field(default=None, description="How many pages there are: a number, or where the page says so; else until a page has no entry.")
    first: int = Field(default=1, ge=0, description="Number of the first page.")
    total: str | None = Field(default=None, description="Where the page says how many entries there are; they are counted then.")
    most: int = Field(default=200, ge=1, le=5000, description="Pages of the list; a longer one stops the feed.")

    @property
    def numbered(self) -> bool:
        """Whether pages are asked for by their number."""
        return PAGE in self.path or any(PAGE in value for value in self.form.values())

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.numbered and self.next is not None:
            raise ValueError("give `{page}` or `next`, not both")
        if self.pages is not None and not self.numbered:
            raise ValueError("`pages` needs `{page}` in `path` or `form`")
        if isinstance(self.pages, int) and not 1 <= self.pages <= self.most:
            raise ValueError("`pages` is at least 1 and at most `most`")
        return self


class DetailRead(EndpointConfig):
    """How the page of one entry is read."""

    table: str | None = Field(default=None, description=f"Its tables, where the item's headings do not tell them. {_SELECTOR}.")
    attachment: str | None = Field(default=None, description=f"Links to files (spreadsheets, CSV) that hold the records instead. {_SELECTOR}.")


class WebRead(FileFormat):
    """A bulletin: a list, and the page or file of each entry. Attachments are read as `excel`, `csv` and so on say."""

    listing: ListRead = Field(alias="list", description="Where the entries are listed.")
    detail: DetailRead = Field(default_factory=DetailRead, description="How the page of one entry is read.")
    layout: str = Field(default="", description="Any text; another one says that a person has looked at changed headings and finds them right.")

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.detail != DetailRead() and self.listing.link is None:
            raise ValueError("`detail` needs `link` in `list`: which links lead there")
        return self

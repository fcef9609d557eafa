"""Keys whose model leaves their meaning unsaid, and keys that are read and checked but have no effect yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SAID: Final[Mapping[str, str]] = {
    "HubFile.city": "The city's name, for the console.",
    "HubFile.broker": 'The queues between the legs: `embedded`, or an address such as `"amqp://hub:${env:MQ_PASSWORD}@127.0.0.1:5672/credit"` whose password is a reference.',
    "HubFile.stores": "Where the four central stores are.",
    "HubFile.listen": "Address of console, health and metrics. They have no login, so it must be on loopback.",
    "HubFile.defaults": "What feeds have unless they say otherwise.",
    "HubFile.keep": "How long things are kept.",
    "StoresPart.ent": "企业, legal persons: a path below HOME, or a database URL.",
    "StoresPart.psn": "自然人, natural persons.",
    "StoresPart.gov": "政务, government affairs.",
    "StoresPart.fin": "金融信贷, finance and credit.",
    "DefaultsPart.limits": "Beyond these a run is held.",
    "LimitsPart.rejected": "Share of rejected rows. `5%` where neither feed nor city says otherwise; a feed of a gateway has none of its own accord, because the sender hears of every row. `100%` turns the limit off and needs `because`.",
    "LimitsPart.shrink": "Share of the records of the last snapshot that may be missing from the next. `30%` where neither feed nor city says otherwise. `100%` turns the limit off and needs `because`.",
    "KeepPart.landing": "Raw bytes as received.",
    "KeepPart.done": "Files in `done/`.",
    "KeepPart.journal": "Entries of the journals.",
    "AgenciesFile.agencies": "Every agency that the city knows.",
    "AgencyPart.code": "Code, for example A0030.",
    "AgencyPart.name": "Name.",
    "AgencyPart.name_en": "Name in English.",
    "CalendarFile.years": "Working days by year. A year that is missing has plain weekends.",
    "AgencyFile.agency": "Who it is.",
    "AgencyFile.sources": "Where its data comes from, by a name of your own.",
    "AgencyFile.feeds": "What it delivers. The full name of `penalty` in the file of A0030 is `A0030.penalty`.",
    "AgencyFile.shares": "What it provides to others.",
    "AgencyFile.tests": "Files that its feeds are tried on by `run_hub.py test`.",
    "FeedPart.when": "When it wakes; without it, as soon as something arrives.",
    "FeedPart.check": "Conditions over the item's fields. A plain one rejects the row; `warn: condition` counts it; `{fix: field, unless: condition, with: expression}` repairs it. "
    "`reject` and `warn` may have a `code` and a `message` beside them, `fix` too.",
    "FeedPart.limits": "Its own limits.",
    "FeedPart.priority": "Which feed of an item wins where the source times do not tell.",
    "FeedPart.because": "Why safe behaviour is turned off.",
    "BasisPart.purpose": "What the receiver needs it for.",
    "BasisPart.document": "Number of the document that grants it.",
    "BasisPart.start": "First day of the grant.",
    "BasisPart.until": "Last day of the grant, included.",
    "SharePart.basis": "The grant. Items of level department and authorised need one.",
    "SharePart.because": "Why safe behaviour is turned off.",
    "TestPart.feed": "Name of the feed, as in this file.",
    "TestPart.expect": "What must come of it.",
    "ExpectPart.passed": "Rows that pass.",
    "ExpectPart.filtered": "Rows that are no records, or left out by `only`.",
    "ExpectPart.warned": "code: rows",
    "ItemFile.name": "Name.",
    "ItemFile.name_en": "Name in English.",
    "ItemFile.frequency": "How often it has to be reported: 每日, 每周, 每月, 每季度, 每半年 or 每年; with any other word nothing is ever overdue.",
    "ItemFile.version": "Version of the data contract.",
    "ItemFile.priority": "Full name of a feed: a number; the higher wins where the source times do not tell.",
    "ItemFile.fields": "Its fields, in the order of the standard template.",
    "CommonFile.fields": "Fields that every item may carry besides its own.",
    "CodesFile.title": "What it lists.",
}

# Why they have no effect, and the text by which the code would use them: once a source outside `config/` has it, the note must go.
IDLE: Final[Mapping[str, tuple[str, str]]] = {
    "KeepPart.landing": ("Not acted on yet: the hub removes nothing.", r"\bkeep\.landing\b"),
    "KeepPart.done": ("Not acted on yet: the hub removes nothing.", r"\bkeep\.done\b"),
    "KeepPart.journal": ("Not acted on yet: the hub removes nothing.", r"\bkeep\.journal\b"),
    "FeedPart.priority": ("Not acted on yet: write it in the item's `priority`.", r"\bfeed\.priority\b"),
}

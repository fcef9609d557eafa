"""Tables of the hub's state about shares: how far each has come, every delivery (投递), and who was handed which record."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, UniqueConstraint

from hub.state import LONG, RECORD, metadata

_AUTO = BigInteger().with_variant(Integer, "sqlite")

# One row per share and item. The tallies count records: offered = delivered + withheld + dead + what is still on its way.
share_cursor = Table(
    "share_cursor",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("share", String(96), nullable=False),
    Column("item", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False, default=0),  # journal entries up to here are in the share's queue
    Column("offered", BigInteger, nullable=False, default=0),
    Column("delivered", BigInteger, nullable=False, default=0),
    Column("withheld", BigInteger, nullable=False, default=0),
    Column("dead", BigInteger, nullable=False, default=0),
    UniqueConstraint("share", "item"),
)

# One row per cut of one part of a reference message. `sequence` is null where nothing was left to hand over.
delivery = Table(
    "delivery",
    metadata,
    Column("delivery_id", String(32), primary_key=True),
    Column("share", String(96), nullable=False),
    Column("item", String(32), nullable=False),
    Column("message_id", String(255), nullable=False),
    Column("part", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),  # journal entry
    Column("first", Integer, nullable=False),  # place of the part's first record in that entry
    Column("offered", Integer, nullable=False),  # records that the part refers to
    Column("records", Integer, nullable=False),  # records that may leave
    Column("sequence", BigInteger),
    Column("state", String(12), nullable=False),  # waiting, delivered, withheld, dead, cancelled
    Column("attempts", Integer, nullable=False, default=0),
    Column("next_at", String(32)),
    Column("first_error", LONG),
    Column("last_error", LONG),
    Column("evidence", LONG),
    Column("replays", Integer, nullable=False, default=0),
    Column("basis", LONG, nullable=False),
    Column("config", String(32), nullable=False),
    Column("decided_at", String(32), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("done_at", String(32)),
    Index("delivery_part", "share", "message_id", "part"),
    Index("delivery_state", "share", "state"),
    Index("delivery_sequence", "share", "sequence"),
)

share_sequence = Table(
    "share_sequence",
    metadata,
    Column("share", String(96), primary_key=True),
    Column("last", BigInteger, nullable=False),
)

# Who was ever handed a record, and by which delivery last. `target` is share_cursor.id, `record` the 16 bytes of the record id.
delivered_record = Table(
    "delivered_record",
    metadata,
    Column("target", BigInteger, primary_key=True, autoincrement=False),
    Column("record", RECORD, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What is withheld at present, with its latest reason; `withheld_tally` keeps the numbers per reason.
withheld = Table(
    "withheld",
    metadata,
    Column("target", BigInteger, primary_key=True, autoincrement=False),
    Column("record", RECORD, primary_key=True),
    Column("reason", String(20), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", String(32), nullable=False),
    sqlite_with_rowid=False,
)

withheld_tally = Table(
    "withheld_tally",
    metadata,
    Column("target", BigInteger, primary_key=True, autoincrement=False),
    Column("reason", String(20), primary_key=True),
    Column("records", BigInteger, nullable=False),
)

revocation = Table(
    "revocation",
    metadata,
    Column("id", String(96), primary_key=True),  # a share's name or the number of a grant document
    Column("because", LONG, nullable=False),
    Column("at", String(32), nullable=False),
)

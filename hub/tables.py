"""Tables of the hub's state that the ledger keeps (台账)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text, UniqueConstraint

from hub.state import metadata

_AUTO = BigInteger().with_variant(Integer, "sqlite")

arrival = Table(
    "arrival",
    metadata,
    Column("item", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(64), nullable=False),
    Column("name", Text, nullable=False),  # sealed: file names may hold names of persons
    Column("name_key", String(32), nullable=False),
    Column("landed", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),  # reading, finished, refused, refusing
    Column("generation", Integer, nullable=False, default=0),
    Column("released", Boolean, nullable=False, default=False),
    Column("cut", Text, nullable=False, default="{}"),
    Column("evidence", Text, nullable=False, default="null"),
    Column("code", String(8), nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("first_seen", String(32), nullable=False),
    Index("arrival_content", "feed", "landed"),
)

run = Table(
    "run",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("feed", String(64), nullable=False),
    Column("item", String(32), nullable=False),
    Column("arrival", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("config", String(32), nullable=False),
    Column("state", String(12), nullable=False),  # running, loading, held, succeeded, failed
    Column("reason", Text, nullable=False, default=""),
    Column("opened_at", String(32), nullable=False),
    Column("closed_at", String(32)),
    UniqueConstraint("item", "arrival", "generation"),
    Index("run_feed", "feed", "id"),
)

batch = Table(
    "batch",
    metadata,
    Column("batch_id", String(32), primary_key=True),
    Column("feed", String(64), nullable=False),
    Column("item", String(32), nullable=False),
    Column("arrival", Integer, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("config", String(32), nullable=False),
    Column("reenters", String(32), nullable=False, default=""),
    Column("ordinals", Text, nullable=False, default="[]"),  # only where it reenters another batch
    Column("content", String(32), nullable=False, default=""),
    Column("same_as", String(32), nullable=False, default=""),
    Column("withdraws", Boolean, nullable=False, default=False),  # closes a snapshot: its rows are gone
    Column("landed", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger, nullable=False),
    Column("line", BigInteger, nullable=False),
    Column("opened_at", String(32), nullable=False),
    Column("settled_at", String(32)),  # collect is done with it
    Column("applied_at", String(32)),  # a store has it
    Column("seq", BigInteger),
    # Collect's own columns, and the load leg's: never the same one, so that repeated work changes nothing.
    Column("rejected", Integer, nullable=False, default=0),
    Column("filtered", Integer, nullable=False, default=0),
    Column("collect_fates", LargeBinary),
    Column("load_counts", Text, nullable=False, default="{}"),
    Column("load_fates", LargeBinary),
    Column("late", Integer, nullable=False, default=0),  # new records that came after their deadline
    Index("batch_arrival", "item", "arrival", "generation"),
    Index("batch_feed_open", "feed", "settled_at"),
    Index("batch_in_flight", "applied_at"),
)

snapshot_keys = Table(
    "snapshot_keys",
    metadata,
    Column("batch_id", String(32), primary_key=True),
    Column("feed", String(64), nullable=False),
    Column("arrival", Integer, nullable=False),
    Column("ids", LargeBinary, nullable=False),  # 16 bytes a record
    Column("unreadable", Integer, nullable=False),
    Index("snapshot_arrival", "feed", "arrival"),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("feed", String(64), primary_key=True),
    Column("arrival", Integer, nullable=False),  # the feed's last whole snapshot
    Column("ids", LargeBinary, nullable=False),  # records that it, or one not long before, named: 16 bytes each, sorted
    Column("misses", LargeBinary, nullable=False),  # zstandard: one byte a record, in how many snapshots on end it was missing
    Column("missing", Integer, nullable=False),  # records with misses
    Column("at", String(32), nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("batch_id", String(32), nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("feed", String(64), nullable=False),
    Column("item", String(32), nullable=False),
    Column("name", Text, nullable=False),  # sealed
    Column("line", BigInteger),
    Column("code", String(8), nullable=False),
    Column("field", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),  # sealed JSON of the row as the agency wrote it
    Column("state", String(12), nullable=False),  # open, reentered, ignored
    Column("at", String(32), nullable=False),
    UniqueConstraint("batch_id", "ordinal"),
    Index("quarantine_feed", "feed", "state"),
)

feed_state = Table(
    "feed_state",
    metadata,
    Column("name", String(96), primary_key=True),  # "feed:A0030.penalty", "share:A0030.penalties-to-court"
    Column("state", String(12), nullable=False),  # idle, held, stopped, paused
    Column("reason", Text, nullable=False, default=""),
    Column("since", String(32), nullable=False),
)

feed_note = Table(
    "feed_note",
    metadata,
    Column("feed", String(64), primary_key=True),
    Column("key", String(400), primary_key=True),
    Column("value", Text, nullable=False),  # sealed JSON: where a pull goes on, what is still to be put away on a server
    Column("at", String(32), nullable=False),
)

config_version = Table(
    "config_version",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("at", String(32), nullable=False),
    Column("bundle", LargeBinary, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("what", String(24), nullable=False),
    Column("where", String(96), nullable=False),
    Column("detail", Text, nullable=False, default="{}"),
)

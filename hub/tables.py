"""Tables of the hub's state: what the ledger keeps (台账), and what agencies that call us have and said."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, UniqueConstraint

from hub.state import BYTES, LONG, metadata

_AUTO = BigInteger().with_variant(Integer, "sqlite")

arrival = Table(
    "arrival",
    metadata,
    Column("item", String(32), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("feed", String(64), nullable=False),
    Column("name", LONG, nullable=False),  # sealed: file names may hold names of persons
    Column("name_key", String(32), nullable=False),
    Column("landed", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),  # reading, finished, refused, refusing
    Column("generation", Integer, nullable=False, default=0),
    Column("released", Boolean, nullable=False, default=False),
    Column("cut", LONG, nullable=False, default=""),  # sealed, like the evidence: names of sheets, members and pages
    Column("evidence", LONG, nullable=False, default=""),
    Column("code", String(8), nullable=False, default=""),
    Column("reason", LONG, nullable=False, default=""),
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
    Column("reason", LONG, nullable=False, default=""),
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
    Column("ordinals", LONG, nullable=False, default="[]"),  # only where it reenters another batch
    Column("content", String(32), nullable=False, default=""),
    Column("same_as", String(32), nullable=False, default=""),
    Column("withdraws", Boolean, nullable=False, default=False),  # closes a snapshot: its rows are gone
    Column("landed", String(64), nullable=False),
    Column("name", LONG, nullable=False),
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
    Column("collect_fates", BYTES),
    Column("load_counts", LONG, nullable=False, default="{}"),
    Column("load_fates", BYTES),
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
    Column("ids", BYTES, nullable=False),  # 16 bytes a record
    Column("unreadable", Integer, nullable=False),
    Index("snapshot_arrival", "feed", "arrival"),
)

snapshot = Table(
    "snapshot",
    metadata,
    Column("feed", String(64), primary_key=True),
    Column("arrival", Integer, nullable=False),  # the feed's last whole snapshot
    Column("ids", BYTES, nullable=False),  # records that it, or one not long before, named: 16 bytes each, sorted
    Column("misses", BYTES, nullable=False),  # zstandard: one byte a record, in how many snapshots on end it was missing
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
    Column("name", LONG, nullable=False),  # sealed
    Column("line", BigInteger),
    Column("code", String(8), nullable=False),
    Column("field", String(64), nullable=False),
    Column("reason", LONG, nullable=False),
    Column("raw", BYTES, nullable=False),  # sealed JSON of the row as the agency wrote it
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
    Column("reason", LONG, nullable=False, default=""),
    Column("since", String(32), nullable=False),
)

feed_note = Table(
    "feed_note",
    metadata,
    Column("feed", String(64), primary_key=True),
    Column("key", String(400), primary_key=True),
    Column("value", LONG, nullable=False),  # sealed JSON: where a pull goes on, what is still to be put away on a server
    Column("at", String(32), nullable=False),
)

config_version = Table(
    "config_version",
    metadata,
    Column("version", String(32), primary_key=True),
    Column("at", String(32), nullable=False),
    Column("bundle", BYTES, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", _AUTO, primary_key=True, autoincrement=True),
    Column("at", String(32), nullable=False),
    Column("what", String(24), nullable=False),
    Column("where", String(96), nullable=False),
    Column("detail", LONG, nullable=False, default="{}"),
)

submission = Table(
    "submission",
    metadata,
    Column("id", String(32), primary_key=True),  # the receipt
    Column("agency", String(8), nullable=False),
    Column("operation", String(128), nullable=False),  # POST /v1/items/A0030-F06-01/batches
    Column("key", String(32), nullable=False),  # keyed hash of the idempotency key; the receipt itself where there is none
    Column("feed", String(96), nullable=False),
    Column("item", String(32), nullable=False),
    Column("done", Boolean, nullable=False, default=False),
    Column("digest", String(64), nullable=False, default=""),
    Column("arrival", Integer),
    Column("duplicate", Boolean, nullable=False, default=False),
    Column("by", String(12), nullable=False),  # id of the API key
    Column("at", String(32), nullable=False),
    Column("working_until", Integer, nullable=False, default=0),  # by the database's clock: until then the gateway that took it is believed to be alive
    UniqueConstraint("agency", "operation", "key"),
    Index("submission_at", "at"),
)

nil_return = Table(
    "nil_return",
    metadata,
    Column("feed", String(96), primary_key=True),
    Column("period", String(16), primary_key=True),  # 2026, 2026-10, 2026-Q4, 2026-W45, 2026-10-31
    Column("item", String(32), nullable=False),
    Column("because", LONG, nullable=False),  # sealed
    Column("at", String(32), nullable=False),
    Column("by", String(12), nullable=False),  # id of the API key
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", String(12), primary_key=True),
    Column("agency", String(8), nullable=False),
    Column("hash", String(32), nullable=False),  # HMAC-SHA-256 of the key under the key ring's pepper, cut to 128 bits
    Column("signing", BYTES, nullable=False),  # sealed: SHA-256 and SM3 of the key, which HMAC uses in its place
    Column("made_at", String(32), nullable=False),
    Column("expires_at", String(32), nullable=False),
    Column("last_used", String(32)),
    Column("revoked_at", String(32)),
    Column("because", String(400), nullable=False, default=""),
    Index("api_key_agency", "agency"),
)

used_nonce = Table(
    "used_nonce",
    metadata,
    Column("key", String(12), primary_key=True),
    Column("nonce", String(32), primary_key=True),  # keyed hash
    Column("at", String(32), nullable=False),
)

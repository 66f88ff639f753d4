"""The embedded runtime's one file: conversations, customers, records, ledger, refused events, in SQLite.

WAL with ``synchronous=FULL``: what a transaction committed survives kill -9 and loss of power. One
connection writes, from one thread; others may read the file at the same time.
"""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import msgspec

from alerts.model import AlertStatus, Notification, Outcome

FILE_NAME = "yanshao.db"
LOCK_NAME = "yanshao.lock"
SCHEMA_VERSION = 1
# A reader (alerts list, a backup) may hold the file for a moment; five seconds outlast it.
_BUSY_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS conversations (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, conversation_id TEXT NOT NULL,
    at INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS records_by_id ON records (kind, id);
CREATE INDEX IF NOT EXISTS records_by_time ON records (kind, at);
CREATE TABLE IF NOT EXISTS ledger (
    id TEXT PRIMARY KEY, alert_id TEXT NOT NULL, receiver TEXT NOT NULL, status TEXT NOT NULL,
    outcome TEXT NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS ledger_open ON ledger (outcome) WHERE outcome = 'pending';
CREATE INDEX IF NOT EXISTS ledger_by_alert ON ledger (alert_id, receiver);
CREATE TABLE IF NOT EXISTS dlq (
    seq INTEGER PRIMARY KEY, reason TEXT NOT NULL, detail TEXT NOT NULL, at INTEGER NOT NULL,
    raw BLOB NOT NULL
);
"""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Notification).decode


class StoreVersionError(RuntimeError):
    """A newer release made the file; this one would damage it."""


class StoreInUseError(OSError):
    """Another process runs on the same file; two that hold conversations in memory would undo each other."""


class RecordRow(msgspec.Struct, frozen=True):
    """One output record: its kind (finding, alert, conversation, contact, score), id, time and JSON."""

    kind: str
    id: str
    conversation_id: str
    at: int
    body: bytes


def lock(folder: Path) -> BinaryIO:
    """Take the data folder for this process until the file returned is closed, or the process ends.

    Raises:
        StoreInUseError: Another process has it.
    """
    file = (folder / LOCK_NAME).open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise StoreInUseError("another process runs on this data folder") from None
    return file


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the store; it is made where it is missing, unless ``read_only``.

    Raises:
        StoreVersionError: A newer release made it.
        sqlite3.Error: It cannot be opened.
    """
    if read_only:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
    else:
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, check_same_thread=False, isolation_level=None
        )
    try:
        _check_version(connection, path)
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path.name} has schema {version}; this release knows up to {SCHEMA_VERSION}"
        )


class Store:
    """Statements on one open connection. Writes belong in a transaction that the caller runs."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def begin(self) -> None:
        """Begin a transaction that will write."""
        self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Make the transaction durable."""
        self.connection.execute("COMMIT")

    def roll_back(self) -> None:
        """Undo the transaction, if one is open."""
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")

    def touch(self) -> None:
        """Write what stands there already, so that a transaction that changes nothing reaches the disk."""
        self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def conversations(self) -> Iterator[tuple[str, bytes]]:
        """Yield every conversation's id and record."""
        yield from self.connection.execute("SELECT id, record FROM conversations")

    def put_conversations(self, changed: Iterable[tuple[str, bytes]], forgotten: Iterable[str]) -> None:
        """Write changed records and delete forgotten ones."""
        self.connection.executemany(
            "INSERT INTO conversations VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            changed,
        )
        self.connection.executemany("DELETE FROM conversations WHERE id = ?", ((id_,) for id_ in forgotten))

    def customers(self) -> Iterator[tuple[str, bytes]]:
        """Yield every customer's key and record."""
        yield from self.connection.execute("SELECT id, record FROM customers")

    def put_customers(self, changed: Iterable[tuple[str, bytes]], forgotten: Iterable[str]) -> None:
        """Write changed records and delete forgotten ones."""
        self.connection.executemany(
            "INSERT INTO customers VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record",
            changed,
        )
        self.connection.executemany("DELETE FROM customers WHERE id = ?", ((id_,) for id_ in forgotten))

    def add_records(self, rows: Iterable[RecordRow]) -> None:
        """Append output records."""
        self.connection.executemany(
            "INSERT INTO records (kind, id, conversation_id, at, body) VALUES (?, ?, ?, ?, ?)",
            ((row.kind, row.id, row.conversation_id, row.at, row.body) for row in rows),
        )

    def records(self, kind: str, *, limit: int | None = None) -> list[bytes]:
        """Return the bodies of one kind in the order written; with ``limit`` the latest only."""
        rows = self.connection.execute(
            "SELECT body FROM (SELECT seq, body FROM records WHERE kind = ? ORDER BY seq DESC LIMIT ?)"
            " ORDER BY seq",
            (kind, -1 if limit is None else limit),
        )
        return [body for (body,) in rows]

    def records_of(self, kind: str, id_prefix: str) -> list[bytes]:
        """Return the bodies of one kind whose id begins so, in the order written."""
        rows = self.connection.execute(
            "SELECT body FROM records WHERE kind = ? AND substr(id, 1, ?) = ? ORDER BY seq",
            (kind, len(id_prefix), id_prefix),
        )
        return [body for (body,) in rows]

    def tally(self) -> dict[str, int]:
        """Return of how many things there are records, by kind: a summary's revisions count once."""
        return dict(self.connection.execute("SELECT kind, count(DISTINCT id) FROM records GROUP BY kind"))

    # Refused events -------------------------------------------------------------------------------

    def add_refused(self, rows: Iterable[tuple[str, str, int, bytes]]) -> None:
        """Append refused events: reason, detail, receipt in milliseconds, the bytes as they came."""
        self.connection.executemany("INSERT INTO dlq (reason, detail, at, raw) VALUES (?, ?, ?, ?)", rows)

    def refused(self) -> list[tuple[int, str, str, int, bytes]]:
        """Return refused events: number, reason, detail, receipt, bytes; in the order they came."""
        return list(self.connection.execute("SELECT seq, reason, detail, at, raw FROM dlq ORDER BY seq"))

    def drop_refused(self, numbers: Iterable[int]) -> None:
        """Delete refused events that have been sent again."""
        self.connection.executemany("DELETE FROM dlq WHERE seq = ?", ((number,) for number in numbers))

    def drop_refused_anew(self, number: int) -> None:
        """Delete a refused event that was refused again since and is kept under a later number, too."""
        self.connection.execute(
            "DELETE FROM dlq WHERE seq = ? AND EXISTS"
            " (SELECT 1 FROM dlq AS later WHERE later.seq > dlq.seq AND later.raw = dlq.raw)",
            (number,),
        )

    # Ledger ---------------------------------------------------------------------------------------

    def put_notifications(self, entries: Sequence[Notification]) -> None:
        """Write ledger entries, each replacing the one with its id."""
        self.connection.executemany(
            "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
            " outcome = excluded.outcome, body = excluded.body",
            (
                (one.notification_id, one.alert_id, one.receiver, one.status, one.outcome, _encode(one))
                for one in entries
            ),
        )

    def open_notifications(self) -> list[Notification]:
        """Return the entries that still have to be sent."""
        rows = self.connection.execute("SELECT body FROM ledger WHERE outcome = ?", (Outcome.PENDING,))
        return [_decode(body) for (body,) in rows]

    def notifications(self, alert_id: str) -> list[Notification]:
        """Return the ledger's entries of one alert."""
        rows = self.connection.execute("SELECT body FROM ledger WHERE alert_id = ?", (alert_id,))
        return [_decode(body) for (body,) in rows]

    def seen(self, notification_ids: Sequence[str]) -> dict[str, Outcome]:
        """Return the outcome of each known id."""
        found: dict[str, Outcome] = {}
        for id_ in notification_ids:
            row = self.connection.execute("SELECT outcome FROM ledger WHERE id = ?", (id_,)).fetchone()
            if row is not None:
                found[id_] = Outcome(row[0])
        return found

    def told(self, alert_id: str, receiver: str) -> bool:
        """Return whether this receiver was told that this alert fires."""
        row = self.connection.execute(
            "SELECT 1 FROM ledger WHERE alert_id = ? AND receiver = ? AND status = ? AND outcome = ?",
            (alert_id, receiver, AlertStatus.FIRING, Outcome.DELIVERED),
        ).fetchone()
        return row is not None


def open_read_only(data_dir: Path) -> closing[sqlite3.Connection]:
    """Return the store of a data directory for reading, to be used in ``with``.

    Raises:
        FileNotFoundError: Nothing has run there yet.
    """
    path = data_dir / FILE_NAME
    if not path.exists():
        raise FileNotFoundError(f"no store in {data_dir}: nothing has run there yet")
    return closing(connect(path, read_only=True))

"""The transcripts, in SQLite. An added message survives a crash and a power cut. Every method may wait for the disk: do not
call them in the event loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Literal

Sender = Literal["person", "agent", "call", "result", "wake"]
"""The author of a message: `call` is a command that the agent wants to run, `result` is the answer of its tool."""

_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS messages (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    sender  TEXT NOT NULL,
    text    TEXT NOT NULL,
    wake    TEXT UNIQUE
);
CREATE INDEX IF NOT EXISTS messages_of_session ON messages (session, id);
"""


@dataclass(frozen=True)
class Message:
    """One message of a session. Ids increase and are never reused."""

    id: int
    sender: Sender
    text: str


class NoSuchSession(Exception):
    """The session does not exist."""


class Store:
    """The transcripts of all sessions. Safe from any number of threads."""

    def __init__(self, path: Path) -> None:
        # One server per directory: a second one waits this long for the first to exit, then fails.
        self._database = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._lock = Lock()
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.executescript(_TABLES)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def open_session(self, session: str) -> None:
        with self._lock:
            self._database.execute("INSERT INTO sessions (id) VALUES (?)", (session,))

    def delete_session(self, session: str) -> None:
        with self._lock:
            self._database.execute("DELETE FROM sessions WHERE id = ?", (session,))

    def sessions(self) -> list[str]:
        with self._lock:
            return [session for (session,) in self._database.execute("SELECT id FROM sessions")]

    def knows(self, wake: str) -> bool:
        """Whether a wake is already in a transcript."""
        with self._lock:
            return self._find("SELECT 1 FROM messages WHERE wake = ?", wake)

    def add(self, session: str, sender: Sender, text: str, *, wake: str | None = None) -> None:
        """Adds a message. It is durable when this returns. Raises `NoSuchSession`."""
        with self._lock, self._transaction():
            if not self._find("SELECT 1 FROM sessions WHERE id = ?", session):
                raise NoSuchSession(session)
            self._database.execute(
                "INSERT INTO messages (session, sender, text, wake) VALUES (?, ?, ?, ?)", (session, sender, text, wake)
            )

    def messages(self, session: str, after: int = 0) -> list[Message]:
        """The messages after the one with the id `after`, in order. Raises `NoSuchSession`."""
        with self._lock, self._transaction():
            if not self._find("SELECT 1 FROM sessions WHERE id = ?", session):
                raise NoSuchSession(session)
            rows = self._database.execute(
                "SELECT id, sender, text FROM messages WHERE session = ? AND id > ? ORDER BY id", (session, after)
            )
            return [Message(*row) for row in rows]

    def unanswered(self) -> list[str]:
        """The sessions whose last message is not the agent's: their turns were interrupted."""
        with self._lock:
            rows = self._database.execute(
                "SELECT session FROM messages WHERE id IN (SELECT max(id) FROM messages GROUP BY session)"
                " AND sender <> 'agent'"
            )
            return [session for (session,) in rows]

    def _find(self, query: str, value: str) -> bool:
        return self._database.execute(query, (value,)).fetchone() is not None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

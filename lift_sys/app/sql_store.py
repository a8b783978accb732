"""What a study keeps in a database instead of in files.

Owns how rows, answers, texts and leases are read and written there. What is put twice keeps its
first form, so that all processes see the same.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import sqlalchemy as sa
from pydantic import ValidationError

from lift_sys.app.database import FILES, LEASES, Database
from lift_sys.app.lines import taken
from lift_sys.errors import StoreError
from lift_sys.inference.replay import StoredCall
from optimizers.rows import Row

LEASE_SECONDS = 60.0
"""How long a lease lasts without a sign of life, in seconds."""

POLL_SECONDS = 0.25
"""How long a patient process waits before it looks again, in seconds."""

Entry = TypeVar("Entry", Row, StoredCall)


class SqlEntries(Generic[Entry]):
    """The rows or the answers of a study; threads and processes may share them.

    An entry of another study answers as well, and becomes one of this study, too. One that another
    release wrote there is passed over.

    Args:
        database: Where they are.
        table: Which of its tables.
        study: Name of the study.
        kind: What an entry is.
    """

    def __init__(self, database: Database, table: sa.Table, study: str, kind: type[Entry]) -> None:
        self._database = database
        self._table = table
        self._study = study
        self._kind: type[Entry] = kind

    def get(self, key: str) -> Entry | None:
        """Return the entry with this key, if there is one.

        Raises:
            StoreError: The database does not answer, or a newer release wrote this study's entry.
        """
        found = self._find(key)
        if found is None:
            return None
        if found.study == self._study:
            return self._read(found.body)
        entry = self._parsed(found.body)
        if entry is None:
            return None
        self.put(taken(entry))
        return self.get(key)  # another process may have been first, with that of a third study

    def put(self, entry: Entry) -> None:
        """Keep an entry unless its key has one; it survives a crash when this returns.

        Raises:
            StoreError: The database does not answer.
        """
        with self._database.transaction() as connection:
            values = {"key": entry.key, "study": self._study, "body": entry.model_dump_json()}
            insertion = self._database.insert(self._table).values(values)
            connection.execute(insertion.on_conflict_do_nothing())

    def known(self, keys: Collection[str]) -> set[str]:
        """Return those of some keys that have an entry, here or in another study.

        Raises:
            StoreError: The database does not answer.
        """
        query = sa.select(self._table.c.key).where(self._table.c.key.in_(keys))
        with self._database.reading() as connection:
            return set(connection.execute(query).scalars())

    def __iter__(self) -> Iterator[Entry]:
        query = sa.select(self._table.c.body).where(self._table.c.study == self._study)
        with self._database.reading() as connection:
            bodies = connection.execute(query.order_by(self._table.c.key)).scalars().all()
        return (self._read(body) for body in bodies)

    def __len__(self) -> int:
        query = sa.select(sa.func.count()).where(self._table.c.study == self._study)
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def _find(self, key: str) -> sa.Row[str, str] | None:
        """Return whose entry of this key there is, and the entry; this study's if it has one."""
        table = self._table
        own_first = sa.case((table.c.study == self._study, 0), else_=1)
        query = sa.select(table.c.study, table.c.body).where(table.c.key == key)
        with self._database.reading() as connection:
            return connection.execute(query.order_by(own_first).limit(1)).one_or_none()

    def _read(self, body: str) -> Entry:
        entry = self._parsed(body)
        if entry is None:
            msg = (
                f"{self._table.name} of the study {self._study!r} in {self._database} holds what "
                "this release did not write; use another study name"
            )
            raise StoreError(msg)
        return entry

    def _parsed(self, body: str) -> Entry | None:
        try:
            return self._kind.model_validate_json(body)
        except ValidationError:
            return None


class SqlFiles:
    """The whole texts of a study, by name."""

    def __init__(self, database: Database, study: str) -> None:
        self._database = database
        self._study = study

    def read(self, name: str) -> str | None:
        """Return a text, if there is one.

        Raises:
            StoreError: The database does not answer.
        """
        query = sa.select(FILES.c.body).where(FILES.c.study == self._study, FILES.c.name == name)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def settle(self, name: str, body: str) -> str:
        """Keep a text unless there is one of this name, and return the one that holds.

        Raises:
            StoreError: The database does not answer.
        """
        values = {"study": self._study, "name": name, "body": body}
        with self._database.transaction() as connection:
            insertion = self._database.insert(FILES).values(values)
            connection.execute(insertion.on_conflict_do_nothing())
        return self.read(name) or body

    def replace(self, name: str, body: str) -> None:
        """Keep a text in place of the one of this name, if there is one.

        Raises:
            StoreError: The database does not answer.
        """
        values = {"study": self._study, "name": name, "body": body}
        insertion = self._database.insert(FILES).values(values)
        with self._database.transaction() as connection:
            connection.execute(
                insertion.on_conflict_do_update(
                    index_elements=[FILES.c.study, FILES.c.name], set_={"body": body}
                )
            )


class SqlLeases:
    """Leases in a database; see ``lift_sys.inference.leases.Leases``.

    A thread renews what is held. A process that dies, or cannot reach the database, stops doing
    so, and once the lease has run out by the database's clock another one may have the key.

    Args:
        database: Where they are.
        scope: Whose keys they are: those who name another one hold other keys.
        most: How many keys this process holds at the same time; by default any number. More
            threads than that may ask, and take what they wait for from the store.
        seconds: How long a lease lasts without being renewed, in seconds.
        poll: How long one waits where a key cannot be held, in seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        scope: str = "",
        most: int | None = None,
        seconds: float = LEASE_SECONDS,
        poll: float = POLL_SECONDS,
    ) -> None:
        self._database = database
        self._scope = scope
        self._permits = None if most is None else threading.Semaphore(most)
        self._seconds = seconds
        self._poll = poll
        self._held: set[str] = set()
        self._holder = uuid.uuid4().hex
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="leases", daemon=True)
        self._heart.start()

    @contextmanager
    def hold(self, key: str) -> Iterator[bool]:
        """Hold a key while the context lasts, if nobody else does.

        Raises:
            StoreError: The database does not answer.
        """
        name = self._scope + key
        with self._permit() as permitted, self._lease(name, wanted=permitted) as held:
            if held:
                yield True
        if not held:
            if permitted:
                time.sleep(self._poll)
            yield False

    def close(self) -> None:
        """Stop renewing; what is still held runs out."""
        self._ended.set()
        self._heart.join()

    @contextmanager
    def _permit(self) -> Iterator[bool]:
        if self._permits is None:
            yield True
        elif self._permits.acquire(timeout=self._poll):
            try:
                yield True
            finally:
                self._permits.release()
        else:
            yield False

    @contextmanager
    def _lease(self, key: str, *, wanted: bool) -> Iterator[bool]:
        if not wanted or not self._take(key):
            yield False
            return
        self._held.add(key)
        try:
            yield True
        finally:
            self._held.discard(key)
            self._give_back(key)

    def _take(self, key: str) -> bool:
        """Take a key that is free or has run out: one statement, so that only one process can."""
        lasting = (LEASES.c.key == key) & (LEASES.c.until >= self._database.now)
        until = self._database.now + self._seconds
        values = {"key": key, "holder": self._holder, "until": until}
        insertion = self._database.insert(LEASES).values(values)
        statement = insertion.on_conflict_do_update(
            index_elements=[LEASES.c.key],
            set_={"holder": self._holder, "until": until},
            where=LEASES.c.until < self._database.now,
        ).returning(LEASES.c.key)
        with self._database.reading() as connection:
            # Most that ask in vain only read, so that they do not lock what others write.
            if connection.execute(sa.select(LEASES.c.key).where(lasting)).first() is not None:
                return False
        with self._database.transaction() as connection:
            return connection.execute(statement).first() is not None

    def _give_back(self, key: str) -> None:
        mine = (LEASES.c.key == key) & (LEASES.c.holder == self._holder)
        with self._database.transaction() as connection:
            connection.execute(sa.delete(LEASES).where(mine))

    def _beat(self) -> None:
        while not self._ended.wait(self._seconds / 3):
            held = sorted(self._held)
            if not held:
                continue
            mine = LEASES.c.key.in_(held) & (LEASES.c.holder == self._holder)
            renewal = sa.update(LEASES).where(mine).values(until=self._database.now + self._seconds)
            # Whoever works finds out by itself that the database is gone; until then it may return.
            with suppress(StoreError), self._database.transaction() as connection:
                connection.execute(renewal)

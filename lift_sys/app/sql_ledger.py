"""The ledger of a study that many processes spend on.

Owns how they share one budget. Whoever reserves or notes a call locks the ledger of the study for
one short transaction, so what is spent, what is in flight anywhere and the new reservation go
together. A process is alive while it holds a lease of its own. The reservations of one that died
end with that lease, by the rule of any other crash: nothing where nobody charges, else in full.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress

import sqlalchemy as sa
from pydantic import ValidationError

from lift_sys.app.database import FILES, LEASES, LEDGER, SPENT, Database
from lift_sys.app.sql_store import POLL_SECONDS, SqlFiles, SqlLeases
from lift_sys.errors import StoreError
from lift_sys.inference.ledger import Fits, LedgerEntry, Spend

LOCK = "ledger"
"""Name of the text whose row is locked."""


class SqlLedger:
    """A ledger in a database; see ``lift_sys.inference.ledger.Ledger``.

    One thread at a time writes through it. Running time is the sum of what each process took, each
    up to its last answer.

    Args:
        database: Where it is.
        study: Name of the study.
        leases: Keep the sign of life of this process.

    Attributes:
        running: Running time, in seconds: that of the study when this process joined, and what it
            has counted of its own since.
        poll: In seconds.

    Raises:
        StoreError: The database does not answer.
    """

    poll = POLL_SECONDS

    def __init__(self, database: Database, study: str, leases: SqlLeases) -> None:
        self._database = database
        self._study = study
        self._files = SqlFiles(database, study)
        self._files.settle(LOCK, "locked by who writes")
        self._holder = f"spender/{study}/{uuid.uuid4().hex}"
        self._life = ExitStack()
        self._life.enter_context(leases.hold(self._holder))
        self._open: set[str] = set()
        self.running = sum(spend.seconds for spend in self.by_phase().values())

    def get(self, key: str) -> LedgerEntry | None:
        """Return the last entry with this key, if there is one.

        Raises:
            StoreError: The database does not answer, or a newer release wrote the entry.
        """
        with self._database.reading() as connection:
            body = connection.execute(sa.select(LEDGER.c.body).where(self._is(key))).scalar()
        try:
            return LedgerEntry.model_validate_json(body) if body else None
        except ValidationError as error:
            msg = (
                f"the ledger of the study {self._study!r} in {self._database} holds what this "
                "release did not write; use another study name"
            )
            raise StoreError(msg) from error

    def reserve(self, entry: LedgerEntry, *, charged: bool, fits: Fits) -> bool:
        """Reserve what a call can cost, if it fits.

        Raises:
            StoreError: The database does not answer.
        """
        with self._writing() as connection:
            spent = sum(self._phases(connection).values(), Spend())
            if not fits(spent, self._in_flight(connection)):
                return False
            self._keep(connection, entry, self._holder, charged=charged)
        self._open.add(entry.key)
        return True

    def put(self, entry: LedgerEntry) -> None:
        """Keep what a call cost.

        Raises:
            StoreError: The database does not answer.
        """
        since = max(0.0, entry.running - self.running)
        with self._writing() as connection:
            self._keep(connection, entry, None, charged=False)
            self._add(connection, entry.phase, entry.spend + Spend(seconds=since))
        self.running += since
        self._open.discard(entry.key)

    def release(self, key: str) -> None:
        """End a reservation.

        Raises:
            StoreError: The database does not answer.
        """
        if key not in self._open:
            return
        self._open.discard(key)
        mine = self._is(key) & (LEDGER.c.holder == self._holder)
        with self._writing() as connection:
            connection.execute(sa.delete(LEDGER).where(mine, ~LEDGER.c.charged))
            connection.execute(sa.update(LEDGER).where(mine).values(holder=""))

    def by_phase(self) -> Mapping[str, Spend]:
        """Return what each phase has spent, in the order in which they began.

        Raises:
            StoreError: The database does not answer.
        """
        with self._database.reading() as connection:
            return self._phases(connection)

    def refusal(self, place: str, why: str | None = None) -> str | None:
        """Return why nothing more is spent in a place, as the first one said it.

        Raises:
            StoreError: The database does not answer.
        """
        name = f"refused/{place}"
        return self._files.settle(name, why) if why else self._files.read(name)

    def close(self) -> None:
        """Give up the sign of life; what is still reserved ends as if this process had died."""
        with suppress(StoreError):  # it runs out by itself
            self._life.close()

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        lock = sa.select(FILES.c.name).where(FILES.c.study == self._study, FILES.c.name == LOCK)
        with self._database.transaction() as connection:
            connection.execute(lock.with_for_update())
            yield connection

    def _is(self, key: str) -> sa.ColumnElement[bool]:
        return (LEDGER.c.study == self._study) & (LEDGER.c.key == key)

    def _keep(
        self, connection: sa.Connection, entry: LedgerEntry, holder: str | None, *, charged: bool
    ) -> None:
        """Put an entry in the place of any other with its key, and take that one from the sums."""
        past = sa.select(LEDGER).where(self._is(entry.key), LEDGER.c.holder.is_(None))
        replaced = connection.execute(past).one_or_none()
        if replaced is not None:
            spend = Spend(tokens=replaced.tokens, usd=replaced.usd)
            self._add(connection, replaced.phase, Spend() - spend)
        spend = entry.spend
        values = {
            "phase": entry.phase, "tokens": spend.tokens, "usd": spend.usd,
            "holder": holder, "charged": charged, "body": entry.model_dump_json(),
        }  # fmt: skip
        insertion = self._database.insert(LEDGER).values(study=self._study, key=entry.key, **values)
        connection.execute(
            insertion.on_conflict_do_update(
                index_elements=[LEDGER.c.study, LEDGER.c.key], set_=values
            )
        )

    def _add(self, connection: sa.Connection, phase: str, spend: Spend) -> None:
        amounts = spend.model_dump()
        insertion = self._database.insert(SPENT).values(
            study=self._study, phase=phase, begun=self._database.now, **amounts
        )
        connection.execute(
            insertion.on_conflict_do_update(
                index_elements=[SPENT.c.study, SPENT.c.phase],
                set_={name: SPENT.c[name] + more for name, more in amounts.items()},
            )
        )

    def _phases(self, connection: sa.Connection) -> dict[str, Spend]:
        """Return what each phase has spent, the reservations that count in full included."""
        sums = sa.select(SPENT).where(SPENT.c.study == self._study).order_by(SPENT.c.begun)
        phases = {
            row.phase: Spend(tokens=row.tokens, usd=row.usd, seconds=row.seconds)
            for row in connection.execute(sums)
        }
        for row in self._reserved(connection, ~self._alive() & LEDGER.c.charged):
            lost = Spend(tokens=row.tokens, usd=row.usd)
            phases[row.phase] = phases.get(row.phase, Spend()) + lost
        return phases

    def _in_flight(self, connection: sa.Connection) -> Spend:
        rows = self._reserved(connection, self._alive())
        return sum((Spend(tokens=row.tokens, usd=row.usd) for row in rows), Spend())

    def _alive(self) -> sa.ColumnElement[bool]:
        """Return whether who reserved an entry lives."""
        lasting = (LEASES.c.key == LEDGER.c.holder) & (LEASES.c.until >= self._database.now)
        return sa.exists().where(lasting)

    def _reserved(
        self, connection: sa.Connection, which: sa.ColumnElement[bool]
    ) -> Sequence[sa.Row[str, int, float]]:
        columns = (LEDGER.c.phase, LEDGER.c.tokens, LEDGER.c.usd)
        mine = (LEDGER.c.study == self._study) & LEDGER.c.holder.is_not(None)
        return connection.execute(sa.select(*columns).where(mine, which)).all()

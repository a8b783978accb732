from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa

from lift_sys.app.database import ROWS, Database
from lift_sys.app.sql_store import SqlEntries, SqlFiles, SqlLeases
from lift_sys.errors import StoreError
from lift_sys.inference.leases import once
from lift_sys.verdict import Score, Status
from optimizers.rows import Row
from tests.postgres import PostgresServer


def row(key: str, label: str = "a") -> Row:
    return Row(
        key=key,
        label=label,
        task_id="t",
        category="c",
        score=Score(value=1.0, passed=True, status=Status.PASSED, feedback=""),
        code="def f(): ...\n# ü",
        ir=None,
        failure=None,
        attempts=1,
        calls=(),
        seconds=0.25,
        trace=(),
    )


@pytest.fixture
def database(storage: str) -> Iterator[Database]:
    with closing(Database(storage)) as opened:
        yield opened


def rows_of(database: Database, study: str = "s") -> SqlEntries[Row]:
    return SqlEntries(database, ROWS, study, Row)


def test_a_row_comes_back_as_it_was(database: Database) -> None:
    rows_of(database).put(row("k"))

    assert rows_of(database).get("k") == row("k")
    assert rows_of(database).get("other") is None


def test_the_first_of_two_rows_stays(database: Database) -> None:
    rows_of(database).put(row("k", "first"))
    rows_of(database).put(row("k", "second"))

    assert [r.label for r in rows_of(database)] == ["first"]


def test_a_row_of_another_study_is_reused_and_counted(database: Database) -> None:
    rows_of(database, "old").put(row("k"))
    rows_of(database, "old").put(row("not wanted"))
    mine = rows_of(database, "new")

    assert len(mine) == 0
    assert mine.get("k") == row("k")
    assert [r.key for r in mine] == ["k"]
    assert len(rows_of(database, "old")) == 2


def test_what_another_release_left_in_another_study_is_passed_over(database: Database) -> None:
    values = {"key": "k", "study": "other", "body": '{"schema_version": 99}'}
    with database.transaction() as connection:
        connection.execute(sa.insert(ROWS).values(values))
    mine = rows_of(database)

    assert mine.get("k") is None
    mine.put(row("k"))
    assert mine.get("k") == row("k")


def test_processes_of_a_study_take_the_same_row_of_others(database: Database) -> None:
    for study in ("a", "b"):
        rows_of(database, study).put(row("k", study))
    both = [rows_of(database), rows_of(database)]
    start = threading.Barrier(2)

    def take(mine: SqlEntries[Row]) -> Row | None:
        start.wait()
        return mine.get("k")

    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(take, both))

    assert taken == [*rows_of(database), *rows_of(database)]


def test_what_a_newer_release_wrote_is_refused(database: Database) -> None:
    values = {"key": "k", "study": "s", "body": '{"schema_version": 99}'}
    with database.transaction() as connection:
        connection.execute(sa.insert(ROWS).values(values))

    with pytest.raises(StoreError, match="use another study name"):
        rows_of(database).get("k")


def test_the_first_text_of_a_name_holds(database: Database) -> None:
    files = SqlFiles(database, "s")

    assert files.read("config.json") is None
    assert files.settle("config.json", "one") == "one"
    assert files.settle("config.json", "two") == "one"
    assert files.read("config.json") == "one"
    assert SqlFiles(database, "other").read("config.json") is None


@pytest.fixture
def leases(database: Database) -> Iterator[Callable[..., SqlLeases]]:
    made: list[SqlLeases] = []

    def make(seconds: float = 30.0, most: int | None = None, scope: str = "") -> SqlLeases:
        made.append(SqlLeases(database, scope=scope, most=most, seconds=seconds, poll=0.02))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_one_holds_and_the_next_waits_until_it_is_free(leases: Callable[..., SqlLeases]) -> None:
    a, b = leases(), leases()

    with a.hold("k") as first:
        assert first
        with b.hold("k") as second:
            assert not second
        with a.hold("k") as again:
            assert not again
        with b.hold("other") as other:
            assert other
    with b.hold("k") as free:
        assert free


def test_who_has_another_scope_waits_for_nobody(leases: Callable[..., SqlLeases]) -> None:
    a, b, of_b = leases(scope="a/"), leases(scope="b/"), leases(scope="b/")

    with a.hold("k") as first, b.hold("k") as second, of_b.hold("k") as third:
        assert (first, second, third) == (True, True, False)


def test_a_process_holds_no_more_keys_than_it_works_on(leases: Callable[..., SqlLeases]) -> None:
    a, b = leases(most=1), leases(most=1)

    with a.hold("k") as first, a.hold("other") as second, b.hold("other") as of_another:
        assert (first, second, of_another) == (True, False, True)
    with b.hold("k") as free:
        assert free


def test_a_key_that_another_holds_takes_no_place(leases: Callable[..., SqlLeases]) -> None:
    a, b = leases(most=1), leases(most=1)

    with a.hold("k"), b.hold("k") as in_vain, b.hold("other") as other:
        assert (in_vain, other) == (False, True)


def test_of_many_that_ask_at_once_one_holds(leases: Callable[..., SqlLeases]) -> None:
    all_leases = [leases() for _ in range(6)]
    start, asked = threading.Barrier(6), threading.Barrier(6)

    def ask(mine: SqlLeases) -> bool:
        start.wait()
        with mine.hold("k") as held:
            asked.wait()
            return held

    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            assert sum(pool.map(ask, all_leases)) == 1


def test_a_lease_of_the_living_is_renewed(leases: Callable[..., SqlLeases]) -> None:
    a, b = leases(seconds=0.6), leases()

    with a.hold("k"):
        time.sleep(1.5)
        with b.hold("k") as second:
            assert not second


def test_a_lease_of_the_dead_is_taken_over_by_one(leases: Callable[..., SqlLeases]) -> None:
    dead, b, c = leases(seconds=0.6), leases(), leases()

    with dead.hold("k"):
        dead.close()  # no sign of life from here on
        with b.hold("k") as early:
            assert not early
        time.sleep(0.8)
        with b.hold("k") as late, c.hold("k") as later:
            assert (late, later) == (True, False)
            dead._give_back("k")  # what is no longer its own stays
            with c.hold("k") as still:
                assert not still


def test_a_row_that_many_want_is_made_by_one(
    database: Database, leases: Callable[..., SqlLeases]
) -> None:
    made: list[str] = []

    def make(name: str) -> Row:
        made.append(name)
        time.sleep(0.05)
        rows_of(database).put(row("k", name))
        return row("k", name)

    def want(name: str) -> str:
        mine, rows = leases(), rows_of(database)
        return once(mine, "row/k", lambda: rows.get("k"), lambda: make(name)).label

    with ThreadPoolExecutor(4) as pool:
        labels = list(pool.map(want, "abcd"))

    assert len(made) == 1
    assert labels == made * 4


@pytest.mark.postgres
def test_a_server_that_stops_is_one_sentence_and_comes_back(postgres: PostgresServer) -> None:
    with closing(Database(postgres.new_database())) as database:
        rows = rows_of(database)
        rows.put(row("k"))
        postgres.stop()
        try:
            with pytest.raises(StoreError, match="does not answer") as caught:
                rows.put(row("l"))
        finally:
            postgres.start()

        assert "\n" not in str(caught.value)
        assert rows.get("k") == row("k")
        assert rows.get("l") is None
        rows.put(row("l"))

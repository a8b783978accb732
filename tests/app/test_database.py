from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from lift_sys.app.database import Database
from lift_sys.errors import ConfigError, StoreError


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("not an address", "is not an address"),
        ("mysql://host/name", "not in 'mysql'"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite+foo:///x.db", "begins with sqlite:///, not with sqlite\\+foo:///"),
        ("sqlite+aiosqlite:///x.db", "begins with sqlite:///"),
        ("sqlite://host/x.db", "cannot be used: Invalid SQLite URL"),
        ("sqlite:///x.db?timeout=abc", "timeout=abc cannot be used: could not convert"),
        ("postgresql://host:port/name", "is not an address"),
        ("postgresql:///name?host=a&host=b&port=1", "cannot be used: Can't mix"),
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        Database(url)

    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("Not a database. " * 100)

    with pytest.raises(ConfigError, match=r"cannot be used: file is not a database$"):
        Database(f"sqlite:///{file}")
    assert file.read_text() == "Not a database. " * 100


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:PLANTED@127.0.0.1:1/x", "//u:***@127.0.0.1:1/x does not answer"),
        ("postgresql://u@127.0.0.1:1/x?password=PLANTED", "x?password=... does not answer"),
        (
            "postgresql://u@127.0.0.1:1/x?sslmode=allow&sslpassword=PLANTED",
            "x?sslmode=allow&sslpassword=... does not answer",
        ),
        ("postgresql://u:p@PLANTED@127.0.0.1:1/x", "as %40"),
        ("postgresql://u:p@127.0.0.1:PLANTED/x", "is not an address"),
    ],
)
def test_the_password_is_told_to_nobody(url: str, shown: str) -> None:
    with pytest.raises((ConfigError, StoreError)) as caught:
        Database(url)

    assert shown in str(caught.value)
    assert "PLANTED" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not answer"):
        Database(f"sqlite:///{tmp_path}/missing/study.db")


def test_tables_are_made_by_many_at_once(storage: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(Database, [storage] * 6))

    for database in opened:
        with closing(database), database.transaction() as connection:
            assert set(sa.inspect(connection).get_table_names()) == {
                "lift_files", "lift_rows", "lift_calls", "lift_ledger", "lift_spent", "lift_leases",
            }  # fmt: skip


def test_the_clock_is_in_seconds(storage: str) -> None:
    with closing(Database(storage)) as database:
        with database.transaction() as connection:
            first = connection.execute(sa.select(database.now)).scalar_one()
            connection.execute(sa.select(database.now))
        with database.transaction() as connection:
            second = connection.execute(sa.select(database.now)).scalar_one()

    assert 1.7e9 < first <= second < first + 60


def test_a_failed_transaction_leaves_nothing(storage: str) -> None:
    with closing(Database(storage)) as database:

        def half_done() -> None:
            with database.transaction() as connection:
                connection.execute(sa.text("INSERT INTO lift_files VALUES ('s', 'n', 'b')"))
                connection.execute(sa.text("INSERT INTO lift_nothing VALUES (1)"))

        with pytest.raises(StoreError):
            half_done()
        with database.transaction() as connection:
            assert connection.execute(sa.text("SELECT count(*) FROM lift_files")).scalar() == 0

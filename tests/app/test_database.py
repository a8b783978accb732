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
    ],
)
def test_what_cannot_be_shared_is_refused_in_a_sentence(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Database(url)


def test_the_password_is_told_to_nobody() -> None:
    with pytest.raises(StoreError, match="does not answer") as caught:
        Database("postgresql://user:planted-secret@127.0.0.1:1/study")

    assert "planted-secret" not in str(caught.value)
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
                "lift_files", "lift_rows", "lift_calls", "lift_leases",
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

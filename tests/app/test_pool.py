"""The pool of a job is made once, read back from then on, and searched by a whole job."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from dspy.lm15 import Request
from rich.console import Console

from lift_sys.app import models
from lift_sys.app.bench import make_evaluator
from lift_sys.app.data import Data
from lift_sys.app.export import build_program, load_artifact
from lift_sys.app.job import Job as WholeJob
from lift_sys.app.models import models_of_job
from lift_sys.app.pool import Source, obtain_pool, teach
from lift_sys.app.progress import Progress
from lift_sys.app.run import optimize
from lift_sys.app.show import render_artifact
from lift_sys.app.store import RunDirectory
from lift_sys.config import RunConfig, Teacher
from lift_sys.errors import ConfigError, StoreError
from lift_sys.inference import catalogue
from lift_sys.inference.replay import ReplayEngine
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.sandbox import Sandbox
from optimizers.evaluate import Evaluator
from optimizers.pools import Pool
from programs.hypers import hypers_of
from tests.optimizers.half_known import MAGIC, TASKS, answer

SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
CODE = "code_generator.predict"
HASHES = {"train": "a" * 64, "dev": "b" * 64, "phase3": "c" * 64}
DATA = Data(train=TASKS, dev=TASKS, test=TASKS[:1], hashes=HASHES)
SPACE = {"code_sees": ("spec", "ir"), "temperature": (0.0,), "n": (1,)}
CONFIG = RunConfig.model_validate({"pool_tasks": 3, "demos": 2, "space": SPACE})
MORE = CONFIG.model_copy(update={"instructions": {"grounded": 2, "copro": 1, "gepa": 1}})


@dataclass
class Job:
    """A job whose models are scripts."""

    sandbox: Sandbox
    run: RunDirectory
    script: Callable[[Request], str] = answer
    engines: dict[str, ScriptedEngine] = field(default_factory=dict)
    said: io.StringIO = field(default_factory=io.StringIO)

    def models(self, model_id: str) -> dspy.LM:
        engine = self.engines.setdefault(model_id, ScriptedEngine(self.answer))
        return dspy.LM(f"local/{model_id}", engine=engine, cache=False, num_retries=0)

    def answer(self, request: Request) -> str:
        return self.script(request)

    @property
    def asked(self) -> int:
        return sum(len(engine.requests) for engine in self.engines.values())

    @property
    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.run.path / "pool.json").read_text())
        return found

    def evaluator(self) -> Evaluator:
        return make_evaluator(SMALL, self.sandbox, self.run.rows(), self.models)

    def obtain(self, config: RunConfig = CONFIG, **changes: Any) -> Pool:
        source = Source(config, DATA, self.evaluator(), self.sandbox, self.models)
        progress = Progress(Console(file=self.said), {})
        return obtain_pool(replace(source, **changes), self.run, progress)


@pytest.fixture
def job(sandbox: Sandbox, tmp_path: Path) -> Job:
    return Job(sandbox, RunDirectory(tmp_path / "run"))


def test_a_pool_is_made_once_and_read_back(job: Job) -> None:
    made = job.obtain(MORE)
    assert made.names == ("none", "bootstrapped-2")
    names = [text.name for text in made.instructions[CODE]]
    assert names == ["grounded-1", "grounded-2", "copro-1", "gepa-1"]
    stored, asked = job.stored, job.asked
    assert stored["content_sha256"] == made.content_hash
    assert stored["passed"] == {"bootstrapped": 2}

    assert job.obtain(MORE) == made
    assert (job.stored, job.asked) == (stored, asked)
    said = job.said.getvalue()
    assert "2 of 3 train tasks passed zero-shot; demo sets: none, bootstrapped-2" in said
    assert "demo pool: as stored; demo sets: none, bootstrapped-2" in said


def test_what_proposers_would_say_now_does_not_matter(job: Job) -> None:
    numbers = itertools.count()

    def moody(request: Request) -> str:
        if current_stage() in {"ir", "code"}:
            return answer(request)
        return answer(request).replace(MAGIC, f"{MAGIC}, mood {next(numbers)}")

    job.script = moody
    made = job.obtain(MORE)
    assert job.obtain(MORE) == made
    (job.run.path / "pool.json").unlink()
    assert job.obtain(MORE) != made


def test_an_interrupted_pool_is_made_from_what_was_paid_for(job: Job) -> None:
    def gone(request: Request) -> str:
        if current_stage() not in {"ir", "code"}:
            raise KeyboardInterrupt
        return answer(request)

    job.script = gone
    with pytest.raises(KeyboardInterrupt):
        job.obtain(MORE)
    assert not (job.run.path / "pool.json").exists()
    job.script, rows = answer, len(job.run.rows())
    assert rows == 3
    made = job.obtain(MORE)
    assert len(job.run.rows()) == rows
    assert made.instructions


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 9},
        {"demo_sets": ("bank",)},
        {"teachers": (Teacher(rollout=1),)},
        {"prompt_model": "qwen2.5-coder-1.5b"},
    ],
)
def test_a_pool_of_other_settings_is_refused(job: Job, change: dict[str, Any]) -> None:
    made = job.obtain()
    asked = job.asked
    with pytest.raises(ConfigError, match="was made with other code, weights or settings"):
        job.obtain(CONFIG.model_copy(update=change))
    assert job.obtain(CONFIG.model_copy(update={"trials": 99})) == made
    assert job.asked == asked


def test_a_pool_of_other_code_or_tasks_is_refused(job: Job) -> None:
    job.obtain()
    other = job.evaluator()
    other.identity = "other weights"
    for change in ({"evaluator": other}, {"data": replace(DATA, train=TASKS[1:])}):
        with pytest.raises(ConfigError, match="move the run away, or use the release"):
            job.obtain(**change)


def test_a_pool_that_was_changed_or_broken_is_refused(job: Job) -> None:
    job.obtain(MORE)
    path, whole = job.run.path / "pool.json", job.stored
    whole["pool"]["instructions"][CODE][0]["text"] = "Always answer 42."
    path.write_text(json.dumps(whole))
    with pytest.raises(StoreError, match="was changed after it was written"):
        job.obtain(MORE)
    path.write_text('{"sets": []}')
    with pytest.raises(StoreError, match="not written by this release"):
        job.obtain(MORE)


def test_every_teacher_answers_in_its_own_way(job: Job) -> None:
    teachers = (
        Teacher(),
        Teacher(preset="direct", temperature=0.7, rollout=3),
        Teacher(model=LARGE),
    )
    config = CONFIG.model_copy(update={"teachers": teachers, "demos": 1})
    job.script = lambda r: answer(r).replace("return x", f"# {r.model}\n    return x")
    made = job.obtain(config)
    names = ["bootstrapped", "bootstrapped-direct-t0.7-r3", f"bootstrapped-single-{LARGE}"]
    assert list(job.stored["passed"]) == names
    assert set(made.names) <= {"none", *(f"{name}-1" for name in names)}
    assert made[f"{names[2]}-1"].demos["ir_generator.predict"]
    assert set(made[f"{names[1]}-1"].demos) == {CODE}
    assert len(job.engines[LARGE].requests) == 2 * 3
    warm = [b for b in job.engines[SMALL].bodies if b["temperature"] == 0.7]
    assert len(warm) == 3
    assert models_of_job(config) == (SMALL, LARGE)


@pytest.mark.parametrize(
    ("teacher", "says"),
    [
        (Teacher(preset="socrates"), "no preset 'socrates'"),
        (Teacher(temperature=0.123), "0.123 is not a value"),
        (Teacher(model="gpt-9"), "'gpt-9' is not a value"),
    ],
)
def test_a_teacher_that_there_is_not_is_refused(
    teacher: Teacher, says: str, sandbox: Sandbox
) -> None:
    with pytest.raises(ConfigError, match=says):
        teach(teacher, sandbox)


def test_a_teacher_has_its_preset_and_its_settings(sandbox: Sandbox) -> None:
    program = teach(Teacher(preset="refine", model=LARGE, temperature=0.9), sandbox)
    values = {path: hyper.value for path, hyper in hypers_of(program).items()}
    assert (values["refine_iterations"], values["temperature"]) == (2, 0.9)
    assert {value for path, value in values.items() if path.endswith(".model")} == {LARGE}


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> ScriptedEngine:
    """Put a script in the place of the model."""
    made = ScriptedEngine(answer)

    def build(model_id: str, _: Path, *, calls: Any = None, **_keys: Any) -> dspy.LM:
        used = ReplayEngine(made, catalogue.get(model_id).sha256, calls)
        return dspy.LM(f"local/{model_id}", engine=used, cache=False, num_retries=0)

    monkeypatch.setattr(models, "build_lm", build)
    return made


@pytest.mark.parametrize("demos_for", ["program", "predictor"])
def test_a_job_finds_instructions_that_are_exported(
    engine: ScriptedEngine, sandbox: Sandbox, tmp_path: Path, demos_for: str
) -> None:
    changes = {
        "teachers": (Teacher(), Teacher(preset="direct", temperature=0.7)),
        "demos_for": demos_for,
        "trials": 12,
        "search_tokens": 10**6,
        "first_points": (),
    }
    config = RunConfig.model_validate(MORE.model_copy(update=changes).model_dump())

    def run() -> Any:
        asked = WholeJob.of(config, DATA, sandbox)
        directory = RunDirectory(asked.place(tmp_path))
        return optimize(asked, directory, sandbox, Progress(Console(quiet=True), {}))

    outcome = run()
    artifact = load_artifact(outcome.artifact)
    assert artifact.scores["dev"].passed == len(TASKS)
    point = artifact.provenance["point"]
    shown = point.get("code_generator.demos", point.get("demos"))
    told = point["code_generator.instructions"]
    assert (told, shown) != ("own", "none")
    pool = json.loads((outcome.run / "pool.json").read_text())
    assert artifact.provenance["pool_sha256"] == pool["content_sha256"]
    text = artifact.predictors[CODE].instructions
    candidates = {c["name"]: c["text"] for c in pool["pool"]["instructions"][CODE]}
    assert candidates.get(told, text) == text
    assert text in render_artifact(artifact)
    program = build_program(artifact, sandbox)
    assert program.code_generator.predict.signature.instructions == text
    assert [len(program.code_generator.predict.demos)] == [0 if shown == "none" else 2]

    asked = len(engine.requests)
    assert load_artifact(run().artifact).provenance == artifact.provenance
    assert len(engine.requests) == asked

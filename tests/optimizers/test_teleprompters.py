"""DSPy's optimizers in the uniform form: each finds something, keeps the rest, and is repeatable.

The scripted model knows two of four tasks by itself, and all of them once it is shown a demo or
told the magic word, which every proposer proposes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dspy
import optuna
import pytest
from dspy.lm15 import Request
from dspy.teleprompt.teleprompt import Teleprompter

from lift_sys.app.export import (
    Artifact,
    ModelRef,
    build_program,
    describe_program,
    load_artifact,
    save_artifact,
)
from lift_sys.errors import ConfigError, ProviderError, SandboxError
from lift_sys.inference.chat import chat_body
from lift_sys.inference.failures import EngineError
from lift_sys.inference.scripted import ScriptedEngine
from lift_sys.inference.usage import current_stage
from lift_sys.ir.schema import WIRE_VERSION
from lift_sys.record import canonical_json
from lift_sys.sandbox import Sandbox, create_sandbox
from lift_sys.tasks import Task
from metrics.adapters import ExecutionMetric, to_example
from metrics.execution import score_code
from optimizers.evaluate import Evaluator, Row
from optimizers.recipes import RECIPES, Settings
from optimizers.teleprompters import build
from programs.hypers import hypers_of, set_hypers
from programs.presets import make_program
from programs.spec_to_code import SpecToCode
from programs.stages import show_nearest

MAGIC = "Multiply exactly"
TASKS = tuple(
    Task.model_validate(
        {
            "id": f"times{n}",
            "spec": f"Multiply x by {n}.",
            "entry_point": f"times{n}",
            "category": "mathematical",
            "split": "train",
            "source": "test",
            "hidden": [
                {"args": "(1,)", "expected": str(n)},
                {"args": "(5,)", "expected": f"{5 * n}"},
            ],
        }
    )
    for n in range(2, 6)
)
EASY = {"times2", "times3"}
EXAMPLES = [to_example(task) for task in TASKS]
HYPERS = {"assertions": 3, "code_generator.max_tokens": 1024, "code_sees": "spec", "n": 2}
USED = ("ir_generator.predict", "code_generator.predict")
LABELS = {
    task.id: {
        "code_generator.predict": {
            "name": task.entry_point,
            "spec": task.spec,
            "code": f"def {task.entry_point}(x):\n    return x * {task.id[-1]}",
        }
    }
    for task in TASKS
}
SETTINGS = Settings(
    seed=3, trials=8, demos=2, predictors=USED, labels=LABELS, show_nearest=show_nearest
)
DEMOS = {
    "labeled_few_shot",
    "bootstrap_few_shot",
    "random_search",
    "bootstrap_optuna",
    "knn_few_shot",
}
INSTRUCTIONS = {"copro", "gepa"}
EITHER = {"mipro_v2", "simba", "infer_rules", "better_together"}
SINGLE = sorted(DEMOS | INSTRUCTIONS | EITHER)


def told(request: Request) -> tuple[str, str]:
    """Return what a request says before its question, and the question."""
    messages = chat_body(request)["messages"]
    return "\n".join(str(m["content"]) for m in messages[:-1]), str(messages[-1]["content"])


def answer(request: Request) -> str:
    """Answer any prompt."""
    before, question = told(request)
    stage = current_stage()
    name = f"times{found[1]}" if (found := re.search(r"times(\d)", question)) else "f"
    if stage == "ir":
        return ir(name)
    if stage == "code":
        body = chat_body(request)
        lucky = body["temperature"] > 0 and body["seed"] % 2
        knows = name in EASY or lucky or MAGIC in before or "def times" in before
        right = f"x * {name[-1]}" if knows else "x"
        return f"```python\ndef {name}(x):\n    return {right}\n```"
    return proposal(request, before + question)


def ir(name: str) -> str:
    fields = {
        "summary": f"Multiplies by {name[-1]}",
        "parameters": ["x: int"],
        "returns": "int",
        "effects": ["multiply"],
        "assertions": [f"{name}(1) == {name[-1]}"],
    }
    return json.dumps(fields)


def proposal(request: Request, text: str) -> str:
    """Fill the fields that a proposer asks for, in the form in which it does."""
    seed = chat_body(request)["seed"] % 1_000
    rule = f"{MAGIC}, as in {seed}."

    def value(name: str) -> Any:
        return {"code_generator.predict": rule} if name == "module_advice" else rule

    schema = chat_body(request).get("response_format")
    if schema is not None:
        return json.dumps({name: value(name) for name in properties(schema)})
    names = dict.fromkeys(re.findall(r"\[\[ ## (\w+) ## \]\]", text.split("objective is", 1)[0]))
    blocks = [
        f"[[ ## {n} ## ]]\n{json.dumps(v) if isinstance(v := value(n), dict) else v}" for n in names
    ]
    return "\n\n".join(blocks)


def properties(schema: Any) -> list[str]:
    found: list[str] = []
    if isinstance(schema, dict):
        if isinstance(schema.get("properties"), dict):
            found += schema["properties"]
        for inner in schema.values():
            found += properties(inner)
    return found


@dataclass
class Setup:
    """A program, a metric and a model."""

    sandbox: Sandbox
    engine: ScriptedEngine
    lm: dspy.LM
    metric: ExecutionMetric

    def student(self) -> SpecToCode:
        program = make_program("single", self.sandbox)
        set_hypers(program, HYPERS)
        return program

    def compile(self, name: str | Teleprompter, student: Any = None, **changes: Any) -> Any:
        if name == "simba":
            changes = {"trials": 20, **changes}
        optimizer = build(name, self.metric, replace(SETTINGS, **changes))
        with dspy.context(lm=self.lm):
            return optimizer.compile(student or self.student(), trainset=EXAMPLES)

    def passed(self, program: dspy.Module) -> int:
        def score(task: Task, code: str | None, failure: str | None) -> Any:
            return score_code(task, code, failure, self.sandbox)

        rows: Rows = Rows()
        evaluator = Evaluator(lambda: self.lm, "script", score, rows)
        return sum(row.score.passed for row in evaluator.run(program, TASKS, "test"))


class Rows(dict[str, Row]):
    def put(self, row: Row) -> None:
        self[row.key] = row


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with closing(create_sandbox()) as made:
        yield made


@pytest.fixture
def setup(sandbox: Sandbox) -> Setup:
    engine = ScriptedEngine(answer)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    return Setup(sandbox, engine, lm, ExecutionMetric(TASKS, sandbox))


def demos_of(program: dspy.Module) -> dict[str, list[Any]]:
    return {path: p.demos for path, p in program.named_predictors() if p.demos}


def instructions_of(program: dspy.Module) -> dict[str, str]:
    return {path: p.signature.instructions for path, p in program.named_predictors()}


def state(program: dspy.Module) -> str:
    return canonical_json(program.dump_state())


@pytest.mark.parametrize("name", SINGLE)
def test_what_is_found_is_a_program_like_any_other(name: str, setup: Setup, tmp_path: Path) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile(name, student)

    assert state(student) == before
    assert instructions_of(setup.student()) == instructions_of(student)
    assert type(compiled) is SpecToCode
    demos, instructions = demos_of(compiled), instructions_of(compiled)
    changed = {p for p, text in instructions.items() if text != instructions_of(student)[p]}
    assert bool(demos) >= (name in DEMOS)
    assert bool(changed) >= (name in INSTRUCTIONS)
    assert demos or changed
    assert set(demos) | changed <= set(USED)
    assert setup.passed(student) == 2
    assert setup.passed(compiled) == 4

    own = {"demo_choice", "demo_count"} if name == "knn_few_shot" else set()
    for path, hyper in hypers_of(student).items():
        if path.split(".")[-1] not in own:
            assert hypers_of(compiled)[path].value == hyper.value
    hypers, predictors = describe_program(compiled)
    artifact = Artifact(
        wire_version=WIRE_VERSION,
        model=ModelRef(id="m", sha256="0" * 64),
        hypers=hypers,
        predictors=predictors,
    )
    loaded = build_program(
        load_artifact(save_artifact(artifact, tmp_path / "a.json")), setup.sandbox
    )
    assert describe_program(loaded) == (hypers, predictors)
    assert setup.passed(loaded) == 4
    for demo in (d for found in demos.values() for d in found):
        assert not {"task_id", "visible", "augmented"} & set(demo)


def test_members_of_an_ensemble_vote(setup: Setup, tmp_path: Path) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile("ensemble", student)

    assert state(student) == before
    assert len(compiled.programs) == 3
    assert any(demos_of(member) for member in compiled.programs)
    assert setup.passed(compiled) == 4
    for member in compiled.programs:
        assert {p: h.value for p, h in hypers_of(member).items()} == {
            p: h.value for p, h in hypers_of(student).items()
        }
    again = setup.compile("ensemble")
    assert state(again) == state(compiled)
    blank = setup.compile("ensemble", trials=3, demos=1)
    blank.load_state(json.loads(state(compiled)))
    assert state(blank) == state(compiled)
    assert setup.passed(blank) == 4


@pytest.mark.parametrize("name", SINGLE)
def test_the_same_seed_finds_the_same_and_spends_no_more_than_told(name: str, setup: Setup) -> None:
    measured = 0
    metric = setup.metric

    def counting(gold: Any, pred: Any, trace: Any = None, *named: Any) -> Any:
        nonlocal measured
        measured += trace is None
        return metric(gold, pred, trace, *named)

    def bodies() -> str:
        asked = canonical_json(setup.engine.bodies)
        setup.engine.bodies.clear()
        return asked

    settings = replace(SETTINGS, trials=20) if name == "simba" else SETTINGS
    with dspy.context(lm=setup.lm):
        found = build(name, counting, settings).compile(setup.student(), trainset=EXAMPLES)
    asked = bodies()
    # GEPA ends before an iteration: the last one may pass its budget.
    assert measured <= (settings.trials + (name == "gepa")) * len(TASKS) + 6 * (name == "gepa")
    again = setup.compile(name)
    assert state(again) == state(found)
    assert bodies() == asked
    setup.compile(name, seed=4)
    assert (bodies() != asked) is (name != "labeled_few_shot")


@pytest.mark.parametrize(
    ("which", "name"),
    [
        *(("model", name) for name in RECIPES if name != "labeled_few_shot"),
        *(("sandbox", name) for name in ("bootstrap_few_shot", "mipro_v2", "simba", "gepa")),
        *(("proposer", name) for name in sorted(INSTRUCTIONS | EITHER - {"better_together"})),
    ],
)
def test_a_failure_of_a_backend_ends_the_compile(name: str, which: str, setup: Setup) -> None:
    def failing(request: Request) -> str:
        if len(engine.requests) > 6 and which == "model":
            raise EngineError("it is gone")
        if not current_stage() and which == "proposer":
            raise EngineError("it is gone")
        return answer(request)

    def metric(gold: Any, pred: Any, trace: Any = None, *named: Any) -> Any:
        if len(engine.requests) > 6 and which == "sandbox":
            raise SandboxError("it is gone")
        return setup.metric(gold, pred, trace, *named)

    engine = ScriptedEngine(failing)
    lm = dspy.LM("local/script", engine=engine, cache=False, num_retries=0)
    kind = SandboxError if which == "sandbox" else ProviderError
    with dspy.context(lm=lm), pytest.raises(kind, match="it is gone"):
        build(name, metric, SETTINGS).compile(setup.student(), trainset=EXAMPLES)
    if which == "model":
        assert len(engine.requests) == 7


@pytest.mark.parametrize(
    "name", sorted(set(RECIPES) - INSTRUCTIONS - {"labeled_few_shot", "simba"})
)
def test_failing_traces_make_no_demos(name: str, setup: Setup) -> None:
    """A prediction with a score of 0 is truthy."""

    def nothing_passes(*_: Any) -> dspy.Prediction:
        return dspy.Prediction(score=0.0, feedback="wrong")

    settings = replace(SETTINGS, trials=7)
    with dspy.context(lm=setup.lm):
        compiled = build(name, nothing_passes, settings).compile(setup.student(), trainset=EXAMPLES)
    assert not demos_of(compiled)


@pytest.mark.parametrize("name", ["bootstrap_optuna", "gepa", "infer_rules", "mipro_v2"])
def test_predictors_that_are_switched_off_do_no_harm(name: str, setup: Setup) -> None:
    compiled = setup.compile(name, predictors=None)
    assert set(demos_of(compiled)) <= set(USED)
    assert setup.passed(compiled) == 4


def test_equal_requests_of_a_proposer_get_different_seeds(setup: Setup) -> None:
    setup.compile("copro", trials=12)
    asked = [
        canonical_json(b) for b in setup.engine.bodies if '"temperature":1.4' in canonical_json(b)
    ]
    assert len(asked) == len(set(asked)) == 10


def test_seed_0_is_a_seed(setup: Setup) -> None:
    """DSPy's MIPROv2 takes 0 for none, and then its own 9."""
    found = [str(setup.compile("mipro_v2", seed=seed).dump_state()) for seed in (0, 9)]
    assert found[0] != found[1]


def test_mipro_without_demos_searches_instructions(setup: Setup) -> None:
    compiled = setup.compile("mipro_v2", demos=0)
    assert not demos_of(compiled)
    assert setup.passed(compiled) == 4


def test_nothing_of_dspy_is_left_behind(setup: Setup) -> None:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    first = setup.compile("mipro_v2")
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    optuna.logging.set_verbosity(verbosity)
    assert vars(first).keys() == vars(setup.student()).keys() | {"_compiled"}
    assert first._compiled is False
    first._compiled = True
    second = setup.compile("bootstrap_few_shot", first)
    assert demos_of(second)
    assert instructions_of(second) == instructions_of(first)


def test_a_valset_selects_and_makes_no_demos(setup: Setup) -> None:
    with dspy.context(lm=setup.lm):
        optimizer = build("random_search", setup.metric, SETTINGS)
        compiled = optimizer.compile(setup.student(), trainset=EXAMPLES[:1], valset=EXAMPLES[1:])
    names = {demo["name"] for demos in demos_of(compiled).values() for demo in demos}
    assert names == {"times2"}


def test_labels_become_demos_of_the_predictors_that_they_are_for(setup: Setup) -> None:
    demos = demos_of(setup.compile("labeled_few_shot"))
    known = [label["code_generator.predict"] for label in LABELS.values()]
    assert set(demos) == {"code_generator.predict"}
    assert all(demo in known for demo in demos["code_generator.predict"])
    assert not demos_of(setup.compile("labeled_few_shot", labels={}))


class Renaming(Teleprompter):
    """A user's own: tells every predictor the magic word and sets a hyper."""

    def compile(self, student: SpecToCode, *, trainset: Sequence[dspy.Example]) -> SpecToCode:
        for predictor in student.predictors():
            text = predictor.signature.instructions
            predictor.signature = predictor.signature.with_instructions(f"{text}\n{MAGIC}.")
        set_hypers(student, {"n": 5})
        return student


@pytest.mark.parametrize("own", [Renaming, lambda: dspy.LabeledFewShot(k=1)])
def test_a_teleprompter_of_ones_own_is_as_good(own: Any, setup: Setup) -> None:
    student = setup.student()
    before = state(student)
    compiled = setup.compile(own(), student)
    assert state(student) == before
    assert setup.passed(compiled) == 4
    assert compiled.n.value == (5 if own is Renaming else 2)


def test_hypers_survive_what_dspy_does_to_programs(setup: Setup) -> None:
    student = setup.student()
    values = {path: hyper.value for path, hyper in hypers_of(student).items()}
    loaded = SpecToCode(setup.sandbox)
    loaded.load_state(json.loads(state(student)))
    for copy in (student.deepcopy(), student.reset_copy(), loaded):
        assert {path: hyper.value for path, hyper in hypers_of(copy).items()} == values


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("best", {}, "no optimizer 'best'; choose one of: labeled_few_shot"),
        ("gepa", {"trials": 0}, "trials must be at least 1 and is 0"),
        ("gepa", {"demos": -1}, "demos must be at least 0 and is -1"),
        ("copro", {"trials": 3}, r"copro needs at least 4 trials \(2 for each of 2 predictors\)"),
        ("simba", {"trials": 6}, "simba needs at least 7 trials and was given 6"),
        ("random_search", {"demos": 0}, "random_search needs demos of at least 1"),
        ("knn_few_shot", {"show_nearest": None}, "knn_few_shot needs the setting show_nearest"),
        ("gepa", {"predictors": ("x",)}, "no predictor 'x'; this program has: reasoner.predict"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    name: str, changes: dict[str, Any], said: str, setup: Setup
) -> None:
    with pytest.raises(ConfigError, match=said):
        setup.compile(name, **changes)
    assert not setup.engine.requests


def test_bad_input_is_refused(setup: Setup) -> None:
    def nan(*_: Any) -> float:
        return float("nan")

    student = setup.student()
    with pytest.raises(ConfigError, match="a model in force"):
        build("gepa", setup.metric).compile(student, trainset=EXAMPLES)
    with dspy.context(lm=setup.lm):
        with pytest.raises(ConfigError, match="at least one train task"):
            build("gepa", setup.metric).compile(student, trainset=[])
        with pytest.raises(ConfigError, match="'gepa' takes no teacher"):
            build("gepa", setup.metric).compile(student, trainset=EXAMPLES, teacher=student)
        with pytest.raises(ConfigError, match="returned NaN"):
            build("random_search", nan).compile(student, trainset=EXAMPLES)

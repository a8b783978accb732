"""What the rungs of the ladder run, and which of their models can be asked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lift_sys.app.measure import TaskSet
from lift_sys.app.rungs import Ladder, Point, missing, point
from lift_sys.errors import ConfigError, ModelError
from lift_sys.inference import catalogue
from lift_sys.inference.model_info import ModelInfo
from lift_sys.sandbox import Sandbox
from optimizers.assess import Rung
from programs.hypers import hypers_of
from programs.presets import make_program

SMALL, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
LADDER = Ladder(SMALL, LARGE, "claude", "deepseek-coder-v2")


@pytest.fixture
def own() -> Iterator[None]:
    served = ModelInfo(id="served", backend="vllm", name="x", urls=("http://127.0.0.1:1/v1",))
    catalogue.use([served])
    yield
    catalogue.use([])


@pytest.mark.parametrize(
    ("rung", "preset", "model"),
    [
        (Rung.ZERO_SHOT, "single", SMALL),
        (Rung.LARGER, "single", LARGE),
        (Rung.BEST_OF_N, "best_of_n", SMALL),
        (Rung.HYBRID, "hybrid", LARGE),
        (Rung.TUNED, "single", "deepseek-coder-v2"),
    ],
)
def test_with_plain_prompts_rungs_are_presets(
    sandbox: Sandbox, rung: Rung, preset: str, model: str
) -> None:
    runs = point(rung, LADDER, Rung.ZERO_SHOT, LARGE)
    assert runs
    assert runs.program(sandbox).dump_state() == make_program(preset, sandbox).dump_state()
    assert (runs.name, runs.model, runs.asked) == (preset, model, (model,))


@pytest.mark.parametrize("rung", [r for r in Rung if r is not Rung.ZERO_SHOT])
def test_few_shot_prompts_are_kept(sandbox: Sandbox, rung: Rung) -> None:
    runs = point(rung, LADDER, Rung.FEW_SHOT, SMALL)
    assert runs
    program = runs.program(sandbox)
    assert hypers_of(program)["quirks"].value == "triggered"
    assert [len(p.demos) for name, p in program.named_predictors() if name.startswith("ir_")] == [3]


def test_claude_writes_the_ir_alone(sandbox: Sandbox) -> None:
    runs = point(Rung.CLAUDE, LADDER, Rung.ZERO_SHOT, LARGE)
    assert runs
    assert (runs.model, runs.asked) == (LARGE, (LARGE, "claude"))
    hypers = hypers_of(runs.program(sandbox))
    models = {path: h.value for path, h in hypers.items() if path.endswith(".model")}
    assert models.pop("ir_generator.model") == "claude"
    assert set(models.values()) == {"program"}
    assert runs.command(TaskSet("dev", (), "", is_test=False)) == (
        f"lift eval --preset single --set ir_generator.model=claude --model {LARGE} --data dev"
    )


def test_a_command_is_one_that_a_shell_takes() -> None:
    settings = ("demos=gold-3", "ir_generator.model=a>b")
    runs = Point("single", settings, "m>n", ("m>n", "a>b"))
    cut = TaskSet("my tasks/mine.jsonl", (), "", is_test=False, limit=7)
    command = "printf '%s\\n' " + runs.command(cut).removeprefix("lift eval ")
    words = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert words.stdout.splitlines() == [
        *("--preset", "single", "--set", "demos=gold-3", "--set", "ir_generator.model=a>b"),
        *("--model", "m>n", "--data", "my tasks/mine.jsonl", "--limit", "7"),
    ]
    whole = runs.command(TaskSet("phase3", (), "", is_test=True))
    assert whole.endswith(" --data phase3 --open-test")


@pytest.mark.parametrize("claude", [f"claude>{SMALL}", "openai/gpt-4o"])
def test_claude_may_be_any_model_that_a_stage_can_name(sandbox: Sandbox, claude: str) -> None:
    ladder = Ladder(SMALL, LARGE, claude)
    ladder.check()
    runs = point(Rung.CLAUDE, ladder, Rung.ZERO_SHOT, LARGE)
    assert runs
    assert hypers_of(runs.program(sandbox))["ir_generator.model"].value == claude


def test_a_rung_may_have_no_model() -> None:
    assert point(Rung.TUNED, Ladder(SMALL, LARGE, "claude"), Rung.FEW_SHOT, SMALL) is None


def test_what_cannot_be_asked(own: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert missing(SMALL) is missing("served") is None
    assert missing("claude") == "model claude needs a key: set ANTHROPIC_API_KEY in the environment"
    assert "needs a vLLM server" in str(missing("qwen2.5-coder-32b"))
    assert missing(f"{SMALL}>claude") == missing("claude")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key of nobody")
    assert missing("claude") is missing(f"{SMALL}>claude") is None


def test_ladders_that_cannot_be(own: None) -> None:
    LADDER.check()
    Ladder("served", SMALL, "claude", "claude").check()
    for ladder, options in (
        (Ladder(SMALL, SMALL, "claude"), "--small and --large"),
        (Ladder("served", SMALL, "served"), "--small and --claude"),
        (Ladder("served", SMALL, SMALL), "--large and --claude"),
        (Ladder("served", SMALL, "claude", "served"), "--small and --tuned"),
        (Ladder("served", SMALL, "claude", SMALL), "--large and --tuned"),
    ):
        with pytest.raises(ConfigError, match=f"^{options} are both .*so that two rungs"):
            ladder.check()
    with pytest.raises(ModelError, match="unknown model"):
        Ladder(SMALL, LARGE, "claude", "nobody's").check()

"""``lift show`` prints all that an artifact's model is told and shown."""

from __future__ import annotations

from typing import Any

from lift_sys.app.export import Artifact, Measured, ModelRef, PredictorState
from lift_sys.app.show import render_artifact
from lift_sys.ir.schema import WIRE_VERSION

ARTIFACT = Artifact(
    wire_version=WIRE_VERSION,
    model=ModelRef(id="some-model", sha256="0" * 64),
    models=(ModelRef(id="other-model", sha256="2" * 64),),
    hypers={"n": 3, "code_sees": "ir"},
    predictors={
        "ir_generator.predict": PredictorState(
            instructions="Turn it into an IR.\n",
            fields=("spec", "analysis", "effects"),
            demos=({"spec": "Größe\nzwei", "effects": ["é", "b"], "augmented": True},),
        ),
        "critic.predict": PredictorState(instructions="Review it.", fields=("ir", "issues")),
    },
    scores={
        "test": Measured(
            data="phase3",
            data_sha256="1" * 64,
            passed=13,
            total=18,
            low=0.491,
            high=0.875,
            tokens=7802,
        )
    },
    provenance={"seed": 4, "run": {"name": "né"}},
).sealed()


def test_everything_is_shown() -> None:
    assert render_artifact(ARTIFACT) == (
        "# SpecToCode for some-model\n"
        "\n## Hypers\n\n- n: 3\n- code_sees: ir\n"
        "\n## Scores\n\n- test (phase3): 13/18, 95 % CI 49%–88%, 7,802 tokens out\n"
        "\n## ir_generator.predict\n\nTurn it into an IR.\n\n"
        "### Demo 1\n\nspec:\n    Größe\n    zwei\n\n"
        'effects:\n    ["é", "b"]\n\n'
        "\n## critic.predict\n\nReview it.\n\n(no demos)\n"
        '\n## Provenance\n\n- seed: 4\n- run: {"name": "né"}\n'
        f"\nmodel sha256: {'0' * 64}\nsha256 of other-model: {'2' * 64}\n"
        f"sha256: {ARTIFACT.sha256}\n"
    )


def test_the_hash_is_the_one_that_was_sealed() -> None:
    assert ARTIFACT.intact
    assert ARTIFACT.sha256 in render_artifact(ARTIFACT)


def with_bank(count: int, **hypers: Any) -> str:
    demos = tuple(
        {"name": f"n{i}", "spec": f"Spec {i}\n" + "long " * 99, "code": "c"} for i in range(count)
    )
    state = PredictorState(instructions="Write.", fields=("spec", "code"), demos=demos)
    update = {"predictors": {"code_generator.predict": state}, "hypers": hypers}
    return render_artifact(ARTIFACT.model_copy(update=update))


NEAREST = {
    "code_generator.demo_choice": "nearest",
    "code_generator.demo_count": 3,
    "code_generator.demo_tokens": 1000,
}


def test_a_bank_is_shown_in_brief_with_how_it_is_used() -> None:
    text = with_bank(120, **NEAREST)
    assert (
        "\nA request shows at most the 3 whose specs are most similar to its own, the most similar "
        "last, in about 1,000 tokens at most.\n\n120 demos:\n\n- n0: Spec 0 long long"
    ) in text
    lines = [line for line in text.splitlines() if line.startswith("- n")]
    assert len(lines) == 120
    assert max(map(len, lines)) < 100
    assert all(line.endswith(" …") for line in lines)


def test_few_demos_are_shown_in_full() -> None:
    text = with_bank(8, **{**NEAREST, "code_generator.demo_choice": "fixed"})
    assert "at most the first 3, in this order, in about 1,000 tokens" in text
    assert "### Demo 8\n\nspec:\n    Spec 7\n" in text
    assert "A request shows" not in with_bank(0, **NEAREST)

"""``lift show`` prints all that an artifact's model is told and shown."""

from __future__ import annotations

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

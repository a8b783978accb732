"""The DSPy signatures: every instruction a model reads is written here and nowhere else.

Each predictor has a signature of its own, because reflective optimizers match traces by it.
Instructions hold what is constant; what changes per task comes last, so that a prefix cache can
serve everything before it.
"""

from __future__ import annotations

import dspy

from lift_sys.ir.schema import Quality, WireIssue


def assertions_asked(how_many: str) -> str:
    """Return what is asked of assertions, e.g. of "three to five"."""
    such = 'such as "name(2) == 5"'
    return f"{how_many} calls of the function by its name, each with its result, {such}"


HOW_MANY = {3: "three", 5: "three to five", 8: "five to eight"}
"""What is asked for, by the most assertions that may be written."""
ASSERTIONS = assertions_asked(HOW_MANY[5])

STRUCTURED_EFFECTS = (
    "the steps, in order: description, implementation_hint (how to do it), return_values (the "
    "exact Python literals it returns), order_constraint (what must come first); empty where there "
    "is none"
)
ISSUES = (
    "each issue: category (literal_string, python_quirk, edge_case, return_path, order or "
    "assertion), description (what is wrong) and fix; empty if there is none"
)
COMPACT_EFFECTS = (
    "the steps, in order: step, how (to do it), returns (the exact Python literals), order (what "
    "must come first); empty where there is none"
)
# An example would be copied: a 0.5B model took over one's parameters in 14 of 16 answers.
COMPACT_SIGNATURE = (
    "the first line of the function in Python: its name, each parameter with its type, and the "
    "type that it returns"
)
QUIRKS_HEADING = "Python does this:"


class Analyse(dspy.Signature):
    """Analyse the specification of a Python function in at most six short lines.

    Name the exact literal values, the order of the checks, the edge cases and every return path.
    Do not write code.
    """

    name: str = dspy.InputField(desc="name of the function")
    spec: str = dspy.InputField(desc="what the function must do")
    analysis: str = dspy.OutputField(desc="the analysis")


class WriteIR(dspy.Signature):
    """Turn the specification of a Python function into an intermediate representation.

    Effects are explicit steps: exact literal values, the order of checks, boundaries, edge cases,
    error handling. Assertions are Python expressions that must be true: calls of the function with
    literal arguments compared with the literal result, worked out from the specification.
    """

    name: str = dspy.InputField(desc="name of the function")
    spec: str = dspy.InputField(desc="what the function must do")
    analysis: str | None = dspy.InputField(desc="notes on the specification", default=None)
    summary: str = dspy.OutputField(desc="what the function does, one sentence")
    parameters: list[str] = dspy.OutputField(desc='each parameter in order as "name: Python type"')
    returns: str = dspy.OutputField(desc="Python type")
    effects: list[str] = dspy.OutputField(desc="the steps, in order")
    assertions: list[str] = dspy.OutputField(desc=ASSERTIONS)


class CritiqueIR(dspy.Signature):
    """Review the intermediate representation of a Python function against its specification.

    Look for literal strings that are not exact, quirks of Python that are not minded, edge cases
    that no assertion covers, return paths that no effect has, wrong order and assertions that are
    false. Name each issue together with its fix.
    """

    spec: str = dspy.InputField(desc="what the function must do")
    ir: str = dspy.InputField(desc="the representation to review")
    issues: list[WireIssue] = dspy.OutputField(desc=ISSUES)
    overall_quality: Quality = dspy.OutputField(desc="0 (useless) to 10 (perfect)")


class RefineIR(dspy.Signature):
    """Rewrite the intermediate representation of a Python function so that every issue is fixed.

    Keep what is right. Effects are explicit steps; assertions are Python expressions that must be
    true of the function.
    """

    name: str = dspy.InputField(desc="name of the function")
    spec: str = dspy.InputField(desc="what the function must do")
    ir: str = dspy.InputField(desc="the representation so far")
    issues: str = dspy.InputField(desc="what is wrong with it")
    summary: str = dspy.OutputField(desc="what the function does, one sentence")
    parameters: list[str] = dspy.OutputField(desc='each parameter in order as "name: Python type"')
    returns: str = dspy.OutputField(desc="Python type")
    effects: list[str] = dspy.OutputField(desc="the steps, in order")
    assertions: list[str] = dspy.OutputField(desc=ASSERTIONS)


class WriteCode(dspy.Signature):
    """Write one Python function with exactly the given name.

    Reply with the code only, in one Python code block. No tests, no example calls, no comments.
    """

    name: str = dspy.InputField(desc="name of the function")
    spec: str | None = dspy.InputField(desc="what the function must do", default=None)
    ir: str | None = dspy.InputField(desc="its intermediate representation", default=None)
    code: str = dspy.OutputField(desc="the function")


class RepairCode(dspy.Signature):
    """Correct a Python function so that every problem is solved, and keep its name.

    Reply with the whole corrected function only, in one Python code block. No tests, no example
    calls, no comments.
    """

    name: str = dspy.InputField(desc="name of the function")
    spec: str = dspy.InputField(desc="what the function must do")
    draft: str = dspy.InputField(desc="the function so far")
    problems: str = dspy.InputField(desc="what is wrong with it")
    code: str = dspy.OutputField(desc="the corrected function")


VERIFYING = {
    WriteIR.instructions: (
        "Write test calls for a Python function from its specification.\n\n"
        "Each is a call of the function by its name with literal arguments, compared with the "
        "literal result, worked out from the specification. Cover normal and edge cases that its "
        "examples do not."
    ),
    RefineIR.instructions: (
        "Rewrite the test calls of a Python function so that every issue is fixed.\n\n"
        "Keep what is right. Each compares a call with literal arguments with the literal result "
        "that the specification gives."
    ),
}
"""The instructions of the stages that write an IR, where it only verifies."""

"""How much of what a spec states is extracted from its text, and how much of that is true.

Usage: ``python benchmarks/extraction.py [train|dev|phase3|test|FILE] [--misses]``. Parameter names
come from the reference; nothing else of it is used to extract.

Precision: the share of extracted examples that hold on the reference in the sandbox, and the share
of properties and literal sets that hold on the arguments of every case that returns and on which
they can be evaluated, at least one. It presumes right parameter names; a program has those of its
model's IR.

Recall of written examples: a visible case counts as written in the spec if the texts of all its
arguments and of its result stand in one sentence of it (a prompt ``>>>`` and its answer are one
sentence); it is covered if an extracted example has the same arguments and outcome. Recall of
stated assertions: the share of the gold assertions marked ``stated`` that are among the extracted
ones, equal in meaning where they are examples and equal in text otherwise. Many are stated in words
that no grammar reads.

On train, on which the grammar was tuned: precision of examples 60/60 (95 % CI 94-100 %), of
properties and sets 15/15 (80-100 %); recall of written examples 37/63 (46-70 %), of stated
assertions 47/157 (23-38 %). On dev, not used to tune: 26/26 (87-100 %), 3/3 (44-100 %),
23/33 (53-83 %); dev has no gold IRs.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.ir.lint import Kind, lint  # noqa: E402
from lift_sys.ir.models import FunctionSignature, Parameter  # noqa: E402
from lift_sys.knowledge.constraints import Extraction, extract  # noqa: E402
from lift_sys.literals import parse_literal  # noqa: E402
from lift_sys.sandbox import Call, Sandbox, Submission, create_sandbox, judge  # noqa: E402
from lift_sys.tasks import Case, Task, load_tasks  # noqa: E402
from lift_sys.verdict import Status  # noqa: E402
from metrics.stats import Rate  # noqa: E402

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z>*0-9])|\n\n")


@dataclass
class Counts:
    """What was counted over the tasks; each entry tells whether it was right, and what it was."""

    examples: list[tuple[bool, str]] = field(default_factory=list)
    properties: list[tuple[bool, str]] = field(default_factory=list)
    written: list[tuple[bool, str]] = field(default_factory=list)
    stated: list[tuple[bool, str]] = field(default_factory=list)

    def rates(self) -> dict[str, Rate]:
        """Return the share of right entries of each kind."""
        return {
            "precision of examples": _rate(self.examples),
            "precision of properties and sets": _rate(self.properties),
            "recall of written examples": _rate(self.written),
            "recall of stated assertions": _rate(self.stated),
        }


def _rate(entries: list[tuple[bool, str]]) -> Rate:
    return Rate.of(sum(right for right, _ in entries), len(entries))


def signature_of(task: Task) -> FunctionSignature:
    """Return name and parameter names as the reference has them, without types."""
    tree = ast.parse(task.reference_code or "")
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    arguments = next((f.args.args for f in functions if f.name == task.entry_point), [])
    parameters = tuple(Parameter(name=a.arg, type_hint="Any") for a in arguments)
    return FunctionSignature(name=task.entry_point, parameters=parameters)


def measure(tasks: list[Task], sandbox: Sandbox) -> Counts:
    """Extract from every task that has a reference, and count.

    Raises:
        SandboxError: The sandbox failed.
    """
    counts = Counts()
    for task in tasks:
        if task.reference_code is None:
            continue
        signature = signature_of(task)
        found = extract(task.spec, task.entry_point, signature)
        counts.examples += _examples(task, found, sandbox)
        counts.properties += _properties(task, signature, found, sandbox)
        keys = {_key(case) for case in found.examples}
        counts.written += [
            (_key(case) in keys, _say(task, case)) for case in task.visible if _written(task, case)
        ]
        counts.stated += _stated(task, found)
    return counts


def _say(task: Task, case: Case) -> str:
    return f"{task.id}: {case.render(task.entry_point)}"


def _key(case: Case) -> str:
    outcome = case.raises or repr(parse_literal(case.expected or "None"))
    return f"{parse_literal(case.args)!r} {outcome}"


def _examples(task: Task, found: Extraction, sandbox: Sandbox) -> list[tuple[bool, str]]:
    if not found.examples:
        return []
    verdict = judge(sandbox, task.reference_code or "", task.entry_point, found.examples)
    return [
        (result.status is Status.PASSED, _say(task, case))
        for case, result in zip(found.examples, verdict.cases, strict=True)
    ]


def _properties(
    task: Task, signature: FunctionSignature, found: Extraction, sandbox: Sandbox
) -> list[tuple[bool, str]]:
    predicates = tuple(c.predicate for c in found.constraints if c.predicate and c.case is None)
    returning = [c for c in (*task.visible, *task.hidden) if c.raises is None]
    if not predicates or not returning:
        return []
    submission = Submission(
        code=task.reference_code or "",
        entry_point=task.entry_point,
        calls=tuple(Call(args=c.args, predicates=predicates) for c in returning),
        parameters=tuple(p.name for p in signature.parameters),
    )
    outcomes = sandbox.execute(submission).outcomes
    truths = [[o.predicates[i] for o in outcomes] for i in range(len(predicates))]
    held = [True in of_one and False not in of_one for of_one in truths]
    return [(h, f"{task.id}: {p}") for h, p in zip(held, predicates, strict=True)]


def _written(task: Task, case: Case) -> bool:
    """Tell whether all literals of a case stand in one sentence of the spec."""
    node = ast.parse(case.args, mode="eval").body
    elements = node.elts if isinstance(node, ast.Tuple) else [node]
    texts = [*(ast.unparse(e) for e in elements), case.raises or str(case.expected)]
    return any(all(_occurs(t, sentence) for t in texts) for sentence in _SENTENCE.split(task.spec))


def _occurs(text: str, sentence: str) -> bool:
    words = {"[]": "empty list", "''": "empty (?:string|text|sentence)", "{}": "empty dict"}
    pattern = rf"(?<![\w.\-]){re.escape(text)}(?![\w%]|\.\d)"
    named = words.get(text)
    return bool(re.search(pattern, sentence) or (named and re.search(named, sentence)))


def _stated(task: Task, found: Extraction) -> list[tuple[bool, str]]:
    if task.gold_ir is None:
        return []
    keys = {_key(case) for case in found.examples}
    texts = set(found.predicates)
    entries = []
    for assertion in task.gold_ir.assertions:
        finding = lint(assertion.predicate, task.gold_ir.signature)
        if assertion.provenance != "stated":
            continue
        if finding.kind is Kind.EXAMPLE:
            covered = _key(Case(args=finding.args or "()", expected=finding.expected)) in keys
        else:
            covered = finding.predicate in texts
        entries.append((covered, f"{task.id}: {finding.predicate}"))
    return entries


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", nargs="?", default="train", help="a shipped set or a file")
    parser.add_argument("--misses", action="store_true", help="name what is wrong or missing")
    options = parser.parse_args()
    shipped = ROOT / "datasets" / f"{options.tasks}.jsonl"
    tasks = load_tasks(shipped if shipped.exists() else Path(options.tasks))
    with closing(create_sandbox()) as sandbox:
        counts = measure(list(tasks), sandbox)
    print(f"{len(tasks)} tasks of {options.tasks}")
    for name, rate in counts.rates().items():
        print(f"{name:33} {rate}")
    if options.misses:
        for kind, entries in vars(counts).items():
            for right, what in entries:
                if not right:
                    print(f"{kind}: {what}")


if __name__ == "__main__":
    main()

"""What an answer costs by model and stage: writes ``lift_sys/app/rates.json``.

Usage: ``python benchmarks/rates.py RUN [RUN ...]``, where RUN is a run directory. The file is
written anew, so name runs of all models. ``--out -`` prints it instead.

Figures are means over the runs' stored answers, each of which was generated once. Seconds hold for
the machine that generated them; tokens hold everywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lift_sys.app.rates import SHIPPED, rates_of, stored_calls  # noqa: E402
from lift_sys.files import write_atomically  # noqa: E402


def main() -> None:
    """Count the answers of runs and write their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--out", default=str(SHIPPED), help="file, or - for the screen")
    asked = parser.parse_args()
    calls = [call for run in asked.runs for call in stored_calls(run / "calls.jsonl")]
    models: dict[str, dict[str, object]] = {}
    for (model, stage), rate in sorted(rates_of(calls, "shipped").items()):
        models.setdefault(model, {})[stage] = rate.model_dump(exclude={"source"})
    text = json.dumps(models, indent=2) + "\n"
    if asked.out == "-":
        sys.stdout.write(text)
    else:
        write_atomically(Path(asked.out), text)


if __name__ == "__main__":
    main()

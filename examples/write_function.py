"""An app that imports a compiled program: three lines do it.

Usage: ``python examples/write_function.py best.json "Return the largest of three numbers"``
"""

from __future__ import annotations

import sys

import lift_sys


def main(artifact: str, spec: str) -> None:
    """Print the function that the compiled program writes for a spec."""
    program = lift_sys.load_program(artifact)
    print(program(spec=spec).code)


if __name__ == "__main__":
    main(*sys.argv[1:])

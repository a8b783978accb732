"""Four real processes spend one budget, and one of them is killed in the middle of a call."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from lift_sys.app.database import LEDGER, SPENT, Database

ROOT = Path(__file__).parent.parent.parent
CAP, COST, PROCESSES = 1_200, 12, 4

SPENDERS = """
import os, signal, sys, time
from contextlib import closing
import dspy
from lift_sys.app.database import CALLS, Database
from lift_sys.app.sql_ledger import SqlLedger
from lift_sys.app.sql_store import SqlEntries, SqlLeases
from lift_sys.config import Budget
from lift_sys.errors import BudgetSpent
from lift_sys.inference.budget import Account, pay_from
from lift_sys.inference.model_info import FREE, Price
from lift_sys.inference.replay import ReplayEngine, StoredCall
from lift_sys.inference.scripted import ScriptedEngine

url, cap, processes, dear = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "dear"

def spend(number):
    asked = []
    def answer(request):
        asked.append(request)
        if number == 0 and len(asked) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.01)
        return " ".join(["word"] * 10)
    with closing(Database(url)) as database, closing(SqlLeases(database, seconds=2.0)) as leases:
        with closing(SqlLedger(database, "s", leases)) as ledger:
            account = Account(lambda: Budget(tokens=cap), ledger)
            account.enter("search")
            calls = SqlEntries(database, CALLS, "s", StoredCall)
            engine = ReplayEngine(ScriptedEngine(answer), "w", calls)
            lm = dspy.LM("local/x", engine=engine, cache=False, num_retries=0)
            pay_from(account, lm, "x", Price(million_output=1.0) if dear else FREE)
            try:
                for question in range(10_000):
                    lm(f"question {number}x{question}", max_tokens=10)
            except BudgetSpent:
                print(len(asked), flush=True)

children = []
for number in range(processes):
    pid = os.fork()
    if pid == 0:
        try:
            spend(number)
        except BaseException as error:
            sys.stderr.write(repr(error))
            os._exit(1)
        os._exit(0)
    children.append(pid)
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
sys.exit(codes != [-signal.SIGKILL] + [0] * (processes - 1))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["free", "dear"])
def test_the_cap_is_passed_by_less_than_a_call_of_each(storage: str, kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPENDERS, storage, str(CAP), str(PROCESSES), kind],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=240,
    )
    with closing(Database(storage)) as database, database.reading() as connection:
        (spent,) = connection.execute(sa.select(SPENT.c.tokens)).scalars()
        lost = connection.execute(
            sa.select(LEDGER.c.tokens, LEDGER.c.charged).where(LEDGER.c.holder.is_not(None))
        ).all()

    assert done.returncode == 0, done.stderr
    assert min(map(int, done.stdout.split())) > 0
    ((reserved, charged),) = lost  # of the killed one
    assert charged == (kind == "dear")
    counted = spent + (reserved if charged else 0)
    assert CAP <= counted < CAP + PROCESSES * COST

"""Racing: when a trial is so far behind the best program that the rest is not worth running.

Owns the test, as pure functions of outcomes. Who is the incumbent, and what becomes of a trial
that is given up, is the search's business.

Method. The tasks are a fixed set, run in one order that was drawn uniformly at random. On each task
the *loss* of a trial is what the incumbent passed and the trial did not: 1, 0 where both did the
same, -1 where only the trial passed. Let ``N`` be the number of tasks, ``s`` the sum of the losses
so far and ``k`` the number of tasks so far. Were the trial to end at least level with the
incumbent (the null hypothesis), the losses left would sum to at most ``-s``, so the next one would
be expected to be at most ``-s / (N - k)``. Whoever bets the share ``c`` of a capital on losses then
plays a game that is not favourable: task by task the capital is multiplied by

    1 - c + c (1 + loss) / (1 - s / (N - k))

and is a supermartingale that starts at 1. A mean over several ``c`` is one too. By Ville's
inequality it reaches ``1 / alpha`` at any of the looks with probability at most ``alpha``. A trial
is given up when it does.

Sources: Stark, "Sets of half-average nulls generate risk-limiting audits: SHANGRLA" (2020): the
Kaplan martingale, with ``c`` uniform on [0, 1], for draws without replacement; Waudby-Smith,
Stark and Ramdas, "RiLACS: risk-limiting audits via confidence sequences" (2021); Waudby-Smith and
Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86 (2024). Passes are
compared, not shares of hidden cases, because the winner is chosen by passes. A test that counts
won and lost tasks as draws from a binomial is valid here as well, but it ignores that tasks run
out. To give up what is 10 to 30 points worse on 80 tasks it needs a fifth to a third more of them
(``benchmarks/racing.py`` shows both, with the rate of errors).

The promise is for one trial against one incumbent, over the random order. All trials of a search
share the order, and the incumbent is the best of those that were not given up, so the errors of
several trials may come together; the benchmark also counts how often a whole search ends with
another winner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_BETS = ((_NODES + 1) / 2)[:, None]
_LOG_SHARES = np.log(_WEIGHTS / 2)[:, None]


def losses(trial: Sequence[bool], incumbent: Sequence[bool]) -> list[int]:
    """Return the paired losses of a trial on the tasks that it has run.

    Args:
        trial: Pass or fail of the first tasks.
        incumbent: Likewise, of at least as many.
    """
    return [int(theirs) - int(mine) for mine, theirs in zip(trial, incumbent, strict=False)]


def log_evidence(lost: Sequence[int], tasks: int) -> np.ndarray:
    """Return the logarithm of the evidence that a trial will end behind, after each task.

    Evidence is the capital of the module's docstring: 1 at the start, infinite once the tasks left
    are fewer than the trial is behind.

    Args:
        lost: The loss on each task so far, each in [-1, 1].
        tasks: All tasks of a complete trial, at least as many.
    """
    loss = np.asarray(lost, dtype=float)
    behind = np.cumsum(loss)
    left = tasks - np.arange(len(loss))
    expected = (left - (behind - loss)) / left
    gain = np.ones_like(loss)  # nothing can be bet on a win that is sure under the null hypothesis
    np.divide(1.0 + loss, expected, out=gain, where=expected > 0)
    capital = np.cumsum(np.log(1.0 - _BETS + _BETS * gain), axis=1)
    evidence: np.ndarray = np.logaddexp.reduce(_LOG_SHARES + capital, axis=0)
    evidence[behind > left - 1] = np.inf
    return evidence


def is_lost(trial: Sequence[bool], incumbent: Sequence[bool], alpha: float) -> bool:
    """Tell whether a trial should be given up after the task that it ran last.

    Args:
        trial: Pass or fail of the tasks that were run, in order; at least one.
        incumbent: Pass or fail of every task, in the same order.
        alpha: Most probability, in (0, 1), that a trial is given up at any look although it would
            have passed at least as many tasks as the incumbent.
    """
    evidence = log_evidence(losses(trial, incumbent), len(incumbent))
    return bool(evidence[-1] >= -np.log(alpha))

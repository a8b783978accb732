"""How a signature becomes chat messages, and an answer becomes fields.

Owns a prompt layout that is shorter than DSPy's own and the same for every stage: the system
message is constant (instructions, then the output fields), demos are turns of the conversation,
and the user message holds only what changes. ``StructuredAdapter`` sends a JSON schema and is
used where fields are filled; ``CodeAdapter`` asks for plain text in a code fence, because code
inside JSON strings costs escapes and accuracy; ``CompactAdapter`` sends an IR's fields in fewer
tokens; ``ProseAdapter`` takes the answer as it is.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from typing import Any

import dspy
from dspy.signatures.signature import Signature
from dspy.utils.exceptions import AdapterParseError
from pydantic import BaseModel, ValidationError

from lift_sys.ir.compact import compact_key, pack, unpack
from lift_sys.ir.schema import wire_schema
from programs.cleaning import defines
from programs.signatures import COMPACT_SIGNATURE

Messages = list[dict[str, Any]]

_FENCE = re.compile(r"```[^\n`]*\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)


# Every request of a stage asks for the same one.
@functools.lru_cache(maxsize=64)
def _system_message(adapter: _Layout, signature: type[Signature], instructions: str) -> str:
    task = inspect.cleandoc(instructions)
    return f"{task}\n\n{adapter.format_field_structure(signature)}".strip()


class _Layout(dspy.ChatAdapter):
    """The shared layout."""

    def format(
        self, signature: type[Signature], demos: list[dict[str, Any]], inputs: dict[str, Any]
    ) -> Messages:
        """Return the messages: text as it is, in which DSPy would look for images and the like."""
        user = self.format_user_message_content(signature, inputs, main_request=True)
        return [
            {"role": "system", "content": self.format_system_message(signature)},
            *self.format_demos(signature, demos),
            *([{"role": "user", "content": user}] if user else []),
        ]

    def format_system_message(self, signature: type[Signature]) -> str:
        """Return the instructions and what the answer must look like."""
        # Named, as an optimizer may write new ones into a signature; DSPy keeps them there.
        return _system_message(self, signature, signature.__doc__ or "")  # type: ignore[arg-type]

    def format_user_message_content(
        self,
        signature: type[Signature],
        inputs: dict[str, Any],
        prefix: str = "",
        suffix: str = "",
        main_request: bool = False,  # noqa: ARG002 (DSPy's call)
    ) -> str:
        """Return the inputs that are given, each under its name."""
        given = [(k, inputs[k]) for k in signature.input_fields if inputs.get(k) is not None]
        blocks = [f"{k.capitalize()}: {v}" for k, v in given]
        return "\n\n".join(part for part in (prefix, *blocks, suffix) if part)

    def format_demos(self, signature: type[Signature], demos: list[dict[str, Any]]) -> Messages:
        """Return each demo as one exchange; a demo without every output is left out."""
        messages: Messages = []
        for demo in demos:
            if any(demo.get(k) is None for k in signature.output_fields):
                continue
            user = self.format_user_message_content(signature, demo)
            answer = self.format_assistant_message_content(signature, demo)
            messages.append({"role": "user", "content": user})
            messages.append({"role": "assistant", "content": answer})
        return messages


class StructuredAdapter(_Layout):
    """JSON with the fields of a wire model, under a schema that the backend enforces.

    The schema is sent with every request, by way of ``response_format``. DSPy's own JSON adapter
    is not used because it builds its schema from annotations alone, without the lists' maximum
    lengths, and repairs broken JSON by guessing.

    Args:
        wire: Its fields are the signature's outputs.
    """

    def __init__(self, wire: type[BaseModel]) -> None:
        super().__init__(use_json_adapter_fallback=False)
        self._wire = wire
        self.response_format: dict[str, Any] = {
            "type": "json_schema",
            "json_schema": {"name": wire.__name__, "schema": wire_schema(wire), "strict": True},
        }

    def format_field_structure(self, signature: type[Signature]) -> str:
        """Return the keys and what they mean."""
        fields = signature.output_fields
        keys = [f"- {k}: {f.json_schema_extra['desc']}" for k, f in fields.items()]
        return "Reply with one JSON object with these keys:\n" + "\n".join(keys)

    def format_assistant_message_content(
        self,
        signature: type[Signature],
        outputs: dict[str, Any],
        missing_field_message: Any = None,  # noqa: ARG002 (DSPy's call)
    ) -> str:
        """Return the outputs as compact JSON, which is what the model then imitates."""
        values = {k: outputs[k] for k in signature.output_fields}
        return json.dumps(values, ensure_ascii=False)

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Return the fields.

        Raises:
            AdapterParseError: Not JSON, or not these fields.
        """
        try:
            return self._wire.model_validate_json(completion).model_dump()
        except ValidationError as error:
            raise AdapterParseError(
                adapter_name=type(self).__name__,
                signature=signature,
                lm_response=completion,
                message=str(error).splitlines()[0],
            ) from error


class CompactAdapter(StructuredAdapter):
    """The fields of an IR as a compact wire form.

    Signature, demos and traces keep the fields that they have in JSON; only the text differs.

    Args:
        wire: A form of ``lift_sys.ir.compact`` for the signature's outputs.
    """

    def format_field_structure(self, signature: type[Signature]) -> str:
        """Return the keys and what they mean."""
        fields = signature.output_fields
        meant = {compact_key(k): f.json_schema_extra["desc"] for k, f in fields.items()}
        meant["signature"] = COMPACT_SIGNATURE
        keys = [f"- {key}: {text}" for key, text in meant.items()]
        return "Reply with one JSON object on one line, with these keys:\n" + "\n".join(keys)

    def format_assistant_message_content(
        self,
        signature: type[Signature],
        outputs: dict[str, Any],
        missing_field_message: Any = None,  # noqa: ARG002 (DSPy's call)
    ) -> str:
        """Return the outputs as JSON without spaces between its parts, to save their tokens."""
        values = {k: outputs[k] for k in signature.output_fields}
        packed = pack(values, outputs["name"])
        return json.dumps(packed, ensure_ascii=False, separators=(",", ":"))

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Return the fields that the signature has.

        Raises:
            AdapterParseError: Not JSON, or not these fields.
        """
        return unpack(super().parse(signature, completion))


class ProseAdapter(_Layout):
    """The whole answer is the one output field."""

    def __init__(self) -> None:
        super().__init__(use_json_adapter_fallback=False)

    def format_field_structure(self, signature: type[Signature]) -> str:  # noqa: ARG002
        """Return nothing: the instructions say it all."""
        return ""

    def format_assistant_message_content(
        self,
        signature: type[Signature],
        outputs: dict[str, Any],
        missing_field_message: Any = None,  # noqa: ARG002 (DSPy's call)
    ) -> str:
        """Return the one output as text."""
        (name,) = signature.output_fields
        return str(outputs[name])

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Return the answer, stripped."""
        (name,) = signature.output_fields
        return {name: completion.strip()}


class CodeAdapter(ProseAdapter):
    """Python in a code fence, or without one.

    Args:
        name: The function that is asked for, where a block that defines it is to be found among
            others: a model may repeat the code of the spec first.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self._name = name

    def format_assistant_message_content(
        self,
        signature: type[Signature],
        outputs: dict[str, Any],
        missing_field_message: Any = None,
    ) -> str:
        """Return the code in a fence."""
        code = super().format_assistant_message_content(signature, outputs, missing_field_message)
        return f"```python\n{code.strip()}\n```"

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Return the first block that defines the function, else the first block.

        An answer without a fence is one block.
        """
        (name,) = signature.output_fields
        blocks = [b.strip("\n") for b in _FENCE.findall(completion) or [completion]]
        defining = (b for b in blocks if self._name and defines(b, self._name))
        return {name: next(defining, blocks[0])}

"""From a GGUF file to a folder of weights that transformers and vLLM read.

Owns that one translation: ``python -m lift_sys.inference.convert FILE.gguf FOLDER``. Needs the
extra ``transformers``. Quantized weights are unpacked, so the folder computes with the same numbers
as the file and takes two bytes for each of them.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

from lift_sys.errors import LiftError, ModelError

ENDS = ("<|im_end|>", "<|endoftext|>")
"""Tokens that end an answer of a Qwen model; its GGUF file names only one of them."""


def convert(gguf: Path, folder: Path) -> None:
    """Write a folder of weights in bfloat16; it appears whole or not at all.

    Where the folder is already there, nothing is done.

    Args:
        gguf: A GGUF file of an architecture that transformers can unpack.
        folder: What is written.

    Raises:
        ModelError: The packages are missing, or the file cannot be read or unpacked.
    """
    if folder.is_dir():
        return
    if not gguf.is_file():
        msg = f"no model file at {gguf}; fetch one with: lift models pull"
        raise ModelError(msg)
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(gguf, staging)
        staging.chmod(0o755)
        if not folder.is_dir():  # Another process may have been quicker.
            staging.rename(folder)
    except ImportError as error:
        msg = (
            f"converting needs {error.name}; install it with: pip install 'lift-sys[transformers]'"
        )
        raise ModelError(msg) from error
    except (OSError, ValueError, KeyError, RuntimeError, struct.error) as error:
        msg = f"{gguf} cannot be turned into the folder {folder}: {error}"
        raise ModelError(msg) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    transformers: Any = importlib.import_module("transformers")
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
    tokenizer.save_pretrained(folder)
    # Without this configuration the weights are unpacked, but the folder cannot be saved.
    unpacked = transformers.GgufConfig(gguf_file=gguf.name, dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=unpacked, dtype="bfloat16"
    )
    known = tokenizer.get_vocab()
    ends = [known[text] for text in ENDS if text in known]
    if ends:
        model.generation_config.eos_token_id = ends
    model.save_pretrained(folder)


def main() -> int:
    """Convert what the command line names; the exit code is 2 where that cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("gguf", type=Path, help="the file")
    parser.add_argument("folder", type=Path, help="what is written; left alone if it is there")
    asked = parser.parse_args()
    try:
        convert(asked.gguf, asked.folder)
    except LiftError as error:
        sys.stderr.write(f"convert: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

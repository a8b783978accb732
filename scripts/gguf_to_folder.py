"""Turn a GGUF file into a folder of weights that vLLM and transformers read.

Usage: ``python scripts/gguf_to_folder.py FILE.gguf FOLDER``, with a Python that has transformers,
gguf and accelerate. The quantized weights are unpacked to bfloat16. The folder appears whole or not
at all; where it is already there, nothing is done.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(gguf: Path, folder: Path) -> None:
    """Write the folder, unless it is there.

    Raises:
        OSError: The file cannot be read, or the folder cannot be written.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(gguf, staging)
        staging.chmod(0o755)
        staging.rename(folder)
    except OSError:
        # Another process may have been quicker.
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(gguf: Path, folder: Path) -> None:
    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(folder)
    # Without this configuration the weights are unpacked, but the folder cannot be saved.
    unpacked = GgufConfig(gguf_file=gguf.name, dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        **source, quantization_config=unpacked, dtype=torch.bfloat16
    )
    model.save_pretrained(folder)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))

"""A folder of weights that is made in a second: Qwen2 in small, with a tokenizer of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the extra transformers")
transformers = pytest.importorskip("transformers", reason="needs the extra transformers")
tokenizers = pytest.importorskip("tokenizers")

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    '{"colour": "green", "sure": true, "shades": ["red", "blue", "green"]}',
    "Tell me a story of the sky, the sea and a poem that counts to a hundred words.",
] * 4
CONTEXT = 8192


def write_tokenizer(folder: Path) -> int:
    """Write a tokenizer of bytes and the words above; return how many tokens it has."""
    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    bpe.train_from_iterator(CORPUS, trainer)
    ends = {"pad_token": SPECIAL[0], "eos_token": SPECIAL[2]}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe, **ends)
    made.chat_template = TEMPLATE
    made.save_pretrained(folder)
    return len(made)


def write_weights(folder: Path) -> Path:
    """Write the folder: random weights that like long tokens, so that answers are short."""
    size = write_tokenizer(folder)
    torch.manual_seed(1)
    config = transformers.Qwen2Config(
        vocab_size=size + 8,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        initializer_range=0.5,
        eos_token_id=2,
    )
    model = transformers.Qwen2ForCausalLM(config).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    lengths = torch.tensor([float(len(t)) for t in tokenizer.convert_ids_to_tokens(range(size))])
    with torch.no_grad():
        model.model.embed_tokens.weight[:, -1] = 8.0
        model.lm_head.weight[:size, -1] = lengths.clamp_max(6.0)
        model.lm_head.weight[: len(SPECIAL), -1] = 0.0
        model.lm_head.weight[size:, -1] = -100.0
    model.save_pretrained(folder)
    return folder

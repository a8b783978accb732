"""Attention of one new token to a cache whose heads are shared, without copying the heads.

Owns that one saving. transformers copies each shared head once for every head that reads it, as
soon as rows are padded: seven times the cache, for each token of Qwen2.5-Coder-0.5B. The heads that
share one are asked as if they were queries of it instead.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "grouped"
"""What a model is loaded with, as its ``attn_implementation``."""


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Return what each head of each query reads from the values.

    Args:
        module: The layer.
        query: By row, head and position.
        key: By row, shared head and position.
        value: Likewise.
        attention_mask: Which positions may be read.
        scaling: Of the products.
        more: For the attention of several positions, which transformers computes.
    """
    rows, heads, positions, size = query.shape
    if positions > 1:
        computed: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **more
        )
        return computed
    asked = query.reshape(rows, key.shape[1], -1, size)
    read = torch.nn.functional.scaled_dot_product_attention(
        asked, key, value, attn_mask=attention_mask, scale=scaling
    )
    return read.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)

"""Writes model files small enough to load in a blink: one that babbles, and one that recites a script.

Both are real to llama.cpp: llama architecture, byte-level vocabulary with a single merge, ChatML tokens and a chat template.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
USER_DEFINED = ("<tool_call>", "</tool_call>")
TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') -}}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' -}}
{{- call.function.arguments | tojson + '}\\n</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- for tool in tools or [] -%}
{{- '<|im_start|>tool\\n' + tool.function.name + ': ' + (tool.function.description or '') + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""


def write_random(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    vocabulary: int = 0,
    context: int = 512,
    template: str | None = TEMPLATE,
    seed: int = 7,
) -> Path:
    """A model that says anything at all. `vocabulary` is filled up to that many tokens."""
    tokens = _tokens(())
    tokens += [(f"filler{n}", gguf.TokenType.UNUSED) for n in range(vocabulary - len(tokens))]
    random = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return random.normal(0, 0.2, shape).astype(np.float32)

    return _write(path, tokens, weights, width=width, layers=layers, context=context, template=template)


def write_reciter(
    path: Path, script: Sequence[str], *, endless: bool = False, context: int = 512, template: str | None = TEMPLATE
) -> Path:
    """A model that answers every prompt ending in a newline with these pieces, then ends, or begins again.

    Each piece is a token of its own, so no two may be equal; control and user-defined tokens keep their meaning.
    """
    tokens = _tokens(script)
    texts = [text for text, _ in tokens]
    width = -(-len(tokens) // 32) * 32
    after = np.zeros((len(tokens), width), dtype=np.float32)
    path_of_tokens = [texts.index(text) for text in ("Ċ", *script, script[0] if endless else "<|im_end|>")]
    for token, successor in pairwise(path_of_tokens):
        after[successor, token] = 1.0

    def weights(*shape: int) -> np.ndarray:
        return np.zeros(shape, dtype=np.float32)

    return _write(path, tokens, weights, width=width, layers=1, context=context, template=template, after=after)


def _tokens(script: Sequence[str]) -> list[tuple[str, gguf.TokenType]]:
    tokens = [(char, gguf.TokenType.NORMAL) for char in _byte_characters()]
    tokens.append(("he", gguf.TokenType.NORMAL))
    tokens += [(text, gguf.TokenType.CONTROL) for text in CONTROL]
    tokens += [(text, gguf.TokenType.USER_DEFINED) for text in USER_DEFINED]
    known = {text for text, _ in tokens}
    return tokens + [(text, gguf.TokenType.USER_DEFINED) for text in script if text not in known]


def _byte_characters() -> list[str]:
    """GPT-2's alphabet: every byte as a printable character."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


def _write(path, tokens, weights, *, width, layers, context, template, after=None) -> Path:  # type: ignore[no-untyped-def]
    count, hidden, heads = len(tokens), 2 * width, max(1, width // 32)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_token_merges(["h e"])
    texts = [text for text, _ in tokens]
    writer.add_bos_token_id(texts.index("<|endoftext|>"))
    writer.add_eos_token_id(texts.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)

    one_hot = np.eye(count, width, dtype=np.float32)
    writer.add_tensor("token_embd.weight", weights(count, width) if after is None else one_hot)
    writer.add_tensor("output_norm.weight", np.ones(width, dtype=np.float32))
    writer.add_tensor("output.weight", weights(count, width) if after is None else after)
    for n in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{n}.{name}.weight", weights(width, width))
        writer.add_tensor(f"blk.{n}.ffn_gate.weight", weights(hidden, width))
        writer.add_tensor(f"blk.{n}.ffn_up.weight", weights(hidden, width))
        writer.add_tensor(f"blk.{n}.ffn_down.weight", weights(width, hidden))
        writer.add_tensor(f"blk.{n}.attn_norm.weight", np.ones(width, dtype=np.float32))
        writer.add_tensor(f"blk.{n}.ffn_norm.weight", np.ones(width, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

"""Writes a checkpoint's averaged weights as a GGUF that llama.cpp loads: Q8_0 matrices, the tokenizer and the chat template inside."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch
from torch import Tensor

import tokenizer as bpe
from corpus.messages import END, NOTHING, TEMPLATE
from model import Shape

NAMES = {
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.o": "attn_output",
    "attention_norm": "attn_norm",
    "feed.gate": "ffn_gate",
    "feed.up": "ffn_up",
    "feed.down": "ffn_down",
    "feed_norm": "ffn_norm",
}


def tensor_name(name: str) -> str:
    """Our parameter's name in llama.cpp's words; the output matrix is the embedding, so it has none of its own."""
    match name.removesuffix(".weight").split("."):
        case ["embedding"]:
            return "token_embd.weight"
        case ["norm"]:
            return "output_norm.weight"
        case ["blocks", layer, *rest]:
            return f"blk.{layer}.{NAMES['.'.join(rest)]}.weight"
    raise ValueError(f"unknown parameter {name!r}")


def write(weights: dict[str, Tensor], shape: Shape, target: Path, *, kind: gguf.GGMLQuantizationType) -> None:
    writer = gguf.GGUFWriter(str(target), "llama")
    describe(writer, shape, kind)
    add_vocabulary(writer)
    for name, weight in weights.items():
        values = weight.float().cpu().numpy().astype(numpy.float32)
        if values.ndim == 1:
            writer.add_tensor(tensor_name(name), values)
        else:
            writer.add_tensor(tensor_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights_of(file: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """The named parameters as a GGUF of ours holds them, in single precision."""
    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(str(file)).tensors}
    found = {name: stored[tensor_name(name)] for name in names}
    return {name: torch.from_numpy(gguf.quants.dequantize(one.data, one.tensor_type).copy()) for name, one in found.items()}


def blended(old: dict[str, Tensor], new: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """What a short training forgets comes back, and most of what it learned stays (Wortsman et al., 2022, arXiv:2109.01903)."""
    return {name: torch.lerp(old[name], weight.float(), share) for name, weight in new.items()}


def describe(writer: gguf.GGUFWriter, shape: Shape, kind: gguf.GGMLQuantizationType) -> None:
    writer.add_name("Paddock demonstration model")
    writer.add_author("The Paddock authors")
    writer.add_license("apache-2.0")
    writer.add_description("A very small model that calls tools, for demonstration and tests.")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_float32("general.sampling.temp", 0.0)  # what it was measured with
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(
        gguf.LlamaFileType.MOSTLY_Q8_0 if kind == gguf.GGMLQuantizationType.Q8_0 else gguf.LlamaFileType.MOSTLY_F16
    )


def add_vocabulary(writer: gguf.GGUFWriter) -> None:
    stored: dict[str, Any] = json.loads(bpe.FILE.read_text())
    ids = {**stored["model"]["vocab"], **{token["content"]: token["id"] for token in stored["added_tokens"]}}
    tokens = sorted(ids, key=lambda token: ids[token])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(bpe.PRE_TOKENIZER)
    writer.add_token_list(tokens)
    writer.add_token_types([token_type(token) for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in stored["model"]["merges"]])
    writer.add_bos_token_id(ids[NOTHING])
    writer.add_eos_token_id(ids[END])
    writer.add_eot_token_id(ids[END])
    writer.add_pad_token_id(ids[NOTHING])
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE.read_text())


def token_type(token: str) -> gguf.TokenType:
    if token in bpe.CONTROL:
        return gguf.TokenType.CONTROL
    return gguf.TokenType.USER_DEFINED if token in bpe.VISIBLE else gguf.TokenType.NORMAL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--f16", action="store_true", help="16-bit floats instead of 8-bit blocks: twice the size")
    parser.add_argument(
        "--blend",
        type=Path,
        help="a GGUF of this model, best the one that the training began with: the mean of its weights and the checkpoint's is written",
    )
    parser.add_argument("--share", type=float, default=0.5, help="the checkpoint's share of that mean")
    options = parser.parse_args()
    saved = torch.load(options.checkpoint, map_location="cpu")
    weights: dict[str, Tensor] = saved["average"]
    if options.blend:
        weights = blended(weights_of(options.blend, weights), weights, options.share)
    kind = gguf.GGMLQuantizationType.F16 if options.f16 else gguf.GGMLQuantizationType.Q8_0
    write(weights, Shape(**saved["shape"]), options.target, kind=kind)
    print(
        f"{options.target}: {options.target.stat().st_size / 1e6:.1f} MB after {saved['step']} steps and {saved['seconds'] / 60:.0f} minutes"
    )


if __name__ == "__main__":
    main()

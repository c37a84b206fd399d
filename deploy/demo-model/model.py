"""The decoder itself: a llama with tied embeddings, laid out as llama.cpp's `llama` architecture expects it.

Rotary positions turn neighbouring pairs (x0, x1), (x2, x3), ..., as llama.cpp does, so that the weights are exported as they are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides the size of the model. `context` is what it is trained for and what the GGUF says."""

    vocabulary: int = 1536
    layers: int = 8
    width: int = 256
    heads: int = 8
    hidden: int = 768
    context: int = 1024
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


class Attention(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.q = nn.Linear(shape.width, shape.width, bias=False)
        self.k = nn.Linear(shape.width, shape.width, bias=False)
        self.v = nn.Linear(shape.width, shape.width, bias=False)
        self.o = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, future: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            layer(x).view(batch, length, self.heads, width // self.heads).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        mixed = attended(rotate(q, cos, sin), rotate(k, cos, sin), v, future)
        out: Tensor = self.o(mixed.transpose(1, 2).reshape(batch, length, width))
        return out


def attended(q: Tensor, k: Tensor, v: Tensor, future: Tensor) -> Tensor:
    """Causal attention, written out for gradients in bfloat16: there a CPU's fused one is faster forward only."""
    if not torch.is_grad_enabled() or q.dtype == torch.float32:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + future.to(q.dtype)
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed


class FeedForward(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = nn.Linear(shape.width, shape.hidden, bias=False)
        self.up = nn.Linear(shape.width, shape.hidden, bias=False)
        self.down = nn.Linear(shape.hidden, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.attention = Attention(shape)
        self.feed_norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.feed = FeedForward(shape)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, future: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin, future)
        out: Tensor = x + self.feed(self.feed_norm(x))
        return out


class Decoder(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.norm_epsilon)
        self.cos: Tensor
        self.sin: Tensor
        self.future: Tensor
        cos, sin = rotations(shape)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.register_buffer("future", torch.full((shape.context, shape.context), -1e4).triu(1), persistent=False)
        self.apply(self._initialise)

    def forward(self, tokens: Tensor) -> Tensor:
        """The last hidden state; `logits` turns the rows one wants into scores."""
        length = tokens.shape[1]
        x: Tensor = self.embedding(tokens)
        cos, sin, future = self.cos[:length], self.sin[:length], self.future[:length, :length]
        for block in self.blocks:
            x = block(x, cos, sin, future)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, Attention):
            nn.init.zeros_(module.o.weight)
        elif isinstance(module, FeedForward):
            nn.init.zeros_(module.down.weight)


def rotations(shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines, (context, head_width / 2)."""
    exponents = torch.arange(0, shape.head_width, 2, dtype=torch.float32) / shape.head_width
    angles = torch.outer(torch.arange(shape.context, dtype=torch.float32), shape.rope_base**-exponents)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    even, odd = x.float().view(*x.shape[:-1], -1, 2).unbind(-1)
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(-2).to(x.dtype)

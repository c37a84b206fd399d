"""Trains the decoder on prepared shards, on a few CPU cores or on one accelerator, until a wall-clock deadline.

The learning rate warms up and falls linearly to nothing by the clock, so a run can have any length. Checkpoints hold everything
needed to go on. What is exported is the running average of the weights, which is usable at any time.

On a busy machine run one process a core (`torchrun --nproc-per-node 2 train.py ... --threads 1`): they meet once a step instead of at
every operation.
"""

import argparse
import json
import math
import os
import random
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, distributed
from torch.nn import functional as F

import tokenizer as bpe
from export import weights_of
from model import Decoder, Shape
from muon import Muon

Example = tuple[Any, Any]  # tokens, and which of them are to be learned
IGNORED = -100
KNOWN = 0.8
REVIEWED_ONE_IN = 12
WARM_UP_STEPS = 100
POOL = 3_000
ROUND_TO = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    matrices: float = 5e-3  # Muon
    others: float = 2e-3  # AdamW: embeddings and norms
    decay: float = 0.01
    average: float = 0.98


@dataclass(slots=True)
class Shards:
    """Every conversation of a folder; looks again for new shards each time a pool is drawn."""

    folder: Path
    tokens_a_step: int
    rng: random.Random
    examples: list[Example]
    read: set[Path]

    def refresh(self) -> None:
        for path in sorted(set(self.folder.glob("*.npz")) - self.read):
            if ".partial" in path.name:
                continue
            with numpy.load(path) as stored:
                ends = numpy.cumsum(stored["lengths"])[:-1]
                self.examples += zip(numpy.split(stored["tokens"], ends), numpy.split(stored["masks"], ends), strict=True)
            self.read.add(path)

    def groups(self) -> Iterator[list[Example]]:
        """Conversations of like length, about `tokens_a_step` tokens each time, for ever."""
        while True:
            self.refresh()
            pool = self.rng.sample(self.examples, min(POOL, len(self.examples)))
            pool.sort(key=lambda example: len(example[0]))
            groups: list[list[Example]] = []
            while pool:
                rows = max(1, self.tokens_a_step // padded(len(pool[-1][0])))
                groups.append(pool[-rows:])
                del pool[-rows:]
            self.rng.shuffle(groups)
            yield from groups

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        return map(tensors, self.groups())

    def unknown_batches(self, unknown: Callable[[Tensor, Tensor], list[bool]]) -> Iterator[tuple[Tensor, Tensor]]:
        """What the model does not know yet, each twice, and one in `REVIEWED_ONE_IN` of what it knows.

        A look costs half as much as a step, and late in a training most conversations are known.
        """
        waiting: dict[int, list[Example]] = defaultdict(list)
        found: dict[int, list[Example]] = defaultdict(list)
        for group in self.groups():
            length = padded(len(group[-1][0]))
            chosen = unknown(*tensors(group))
            kept = waiting[length]
            kept += [one for one, new in zip(group, chosen, strict=True) if new or not self.rng.randrange(REVIEWED_ONE_IN)]
            rows = max(1, self.tokens_a_step // length)
            if len(kept) >= rows:
                found[length] += kept[:rows]
                yield tensors(kept[:rows])
                del kept[:rows]
                yield tensors(self.rng.sample(found[length], rows))


def padded(length: int) -> int:
    return -(-(length - 1) // ROUND_TO) * ROUND_TO


def tensors(group: list[Example]) -> tuple[Tensor, Tensor]:
    """Inputs, and targets with `IGNORED` where nothing is to be learned; padding stands at the right, so it needs no mask."""
    length = padded(max(len(tokens) for tokens, _ in group))
    inputs = torch.zeros(len(group), length, dtype=torch.long)
    targets = torch.full((len(group), length), IGNORED, dtype=torch.long)
    for row, (tokens, mask) in enumerate(group):
        ids = torch.from_numpy(tokens.astype(numpy.int64))
        wanted = torch.from_numpy(mask[1:])
        inputs[row, : len(ids) - 1] = ids[:-1]
        targets[row, : len(ids) - 1] = torch.where(wanted, ids[1:], IGNORED)
    return inputs, targets


class Trainer:
    def __init__(self, model: Decoder, rates: Rates, device: str, *, compiled: bool) -> None:
        self.model, self.rates, self.device = model.to(device), rates, device
        matrices = [weight for weight in model.blocks.parameters() if weight.ndim == 2]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in model.parameters() if id(weight) not in chosen]
        self.half = device != "cpu" or torch.backends.cpu.get_cpu_capability().startswith("AVX512")  # else slower than single
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=rates.matrices, weight_decay=rates.decay, momentum=0.95, half=self.half),
            torch.optim.AdamW(others, lr=rates.others, weight_decay=0.0, betas=(0.9, 0.97)),
        ]
        self.bases = (rates.matrices, rates.others)
        self.average = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        self.forward = torch.compile(model, dynamic=True) if compiled else model
        self.step_number = 0

    def loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        learned = targets != IGNORED
        logits = self.model.logits(self.forward(inputs)[learned])
        return F.cross_entropy(logits.float(), targets[learned])

    @torch.no_grad()
    def unknown(self, inputs: Tensor, targets: Tensor) -> list[bool]:
        """The rows with a token that the model would not say with a probability of `KNOWN`."""
        learned = targets != IGNORED
        with torch.autocast(self.device, torch.bfloat16, enabled=self.half):
            logits = self.model.logits(self.forward(inputs.to(self.device))[learned])
        losses = torch.zeros(targets.shape)
        losses[learned] = F.cross_entropy(logits.float(), targets[learned].to(self.device), reduction="none").cpu()
        return [bool(worst) for worst in losses.amax(1) > -math.log(KNOWN)]

    def step(self, inputs: Tensor, targets: Tensor, factor: float) -> float:
        warm = min(1.0, (self.step_number + 1) / WARM_UP_STEPS)
        for optimizer, base in zip(self.optimizers, self.bases, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = base * warm * factor
        with torch.autocast(self.device, torch.bfloat16, enabled=self.half):
            loss = self.loss(inputs.to(self.device), targets.to(self.device))
        torch.autograd.backward(loss)
        average_gradients(self.model)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self._follow()
        self.step_number += 1
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        share = 1 - min(self.rates.average, (1 + self.step_number) / (10 + self.step_number))
        for name, weight in self.model.named_parameters():
            self.average[name].lerp_(weight, share)

    def save(self, path: Path, seconds: float) -> None:
        partial = path.with_suffix(".partial")
        torch.save(
            {
                "shape": asdict(self.model.shape),
                "weights": self.model.state_dict(),
                "average": self.average,
                "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
                "step": self.step_number,
                "seconds": seconds,
            },
            partial,
        )
        partial.rename(path)

    def restore(self, path: Path) -> float:
        """Goes on from a checkpoint; gives the seconds trained so far."""
        saved = torch.load(path, map_location=self.device)
        self.model.load_state_dict(saved["weights"])
        self.average = saved["average"]
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step_number = saved["step"]
        return float(saved["seconds"])

    @torch.no_grad()
    def begin_with(self, file: Path) -> None:
        """The weights of a file that was exported; what the optimizers knew is lost."""
        parameters = dict(self.model.named_parameters())
        for name, weight in weights_of(file, parameters).items():
            parameters[name].copy_(weight)
            self.average[name].copy_(weight)


def average_gradients(model: Decoder) -> None:
    """Over all processes of the run."""
    if not distributed.is_initialized():
        return
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    for gradient, part in zip(gradients, torch.split(flat, [gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient) / distributed.get_world_size())


def agreed(minutes_left: float) -> float:
    """What the first process says, so that all stop at the same step."""
    if not distributed.is_initialized():
        return minutes_left
    said = torch.tensor([minutes_left])
    distributed.broadcast(said, 0)
    return float(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="written every --save-every steps and at the end, SIGTERM included; continued from when it exists",
    )
    parser.add_argument("--begin-with", type=Path, help="a GGUF of this model, where there is no checkpoint yet")
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--save-every", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=4_096, help="a step, padding included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--unknown-only", action="store_true", help="learn only what is not known yet: for a trained model")
    parser.add_argument(
        "--rate", type=float, default=1.0, help="what share of the full rate to begin with; a third for a trained model"
    )
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()

    rank = 0
    if "WORLD_SIZE" in os.environ:
        distributed.init_process_group("gloo")
        rank = distributed.get_rank()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    trainer = Trainer(
        Decoder(Shape(vocabulary=bpe.load().get_vocab_size())), Rates(), options.device, compiled=not options.no_compile
    )
    before = 0.0
    if options.checkpoint.exists():
        before = trainer.restore(options.checkpoint)
    elif options.begin_with:
        trainer.begin_with(options.begin_with)
    shards = Shards(options.data, options.tokens, random.Random(f"{options.seed}/{trainer.step_number}/{rank}"), [], set())
    began = time.monotonic()
    recent: list[float] = []
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    for inputs, targets in shards.unknown_batches(trainer.unknown) if options.unknown_only else shards.batches():
        left = agreed(0.0 if stopped.is_set() else options.minutes - (time.monotonic() - began) / 60)
        if left <= 0:
            break
        recent.append(trainer.step(inputs, targets, options.rate * left / options.minutes))
        if rank == 0 and trainer.step_number % 20 == 0:
            passed = time.monotonic() - began
            print(
                json.dumps(
                    {
                        "step": trainer.step_number,
                        "loss": round(sum(recent) / len(recent), 4),
                        "seconds": round(before + passed),
                        "minutes_left": round(left, 1),
                    }
                ),
                flush=True,
            )
            recent.clear()
        if rank == 0 and trainer.step_number % options.save_every == 0:
            trainer.save(options.checkpoint, before + time.monotonic() - began)
    if rank == 0:
        trainer.save(options.checkpoint, before + time.monotonic() - began)


if __name__ == "__main__":
    main()

"""Writes the training data: a tokenizer (once) and shards of tokenised conversations with a mask of what is to be learned.

Shard n of a seed is always the same bytes, whatever the number of processes.
"""

import argparse
import multiprocessing
import random
from pathlib import Path

import numpy
from numpy.typing import NDArray
from tokenizers import Tokenizer

import tokenizer as bpe
from corpus import lexicon, values
from corpus.draw import Draw
from corpus.families import registry
from corpus.messages import END, START, chat, rendered
from corpus.mix import conversation

SHARD = 5_000
LONGEST = 1024


def content() -> list[str]:
    """What questions are about: to be spelled, never to be a token."""
    draw = Draw(random.Random("vocabulary"), "train")
    return [
        *(lexicon.WORDS + lexicon.FIRST_NAMES + lexicon.LAST_NAMES + lexicon.CITIES + lexicon.COUNTRIES + lexicon.ADVERBS),
        *(lexicon.TOPIC_HEADS + lexicon.TOPIC_TAILS + registry.THINGS + registry.COLLECTIONS + registry.CREATIONS),
        *(registry.MESSAGES + registry.DEVICES + registry.ROOMS + registry.STATES + registry.CURRENCIES + registry.KEYS),
        *registry.DAYS,
        *(values.invented(draw) for _ in range(1_000)),
    ]


def text_of(seed: str) -> str:
    made = conversation(seed, "train")
    return rendered(chat(made)[0], made.tools)


def example(seed: str, encoder: Tokenizer) -> tuple[list[int], list[bool]] | None:
    """Tokens and mask of one conversation, or None where it is too long."""
    made = conversation(seed, "train")
    messages, learned = chat(made)
    tokens = encoder.encode(rendered(messages, made.tools).rstrip("\n")).ids
    if len(tokens) > LONGEST:
        return None
    assistant = [flag for flag, message in zip(learned, messages, strict=True) if message["role"] == "assistant"]
    return tokens, mask_of(tokens, assistant, encoder)


def mask_of(tokens: list[int], learned: list[bool], encoder: Tokenizer) -> list[bool]:
    """True for each token that an assistant message worth learning consists of, its end included."""
    (start,), (end,) = encoder.encode(START).ids, encoder.encode(END).ids
    header = encoder.encode(f"{START}assistant\n").ids
    mask = [False] * len(tokens)
    wanted = iter(learned)
    place = 0
    while place < len(tokens):
        if tokens[place] == start and tokens[place : place + len(header)] == header:
            place += len(header)
            worth = next(wanted)
            stop = tokens.index(end, place)
            mask[place : stop + 1] = [worth] * (stop + 1 - place)
            place = stop
        place += 1
    return mask


def write_shard(job: tuple[str, int, Path]) -> Path:
    seed, number, folder = job
    path = folder / f"{seed}-{number:04}.npz"
    if path.exists():
        return path
    encoder = bpe.load()
    made = [one for place in range(SHARD) if (one := example(f"{seed}/{number}/{place}", encoder))]
    tokens: NDArray[numpy.uint16] = numpy.concatenate([numpy.array(ids, dtype=numpy.uint16) for ids, _ in made])
    masks: NDArray[numpy.bool_] = numpy.concatenate([numpy.array(mask, dtype=numpy.bool_) for _, mask in made])
    lengths = numpy.array([len(ids) for ids, _ in made], dtype=numpy.int32)
    partial = path.with_suffix(".partial.npz")
    numpy.savez(partial, tokens=tokens, masks=masks, lengths=lengths)
    partial.rename(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", default="paddock")
    parser.add_argument("--shards", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if not bpe.FILE.exists():
        bpe.train((text_of(f"vocabulary/{place}") for place in range(8_000)), content()).save(str(bpe.FILE))
    jobs = [(options.seed, number, options.folder) for number in range(options.shards)]
    with multiprocessing.Pool(options.processes) as pool:
        for path in pool.imap_unordered(write_shard, jobs):
            print(path, flush=True)


if __name__ == "__main__":
    main()

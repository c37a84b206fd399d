"""Byte-level BPE of 768 tokens that keeps unseen words copyable.

llama.cpp splits text the way of its `deepseek-coder` pre-tokenizer (digits one by one, no English contractions). Letters never
merge with what stands beside them, so a word is the same tokens in a sentence and in quotes; only 90 frequent words
also have a token with their leading space, added after all other merges.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

FILE = Path(__file__).parent / "tokenizer.json"
SIZE = 768
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VISIBLE = ("<tool_call>", "</tool_call>")
SPACED_WORDS = 90
SPACE = "Ġ"
PRE_TOKENIZER = "deepseek-coder"


def train(texts: Iterable[str]) -> Tokenizer:
    kept = list(texts)
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pieces(r"\p{L}+|\p{P}+|[^\p{L}\p{P}]")
    letters = pre_tokenizers.ByteLevel.alphabet()
    size = SIZE - len(CONTROL) - len(VISIBLE) - SPACED_WORDS
    core.train_from_iterator(
        (plain(text) for text in kept), trainers.BpeTrainer(vocab_size=size, initial_alphabet=letters, show_progress=False)
    )
    model = json.loads(core.to_str())["model"]
    return assembled(model["vocab"], [tuple(merge) for merge in model["merges"]], spaced(kept, set(model["vocab"])))


def assembled(vocabulary: dict[str, int], merges: list[tuple[str, str]], words: list[str]) -> Tokenizer:
    ids = {token: place for place, token in enumerate(sorted(vocabulary, key=lambda token: vocabulary[token]))}
    for word in words:
        ids[SPACE + word] = len(ids)
        merges.append((SPACE, word))
    tokenizer = Tokenizer(models.BPE(vocab=ids, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in (r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"\p{N}")]
        + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*CONTROL, *VISIBLE)])
    return tokenizer


def pieces(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def plain(text: str) -> str:
    for token in (*CONTROL, *VISIBLE):
        text = text.replace(token, "\n")
    return text


def spaced(texts: list[str], tokens: set[str]) -> list[str]:
    """The words most often written after a space, of those that are one token already."""
    counts = Counter(
        word
        for text in texts
        for word in plain(text).replace("\n", " ").split(" ")
        if word in tokens and word.isalpha() and (len(word) > 1 or word in "aI")
    )
    return [word for word, _ in counts.most_common(SPACED_WORDS)]


def load() -> Tokenizer:
    return Tokenizer.from_file(str(FILE))

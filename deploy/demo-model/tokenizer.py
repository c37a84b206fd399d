"""The vocabulary: words of our wordings, numbers of up to three digits, and chunks of two or three letters for everything else.

llama.cpp splits text the way of its `llama-bpe` pre-tokenizer; a piece that is in the vocabulary is one token, any other is put
together by merges of letters alone. So what questions are about (words of the lexicon, of the registry, numbers) is the same
tokens wherever it stands, after a space or in quotes, and copying it is copying tokens.
"""

import json
import re
import string
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

FILE = Path(__file__).parent / "tokenizer.json"
SIZE = 3072
CHUNKS, CHUNK_LETTERS = 400, 3
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
VISIBLE = ("<tool_call>", "</tool_call>")
PRE_TOKENIZER = "llama-bpe"
PIECE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LEAST = 10  # times that a piece is met
COMMON = set(
    "code user python answer question questions list count letter letters number numbers time name text value result results "
    "computer teacher calculator statistics colleague history day days week weeks date year word words price files".split()
)


def train(texts: Iterable[str], content: list[str]) -> Tokenizer:
    """The pieces most often met, of those that are no content."""
    barred = {word.lower() for text in content for word in re.findall(r"[^\W\d_]+", text)} - COMMON
    specials = re.compile("|".join(re.escape(token) for token in (*CONTROL, *VISIBLE)))
    split, spelling = (
        pre_tokenizers.Split(Regex(PIECE), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    )
    counts = Counter(
        piece for text in texts for part in specials.split(text) if part for piece, _ in split.pre_tokenize_str(part)
    )
    words = [piece for piece, count in counts.most_common() if count >= LEAST and worthy(piece, barred)]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = chunks(content)
    numbers = [f"{number:0{digits}}" for digits in (2, 3) for number in range(10**digits)]
    tokens = [
        *letters,
        *("".join(merge) for merge in merges),
        *numbers,
        *(spelling.pre_tokenize_str(word)[0][0] for word in words),
    ]
    room = SIZE - len(CONTROL) - len(VISIBLE)
    vocabulary = {token: place for place, token in enumerate(list(dict.fromkeys(tokens))[:room])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, spelling])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (*CONTROL, *VISIBLE)])
    return tokenizer


def chunks(content: list[str]) -> list[tuple[str, str]]:
    """Merges of small letters."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Split(Regex("[a-z]+"), "removed", invert=True)
    trainer = trainers.BpeTrainer(
        vocab_size=26 + CHUNKS,
        initial_alphabet=list(string.ascii_lowercase),
        max_token_length=CHUNK_LETTERS,
        show_progress=False,
    )
    core.train_from_iterator((text.lower() for text in content), trainer)
    return [tuple(merge) for merge in json.loads(core.to_str())["model"]["merges"]]


def worthy(piece: str, barred: set[str]) -> bool:
    letters = re.sub(r"[\W\d_]", "", piece).lower()
    if len(piece) < 2 or re.search(r"\d", piece) or letters in barred:
        return False
    return len(letters) != 1 or letters in "ain" or piece in ("'s", "'t", "'m", "'d")


def load() -> Tokenizer:
    return Tokenizer.from_file(str(FILE))

"""A run of 20 steps with a checkpoint every 10, as a program that can be killed."""

import os
import signal
import sys
from pathlib import Path

import torch
from train_corpora import TINY, documents

from datatools.train.data import PackedText
from datatools.train.loop import LoopConfig, run_loop
from datatools.train.model import new_decoder
from datatools.train.tasks import NextTokenTask
from datatools.train.tokenizer import train_tokenizer

CONFIG = LoopConfig(steps=20, learning_rate=0.01, checkpoint_every=10, threads=1)


def make_task(*, seed=0, documents_used=60):
    texts = [text for text, _ in documents(documents_used)]
    tokenizer = train_tokenizer(texts, vocabulary=TINY.vocabulary)
    rows = PackedText.pack(tokenizer.encode(texts), context=TINY.context, end=tokenizer.end_of_text)
    ids = [f"d{number}" for number in range(len(texts))]
    decoder = new_decoder(TINY, seed=seed, device=torch.device("cpu"))
    return NextTokenTask(decoder, rows, 4, seed, ids)


def main(folder, kill_after):
    def progress(done, _end):
        if done == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    run_loop(
        make_task(),
        CONFIG,
        log=folder / "log.jsonl",
        checkpoints=folder / "checkpoints",
        progress=progress,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

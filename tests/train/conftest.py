import pytest
import torch
import train_corpora

from datatools.train.model import new_decoder
from datatools.train.tokenizer import train_tokenizer


@pytest.fixture(autouse=True)
def one_thread():
    """The tests share the machine; two threads that wait for each other are slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer():
    texts = [text for text, _ in train_corpora.documents()]
    answers = [turn["content"] for turns in train_corpora.conversations() for turn in turns]
    return train_tokenizer(texts, answers, vocabulary=train_corpora.TINY.vocabulary)


@pytest.fixture
def decoder():
    """A model with random weights everywhere, so that every part of it shows in its output."""
    model = new_decoder(train_corpora.TINY, seed=1, device=torch.device("cpu"))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.1)
    return model

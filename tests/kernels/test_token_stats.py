from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.english_tokens import english_tokens
from datatools.kernels.token_stats import COUNTS, token_stats
from datatools.kernels.words import whitespace_tokens

PUNCTUATION = ".,!?…#()·"
STOPS = ("the", "나는", "k", "ας", "a", "'s")


def slow_stats(tokens, fold):
    words = [token for token in tokens if set(token) - set(PUNCTUATION)]
    stops = [one for one in (t.lower() if fold else t for t in tokens) if one in STOPS]
    return {
        "tokens": len(tokens),
        "words": len(words),
        "word_chars": sum(map(len, words)),
        "alpha_tokens": sum(any(map(str.isalpha, token)) for token in tokens),
        "stop_words": len(set(stops)),
        "stop_tokens": len(stops),
    }


@given(st.data(), st.booleans(), st.booleans())
def test_counts_equal_those_of_plain_python(buffers, any_text, data, fold, english):
    texts = data.draw(st.lists(any_text, max_size=4))
    cutter = english_tokens if english else whitespace_tokens
    tokens = cutter(*buffers(texts))
    stats = token_stats(
        *buffers(texts), tokens, punctuation=PUNCTUATION, stop_words=STOPS, fold=fold
    )
    assert tuple(stats) == COUNTS
    for row, text in enumerate(texts):
        raw = text.encode()
        bounds = tokens.bounds[tokens.rows[row] : tokens.rows[row + 1]].tolist()
        spelled = [raw[start:end].decode() for start, end, _ in bounds]
        assert english or spelled == text.split()
        assert {name: int(stats[name][row]) for name in COUNTS} == slow_stats(spelled, fold)

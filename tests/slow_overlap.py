"""Windows of tokens by plain Python, to compare kernels and steps with.

Written from the words of `kernels.token_windows` and `Decontaminate`, character by character.
"""

import functools
import re
import unicodedata

SINGLE_NAMES = ("HANGUL", "CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO ", "KHMER", "MYANMAR")


@functools.cache
def is_single(letter):
    """Return whether a letter is a token for itself."""
    name = unicodedata.name(letter, "")
    return letter.isalpha() and (name.startswith(SINGLE_NAMES) or "HANGUL" in name)


def tokens(text):
    """Return `(token, length in half words)` of a text."""
    found = []
    for word in re.findall(r"\w+", text.lower()):
        rest = ""
        for letter in word:
            if is_single(letter):
                if rest:
                    found.append((rest, 2))
                found.append((letter, 1))
                rest = ""
            else:
                rest += letter
        if rest:
            found.append((rest, 2))
    return found


def windows(text, size, least):
    """Return `(tokens, start, stop)` of every window, lengths in half words."""
    units = tokens(text)
    total = sum(length for _, length in units)
    if total < size:
        return [(tuple(t for t, _ in units), 0, total)] if total >= least else []
    found = []
    start = 0
    for at, (_, own) in enumerate(units):
        run, stop = [], start
        for token, length in units[at : at + size]:
            run.append(token)
            stop += length
            if stop - start >= size:
                found.append((tuple(run), start, stop))
                break
        start += own
    return found


def places(text, window):
    """Return `(start, stop)` in half words of every place where a window stands in a text."""
    units = tokens(text)
    return [
        (
            sum(length for _, length in units[:at]),
            sum(length for _, length in units[: at + len(window)]),
        )
        for at in range(len(units) - len(window) + 1)
        if tuple(token for token, _ in units[at : at + len(window)]) == window
    ]


def covered(spans):
    """Return how many half words spans cover."""
    return len({at for start, stop in spans for at in range(start, stop)})


def judge(documents, texts, size, least, limit):
    """Return `{(document, text): share of the text}` and `{document: share of it}`.

    Texts that read the same count once, under the number of the first.

    Args:
        documents: The documents.
        texts: The evaluation texts.
        size: Length of a window in half words.
        least: Length of the shortest text.
        limit: Most documents without the whole text that a window may be in; None counts all.
    """
    documents = [unicodedata.normalize("NFC", one) for one in documents]
    distinct = {}
    for number, text in enumerate(texts):
        text = unicodedata.normalize("NFC", text)
        distinct.setdefault(tuple(tokens(text)) or text, (number, text))
    found = []  # (document, text, window, its place in the text, its places in the document)
    for number, text in distinct.values():
        for window, *place in windows(text, size, least):
            for d, document in enumerate(documents):
                spans = places(document, window)
                if spans:
                    found.append((d, number, window, tuple(place), spans))
    lengths = {number: sum(n for _, n in tokens(text)) for number, text in distinct.values()}

    def shares(hits):
        by_pair = {}
        for d, number, _, place, _ in hits:
            by_pair.setdefault((d, number), []).append(place)
        return {pair: covered(spans) / lengths[pair[1]] for pair, spans in by_pair.items()}

    if limit is not None:
        whole = {pair for pair, share in shares(found).items() if share >= 0.9}
        holders, excused = {}, {}
        for d, number, window, *_ in found:
            holders.setdefault(window, set()).add(d)
            if (d, number) in whole:
                excused.setdefault(window, set()).add(d)
        common = {w for w, docs in holders.items() if len(docs - excused.get(w, set())) > limit}
        found = [hit for hit in found if hit[2] not in common]
    by_document = {}
    for d, _, _, _, spans in found:
        by_document.setdefault(d, []).extend(spans)
    own = {d: sum(n for _, n in tokens(documents[d])) for d in by_document}
    return shares(found), {d: covered(spans) / own[d] for d, spans in by_document.items()}

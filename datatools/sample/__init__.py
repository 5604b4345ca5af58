"""A small real crawl for trying everything: made on any machine, with known truth.

`make_sample` writes WARC files of three kinds (the running Python's own documentation; a bilingual
question-and-answer forum; articles among planted defects) and the truth about what was planted.
`heldout` and `heldout_pydoc` are texts that no page of it holds, for judging models. All prose in
Korean and English was written for this project.

Example:
    >>> len(heldout()) > 40
    True
"""

from datatools.sample.content import heldout
from datatools.sample.make import SampleSummary, heldout_pydoc, load_truth, make_sample
from datatools.sample.planted import Planted

__all__ = [
    "Planted",
    "SampleSummary",
    "heldout",
    "heldout_pydoc",
    "load_truth",
    "make_sample",
]

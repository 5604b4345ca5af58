"""An index of every document kept so far, to dedup tomorrow's crawl against.

It persists and grows: `add` commits what a run published, `match` finds for each new document the
most similar one that is there, with its id. It lives in a folder of this machine, or in Redis
through datasketch.
"""

from datatools.dedup_index.history import Addition, State
from datatools.dedup_index.index import Added, DedupIndex, Description

__all__ = ["Added", "Addition", "DedupIndex", "Description", "State"]

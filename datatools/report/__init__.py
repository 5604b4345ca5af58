"""Numbers in, pages out: what a run left on disk, drawn for people.

`build.write_report` writes OUT/report.html; `words.training_lines` says a training result in plain
lines. Reading (`load` and what it calls) and drawing (`charts`, `page`) meet in the frozen results
of `model` only.
"""

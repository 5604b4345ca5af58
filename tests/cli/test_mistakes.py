"""What a user types wrong, and what is told: in words, with the place, never as a traceback."""

from pathlib import Path

import pytest
from calling import write_pipeline


def test_a_wrong_field_is_told_with_file_line_step_field_value_and_nearest_name(
    datatools, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    file, _ = write_pipeline(tmp_path)
    text = file.read_text()
    file.write_text(text.replace("toys:Length", "toys:Length: {minimun: 3}"))
    called = datatools("run", "p.yaml")
    assert called.code == 2
    assert called.err == (
        "error: p.yaml:7 datasets.pages.steps[2].toys:Length.minimun: unknown key "
        "(got 'minimun'). Did you mean 'minimum'?\n"
    )
    file.write_text(text.replace("ExactDedup", "ExactDedop"))
    called = datatools("plan", "p.yaml")
    assert called.code == 2
    assert called.err == (
        "error: p.yaml:8 datasets.pages.steps[3]: unknown step (got 'ExactDedop'). "
        "Did you mean ExactDedup?\n"
    )


READ = """\
name: p
datasets:
  pages:
    steps:
      - {reader}: {{paths: [{path}]}}
run: {{executor: inline}}
output: {output}
"""


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with everything that one can point at by mistake."""
    monkeypatch.chdir(tmp_path)
    write_pipeline(tmp_path)
    Path("folder").mkdir()
    Path("plain.txt").write_text("plain\n")
    Path("rows.jsonl").write_text('{"id": "1", "text": "하나 one"}\n')
    Path("binary.yaml").write_bytes(bytes(range(256)))
    Path("utf16.yaml").write_bytes("name: p\n".encode("utf-16"))
    Path("nul.yaml").write_bytes(b"name: \x00\n")
    Path("empty.yaml").write_text("")
    Path("list.yaml").write_text("- a\n- b\n")
    Path("open.yaml").write_text("name: p\ndatasets: {a: [\n")
    Path("tab.yaml").write_text("name: p\ndatasets:\n\tpages: {}\n")
    Path("twice.yaml").write_text("name: p\nname: q\n")
    Path("tag.yaml").write_text("name: !!python/object/apply:os.system [ls]\n")
    Path("alias.yaml").write_text("name: &a p\noutput: *a\n")
    Path("rows.csv").write_text("id,text\n1,하나 one\n")
    for name, reader, path, output in [
        ("csv", "ReadJsonl", "rows.csv", "out"),
        ("missing", "ReadJsonl", "rws.jsonl", "out"),
        ("a_folder", "ReadJsonl", "folder", "out"),
        ("no_warc", "ReadWarc", "rows.jsonl", "out"),
        ("no_parquet", "ReadParquet", "rows.jsonl", "out"),
        ("in_a_file", "ReadJsonl", "rows.jsonl", "plain.txt/out"),
        ("is_a_file", "ReadJsonl", "rows.jsonl", "plain.txt"),
        ("too_long", "ReadJsonl", "rows.jsonl", "x" * 300),
        ("no_place", "ReadJsonl", "rows.jsonl", "/proc/nowhere/out"),
        ("no_name", "ReadJsonl", "rows.jsonl", '""'),
        ("nul_name", "ReadJsonl", "rows.jsonl", '"a\\0b"'),
    ]:
        text = READ.format(reader=reader, path=path, output=output)
        Path(f"{name}.yaml").write_text(text)
    return tmp_path


# What is typed, how it ends, and what the user reads.
MISTAKES = [
    # pipeline files
    (["run", "p.yml"], 2, "p.yml: there is no such file. Did you mean p.yaml?"),
    (["run", "folder"], 2, "Is a directory. Give the path of a pipeline file, YAML in UTF-8."),
    (["run", "binary.yaml"], 2, "binary.yaml: cannot be read: 'utf-8' codec can't decode"),
    (["run", "utf16.yaml"], 2, "utf16.yaml: cannot be read: 'utf-8' codec can't decode"),
    (["run", "nul.yaml"], 2, "nul.yaml: is not valid YAML: "),
    (["run", "empty.yaml"], 2, "a pipeline is a mapping with `datasets:` (got None)."),
    (["run", "list.yaml"], 2, "list.yaml:1: a pipeline is a mapping with `datasets:`"),
    (["run", "open.yaml"], 2, "open.yaml:3: is not valid YAML: "),
    (["run", "tab.yaml"], 2, "cannot start any token. Indent with spaces, not tabs."),
    (["plan", "twice.yaml"], 2, "twice.yaml:2: has the key 'name' twice."),
    (["plan", "tag.yaml"], 2, "tag.yaml:1: uses the tag "),
    (["plan", "alias.yaml"], 2, "alias.yaml:1: uses an anchor or alias."),
    (["run", "plain.txt"], 2, "plain.txt:1: a pipeline is a mapping"),
    # input
    (["run", "missing.yaml"], 2, "no file matches (got 'rws.jsonl'). Did you mean rows.jsonl?"),
    (["plan", "missing.yaml"], 2, "no file matches (got 'rws.jsonl'). Did you mean rows.jsonl?"),
    (["run", "a_folder.yaml"], 2, "names a folder (got 'folder')."),
    (["run", "no_warc.yaml"], 1, "rows.jsonl: is not a WARC file (got b'"),
    (["run", "no_parquet.yaml"], 1, "ReadJsonl reads JSON Lines"),
    (["run", "csv.yaml"], 1, "rows.csv: is named as CSV, not JSON Lines. Convert it, e.g. with"),
    (["plan", "csv.yaml"], 1, "rows.csv: is named as CSV, not JSON Lines. Convert it, e.g. with"),
    # output
    (["run", "in_a_file.yaml"], 2, "plain.txt/out: cannot be written (got 'Not a directory')."),
    (["plan", "in_a_file.yaml"], 2, "plain.txt/out: cannot be written (got 'Not a directory')."),
    (["run", "is_a_file.yaml"], 2, "plain.txt: cannot be written (got 'File exists')."),
    (["plan", "is_a_file.yaml"], 2, "plain.txt: cannot be written (got 'Not a directory')."),
    (["run", "too_long.yaml"], 2, "cannot be written (got 'File name too long')."),
    (["plan", "too_long.yaml"], 2, "cannot be written (got 'File name too long')."),
    (["run", "no_place.yaml"], 2, "/proc/nowhere/out: cannot be written (got 'No such file"),
    # --set, --only, --limit
    (["run", "p.yaml", "--set", "seed"], 2, "--set seed: has no value. Write --set run.workers=4"),
    (["run", "p.yaml", "--set", "sede=1"], 2, "unknown key (got 'sede'). Did you mean 'seed'?"),
    (["run", "p.yaml", "--set", "run=3"], 2, "p.yaml:14 run: run is a mapping (got 3)."),
    (
        ["run", "p.yaml", "--set", "run.workers=two"],
        2,
        "p.yaml:14 run.workers: must be a whole number (got 'two').",
    ),
    (["run", "p.yaml", "--set", "run.workers=[1"], 2, "--set run.workers:1: is not valid YAML: "),
    (["run", "p.yaml", "--set", "datasets.pages.steps.9.X=1"], 2, "there is no 9 on the way."),
    (["run", "p.yaml", "--set", "=1"], 2, "unknown key (got '')."),
    (["run", "p.yaml", "--set"], 2, "Option '--set' requires an argument."),
    (
        ["run", "p.yaml", "--only", "page"],
        2,
        "--only: there is no such dataset (got 'page'). Did you mean 'pages'?",
    ),
    (["run", "p.yaml", "--limit", "0"], 2, "Invalid value for '--limit': 0 is not in the range"),
    (["run", "p.yaml", "--limit", "ten"], 2, "Invalid value for '--limit': 'ten' is not a valid"),
    # outputs
    (["verify", "nowhere"], 1, "nowhere: is not a folder. Give the `output:` of a pipeline."),
    (["verify", "plain.txt"], 1, "plain.txt: is not a folder."),
    (["verify", "folder"], 1, "folder: holds no published dataset (no */manifest.json)."),
    (["verify", "x" * 300], 1, "cannot be read or written (got 'File name too long')."),
    (["explain", "folder", "an-id"], 1, "folder: holds no published dataset"),
    (["explain", "folder"], 2, "Missing argument 'RECORD'."),
    (["status", "nowhere"], 1, "nowhere: no run has written here."),
    (["gc", "nowhere"], 1, "nowhere: has no cache."),
    (["gc", "folder", "--limit", "much"], 2, "--limit: must be a size such as 4GB or 512MiB"),
    (["inspect", "folder"], 1, "folder: is not a published dataset: it has no manifest.json."),
    (["inspect", "plain.txt"], 1, "plain.txt: is not a published dataset: it has no"),
    (["report", "folder"], 1, "folder: holds no published dataset"),
    (["compare", "folder", "folder"], 2, "BEFORE and AFTER: are one dataset (got 'folder')."),
    (["compare", "folder", "nowhere"], 1, "folder: is not a published dataset"),
    (["compare", "folder", "nowhere", "--tier", "huge"], 2, "'huge' is not one of 'smoke', 'cpu'."),
    (["compare", "folder", "nowhere", "--tier", "smok"], 2, "'cpu'. Did you mean 'smoke'?"),
    (["train", "folder", "--size", "nanoo"], 2, "'base'. Did you mean 'nano'?"),
    (["train", "folder"], 1, "folder/pretrain: is not a published dataset"),
    (["sample", "plain.txt"], 2, "Directory 'plain.txt' is a file."),
    (["schema", "p.yaml"], 2, "Got unexpected extra argument (p.yaml)"),
    pytest.param(
        ["run", "no_name.yaml"],
        2,
        "no_name.yaml:7 output: ",
    ),
    pytest.param(
        ["run", "nul_name.yaml"],
        2,
        "nul_name.yaml:7 output: ",
    ),
    pytest.param(
        ["gc", "folder", "--limit", "9" * 400 + "GB"],
        2,
        "--limit: must be a size such as 4GB or 512MiB",
    ),
]


@pytest.mark.usefixtures("workplace")
@pytest.mark.parametrize(
    ("typed", "code", "told"),
    MISTAKES,
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_mistake_is_told_in_words_and_never_as_a_traceback(datatools, typed, code, told):
    called = datatools(*typed)
    assert called.code == code
    assert told in called.err
    assert called.out == ""


# What is typed where there is a finished output, and what the user reads.
MISTAKEN_PLACES = [
    (["verify", "out/pages"], "out/pages: is one dataset, not the output of a pipeline. Give the "),
    (["explain", "out/pages", "0" * 8], "Give the folder above it: out."),
    (["inspect", "out"], "has no manifest.json. It holds some: out/pages, out/words."),
    (["inspect", "out/page"], "has no manifest.json. Did you mean 'out/pages'?"),
    (["inspect", "out/pages", "--split", "trian"], "has no such split (got 'trian'). Did you mean"),
    (
        ["inspect", "out/pages", "--reason", "to_short"],
        "(got 'to_short'). Did you mean 'too_short'?",
    ),
    (["inspect", "out/pages", "--reason", "x"], "no record left for it (got 'x'). Known: asked, "),
    (["compare", "out/pages", "out/wrods"], "has no manifest.json. Did you mean 'out/words'?"),
    (
        ["train", "out"],
        "out/pretrain: is not a published dataset: it has no manifest.json. Known: ",
    ),
]


@pytest.mark.parametrize(
    ("typed", "told"),
    MISTAKEN_PLACES,
    ids=lambda value: " ".join(value) if type(value) is list else "",
)
def test_a_wrong_place_in_an_output_is_told_with_the_right_one(
    datatools, made, monkeypatch, typed, told
):
    monkeypatch.chdir(made[1].parent)
    called = datatools(*typed)
    assert called.code in (1, 2)
    assert told in called.err


def test_a_run_with_quarantined_records_says_how_to_look_at_them(datatools, tmp_path):
    file, output = write_pipeline(tmp_path, 22)
    called = datatools("run", file, "--only", "pages", "--set", "run.on_input_error=fail")
    accepting, shown = called.err.splitlines()[-2:]
    assert shown.startswith(f"To see some of them: datatools inspect {output}/pages --reason ")
    settings = accepting.partition(": ")[2].replace("=0.05", "=1").split()
    assert datatools("run", file, "--only", "pages", *settings).code == 0
    looked = datatools(*shown.partition("datatools ")[2].split())
    assert looked.code == 0
    assert "fate: quarantined" in looked.out

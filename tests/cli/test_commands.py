"""Every command: what it says, how it ends, and that a user's mistake is told, not traced."""

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import polars as pl
import pytest
from calling import PIPELINE, environment, write_pipeline

from datatools.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]

# --------------------------------------------------------------------------------------------------
# What commands there are


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_says_how_it_is_used(datatools, name):
    called = datatools(name, "--help")
    assert called.code == 0
    assert called.out.startswith(f"Usage: datatools {name} [OPTIONS]")
    command = importlib.import_module(f"datatools.cli.{name}_command").command
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts} says nothing of itself"
            assert parameter.opts[0] in called.out


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_is_in_the_docs_with_options_that_it_has(datatools, name):
    row = next(
        line
        for line in (ROOT / "docs/commands.md").read_text().splitlines()
        if line.startswith((f"| `datatools {name} ", f"| `datatools {name}`"))
    )
    called = datatools(name, "--help")
    usage = called.out.splitlines()[0]
    assert re.search(r"`datatools (.*?)`", row)[1] == usage.removeprefix(
        "Usage: datatools "
    ).replace(" [OPTIONS]", "")
    for option in re.findall(r"`(--\w+)`", row):
        assert option in called.out


def test_the_list_of_commands_is_the_help(datatools):
    called = datatools("--help")
    assert called.code == 0
    for name, told in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(told[:40])}", called.out, re.MULTILINE)


def test_the_help_of_every_command_loads_nothing_heavy():
    code = (
        "import sys\n"
        "from datatools.cli.main import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    try:\n"
        "        main([name, '--help'])\n"
        "    except SystemExit as end:\n"
        "        assert not end.code\n"
        "print('LOADED', *sorted({m.partition('.')[0] for m in sys.modules}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "click" in loaded
    heavy = {
        "torch",
        "ray",
        "datasets",
        "polars",
        "pyarrow",
        "numba",
        "trafilatura",
        "transformers",
    }
    assert not loaded & heavy


@pytest.mark.parametrize(
    ("typed", "meant"), [("rnu", "run"), ("verfy", "verify"), ("explian", "explain")]
)
def test_an_unknown_command_is_told_the_nearest_one(datatools, typed, meant):
    called = datatools(typed, "x")
    assert called.code == 2
    assert f"There is no command '{typed}'. Did you mean '{meant}'?" in called.err


def test_an_unknown_command_like_no_other_is_told_without_a_guess(datatools):
    called = datatools("xyzzy")
    assert called.code == 2
    assert "There is no command 'xyzzy'.\n" in called.err


# --------------------------------------------------------------------------------------------------
# Exit codes


def test_a_run_without_problems_exits_0_and_says_what_it_made(datatools, tmp_path):
    file, output = write_pipeline(tmp_path, 22)
    called = datatools("run", file)
    assert called.code == 0
    assert re.search(r"^pages +\d+ document records +\(dropped \d+, quarantined", called.out, re.M)
    assert str(output / "words") in called.out
    assert "pages/ExactDedup" in called.err  # progress is no result
    assert "pages/ExactDedup" not in called.out
    assert (output / "report.html").exists()


def test_a_run_with_problems_publishes_and_exits_1(datatools, tmp_path):
    file, output = write_pipeline(tmp_path, 22)
    called = datatools("run", file, "--only", "pages", "--set", "run.on_input_error=fail")
    assert called.code == 1
    assert "problem: pages: " in called.err
    assert "bad_line 2" in called.err
    assert (output / "pages/manifest.json").exists()


def test_a_wrong_command_line_exits_2_and_makes_nothing(datatools, tmp_path):
    file, output = write_pipeline(tmp_path)
    assert datatools("run", file, "--no-such-option").code == 2
    assert datatools("run", file, "--limit", "0").code == 2
    assert datatools("run").code == 2
    assert datatools("run", file, "--set", "run.wrokers=2").code == 2
    assert not output.exists()


HOLD = """
import sys
from pathlib import Path
from datatools.engine.lock import held
with held(Path(sys.argv[1]), "somebody else"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held_by_another(made):
    output = made[1]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(output)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    yield
    holder.communicate(timeout=20)


@pytest.mark.usefixtures("held_by_another")
def test_an_output_that_another_process_holds_exits_3(datatools, made):
    file, output = made
    for command in (("run", file), ("gc", output)):
        called = datatools(*command)
        assert called.code == 3
        assert called.err == (
            f"error: {output}: another run holds this output (got 'somebody else'). "
            "Wait for it to end, or choose another `output:`.\n"
        )
    # Looking is allowed.
    assert datatools("verify", output).code == 0
    assert datatools("plan", file).code == 0
    assert datatools("status", output).code == 0


SLOW = PIPELINE.replace("      - toys:Upper\n", "      - toys:Slow: {{seconds: 0.1}}\n")


@pytest.mark.parametrize("executor", [pytest.param("inline", marks=pytest.mark.slow), "processes"])
def test_ctrl_c_exits_130_and_the_same_command_goes_on(tmp_path, datatools, executor):
    file, output = write_pipeline(tmp_path, 160, SLOW)
    arguments = ["run", file, "--only", "pages", "--set", f"run.executor={executor}"]
    started = subprocess.Popen(
        [sys.executable, "-m", "datatools.cli.main", *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # a terminal sends the signal to the whole group
    )
    deadline = time.monotonic() + 30
    while len(list(output.glob(".cache/stages/*/*.json"))) < 2:
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.01)
    assert json.loads(datatools("status", output, "--json").out)["state"] == "running"
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=20)
    assert started.returncode == 130, err
    assert out == b""
    assert err.decode().endswith("Stopped. Finished work is kept: run the same command to go on.\n")
    assert b"Traceback" not in err
    assert not (output / "pages/manifest.json").exists()
    status = json.loads(datatools("status", output, "--json").out)
    assert status["state"] == "stopped"
    assert status["done"] < status["tasks"]

    called = datatools(*arguments)
    assert called.code == 0
    done, tasks = re.search(r"pages/ReadLines\+Slow: (\d+) of (\d+) tasks", called.err).groups()
    assert 2 <= int(done) < int(tasks)
    other = [*arguments[:-1], "run.executor=inline", "--set", f"output={tmp_path / 'other'}"]
    assert datatools(*other).code == 0
    assert tree(output / "pages") == tree(tmp_path / "other/pages")


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


# --------------------------------------------------------------------------------------------------
# JSON


def documented(command):
    """Return the keys that docs/commands.md lists for a command: first level, then the rest."""
    section = (ROOT / "docs/commands.md").read_text().partition("## JSON")[2]
    text = re.search(rf"^- `{command}`: (.*?)(?=^- `|\Z)", section, re.MULTILINE | re.DOTALL)[1]
    first = re.sub(r"\([^)]*\)", "", text).partition(".")[0]
    return set(re.findall(r"`(\w+)`", first)), set(re.findall(r"`(\w+)`", text))


def json_of(datatools, *args):
    called = datatools(*args, "--json")
    assert called.code == 0, called.err
    keys, _ = documented(args[0])
    found = json.loads(called.out)
    assert set(found) == keys
    return found


def test_run_prints_its_result_as_json(datatools, made):
    found = json_of(datatools, "run", made[0])
    assert found["ok"] is True
    assert found["stages_run"] == 0
    assert found["stages"] > 5
    assert found["datasets"].keys() == {"pages", "words"}
    assert found["report"] == str(made[1] / "report.html")
    assert found["problems"] == []


def test_plan_prints_its_result_as_json(datatools, made):
    found = json_of(datatools, "plan", made[0])
    _, nested = documented("plan")
    pages, words = found["datasets"]
    assert set(pages) <= nested
    assert pages["segments"] == [
        [["ReadLines", "Upper"], "cached"],
        [["Length"], "cached"],
        [["ExactDedup"], "cached"],
        [["Split"], "cached"],
    ]
    assert words["parents"] == ["pages"]
    assert found["changes"] == []
    assert pages["input_bytes"] == Path(made[0].parent / "a.txt").stat().st_size


def test_plan_forecasts_as_json_when_asked(datatools, made):
    called = datatools("plan", made[0], "--json", "--forecast")
    assert called.code == 0
    found = json.loads(called.out)
    keys, nested = documented("plan")
    assert set(found) == keys | {"forecast"}
    assert set(found["forecast"]) <= nested
    size = (made[0].parent / "a.txt").stat().st_size
    assert found["forecast"]["input_bytes"] == size


def test_status_prints_its_result_as_json(datatools, made):
    found = json_of(datatools, "status", made[1])
    assert (found["pipeline"], found["state"]) == ("toy", "ended")


def test_explain_prints_its_result_as_json(datatools, made):
    fates = pl.read_parquet(made[1] / "pages/sidecar/fates.parquet")
    asked = fates.filter(pl.col("reason") == "too_short")["id"][0]
    found = json_of(datatools, "explain", made[1], asked)
    _, nested = documented("explain")
    (station,) = found["stations"]
    assert set(station) == nested - {"asked", "stations"}
    assert station["rule"] == "characters 2.0 < 3"


def test_verify_prints_exactly_what_its_documentation_says(datatools, made):
    found = json_of(datatools, "verify", made[1])
    assert found["ok"] is True
    assert list(found["datasets"]) == ["pages", "words"]
    for name, dataset in found["datasets"].items():
        assert set(dataset) == {"rows", "shards", "ledger"}
        assert all(set(shard) == {"path", "rows", "bytes", "sha256"} for shard in dataset["shards"])
        ledger = dataset["ledger"]
        assert set(ledger) == {"read", "created", "kept", "dropped", "quarantined"}
        assert ledger["read"] + ledger["created"] == (
            ledger["kept"] + sum(ledger["dropped"].values()) + sum(ledger["quarantined"].values())
        )
        manifest = json.loads((made[1] / name / "manifest.json").read_bytes())
        assert dataset["rows"] == manifest["rows"]
        assert ledger == {key: manifest["ledger"][key] for key in ledger}
        assert dataset["shards"] == [
            {key: shard[key] for key in ("path", "rows", "bytes", "sha256")}
            for shard in manifest["shards"]
        ]


def test_compare_prints_its_verdict_as_json(datatools, made):
    # Two tiny datasets: the verdict is that there is none to give.
    found = json_of(datatools, "compare", made[1] / "pages", made[1] / "words")
    assert found["decision"] == "invalid"
    assert found["headline"]


def test_inspect_prints_records_as_json_lines(datatools, made):
    called = datatools("inspect", made[1] / "pages", "--json", "--rows", "4")
    assert called.code == 0
    records = [json.loads(line) for line in called.out.splitlines()]
    assert len(records) == 4
    assert records == pl.read_parquet(made[1] / "pages/train-*.parquet").head(4).to_dicts()


def test_the_schema_is_the_one_in_the_repository(datatools):
    called = datatools("schema")
    assert called.code == 0
    assert json.loads(called.out) == json.loads((ROOT / "schemas/pipeline.schema.json").read_text())


# --------------------------------------------------------------------------------------------------
# Tampering


def edit_manifest(dataset, change):
    path = dataset / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def flip_a_byte(output):
    path = next((output / "pages").glob("train-*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return f"{path.name}: sha256 is "


def change_a_count(output):
    def change(manifest):
        manifest["ledger"]["dropped"]["too_short"] += 1

    edit_manifest(output / "pages", change)
    return "the ledger says dropped {'asked': 6, 'exact_duplicate': 5, 'too_short': 13}"


def change_a_count_of_a_step(output):
    def change(manifest):
        manifest["steps"][2]["counts"]["dropped"]["too_short"] -= 1

    edit_manifest(output / "pages", change)
    return "Length does not add up: read 42 + created 0 is not kept 30 + dropped 11"


def change_bytes_of_the_input(output):
    def change(manifest):
        manifest["inputs"]["ReadLines"]["consumed"] -= 7

    edit_manifest(output / "pages", change)
    return "ReadLines left 7 bytes of its input unaccounted for"


def take_a_shard_away(output):
    path = next((output / "words").glob("train-*.parquet"))
    path.unlink()
    return f"{path.name} cannot be read: No such file or directory"


def take_a_sidecar_away(output):
    path = next((output / "pages/sidecar").glob("train-*.parquet"))
    path.unlink()
    return f"sidecar/{path.name} cannot be read: No such file or directory"


def rewrite(dataset, relative, frame):
    """Write a file anew and have the manifest agree, as a careful forger would."""
    import hashlib

    path = dataset / relative
    frame.write_parquet(path)
    data = path.read_bytes()

    def change(manifest):
        for entry in [*manifest["shards"], *manifest["files"]]:
            if entry["path"] == relative:
                entry["rows"] = frame.height
                entry["bytes"] = len(data)
                entry["sha256"] = hashlib.sha256(data).hexdigest()

    edit_manifest(dataset, change)


def remove_a_fate(output):
    path = output / "pages/sidecar/fates.parquet"
    fates = pl.read_parquet(path)
    fates.filter(pl.col("id") != fates["id"][0]).write_parquet(path)
    return "sidecar/fates.parquet: "


def remove_a_fate_with_care(output):
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    gone = fates.filter(pl.col("reason") == "too_short")["id"][0]
    rewrite(output / "pages", "sidecar/fates.parquet", fates.filter(pl.col("id") != gone))
    return "the ledger has 12 dropped too_short, the fates 11"


def publish_a_record_twice(output):
    path = next((output / "pages").glob("train-*.parquet"))
    rows = pl.read_parquet(path)
    twice = pl.concat([rows.head(1), rows.head(rows.height - 1)])
    rewrite(output / "pages", path.name, twice)
    return "1 records share an id with another record"


def publish_a_dropped_record(output):
    path = next((output / "pages").glob("train-*.parquet"))
    fates = pl.read_parquet(output / "pages/sidecar/fates.parquet")
    gone = fates.filter(pl.col("reason") == "too_short")["id"][0]
    rows = pl.read_parquet(path)
    first = pl.col("id") == rows["id"][0]
    swapped = rows.with_columns(pl.when(first).then(pl.lit(gone)).otherwise("id").alias("id"))
    rewrite(output / "pages", path.name, swapped)
    return "1 records are both published and gone"


def leave_records_out_of_a_child(output):
    def change(manifest):
        manifest["steps"][0]["counts"]["read"] -= 1
        manifest["steps"][0]["counts"]["dropped"]["expanded"] -= 1
        manifest["ledger"]["read"] -= 1
        manifest["ledger"]["dropped"]["expanded"] -= 1

    edit_manifest(output / "words", change)
    return "read 24 records of the 25 that came in"


def break_a_manifest(output):
    (output / "words/manifest.json").write_text('{"shards": [')
    return "words/manifest.json: is not valid JSON"


def empty_a_manifest(output):
    (output / "words/manifest.json").write_text("{}")
    return "the manifest is not one of datatools: KeyError('shards')"


TAMPERINGS = [
    flip_a_byte,
    change_a_count,
    change_a_count_of_a_step,
    change_bytes_of_the_input,
    take_a_shard_away,
    take_a_sidecar_away,
    remove_a_fate,
    remove_a_fate_with_care,
    publish_a_record_twice,
    publish_a_dropped_record,
    leave_records_out_of_a_child,
    break_a_manifest,
    empty_a_manifest,
]


@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_verify_names_what_was_tampered_with(datatools, copied, tamper):
    assert datatools("verify", copied).code == 0
    told = tamper(copied)
    called = datatools("verify", copied)
    assert called.code == 1
    assert told in called.out
    assert called.out.count("WRONG ") == 1
    as_json = datatools("verify", copied, "--json")
    assert as_json.code == 1
    found = json.loads(as_json.out)
    assert found["ok"] is False
    assert any(
        told in problem for one in found["datasets"].values() for problem in one.get("problems", [])
    )


def test_a_damaged_output_is_mended_as_verify_says(datatools, tmp_path):
    file, output = write_pipeline(tmp_path, 22)
    assert datatools("run", file, "--only", "pages").code == 0
    before = tree(output / "pages")
    shard = next((output / "pages").glob("train-*.parquet"))
    with shard.open("r+b") as stored:  # in place: the cache links the same file
        stored.seek(100)
        stored.write(b"????")
    called = datatools("verify", output)
    assert called.code == 1
    assert "To mend it: `datatools gc --all` on this output, then the run again." in called.err
    assert datatools("gc", output, "--all").code == 0
    assert datatools("run", file, "--only", "pages").code == 0
    assert datatools("verify", output).code == 0
    assert tree(output / "pages") == before


# --------------------------------------------------------------------------------------------------
# Mistakes


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
    Path("twice.yaml").write_text("name: p\nname: q\n")
    Path("tag.yaml").write_text("name: !!python/object/apply:os.system [ls]\n")
    Path("alias.yaml").write_text("name: &a p\noutput: *a\n")
    for name, reader, path, output in [
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
    (["run", "folder"], 2, "folder: cannot be read: "),
    (["run", "binary.yaml"], 2, "binary.yaml: cannot be read: 'utf-8' codec can't decode"),
    (["run", "utf16.yaml"], 2, "utf16.yaml: cannot be read: 'utf-8' codec can't decode"),
    (["run", "nul.yaml"], 2, "nul.yaml: is not valid YAML: "),
    (["run", "empty.yaml"], 2, "a pipeline is a mapping with `datasets:` (got None)."),
    (["run", "list.yaml"], 2, "list.yaml:1: a pipeline is a mapping with `datasets:`"),
    (["run", "open.yaml"], 2, "open.yaml:3: is not valid YAML: "),
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
        "p.yaml:14 run.workers: must be a valid int",
    ),
    (["run", "p.yaml", "--set", "run.workers=[1"], 2, "--set run.workers:1: is not valid YAML: "),
    (["run", "p.yaml", "--set", "datasets.pages.steps.9.X=1"], 2, "there is no 9 on the way."),
    (["run", "p.yaml", "--set", "=1"], 2, "unknown key (got '')."),
    (["run", "p.yaml", "--set"], 2, "Option '--set' requires an argument."),
    (["run", "p.yaml", "--only", "page"], 2, "--only: there is no such dataset (got 'page')."),
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
    (["inspect", "plain.txt"], 2, "Directory 'plain.txt' is a file."),
    (["report", "folder"], 1, "folder: holds no published dataset"),
    (["compare", "folder", "folder"], 2, "BEFORE and AFTER: are one dataset (got 'folder')."),
    (["compare", "folder", "nowhere"], 1, "folder: is not a published dataset"),
    (["compare", "folder", "nowhere", "--tier", "huge"], 2, "'huge' is not one of 'smoke', 'cpu'."),
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


# What is damaged, what is called on it, and what the user reads.
DAMAGES = [
    ("pages/train-*.parquet", ["explain", "copied", "0" * 8], "pages/train"),
    ("pages/train-*.parquet", ["inspect", "copied/pages"], "should be "),
    (
        "pages/sidecar/fates.parquet",
        ["explain", "copied", "0" * 8],
        "sidecar/fates.parquet: cannot",
    ),
    ("pages/sidecar/fates.parquet", ["inspect", "copied/pages", "--reason", "x"], "cannot be read"),
    ("pages/manifest.json", ["explain", "copied", "0" * 8], "manifest.json: is not valid JSON"),
    ("pages/manifest.json", ["inspect", "copied/pages"], "manifest.json: is not JSON"),
    (".cache/status.json", ["status", "copied"], "copied"),
    ("pages/sidecar/fates.parquet", ["report", "copied"], "fates.parquet"),
]


@pytest.mark.parametrize("damage", ["cut off", "gone"])
@pytest.mark.parametrize(("pattern", "typed", "told"), DAMAGES)
def test_a_damaged_output_is_told_in_words(
    datatools, copied, monkeypatch, pattern, typed, told, damage
):
    monkeypatch.chdir(copied.parent)
    (path, *_) = copied.glob(pattern)
    if damage == "gone":
        path.unlink()
        told = "copied"
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    called = datatools(*typed)
    assert called.code == 1
    assert called.err.startswith("error: ")
    assert told in called.err


@pytest.mark.parametrize("content", ["{}", "[]", '{"shards": 3, "from": 3}', "null"])
def test_a_manifest_of_another_program_is_told_in_words(datatools, copied, content):
    (copied / "pages/manifest.json").write_text(content)
    for typed in (["explain", copied, "0" * 8], ["inspect", copied / "pages"], ["verify", copied]):
        called = datatools(*typed)
        assert called.code == 1
        assert "manifest" in called.err + called.out

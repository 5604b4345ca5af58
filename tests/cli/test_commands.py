"""Every command: what it says of itself, how it ends, and what it prints as JSON."""

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
from calling import PIPELINE, environment, tree, write_pipeline

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


def test_every_option_that_the_docs_name_with_a_command_is_one_of_it():
    found = 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for name, rest in re.findall(r"datatools (\w+)([^`|#\n]*)", page.read_text()):
            if name not in COMMANDS:
                continue
            command = importlib.import_module(f"datatools.cli.{name}_command").command
            # `datatools index add …`: the options are the subcommand's.
            command = getattr(command, "commands", {}).get((rest.split() or [""])[0], command)
            known = {opt for parameter in command.params for opt in parameter.opts} | {"--help"}
            named = set(re.findall(r"--[\w-]+", rest))
            assert named <= known, f"{page.name}: datatools {name}{rest}"
            found += len(named)
    assert found


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
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True
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
    assert f"output  {output}\n" in called.out
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
    holder.communicate(timeout=120)


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
    deadline = time.monotonic() + 120
    while len(list(output.glob(".cache/stages/*/*.json"))) < 2:
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.01)
    assert json.loads(datatools("status", output, "--json").out)["state"] == "running"
    os.killpg(started.pid, signal.SIGINT)
    out, err = started.communicate(timeout=120)
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
    assert pages["published"] == words["published"] == "cached"
    (report,) = found["conclusions"]
    assert set(report) <= nested
    assert (report["name"], report["state"]) == ("report", "cached") or report["why"]
    assert found["changes"] == []
    assert pages["input_bytes"] == Path(made[0].parent / "a.txt").stat().st_size


def test_plan_forecasts_as_json_when_asked(datatools, made):
    called = datatools("plan", made[0], "--json", "--forecast")
    assert called.code == 0
    found = json.loads(called.out)
    keys, nested = documented("plan")
    assert set(found) == keys | {"forecast"}
    assert set(found["forecast"]) <= nested
    assert found["forecast"]["conclusions"] == []
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

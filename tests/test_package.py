"""What no file may hold: calls that run code from data, and the places of one machine."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "datatools"
SOURCES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = ["benchmarks", "datatools", "docs", "pipelines", "schemas", "tests"]
GENERATED = {"__pycache__", "out", "samples"}

# --------------------------------------------------------------------------------------------------
# Nothing in the data runs code

BANNED = {
    "eval",
    "exec",
    "cloudpickle.load",
    "cloudpickle.loads",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "os.popen",
    "os.system",
    "pandas.read_pickle",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "runpy.run_module",
    "runpy.run_path",
    "shelve.open",
    "subprocess.getoutput",
    "torch.load",
    "yaml.full_load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
}
BANNED_METHODS = {"extractall", "read_pickle"}
BANNED_KEYWORDS = {"shell", "trust_remote_code", "allow_pickle"}

# Processes of ours tell each other things over private pipes; each file does so in one place.
PICKLES_BETWEEN_PROCESSES = {
    "engine/executors/worker.py": 1,
    "engine/executors/ray.py": 1,
    "fence.py": 1,
}


def dotted(node):
    """Return `a.b.c` of a name or attribute, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def banned_calls(source):
    """Return `(line, what)` of every call in a source text that could run code from data."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = (dotted(node.func) or "").partition(".")
        name = names.get(first, first) + dot + rest
        made_here = node.args and (
            isinstance(node.args[0], ast.Call) and dotted(node.args[0].func) == "pickle.dumps"
        )
        if name in BANNED and not (name == "pickle.loads" and made_here):
            found.append((node.lineno, name))
        if isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_METHODS:
            found.append((node.lineno, node.func.attr))
        for keyword in node.keywords:
            off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
            if keyword.arg in BANNED_KEYWORDS and not off:
                found.append((node.lineno, f"{keyword.arg}="))
    return found


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("eval(x)", "eval"),
        ("exec(x)", "exec"),
        ("import pickle\npickle.loads(x)", "pickle.loads"),
        ("import pickle as p\np.load(x)", "pickle.load"),
        ("from pickle import loads as l\nl(x)", "pickle.loads"),
        ("import yaml\nyaml.load(x, Loader=yaml.SafeLoader)", "yaml.load"),
        ("import torch\ntorch.load(x, weights_only=True)", "torch.load"),
        ("import subprocess\nsubprocess.run(x, shell=True)", "shell="),
        ("tarfile.open(x).extractall(y)", "extractall"),
        ("load_dataset(x, trust_remote_code=True)", "trust_remote_code="),
        ("import os\nos.system(x)", "os.system"),
        ("np.load(x, allow_pickle=flag)", "allow_pickle="),
    ],
)
def test_a_banned_call_is_found(source, what):
    assert what in [name for _, name in banned_calls(source)]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.loads(pickle.dumps(x))",
        "pl.col('a').list.eval(x)",
        "subprocess.run(x, shell=False)",
        "model.eval()",
        "import yaml\nyaml.parse(x)",
    ],
)
def test_a_harmless_call_is_let_through(source):
    assert banned_calls(source) == []


def test_nothing_in_the_package_can_run_code_from_data():
    assert len(SOURCES) > 100
    found = {}
    for path in SOURCES:
        relative = path.relative_to(PACKAGE).as_posix()
        calls = banned_calls(path.read_text(encoding="utf-8"))
        if relative in PICKLES_BETWEEN_PROCESSES:
            between = [call for call in calls if call[1] == "pickle.loads"]
            assert len(between) == PICKLES_BETWEEN_PROCESSES[relative], relative
            calls = [call for call in calls if call not in between]
        if calls:
            found[relative] = calls
    assert found == {}


# --------------------------------------------------------------------------------------------------
# The project speaks of no machine


def texts():
    """Yield every text file of the project with its text."""
    files = [path for path in ROOT.iterdir() if path.is_file()]
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(files):
        parts = path.relative_to(ROOT).parts
        if GENERATED & set(parts) or any(part.startswith(".") for part in parts):
            continue
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


TEXTS = [(path, text) for path, text in texts() if path != Path(__file__).resolve()]
REGISTRIES = re.compile(
    r"py[p]i\.org|py[p]i\.python\.org|python[h]osted\.org|download\.pytorch\.org|anaconda\.(org|com)"
    r"|registry\.n[p]mjs|crates\.io|rubygems\.org|docker\.io|ghcr\.io|proxy\.golang\.org"
)
HOME = re.compile(r"(?<![\w.:/<*-])/(?:home|root|Users|work|mnt|workspace|srv|data)/[\w.-]+")


def test_there_are_texts_to_look_at():
    names = {path.relative_to(ROOT).as_posix() for path, _ in TEXTS}
    assert {"README.md", "Makefile", "pyproject.toml", "datatools/cli/main.py"} <= names
    assert len(names) > 200


def test_no_file_names_a_package_registry():
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in TEXTS
        for match in REGISTRIES.finditer(text)
    ]
    assert found == []


def test_no_file_names_a_folder_of_one_machine():
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in TEXTS
        for match in HOME.finditer(text)
    ]
    assert found == []


def test_a_folder_of_one_machine_would_be_found():
    user = "/ho" + "me/somebody/data"
    assert HOME.search(f"see {user}")
    assert HOME.search(f'"{user}"')
    assert not HOME.search(f"https://example.org{user}")
    assert not HOME.search("tests/data/a.txt")


def test_the_version_is_one_and_the_same():
    import tomllib

    import datatools

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == datatools.__version__


def test_the_package_loads_without_what_is_heavy():
    import subprocess
    import sys

    code = (
        "import sys, datatools; from datatools import load_pipeline, steps; "
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=180, check=True
    )
    heavy = {"torch", "ray", "datasets", "transformers", "trafilatura"}
    assert not heavy & set(done.stdout.split())

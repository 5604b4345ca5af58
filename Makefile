# Two commands do everything on a fresh machine:
#   make quickstart   installs, makes a sample crawl and runs the main job on it
#   make test         installs and passes the tests
#
# Variables:
#   PYTHON=python3.12                 the interpreter the environment is made with
#   TORCH_FLAGS="--index-url URL"     where pip finds torch, e.g. PyTorch's index of CPU builds; without
#                                     it Linux on x86-64 downloads the CUDA build (several GB)
#   PARALLEL=                         how the tests are spread over processes; nothing is one process
PYTHON ?= python3
VENV ?= .venv
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile
TORCH_FLAGS ?=
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart test check bench install install-dev schemas docs clean

$(VENV)/.core: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) $(TORCH_FLAGS) torch
	$(PIP) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --editable '.[dev,ray,s3]'
	touch $@

install: $(VENV)/.core
install-dev: $(VENV)/.dev

quickstart: $(VENV)/.core
	$(BIN)/datatools sample samples
	$(BIN)/datatools run pipelines/quickstart.yaml
	@echo
	@echo "Look at out/quickstart/report.html; the datasets are beside it."

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q $(PARALLEL)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/datatools schema | diff - schemas/pipeline.schema.json \
		|| { echo "schemas/ is out of date: run make schemas"; exit 1; }
	$(BIN)/python docs/make_reference.py --stdout | diff - docs/steps.md \
		|| { echo "docs/steps.md is out of date: run make docs"; exit 1; }

schemas: $(VENV)/.core
	mkdir -p schemas
	$(BIN)/datatools schema > schemas/pipeline.schema.json

docs: $(VENV)/.core
	$(BIN)/python docs/make_reference.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/end_to_end.py --json
	$(BIN)/python benchmarks/dedup.py --json

clean:
	rm -rf $(VENV) out samples

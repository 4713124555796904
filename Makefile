# Two commands do everything: `make demo` and `make test`. Both make the virtual environment in .venv themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.13

.PHONY: demo test format lint types tests lowest lock bench clean

demo: $(VENV)/.core  ## install the core, estimate the age of a sample portrait, and draw the answer
	$(BIN)/mien predict examples/hopper.jpg --annotate demo --format table
	@echo "annotated picture: demo/hopper.jpg"

test: lint types tests  ## everything that must hold before a change lands

lint: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(VENV)/.dev
	$(BIN)/mypy

tests: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

format: $(VENV)/.dev  ## mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lowest: $(VENV)/.dev  ## does the service work with the oldest versions that pyproject.toml allows?
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/lowest
	$(BIN)/uv pip install --quiet --python $(VENV)/lowest/bin/python --resolution lowest-direct '.[serve]'
	$(VENV)/lowest/bin/python tests/smoke.py examples/hopper.jpg

lock: $(VENV)/.dev  ## pin what the container image installs, with hashes; after a change of pyproject.toml, and now and then
	$(LOCK) --extra serve --extra heif --output-file deploy/requirements.lock pyproject.toml
	echo 'hatchling>=1.27' | $(LOCK) --output-file deploy/build.lock -

bench: $(VENV)/.core  ## time per photo and stage, memory, cold start
	$(BIN)/python benchmarks/pipeline.py

clean:
	rm -rf $(VENV) demo dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mien needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -e '.[train,serve,scale,count,heif,imagenet,dev]'
	@touch $@ $(VENV)/.core

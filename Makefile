# Two commands do everything: `make demo` and `make test`. Both make the virtual environment in .venv themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test format lint types tests bench clean

demo: $(VENV)/.core  ## install the core, estimate the age of a sample portrait, and draw the answer
	@echo "estimating the age of examples/hopper.jpg and drawing the answer"
	@$(BIN)/mien predict examples/hopper.jpg --annotate demo --format table
	@echo "annotated picture: demo/hopper.jpg"

test: lint types tests  ## everything that must hold before a change lands; the first time downloads over 2 GB

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

bench: $(VENV)/.core  ## time per photo and stage, memory, cold start
	$(BIN)/python benchmarks/pipeline.py

clean:
	rm -rf $(VENV) demo dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mien needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "installing mien and what it needs into $(VENV): about 120 MB to download, half a minute or more"
	$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	@echo "installing all extras, torch and Ray among them, into $(VENV): over 2 GB to download, minutes"
	$(PIP) install -e '.[train,serve,scale,count,heif,imagenet,dev]'
	@touch $@ $(VENV)/.core

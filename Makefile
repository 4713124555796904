# Two commands do everything: `make demo` and `make test`. Both make the virtual environment in .venv themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test format lint types tests bench clean web web-modules

demo: $(VENV)/.core  ## install the core, estimate the age of a sample portrait, and draw the answer
	$(BIN)/mien predict examples/hopper.jpg --annotate demo --format table
	@echo "annotated picture: demo/hopper.jpg"

test: lint types tests  ## everything that must hold before a change lands

lint: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check

types: $(VENV)/.dev
	$(BIN)/mypy

tests: $(VENV)/.dev web-modules
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

web: web-modules $(VENV)/.core  ## mien in the browser: modules and npm package in web/dist, a page in dist/web, a wheel of the modules
	@test -d web/dist || { echo "mien in the browser needs Node 20 and npm to be built"; exit 1; }
	$(BIN)/mien web dist/web
	$(PIP) wheel --no-deps --wheel-dir dist ./web

web-modules: $(VENV)/.core  # what the tests of web/ need; they are skipped where there is no npm
	@command -v npm > /dev/null || { echo "no npm: mien in the browser is not built, and its tests are skipped"; exit 0; }; \
		set -e; cd web; \
		test node_modules/.package-lock.json -nt package-lock.json || npm ci --no-audit --no-fund --loglevel=error; \
		npm run --silent build
	@test ! -d web/dist || $(BIN)/python -m mien.web.assets web/dist

format: $(VENV)/.dev  ## mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

bench: $(VENV)/.core  ## time per photo and stage, memory, cold start
	$(BIN)/python benchmarks/pipeline.py

clean:
	rm -rf $(VENV) web/dist web/node_modules web/.test demo dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

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

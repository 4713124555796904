# Two commands do everything: `make demo` and `make test`. Both make the virtual environment in .venv themselves.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

LOCK := UV_CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --universal --python-version 3.13

.PHONY: demo test format lint types tests docs lowest release-check lock bench clean web web-modules

demo: $(VENV)/.core  ## install the core, estimate the age of a sample portrait, and draw the answer
	@echo "estimating the age of examples/hopper.jpg and drawing the answer"
	@$(BIN)/mien predict examples/hopper.jpg --annotate demo --format table
	@echo "annotated picture: demo/hopper.jpg"

test: lint types tests  ## everything that must hold before a change lands; the first time downloads over 2 GB

lint: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/house.py

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
		npm run --silent build; \
		cd examples/react; \
		test node_modules/.package-lock.json -nt package-lock.json || npm ci --no-audit --no-fund --loglevel=error
	@test ! -d web/dist || $(BIN)/python -m mien.web.assets web/dist

format: $(VENV)/.dev  ## mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: $(VENV)/.dev  ## write the generated parts of the documentation anew: API reference, tables of figures
	$(BIN)/python tools/api_reference.py
	$(BIN)/python benchmarks/tables.py

release-check: $(VENV)/.dev  ## build wheel and sdist, install each into an empty environment, run the main job there
	$(BIN)/python tools/release_check.py

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
	rm -rf $(VENV) web/dist web/node_modules web/.test web/examples/react/node_modules web/examples/react/dist web/examples/react/public demo dist build .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mien needs Python 3.11 or newer: make $(MAKECMDGOALS) PYTHON=/path/to/python3"; exit 1; }
	@echo "making a virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	@echo "installing mien and what it needs into $(VENV): about 120 MB to download, half a minute or more"
	$(PIP) install -e .
	@touch $@

$(VENV)/.dev: pyproject.toml .ci/constraints.txt | $(VENV)/bin/python
	@echo "installing all extras, torch and Ray among them, into $(VENV): over 2 GB to download, minutes"
	$(PIP) install -c .ci/constraints.txt -e '.[train,serve,scale,count,heif,imagenet,dev]'
	@touch $@ $(VENV)/.core

# make demo   set up the environment and run the main job on real rows
# make test   install what the tests need, check the style and run them
# make lint   check style and types
# make test-slow   run the tests that take long, most of them on a Ray cluster
# make test-wasm   run the tests of the WebAssembly sandbox alone, which run on macOS too
# make mutation   plant 300 faults drawn by seed 0 and count those noticed, about 5 s for each
#                 (MUTANTS="NUMBER SEED PACKAGE ...": another sample, in these packages alone)
# make test-latest   run the tests in .venv-latest, with the newest version of every package
# make paper-offline   measure the paper's table without a key, into docs/results
#                      (FULL=1: every published length and grid, 10 trials, many hours)
# make paper   the same, and the columns of a model, their price first: needs a key
#              (MODEL=openai:gpt-5.4; YES=1 agrees to the price)
# make docs   build the documentation into site/, warnings being errors
# make coverage   run them again and hold the coverage of src to 90 percent
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The locks hold everything but PyTorch: its build is a matter of the machine, so it is installed by
# its version, and a CPU build that pip finds (or a file given here) saves gigabytes of CUDA.
TORCH ?= torch==2.13.0

MODEL ?= openai:gpt-5.4
PAPER_FLAGS = $(if $(FULL),--full)

# Exactly what a lock lists: --no-deps, so that nothing is resolved and no package of CUDA comes.
INSTALL_LOCKED = $(BIN)/python -m pip install --quiet --no-deps --no-compile --require-hashes -r
# pip would compile on one core; a file that this Python cannot compile is no fault of the install.
# Left out are the tests of packages, and models and algorithms of which few or none are imported:
# three of ten bytes.
LEFT_UNCOMPILED = /tests/|/transformers/models/(?!auto/)|/ray/rllib/|/torch/testing/_internal/
COMPILE_PACKAGES = $(BIN)/python -m compileall -qq -j 0 -x '$(LEFT_UNCOMPILED)' \
	$(VENV)/lib/python*/site-packages || true
INSTALL_PACKAGE = $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LLM-PV needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'

.PHONY: demo paper-offline paper test test-environment test-slow test-wasm mutation test-latest coverage docs lint format clean

$(VENV)/.installed: pyproject.toml requirements-demo.lock
	$(CHECK_PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL_LOCKED) requirements-demo.lock
	$(INSTALL_PACKAGE)
	$(COMPILE_PACKAGES)
	@touch $@

$(VENV)/.all-installed: $(VENV)/.installed requirements.lock
	$(INSTALL_LOCKED) requirements.lock
	$(COMPILE_PACKAGES)
	@touch $@

# After the lock, which holds what PyTorch itself needs.
$(VENV)/.test-installed: $(VENV)/.all-installed
	$(BIN)/python -m pip install --quiet --no-compile "$(TORCH)"
	$(COMPILE_PACKAGES)
	@touch $@

test-environment: $(VENV)/.test-installed

demo: $(VENV)/.installed
	$(BIN)/llm-pv learn examples/first_half_parity.txt
	$(BIN)/llm-pv learn examples/breast_cancer.csv --target diagnosis

paper-offline: $(VENV)/.all-installed
	OMP_NUM_THREADS=1 $(BIN)/llm-pv paper --results docs/results $(PAPER_FLAGS)

paper: $(VENV)/.all-installed
	OMP_NUM_THREADS=1 $(BIN)/llm-pv paper --results docs/results $(PAPER_FLAGS) \
		--model $(MODEL) $(if $(YES),--yes)

# Tests wait for servers and processes a part of their time, so three fit on two cores. Types take a
# minute of both cores and are checked apart, by make lint.
test: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist worksteal

test-wasm: $(VENV)/.all-installed
	$(BIN)/python -m pytest tests/test_sandbox_wasm*.py

mutation: $(VENV)/.test-installed
	$(BIN)/python -m pip install --quiet "mutmut==3.8.1"
	OMP_NUM_THREADS=1 $(BIN)/python scripts/mutation.py $(MUTANTS)

# Not locked, to find what new releases break; `make test-latest TORCH=torch` takes the newest PyTorch.
test-latest:
	$(CHECK_PYTHON)
	rm -rf .venv-latest
	$(PYTHON) -m venv .venv-latest
	.venv-latest/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	.venv-latest/bin/python -m pip install --quiet "$(TORCH)"
	.venv-latest/bin/python -m pip install --quiet --editable ".[all]" --group test
	OMP_NUM_THREADS=1 .venv-latest/bin/python -m pytest -n 2 --dist worksteal --slow

test-slow: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal --slow -m slow

coverage: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --slow -n 2 --dist worksteal --cov --cov-report=term --cov-fail-under=90

docs: $(VENV)/.all-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-latest build dist site .coverage htmlcov

# make lock   pin every package, with hashes, for every platform and Python from 3.11 on; what is
#             pinned and still allowed stays (UPGRADE=--upgrade: the newest of everything)
# make audit   look the locked packages up among the known vulnerabilities
# make release-check   build twice and compare, then install the wheel in an empty environment
TOOLS := build/tools
LOCK = $(TOOLS)/bin/uv pip compile --generate-hashes --universal --python-version 3.11 --quiet \
	--no-annotate --no-strip-extras --custom-compile-command "make lock" $(UPGRADE)
# PyTorch is installed by version; NCCL, which xgboost asks for, is for several GPUs alone.
LEFT_OUT = printf '%s ; python_version < "3"\n' torch nvidia-nccl-cu12 nvidia-nccl-cu13

.PHONY: lock audit release-check

$(TOOLS)/.installed: requirements-release.lock
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-release.lock
	@touch $@

lock: $(TOOLS)/.installed
	$(LOCK) --group release -o requirements-release.lock
	$(LEFT_OUT) | $(LOCK) --override - pyproject.toml --all-extras --group build --group test \
		--group lint --group docs -o requirements.lock
	$(LOCK) pyproject.toml --extra programs --group build -c requirements.lock -o requirements-demo.lock

audit: $(TOOLS)/.installed
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock -r requirements-release.lock

release-check: $(TOOLS)/.installed
	$(TOOLS)/bin/python scripts/check_release.py

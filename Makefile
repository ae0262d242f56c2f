# make demo   set up the environment and run the main job on real rows
# make test   install what the tests need and run them
# make paper-offline   measure the paper's table without a key, into docs/results
#                      (FULL=1: every published length and grid, 10 trials, many hours)
# make paper   the same, and the columns of a model, their price first: needs a key
#              (MODEL=openai:gpt-5; YES=1 agrees to the price)
# make docs   build the documentation into site/, warnings being errors
# make coverage   run them again and hold the coverage of src to 90 percent
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A build of PyTorch for the tests; any other that pip takes will do.
TORCH ?= torch==2.13.0

MODEL ?= openai:gpt-5
PAPER_FLAGS = $(if $(FULL),--full)

.PHONY: demo paper-offline paper test coverage docs lint format clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "LLM-PV needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[programs,parquet,tasks]"
	@touch $@

$(VENV)/.test-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[all]"
	$(BIN)/python -m pip install --quiet --group test --group lint --group docs
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/llm-pv learn examples/first_half_parity.txt
	$(BIN)/llm-pv learn examples/breast_cancer.csv --target diagnosis

$(VENV)/.paper-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable ".[baselines,report]"
	@touch $@

paper-offline: $(VENV)/.paper-installed
	OMP_NUM_THREADS=1 $(BIN)/llm-pv paper --results docs/results $(PAPER_FLAGS)

$(VENV)/.paper-models-installed: $(VENV)/.paper-installed
	$(BIN)/python -m pip install --quiet --editable ".[llm]"
	@touch $@

paper: $(VENV)/.paper-models-installed
	OMP_NUM_THREADS=1 $(BIN)/llm-pv paper --results docs/results $(PAPER_FLAGS) \
		--model $(MODEL) $(if $(YES),--yes)

test: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

coverage: $(VENV)/.test-installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --cov --cov-report=term --cov-fail-under=90

$(VENV)/.docs-installed: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

docs: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lint: $(VENV)/.test-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.test-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist site .coverage htmlcov

# make lock   pin every package of the tests and of a release, with hashes, for every platform
# make locked   set the environment up from the lock, each file checked against its hash
# make audit   look the locked packages up among the known vulnerabilities
# make release-check   build twice and compare, then install the wheel in an empty environment
TOOLS := build/tools
LOCK = $(TOOLS)/bin/uv pip compile --generate-hashes --universal --python-version 3.11 --quiet \
	--no-annotate --custom-compile-command "make lock"

.PHONY: lock locked audit release-check

$(TOOLS)/.installed: requirements-release.lock
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --require-hashes -r requirements-release.lock
	@touch $@

lock: $(TOOLS)/.installed
	$(LOCK) --upgrade --group release -o requirements-release.lock
	echo "$(TORCH)" | $(LOCK) --upgrade - pyproject.toml --all-extras --group test --group lint --group docs -o requirements.lock

locked:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $(VENV)/.installed $(VENV)/.test-installed

audit: $(TOOLS)/.installed
	$(TOOLS)/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock -r requirements-release.lock

release-check: $(TOOLS)/.installed
	$(TOOLS)/bin/python scripts/check_release.py

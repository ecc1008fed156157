# Two commands matter: `make demo` sets everything up and runs the movie application with a simulated world;
# `make test` sets everything up and passes the tests.

PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
PIP_OF := bin/python -m pip install --quiet --disable-pip-version-check --no-input
PIP := $(VENV)/$(PIP_OF)
HOME_FOLDER ?= .flyball/movies
PORT ?= 8082

.PHONY: demo test check bench setup setup-dev lock clean
.DEFAULT_GOAL := demo

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("Flyball needs Python 3.11 or newer, got " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.python
	@echo "installing Flyball into $(VENV) (about half a minute, once)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing the development tools into $(VENV)"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.bench: requirements-bench.lock requirements-peers.lock $(VENV)/.dev
	@echo "installing the peers to compare with into $(VENV) and $(PEERS) (1 GB, a few minutes, once)"
	@$(PIP) --require-hashes -r requirements-bench.lock || echo "not all of them: some comparisons are left out"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/$(PIP_OF) --require-hashes -r requirements-peers.lock || echo "not all of them: some comparisons are left out"
	@touch $@

demo: setup
	@exec $(BIN)/flyball up movies --world --home $(HOME_FOLDER) --port $(PORT)

test: setup-dev
	@$(BIN)/python -m pytest -n 2 $(TESTS)

check: setup-dev
	@scripts/check

bench: $(VENV)/.bench
	@export FLYBALL_PEERS=$(PEERS)/bin/python; \
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: setup-dev
	@scripts/lock

clean:
	@rm -rf $(VENV) $(PEERS) .flyball build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

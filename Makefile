# Two commands matter: `make demo` sets everything up and runs the movie application with a simulated world;
# `make test` sets everything up and passes the tests.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input
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

demo: setup
	@exec $(BIN)/flyball up movies --world --home $(HOME_FOLDER) --port $(PORT)

test: setup-dev
	@$(BIN)/python -m pytest -n 2 $(TESTS)

check: setup-dev
	@scripts/check

bench: setup-dev
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lock: setup-dev
	@scripts/lock

clean:
	@rm -rf $(VENV) .flyball build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

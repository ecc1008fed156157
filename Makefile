# `make` alone says what there is to make.

PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
SERVING_PEERS := .venv-serving-peers
STATISTICS_PEERS := .venv-statistics-peers
MONITORING_PEERS := .venv-monitoring-peers
AUDIT := .venv-audit
CONTRACT := .venv-contract
BIN := $(VENV)/bin
PIP_OF := bin/python -m pip install --quiet --disable-pip-version-check --no-input
PIP := $(VENV)/$(PIP_OF)
HOME_FOLDER ?= .flyball/movies-world
PORT ?= 8082
WORKERS ?= 2

.PHONY: help demo test check engines audit contract bench setup setup-dev lock clean reset-demo
.DEFAULT_GOAL := help

help: ## say what there is to make
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

demo: setup ## set everything up and run the movie service in a simulated world
	@exec $(BIN)/flyball up movies --world --home $(HOME_FOLDER) --port $(PORT)

test: setup-dev ## set everything up and pass the tests
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

check: ## style, types, tests, and the command line from a clean install: what CI runs
	@scripts/check

engines: setup-dev ## on several machines and real servers, which are broken; on a real Kubernetes API server, built once; minutes
	@BUILD=1 scripts/with-balancer scripts/with-kubernetes scripts/with-containers $(BIN)/python -m pytest -v \
		tests/live/test_containers.py tests/live/test_compose.py tests/live/test_kubernetes.py tests/live/test_load_balancer.py
	@$(BIN)/python scripts/several_machines.py faults rolling scale release workers

bench: $(VENV)/.bench ## print the speed of this machine beside that of its peers
	@export PEERS_PYTHON=$(PEERS)/bin/python SERVING_PEERS_PYTHON=$(CURDIR)/$(SERVING_PEERS)/bin/python \
		STATISTICS_PEERS_PYTHON=$(STATISTICS_PEERS)/bin/python MONITORING_PEERS_PYTHON=$(MONITORING_PEERS)/bin/python; \
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

setup: $(VENV)/.runtime ## install Flyball into .venv
setup-dev: $(VENV)/.dev ## install the development tools too

audit: setup-dev $(AUDIT)/.audit ## look for weaknesses in the code, in the wheel's bill of materials and in what is depended on
	@scripts/audit $(AUDIT)/bin

contract: setup-dev $(CONTRACT)/.contract ## hold a running service against its OpenAPI document, and try clients generated from it
	@scripts/contract-check $(CONTRACT)/bin

lock: setup-dev ## write requirements/*.lock anew
	@scripts/lock

clean: ## remove what was installed and built; .flyball, which holds your logs, stays
	@rm -rf $(VENV) $(AUDIT) $(CONTRACT) $(PEERS) $(SERVING_PEERS) $(STATISTICS_PEERS) $(MONITORING_PEERS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

reset-demo: ## remove the state of the demo
	@rm -rf $(HOME_FOLDER)

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit("Flyball needs Python 3.11 or newer, got " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/.python
	@echo "installing Flyball into $(VENV) (about half a minute, once)"
	@$(PIP) --require-hashes -r requirements/runtime.lock
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@echo "installing the development tools into $(VENV)"
	@$(PIP) --require-hashes -r requirements/dev.lock
	@touch $@

$(AUDIT)/.audit: requirements/audit.lock
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/$(PIP_OF) --require-hashes -r requirements/audit.lock
	@touch $@

$(CONTRACT)/.contract: requirements/contract.lock
	@$(PYTHON) -m venv $(CONTRACT)
	@$(CONTRACT)/$(PIP_OF) --require-hashes -r requirements/contract.lock
	@touch $@

$(VENV)/.bench: requirements/bench.lock requirements/peers.lock requirements/serving_peers.lock \
		requirements/statistics_peers.lock requirements/monitoring_peers.lock $(VENV)/.dev
	@echo "installing the peers to compare with into $(VENV), $(PEERS), $(SERVING_PEERS), $(STATISTICS_PEERS) and $(MONITORING_PEERS) (3 GB, a few minutes, once)"
	@$(PIP) --require-hashes -r requirements/bench.lock || echo "not all of them: some comparisons are left out"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/$(PIP_OF) --require-hashes -r requirements/peers.lock || echo "not all of them: some comparisons are left out"
	@$(PYTHON) -m venv $(SERVING_PEERS)
	@$(SERVING_PEERS)/$(PIP_OF) --require-hashes -r requirements/serving_peers.lock || echo "not all of them: some comparisons are left out"
	@$(PYTHON) -m venv $(STATISTICS_PEERS)
	@$(STATISTICS_PEERS)/$(PIP_OF) --require-hashes -r requirements/statistics_peers.lock || echo "not all of them: some comparisons are left out"
	@$(PYTHON) -m venv $(MONITORING_PEERS)
	@$(MONITORING_PEERS)/$(PIP_OF) --require-hashes -r requirements/monitoring_peers.lock || echo "not all of them: some comparisons are left out"
	@touch $@

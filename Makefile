# Credit Hub (信枢). Everything lives in .venv; state lives in var/.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
HUB    := $(BIN)/python run_hub.py
READY  := $(VENV)/.ready
LOG    := $(VENV)/install.log
RIVALS := $(VENV)/rivals/.ready
JOBS   ?= 3
ROWS   ?= 1309000
SOURCES := hub connectors routes transforms config monitoring run_hub.py

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo run test check bench faults docs servers lock clean

help:
	@echo 'make demo    the example city, end to end, then its reconciliation'
	@echo 'make run     the hub and its console, until Ctrl-C'
	@echo 'make check   lint, types, import rules and unit tests (under a minute)'
	@echo 'make test    the whole test suite, with real servers'
	@echo 'make bench   throughput beside a plain SQLite upsert (ROWS=$(ROWS)); spreadsheets, XML, SFTP, stores, databases beside dlt'
	@echo 'make faults  the long run of the tests that kill processes'
	@echo 'make docs    the pages of docs/reference, again from the code'
	@echo 'make clean   remove the environment and caches; state in var/ stays'

# Set up again only when the pinned packages or the project's own description changed.
$(READY): constraints.txt pyproject.toml
	@test -n '$(PYTHON)' || { echo 'Python 3.11 or newer is needed: none was found. Name one with make PYTHON=/path/to/python3.11'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed; $(PYTHON) is older. Name one with make PYTHON=/path/to/python3.11'; exit 1; }
	@test -x $(BIN)/python || { echo 'Setting up: creating the environment in $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@echo 'Setting up: installing pinned packages, each checked by its hash (a minute or two)'
	@$(BIN)/python -m pip install --quiet --require-hashes -r constraints.txt >$(LOG) 2>&1 || { tail -n 25 $(LOG); echo 'Setting up failed; the whole log is $(LOG)'; exit 1; }
	@echo 'Setting up: installing Credit Hub itself'
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e . >>$(LOG) 2>&1 || { tail -n 25 $(LOG); echo 'Setting up failed; the whole log is $(LOG)'; exit 1; }
	@touch $@
	@echo 'Setting up: done'

demo: $(READY)
	@$(HUB) demo --home var/demo

run: $(READY)
	@$(HUB) run

servers:
	@packaging/test-servers.sh
	@packaging/test-corpora.sh

test: $(READY) servers
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(READY)
	@echo 'Checking: lint'
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo 'Checking: types'
	@$(BIN)/mypy --no-error-summary
	@echo 'Checking: import rules'
	@$(BIN)/lint-imports --no-logo 2>&1 | tail -n 12; exit $${PIPESTATUS[0]}
	@echo 'Checking: unit tests'
	@$(BIN)/python -m pytest -q -n $(JOBS) tests/unit tests/architecture

# dlt and connectorx, for the comparison only: in an environment of their own.
$(RIVALS): tests/benchmarks/rivals.txt $(READY)
	@echo 'Setting up: what the benchmarks compare with'
	@test -x $(VENV)/rivals/bin/python || $(PYTHON) -m venv $(VENV)/rivals
	@$(VENV)/rivals/bin/python -m pip install --quiet --require-hashes -r tests/benchmarks/rivals.txt >>$(LOG) 2>&1 || { tail -n 25 $(LOG); exit 1; }
	@touch $@

bench: $(READY) servers $(RIVALS)
	@$(HUB) bench --rows $(ROWS)
	@echo 'Spreadsheets: rows per second into the plain form, 13 columns'
	@$(BIN)/python -m tests.benchmarks.excel_rows
	@echo 'XML: rows per second into the plain form, and memory for one size and ten times it'
	@$(BIN)/python -m tests.benchmarks.xml_rows
	@echo 'SFTP: a file of 300 MB, beside the sftp command of OpenSSH'
	@$(BIN)/python -m tests.benchmarks.sftp_300mb
	@echo 'Stores: new rows and unchanged ones, beside the plain way of each engine'
	@for engine in sqlite postgres maria; do $(BIN)/python -m tests.benchmarks.store_load --engine $$engine --rows $(ROWS); done
	@echo 'Databases: a MariaDB table pulled and checked; MariaDB and CSV into PostgreSQL over RabbitMQ, beside dlt'
	@$(BIN)/python -m tests.benchmarks.databases --rows $(ROWS)

faults: $(READY) servers
	@CREDIT_HUB_FAULTS=long $(BIN)/python -m pytest tests/faults -n $(JOBS) --dist loadfile --timeout 3600 -rP

docs: $(READY)
	@$(BIN)/python -m tests.reference

# Pin again after a change of pyproject.toml; needs uv.
lock:
	@uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade --quiet --output-file constraints.txt

clean:
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build *.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -exec rm -rf {} +

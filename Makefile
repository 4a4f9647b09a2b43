# Everything a developer or a new user needs, on a machine with only Python (3.11 or later) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCKS := dev poolscope sqlalchemy-2.0-newest sqlalchemy-2.0-oldest
OLDER_SQLALCHEMY := $(VENV)/sqlalchemy-2.0-newest $(VENV)/sqlalchemy-2.0-oldest
INSTRUMENTATION_TESTS := tests/unit/instrumentation tests/integration/instrumentation


.PHONY: help setup demo test test-all test-older-sqlalchemy check format lock clean

help: ## Say what each target does
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Make .venv with the locked versions and both distributions

$(READY): requirements/dev.txt instrumentation/pyproject.toml exporter/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("poolscope needs Python 3.11 or later; this is %d.%d: make PYTHON=python3.11 setup" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e instrumentation -e exporter
	@touch $@

demo: setup ## Run the whole story: a leaking app, its database and the exporter; Ctrl-C ends it
	@$(BIN)/poolscope-exporter demo

test: setup test-older-sqlalchemy ## Run every test that needs nothing but PyPI
	$(BIN)/pytest -m "not pgbouncer"

test-all: setup test-older-sqlalchemy ## Run the tests that need a PgBouncer (apt-get install pgbouncer) as well
	$(BIN)/pytest

test-older-sqlalchemy: $(OLDER_SQLALCHEMY) ## Run the instrumentation's tests on SQLAlchemy 2.0
	for folder in $(OLDER_SQLALCHEMY); do \
	  PYTHONPATH=$$folder $(BIN)/pytest $(INSTRUMENTATION_TESTS) || exit 1; done

$(VENV)/sqlalchemy-%: requirements/sqlalchemy-%.txt $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --target $@ --no-deps --require-hashes -r $<
	@touch $@

check: setup ## Lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy instrumentation/src exporter/src tests
	$(BIN)/lint-imports

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: setup ## Lock the versions again, with hashes and without any registry's address
	cd requirements && for name in $(LOCKS); do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command 'make lock' \
	    --no-emit-package poolscope --no-emit-package poolscope-exporter \
	    $$name.in -o $$name.txt || exit 1; done

clean: ## Remove the environment and what the tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

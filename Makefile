# Everything a developer or a new user needs, on a machine with only Python (3.11 or later) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ADOPTERS := django litestar aiohttp template prefect mlflow
LOCKS := dev build exporter poolscope sample-app sqlalchemy-2.0-newest sqlalchemy-2.0-oldest asyncpg-oldest opentelemetry-oldest uvloop frameworks docs-site browser peers $(ADOPTERS:%=adopt-%)
# SQLAlchemy 2.0.0 cannot be imported by Python 3.13 and later.
HAS_OLDEST := $(shell $(PYTHON) -c 'import sys; print(sys.version_info < (3, 13))' 2>/dev/null)
OLDER_SQLALCHEMY := $(VENV)/sqlalchemy-2.0-newest $(if $(filter True,$(HAS_OLDEST)),$(VENV)/sqlalchemy-2.0-oldest)
# Not in dev.txt: uvicorn takes uvloop by itself wherever it is installed. Tests that want it name it.
UVLOOP := $(VENV)/uvloop
FRAMEWORKS := $(VENV)/frameworks
MKDOCS := $(VENV)/docs-site
# Tests of the pages drive the system's Chromium with it.
BROWSER := $(VENV)/browser
AXE := $(VENV)/axe
SITE := $(VENV)/site
OLDEST_ASYNCPG := $(VENV)/asyncpg-oldest
INSTRUMENTATION_TESTS := tests/unit/instrumentation tests/integration/instrumentation tests/conformance
CONFORMANCE := $(VENV)/conformance
FAULTS := $(VENV)/faults.json
SCENARIOS := $(VENV)/scenarios
TIMED := $(VENV)/timed-scenarios
INCIDENT_RECORDS := $(VENV)/incidents
SOAK_S ?= 1800
SCOPE ?= whole
SOAK_DEV_S ?= 600
DEPLOY_TOOLS := $(VENV)/deploy-tools
OPERATOR_MODELS := $(DEPLOY_TOOLS)/operator-models
HELM := helm.sh/helm/v3/cmd/helm@v3.22.0
ACTIONLINT := github.com/rhysd/actionlint/cmd/actionlint@v1.7.7
KUSTOMIZE := sigs.k8s.io/kustomize/kustomize/v5@v5.8.2
VMAGENT := github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@v1.136.23
SENDERS := $(VENV)/senders
SENDER_RECORDS := $(VENV)/sender-records
SENDER_SOURCES := tests/system/senders
MAVEN_COPY := org.apache.maven.plugins:maven-dependency-plugin:3.8.1
JAVA_AGENTS := 2.11.0 2.33.1
FRAMES := $(VENV)/frames
PEERS := $(VENV)/peers/environment
ADOPTION := $(VENV)/adoption
ADOPT = PYTHONPATH=tests:$(PYTHONPATH_OF_GENERATORS) $(BIN)/python -m adoption.play $(ADOPTION)
PYTHONPATH_OF_GENERATORS := alerts:dashboards:generators
GENERATOR := PYTHONPATH=$(PYTHONPATH_OF_GENERATORS) $(BIN)/python -m
# Tests mostly wait for servers, so two workers more than there are processors are not in the way.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 1) + 2)
PYTEST := $(BIN)/pytest -n $(WORKERS)
# The tests start hundreds of processes. Without bytecode on disk, each compiles our modules again.
unexport PYTHONDONTWRITEBYTECODE
# Its traffic is healthy only where the machine has time for it: other tests make callers wait.
SOAK_ALERTS := tests/system/test_soak_alerts.py
# What records its results runs in one process, which writes them when it ends.
PYTEST_ALONE := $(BIN)/pytest

.PHONY: $(shell sed -nE 's/^([a-z-]+):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

##@ Every day

help: ## Say what each target does
	@awk -F ':.*## ' '/^##@ / { printf "%s%s\n", (n++ ? "\n" : ""), substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-22s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with the locked versions and both distributions

$(READY): requirements/dev.txt instrumentation/pyproject.toml exporter/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("poolscope needs Python 3.11 or later; this is %d.%d: make PYTHON=python3.11 setup" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e instrumentation -e exporter
	@touch $@

demo: setup ## Run the whole story: a leaking app, its database and the exporter; Ctrl-C ends it
	@$(BIN)/poolscope-exporter demo

check: setup ## Lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy instrumentation/src exporter/src alerts dashboards generators peers deploy/chart_files.py .ci/commit_subject.py tests
	$(BIN)/lint-imports
	$(GENERATOR) poolscope_generators.prose

prose: setup ## Show what is hard to read in TEXTS, or how readable each group of texts is
	@$(GENERATOR) poolscope_generators.prose $(TEXTS)

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

quick: check ## Check, and run the tests that start no server (4 minutes with the set-up)
	$(PYTEST) tests/unit tests/contract

test: setup $(UVLOOP) $(FRAMEWORKS) ## Run every test that needs nothing but PyPI, on the newest SQLAlchemy (10 minutes)
	$(PYTEST)

clean: ## Remove the environment and what the tools left
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

##@ Generated files

generate: rules docs version ## Write every committed file that follows from the code: rules, docs, version

rules: setup ## Write alert rules, the numbers of runbooks, dashboards, and their copies in deploy/, from alerts/*.toml
	$(GENERATOR) poolscope_alerts
	$(GENERATOR) poolscope_dashboards
	$(BIN)/python deploy/chart_files.py  # copies: neither Helm nor kustomize reads outside of its folder

docs: setup ## Write the generated parts of docs/: settings, thresholds, metrics, guides, scaling out, API
	for table in settings thresholds metrics guides scaling api; do \
	  $(GENERATOR) poolscope_generators.tables.$$table || exit 1; done

docs-site: setup $(MKDOCS) ## Build the documentation as a site with search, in .venv/site/site; a dead link fails
	$(GENERATOR) poolscope_generators.site $(SITE)
	PYTHONPATH=$(MKDOCS) $(BIN)/python -m mkdocs build --quiet --strict --config-file $(SITE)/mkdocs.yml

lock: setup ## Lock the versions again, with hashes and without any registry's address
	cd requirements && for name in $(LOCKS); do \
	  ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command 'make lock' \
	    --no-emit-package poolscope --no-emit-package poolscope-exporter \
	    $$name.in -o $$name.txt || exit 1; done

conformance: setup $(OLDER_SQLALCHEMY) ## Run the conformance suite on every SQLAlchemy and write docs/conformance.md
	rm -rf $(CONFORMANCE) && mkdir $(CONFORMANCE)
	for folder in "" $(OLDER_SQLALCHEMY); do \
	  PYTHONPATH=$$folder CONFORMANCE_RESULTS=$(CONFORMANCE) \
	    $(PYTEST_ALONE) tests/conformance/test_conformance.py || exit 1; done
	$(GENERATOR) poolscope_generators.conformance.document $(CONFORMANCE)

faults: setup ## Break servers and networks, measure how long the exporter is blind, write docs/faults.md
	FAULTS_RESULTS=$(abspath $(FAULTS)) $(PYTEST_ALONE) tests/integration/exporter/test_faults.py \
	  tests/integration/exporter/test_exhaustion.py
	$(GENERATOR) poolscope_generators.faults $(FAULTS)

scenarios: setup ## Show every verdict on PostgreSQL 15, 16, 18 and behind PgBouncer, write docs/scenarios.md
	rm -rf $(SCENARIOS) $(TIMED) && mkdir $(SCENARIOS) $(TIMED)
	SCENARIO_RESULTS=$(SCENARIOS) TIMED_RESULTS=$(TIMED) $(PYTEST_ALONE) \
	  tests/scenarios/test_scenarios.py tests/scenarios/timed/test_holds.py \
	  tests/scenarios/timed/test_cases.py tests/scenarios/timed/test_misplaced.py \
	  tests/scenarios/timed/test_outside.py tests/scenarios/timed/test_owners.py \
	  tests/system/test_oldest_server_scenarios.py \
	  tests/system/test_pooled_scenarios.py tests/system/test_timed_behind_pgbouncer.py
	$(GENERATOR) poolscope_generators.scenarios.document $(SCENARIOS) $(TIMED)

compatibility: setup senders ## Run the senders of other languages and write their table into docs/compatibility.md
	rm -rf $(SENDER_RECORDS) && mkdir -p $(SENDER_RECORDS)
	SENDERS_RESULTS=$(abspath $(SENDER_RECORDS)) $(PYTEST_ALONE) tests/system/test_senders.py
	$(GENERATOR) poolscope_generators.tables.senders $(SENDER_RECORDS)

incidents: setup ## Play nineteen incidents with the shipped alerts, write docs/incidents.md (32 minutes); INCIDENTS names some of them
	$(if $(INCIDENTS),,rm -rf $(INCIDENT_RECORDS))
	mkdir -p $(INCIDENT_RECORDS)
	PYTHONPATH=tests:$(PYTHONPATH_OF_GENERATORS) $(BIN)/python -m incidents.play $(INCIDENT_RECORDS) $(INCIDENTS)
	$(GENERATOR) poolscope_generators.incidents.document $(INCIDENT_RECORDS)

adopt: setup adopters ## Run real applications with and without poolscope, write docs/adoption.md (40 minutes); APPS names some
	$(if $(APPS),,rm -rf $(ADOPTION)/records)
	$(ADOPT) $(ADOPTION)/records $(APPS)
	$(GENERATOR) poolscope_generators.adoption.document $(ADOPTION)/records

adopt-short: setup $(ADOPTION)/django/.ready $(ADOPTION)/litestar/.ready adopted-wheel ## Run Django, Celery and Litestar with and without poolscope (5 minutes)
	rm -rf $(ADOPTION)/short
	$(ADOPT) $(ADOPTION)/short --short
	$(GENERATOR) poolscope_generators.adoption.document $(ADOPTION)/short --check

adopters: $(ADOPTERS:%=$(ADOPTION)/%/.ready) adopted-wheel

incident: setup ## Record the incident that the dashboards are tested and drawn with (15 minutes)
	$(GENERATOR) poolscope_generators.incident.record

told: setup ## Write into docs/incident.md what the recorded incident shows (needs Prometheus)
	$(GENERATOR) poolscope_generators.incident.told

pictures: setup ## Draw the dashboards with Grafana's components from the recorded incident (needs Node, Chromium)
	rm -rf $(FRAMES)
	$(GENERATOR) poolscope_generators.incident.frames $(FRAMES)
	cd generators/render && npm ci && node draw.mjs $(abspath $(FRAMES)) $(abspath docs/pictures)

console-pictures: setup $(BROWSER) $(AXE)/node_modules ## Draw the live pages of docs/console.md from the recorded incident (needs Chromium, npm)
	CONSOLE_PICTURES=$(abspath docs/pictures) $(PYTEST_ALONE) tests/system/test_console.py -k picture

top-picture: setup ## Draw poolscope-exporter top for docs/console.md from the recorded incident
	TOP_PICTURE=$(abspath docs/pictures) $(PYTEST_ALONE) tests/integration/exporter/test_top_picture.py

##@ Slow

test-all: test test-older-sqlalchemy test-older-asyncpg check-deploy test-system ## Run every test, also those that need what .ci/run installs (30 minutes)

test-older-sqlalchemy: setup $(UVLOOP) $(FRAMEWORKS) $(OLDER_SQLALCHEMY) ## Run the instrumentation's tests on SQLAlchemy 2.0
	for folder in $(OLDER_SQLALCHEMY); do \
	  PYTHONPATH=$$folder $(PYTEST) $(INSTRUMENTATION_TESTS) || exit 1; done

test-older-asyncpg: setup $(OLDEST_ASYNCPG) ## Run the tests of asyncpg's pool on the oldest asyncpg that is supported
	PYTHONPATH=$(OLDEST_ASYNCPG) $(PYTEST) -k asyncpg \
	  tests/integration/instrumentation/adapters/test_asyncpg_pool.py tests/conformance/test_conformance.py

test-sqlalchemy: setup $(UVLOOP) $(FRAMEWORKS) ## Run the instrumentation's tests on SQLALCHEMY, whatever pip understands
	rm -rf $(VENV)/sqlalchemy-given
	$(BIN)/pip install --quiet --disable-pip-version-check --target $(VENV)/sqlalchemy-given --no-deps "$(SQLALCHEMY)"
	PYTHONPATH=$(VENV)/sqlalchemy-given $(PYTEST) $(INSTRUMENTATION_TESTS)

test-postgres: setup ## Run the exporter's tests on the PostgreSQL in the folder POSTGRES_PROGRAMS
	POSTGRES_PROGRAMS=$(POSTGRES_PROGRAMS) $(PYTEST) tests/integration/exporter

test-matrix: setup $(UVLOOP) ## Run every version of every counterpart, or ROWS, and write docs/compatibility.md; SCOPE=selected runs fewer tests (hours; needs npm, apt, Go)
	$(GENERATOR) poolscope_generators.matrix.run --rows "$(ROWS)" --scope $(SCOPE) --workers $(WORKERS)

test-matrix-ends: setup ## Run the end of each counterpart that no other target runs, shortly (needs npm, apt)
	$(GENERATOR) poolscope_generators.matrix.run --scope short --rows "$(ROWS)" --workers $(WORKERS)

test-folder: setup $(UVLOOP) $(FRAMEWORKS) ## Run the tests in FOLDER, as a job of CI does
	$(PYTEST) $(FOLDER)

test-system: setup $(if $(shell command -v chromium npm 2>/dev/null),$(BROWSER) $(AXE)/node_modules) ## Run the tests that need servers and tools of Debian's packages
	$(PYTEST) tests/system tests/alerts --ignore=$(SOAK_ALERTS)
	$(PYTEST_ALONE) $(SOAK_ALERTS)

test-long: setup ## Run for minutes what make test runs for seconds: GC pressure, random and hostile input
	GC_PRESSURE_S=30 RANDOM_RUNS=long $(PYTEST_ALONE) \
	  tests/integration/instrumentation/test_gc_pressure.py tests/unit/instrumentation/test_random_runs.py
	POOLSCOPE_FORKS=400 $(PYTEST_ALONE) tests/integration/instrumentation/test_forks_at_first_push.py
	ATTACK_S=600 $(PYTEST_ALONE) -s tests/integration/exporter/test_mixed_attack.py
	HOSTILE_BODIES=1000000 HOSTILE_LABELS=1000000 RANDOM_RUNS=long $(PYTEST_ALONE) -s \
	  tests/unit/exporter/receiver/test_hostile_pushes.py \
	  tests/integration/exporter/receiver/test_hostile_senders.py tests/integration/exporter/test_schema.py

peers: setup $(PEERS)/.ready ## Run the tests of SUITES (default: all) with and without poolscope; PSYCOPG=folder adds psycopg's (25 minutes)
	PYTHONPATH=peers $(BIN)/python -m poolscope_peers.run --suites "$(SUITES)" --psycopg "$(PSYCOPG)"

soak: setup ## Play SOAK_S seconds (default: 1800) of healthy traffic: no diagnosis but healthy, and, where Prometheus is, no alert, no message
	SOAK_S=$(SOAK_S) $(PYTEST_ALONE) $(if $(shell command -v prometheus 2>/dev/null),$(SOAK_ALERTS),tests/scenarios/timed/test_soak.py)

soak-dev: setup ## Play SOAK_DEV_S seconds (default: 600) of the traffic in Python's development mode: looks leave no error and no frame
	SOAK_DEV_S=$(SOAK_DEV_S) $(PYTEST_ALONE) tests/scenarios/timed/test_soak_dev.py

check-deploy: setup deploy-tools ## Render and check what is in deploy/ (needs Go 1.26, npm; Debian's prometheus, prometheus-alertmanager)
	$(PYTEST) tests/deploy

bench: setup $(UVLOOP) $(VENV)/sqlalchemy-2.0-newest ## Measure what the instrumentation costs (minutes, on a quiet machine)
	PYTHONPATH=tests:generators $(BIN)/python -m benchmarks.run $(BENCH_OPTIONS)

bench-looks: setup ## Measure a look at 0, 20 and 200 connections that are out (a minute)
	PYTHONPATH=tests $(BIN)/python -m benchmarks.look_cost

bench-exporter: setup ## Measure the exporter under a fleet of 1,000 processes, and its pages (15 minutes, on a quiet machine)
	PYTHONPATH=tests:generators $(BIN)/python -m benchmarks.exporter $(BENCH_OPTIONS)

deploy-tools: $(DEPLOY_TOOLS)/helm $(DEPLOY_TOOLS)/kustomize $(DEPLOY_TOOLS)/actionlint $(OPERATOR_MODELS)/node_modules ## Build what check-deploy needs; needs Go and npm, takes minutes

collector: ## Build the OpenTelemetry Collector of deploy/collector; needs Go, takes minutes
	GOBIN=$(abspath $(VENV))/go go install go.opentelemetry.io/collector/cmd/builder@v0.150.0
	$(VENV)/go/builder --config deploy/collector/builder.yaml --skip-get-modules --skip-compilation
	cd $(VENV)/collector && go build -mod=mod -trimpath -ldflags '-s -w' -o otelcol-poolscope .

otlp-backend: ## Build a Prometheus with an OTLP receiver, which Debian's has not; needs Go, takes minutes
	cd tests/system/otlp_backend && go build -buildvcs=false -tags remove_all_sd \
	  -o $(abspath $(VENV))/otlp-backend/prometheus github.com/prometheus/prometheus/cmd/prometheus

vmagent: ## Build the vmagent of VictoriaMetrics; needs Go, takes minutes
	GOBIN=$(abspath $(VENV))/vmagent CGO_ENABLED=0 go install -trimpath -ldflags '-s -w' $(VMAGENT)

senders: ## Build the programs of other languages that push here (tests/system/senders); needs Go, npm, Maven, a JDK
	mkdir -p $(SENDERS)/node $(SENDERS)/java/jars $(SENDERS)/java/agents
	cd $(SENDER_SOURCES)/go && go build -buildvcs=false -trimpath -ldflags '-s -w' \
	  -o $(abspath $(SENDERS))/go/sender .
	cp $(SENDER_SOURCES)/node/* $(SENDERS)/node/
	cd $(SENDERS)/node && npm ci --silent --no-audit --no-fund
	cd $(SENDER_SOURCES)/java && mvn -q -B $(MAVEN_COPY):copy-dependencies \
	  -DoutputDirectory=$(abspath $(SENDERS))/java/jars
	for agent in $(JAVA_AGENTS); do \
	  mvn -q -B $(MAVEN_COPY):copy -DoutputDirectory=$(abspath $(SENDERS))/java/agents \
	    -Dartifact=io.opentelemetry.javaagent:opentelemetry-javaagent:$$agent || exit 1; done
	cd $(SENDERS)/java && sha256sum --check --quiet $(abspath $(SENDER_SOURCES))/java/checksums.sha256
	javac -cp '$(SENDERS)/java/jars/*' -d $(SENDERS)/java $(SENDER_SOURCES)/java/Sender.java

##@ Release

version: setup ## Write the version of instrumentation/src/poolscope/version.py everywhere
	$(GENERATOR) poolscope_generators.versions

dist: setup ## Build the wheels and sdists of both distributions into dist/
	rm -rf dist
	for folder in instrumentation exporter; do \
	  $(BIN)/python -m build --no-isolation --outdir dist $$folder || exit 1; done

$(UVLOOP) $(FRAMEWORKS) $(OLDEST_ASYNCPG) $(MKDOCS) $(BROWSER) $(VENV)/sqlalchemy-2.0-newest $(VENV)/sqlalchemy-2.0-oldest: $(VENV)/%: requirements/%.txt $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade --target $@ --no-deps --require-hashes -r $<
	@touch $@

# An environment without poolscope: its plugin for pytest must not be in the bare runs.
$(PEERS)/.ready: requirements/peers.txt
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

$(ADOPTION)/%/.ready: requirements/adopt-%.txt $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(ADOPTION)/$*
	$(BIN)/uv pip install --quiet --python $(ADOPTION)/$*/bin/python --require-hashes -r $<
	@touch $@

# As a user installs it, and anew each time: what is played is what is in this tree.
adopted-wheel: setup
	rm -rf $(ADOPTION)/wheel
	$(BIN)/python -m build --no-isolation --wheel --outdir $(ADOPTION)/wheel instrumentation
	for ready in $(ADOPTION)/*/.ready; do \
	  $(BIN)/uv pip install --quiet --python $${ready%.ready}bin/python --no-deps \
	    --reinstall $(ADOPTION)/wheel/*.whl || exit 1; done

$(DEPLOY_TOOLS)/helm:
	GOBIN=$(abspath $(DEPLOY_TOOLS)) go install $(HELM)

$(DEPLOY_TOOLS)/actionlint:
	GOBIN=$(abspath $(DEPLOY_TOOLS)) go install $(ACTIONLINT)

$(DEPLOY_TOOLS)/kustomize:
	GOBIN=$(abspath $(DEPLOY_TOOLS)) go install $(KUSTOMIZE)

$(AXE)/node_modules: $(wildcard tests/system/accessibility/*)
	mkdir -p $(AXE) && cp tests/system/accessibility/* $(AXE)/
	cd $(AXE) && npm ci --silent --no-audit --no-fund && touch node_modules

$(OPERATOR_MODELS)/node_modules: $(wildcard tests/deploy/operator_models/*)
	mkdir -p $(OPERATOR_MODELS) && cp tests/deploy/operator_models/* $(OPERATOR_MODELS)/
	cd $(OPERATOR_MODELS) && npm ci --silent --no-audit --no-fund && touch node_modules

# Every target does the set-up it needs: a .venv in the checkout, from a lock file.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
NEWEST := $(VENV)-newest

# Each lock file is complete for its purpose, so pip installs it with --no-deps. Without it an older
# pip (23.0 of Debian 12) resolves again what is required with an extra, such as pyjwt[crypto]: it
# takes the newest release, and fails because no hash of that release is in the lock file.
PIP := $(PYTHON) -m pip --python $(BIN)/python
INSTALL := $(PIP) install --quiet --disable-pip-version-check --no-deps --require-hashes -r
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --quiet
# UPGRADE=--upgrade takes the newest of everything, UPGRADE='--upgrade-package NAME' of one package
LOCK := $(BIN)/$(COMPILE) $(UPGRADE)

# What is installed in the .venv: a stamp for each lock file
READY := $(VENV)/.ready
REPORT := $(VENV)/.report
POSTGRES := $(VENV)/.postgres
SANDBOX := $(VENV)/.sandbox
DEV := $(VENV)/.dev
ENGINES := $(VENV)/.engines

# Where the longer tests are
CONFORMANCE := sandbox/tests/conformance
NODE := $(CONFORMANCE)/node
PEERS := $(CONFORMANCE)/third_party
EXTRACTORS := tap-hubspot tap-salesforce meltano-tap-hubspot
VERIFIED := $(PEERS)/.venv/dlt-verified-sources
VERIFIED_AT := 6fe470a0e54e09b065d0f425f967f00a62724ec6
VERIFIED_FROM := https://codeload.github.com/dlt-hub/verified-sources/tar.gz

# `make test` runs what has no mark of these; `make test-all` runs everything
ON_ENGINES := engines or postgres or spark
LONGER := long or sandbox or conformance or $(ON_ENGINES) or install
FAST := -m "not ($(LONGER))" --ignore $(CONFORMANCE)
PYTEST := $(BIN)/python -m pytest
# pytest ends with 5 where it finds no test
OR_NONE := || [ $$? = 5 ]

.DEFAULT_GOAL := help
.PHONY: help setup report postgres demo test test-long test-engines test-install test-all test-newest conformance lint types bench-extract bench-transform bench-sandbox bench-apply bench-startup soak soak-world mutants cassettes schemas lock clean

help:            ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 16

# --clear: what an older lock file brought goes away
$(READY): requirements.lock
	$(PYTHON) -m venv --clear --without-pip $(VENV)
	$(INSTALL) $<
	touch $@

$(REPORT) $(POSTGRES) $(SANDBOX) $(DEV) $(ENGINES): $(VENV)/.%: requirements-%.lock $(READY)
	$(INSTALL) $<
	touch $@

setup: $(READY)  ## install what check, plan and run need
	@echo "ready: next is $(BIN)/python sync.py check"

report: $(REPORT) ## install what backtest --html, diff --html and backtest --suggest need

postgres: $(POSTGRES) ## install what a warehouse on PostgreSQL needs

demo: $(SANDBOX) ## both CRMs on loopback, one run, what changed, and a second run that writes nothing
	$(BIN)/python sync.py demo

test: $(DEV)     ## the fast tests, offline; needs neither Node nor Java nor PostgreSQL
	$(PYTEST) $(FAST)

test-long: $(DEV) ## the tests that take long, and those of the sandbox itself, offline
	$(PYTEST) -m "(long or sandbox) and not ($(ON_ENGINES) or conformance or install)" --ignore $(CONFORMANCE) $(OR_NONE)

test-engines: $(ENGINES) ## the definition on PostgreSQL and Spark, and whole runs on PostgreSQL, where they are installed
	$(PYTEST) -n 0 -rs -m "$(ON_ENGINES)" --ignore $(CONFORMANCE)

test-install: $(DEV) ## install from the lock files with old and new pip, from an index with newer releases
	$(PYTEST) -n 0 -rs -m install --ignore $(CONFORMANCE)

test-all: test test-long conformance test-engines test-install ## every test there is

test-newest: $(DEV) ## the fast tests on the newest releases inside the bounds of pyproject.toml
	$(PYTHON) -m venv --clear --without-pip $(NEWEST)
	$(BIN)/uv pip install --quiet --python $(NEWEST)/bin/python -r pyproject.toml --extra report --extra sandbox --extra dev
	$(NEWEST)/bin/python -m pytest $(FAST)

conformance: $(DEV) ## the sandbox against the vendors' OpenAPI documents and against other people's clients
	@if command -v npm >/dev/null; then npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "node and npm are not installed: jsforce and @hubspot/api-client are skipped"; fi
	@for peer in $(EXTRACTORS); do $(MAKE) --no-print-directory $(PEERS)/.venv/$$peer/.ready \
	|| echo "$$peer could not be installed: it is skipped"; done
	@$(MAKE) --no-print-directory $(VERIFIED)/.ready || echo "dlt's verified sources could not be fetched: they are skipped"
	$(PYTEST) -n 0 -rs $(CONFORMANCE)

$(VERIFIED)/.ready: Makefile
	@mkdir -p $(@D)
	@curl --fail --silent --show-error --location --max-time 60 --output $(@D)/all.tar.gz $(VERIFIED_FROM)/$(VERIFIED_AT)
	@tar -xzf $(@D)/all.tar.gz -C $(@D) --strip-components 1 --wildcards "*/sources/hubspot/*" "*/sources/salesforce/*"
	touch $@

$(PEERS)/.venv/%/.ready: $(PEERS)/%.lock
	$(PYTHON) -m venv --without-pip $(@D)
	$(subst $(BIN),$(@D)/bin,$(INSTALL)) $<
	touch $@

lint: $(DEV)     ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV)    ## mypy, strict
	$(BIN)/mypy .

bench-extract: $(DEV) ## 100,000 contacts and 300,000 engagements of each CRM against a plain program
	$(BIN)/python benchmarks/extract.py

bench-transform: $(DEV) ## a million people and ten million events against hand-written SQL
	$(BIN)/python benchmarks/transform.py

bench-apply: $(DEV) ## a hundred thousand changes to each CRM: calls against the fewest possible
	$(BIN)/python benchmarks/apply.py

soak: $(DEV)     ## ten thousand random schedules of faults against both sinks
	$(BIN)/python tests/soak.py

soak-world: $(DEV) ## whole runs over simulated days: people edit, leave and merge, tokens lose sight, runs are killed
	$(BIN)/python tests/soak_world.py

mutants: $(DEV)  ## small faults in what writes, holds and erases, one at a time: tests must find each
	$(BIN)/python tests/mutants.py

bench-startup: $(DEV) ## CPU seconds of --help, a usage error, status and explain
	$(BIN)/python benchmarks/startup.py

bench-sandbox: $(DEV) ## how fast the sandbox starts and serves, and what a million people take (ten minutes)
	$(BIN)/python benchmarks/sandbox.py

cassettes: $(DEV) ## record the API cassettes anew, against the sandbox
	$(BIN)/python tests/record_cassettes.py

schemas: $(READY) ## write the JSON Schemas of the YAML files, for editors
	$(BIN)/python -m config.loader

# The largest first: what it decides, the others take, so that all agree on every version
lock: $(DEV)     ## resolve the dependencies anew: all lock files
	$(LOCK) --all-extras -o requirements-engines.lock
	$(LOCK) -c requirements-engines.lock -o requirements.lock
	$(LOCK) -c requirements-engines.lock --extra report -o requirements-report.lock
	$(LOCK) -c requirements-engines.lock --extra postgres -o requirements-postgres.lock
	$(LOCK) -c requirements-engines.lock --extra report --extra sandbox -o requirements-sandbox.lock
	$(LOCK) -c requirements-engines.lock --extra report --extra sandbox --extra dev -o requirements-dev.lock
	for peer in $(EXTRACTORS); do echo $$peer | $(subst pyproject.toml,-,$(LOCK)) -o $(PEERS)/$$peer.lock; done

clean:           ## remove what was made
	rm -rf $(VENV) $(NEWEST) $(PEERS)/.venv $(NODE)/node_modules .demo .pytest_cache .mypy_cache .ruff_cache

# Every target does the set-up it needs: a .venv in the checkout, from the lock file.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ENGINES := $(VENV)/.engines
INSTALL := $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --require-hashes -r
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command 'make lock' --quiet
NODE := sandbox/tests/conformance/node
PEERS := sandbox/tests/conformance/third_party
EXTRACTORS := tap-hubspot tap-salesforce meltano-tap-hubspot
VERIFIED := $(PEERS)/.venv/dlt-verified-sources
VERIFIED_AT := 6fe470a0e54e09b065d0f425f967f00a62724ec6
VERIFIED_FROM := https://codeload.github.com/dlt-hub/verified-sources/tar.gz

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines postgres conformance lint types bench-extract bench-transform bench-sandbox bench-apply soak cassettes schemas lock clean

help:            ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 16

$(READY): requirements.lock
	$(PYTHON) -m venv --without-pip $(VENV)
	$(INSTALL) requirements.lock
	touch $@

$(ENGINES): requirements-engines.lock $(READY)
	$(INSTALL) requirements-engines.lock
	touch $@

demo: $(READY)   ## both CRMs on loopback, one run, what changed, and a second run that writes nothing
	$(BIN)/python sync.py demo

test: $(READY)   ## the whole suite, offline
	$(BIN)/python -m pytest 

test-engines: $(ENGINES) ## the definition on PostgreSQL and Spark, and whole runs on PostgreSQL, where they are installed
	$(BIN)/python -m pytest -n 0 tests/transforms/test_lifecycle.py tests/transforms/test_casting.py tests/runs/test_postgres.py -rs

postgres: $(READY) ## what a warehouse on PostgreSQL takes
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r pyproject.toml --extra postgres -c requirements-engines.lock

conformance: $(READY) ## the sandbox against the vendors' OpenAPI documents and against other people's clients
	@if command -v npm >/dev/null; then npm ci --prefix $(NODE) --ignore-scripts --no-audit --no-fund --silent; \
	else echo "node and npm are not installed: jsforce and @hubspot/api-client are skipped"; fi
	@for peer in $(EXTRACTORS); do $(MAKE) --no-print-directory $(PEERS)/.venv/$$peer/.ready \
	|| echo "$$peer could not be installed: it is skipped"; done
	@$(MAKE) --no-print-directory $(VERIFIED)/.ready || echo "dlt's verified sources could not be fetched: they are skipped"
	$(BIN)/python -m pytest -n 0 -rs sandbox/tests/conformance

$(VERIFIED)/.ready: Makefile
	@mkdir -p $(@D)
	@curl --fail --silent --show-error --location --max-time 60 --output $(@D)/all.tar.gz $(VERIFIED_FROM)/$(VERIFIED_AT)
	@tar -xzf $(@D)/all.tar.gz -C $(@D) --strip-components 1 --wildcards "*/sources/hubspot/*" "*/sources/salesforce/*"
	touch $@

$(PEERS)/.venv/%/.ready: $(PEERS)/%.lock
	$(PYTHON) -m venv --without-pip $(@D)
	$(subst $(BIN),$(@D)/bin,$(INSTALL)) $<
	touch $@

lint: $(READY)   ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy .

bench-extract: $(READY) ## 100,000 contacts and 300,000 engagements of each CRM against a plain program
	$(BIN)/python benchmarks/extract.py

bench-transform: $(READY) ## a million people and ten million events against hand-written SQL
	$(BIN)/python benchmarks/transform.py

bench-apply: $(READY) ## a hundred thousand changes to each CRM: calls against the fewest possible
	$(BIN)/python benchmarks/apply.py

soak: $(READY)   ## ten thousand random schedules of faults against both sinks
	$(BIN)/python tests/soak.py

bench-sandbox: $(READY) ## how fast the sandbox starts and serves, and what a million people take (ten minutes)
	$(BIN)/python benchmarks/sandbox.py

cassettes: $(READY) ## record the API cassettes anew, against the sandbox
	$(BIN)/python tests/record_cassettes.py

schemas: $(READY) ## write the JSON Schemas of the YAML files, for editors
	$(BIN)/python -m config.loader

lock: $(READY)   ## resolve the dependencies anew
	$(LOCK) --extra sandbox --extra dev -o requirements.lock
	$(LOCK) --all-extras -o requirements-engines.lock
	for peer in $(EXTRACTORS); do echo $$peer | $(subst pyproject.toml,-,$(LOCK)) -o $(PEERS)/$$peer.lock; done

clean:           ## remove what was made
	rm -rf $(VENV) $(PEERS)/.venv $(NODE)/node_modules .demo .pytest_cache .mypy_cache .ruff_cache

# Every command that developers need. Each target sets up what it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MAGNUS := .venv-magnus
MATRIX ?= 3.10 3.11 3.12 3.13
WORKERS ?= auto
# The tests of a file run in one worker, which makes the file's fixtures once.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint check format peers docs screenshots site dashboards bench matrix clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[runnable,postgres,dev]'
	@# In a folder of its own, for the tests that enable it: the host uses it wherever it can be imported.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/logfire 'logfire-sdk>=5.4'
	@touch $@

# magnus and runnable need different versions of stevedore, so each has an environment. magnus 0.5.1 ends at Python 3.12.
$(MAGNUS)/.installed: pyproject.toml
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then set -e; \
		$(PYTHON) -m venv $(MAGNUS); \
		$(MAGNUS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[magnus,postgres]' 'pytest>=8.3'; \
	else echo 'magnus needs Python 3.12 or older: its tests are left out'; mkdir -p $(MAGNUS); fi
	@touch $@

demo: $(VENV)/.installed ## Run a real pipeline and show its trace
	$(BIN)/runlog-otel demo

test: $(VENV)/.installed $(MAGNUS)/.installed ## Run the unit tests and a few real pipelines, in minutes
	$(PYTEST) -m 'unit or (canary and not peers)' $(ARGS)

test-all: $(VENV)/.installed $(MAGNUS)/.installed ## Run all tests; those of missing backends are skipped (make peers)
	$(PYTEST) $(ARGS)

lint: $(VENV)/.installed ## Lint, formatting, spelling: seconds
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

check: lint ## Lint, formatting, spelling, types, import contracts
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

peers: ## Build the Collector, Jaeger, Prometheus …, once
	$(PYTHON) -m tests.peers

docs: $(VENV)/.installed ## Generate docs/mapping.md and docs/settings.md
	$(BIN)/python -m docs.generate

screenshots: $(VENV)/.installed ## Take the pictures of the pages in docs/, with Chromium
	$(BIN)/python -m docs.screenshots

site: $(VENV)/.installed ## Build the docs as a site in site/
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[site]'
	$(BIN)/python -m docs.site

dashboards: $(VENV)/.installed ## Generate Grafana's dashboards and alert rules
	$(BIN)/python -m dashboards.generate

bench: $(VENV)/.installed ## Measure docs/performance.md, in 20 minutes; ONLY=export: one part; QUICK=1: tiny sizes
	$(BIN)/python -m benchmarks $(ONLY) $(if $(QUICK),--quick)

matrix: ## Run the tests that need no backend on each installed Python
	$(PYTHON) -m tests.matrix $(MATRIX)

clean: ## Remove environments, caches and build results
	rm -rf $(VENV) $(MAGNUS) .venv-3.* dist site .site .mypy_cache .ruff_cache .pytest_cache .hypothesis runlog-otel-demo

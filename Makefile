# Everything that a developer types. Each target sets up what it needs; nothing else is to be typed before.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
MATRIX ?= 3.10 3.11 3.12 3.13

.DEFAULT_GOAL := help
.PHONY: help demo test check format peers docs bench matrix clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[runnable,postgres,dev]'
	@touch $@

demo: $(VENV)/.installed ## Run a real pipeline and show its trace
	$(BIN)/runlog-otel demo

test: $(VENV)/.installed ## Run the tests that this machine can (make peers: the rest)
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed ## Lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

peers: ## Build the Collector, Jaeger, Prometheus …, once
	$(PYTHON) -m tests.peers

docs: $(VENV)/.installed ## Write docs/mapping.md and docs/settings.md again
	$(BIN)/python -m docs.generate

bench: $(VENV)/.installed ## Measure what the wrapper costs
	$(BIN)/python -m benchmarks.overhead

matrix: ## Run the tests that need no backend on each Python that is there
	$(PYTHON) -m tests.matrix $(MATRIX)

clean: ## Remove what was made here
	rm -rf $(VENV) .venv-3.* dist .mypy_cache .ruff_cache .pytest_cache .hypothesis runlog-otel-demo

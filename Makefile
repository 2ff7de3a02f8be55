# dmvpn-lab. `make help` lists the targets. Every target first makes .venv/bin/dmvpn-lab work.

TOPOLOGY ?= hub-and-spoke
BACKEND  ?= netns
RESULTS  ?= results

VENV     := .venv
PY       := $(VENV)/bin/python
LAB      := $(VENV)/bin/dmvpn-lab
READY    := $(VENV)/.ready
TESTABLE := $(VENV)/.ready-tests

SHELL       := bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help
.PHONY: help setup lab-up lab-down test test-all lint unit live bench docs site wheel bundle images clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install what is needed; every other target does it first

$(READY): pyproject.toml constraints.txt tools/setup-host
	@tools/setup-host $(VENV)
	@touch $@

$(TESTABLE): $(READY) dmvpn_lab/host.py
	@tools/setup-host $(VENV) tests
	@touch $@

lab-up: $(READY) ## start TOPOLOGY= on BACKEND= and verify it (default: hub-and-spoke, netns)
	@$(LAB) up --backend $(BACKEND) $(TOPOLOGY)

lab-down: $(READY) ## remove every running lab
	@$(LAB) down --all

test: lint unit live ## every test that CI runs

test-all: $(TESTABLE) lint ## the same and the long campaigns; writes results/test-all.txt
	@mkdir -p $(RESULTS)
	@$(VENV)/bin/pytest tests --ignore tests/live --ignore tests/contract -m "long or not long" 2>&1 | tee $(RESULTS)/test-all.txt
	@$(PY) tools/live-tests --long 2>&1 | tee -a $(RESULTS)/test-all.txt

lint: $(READY) ## ruff, mypy, import-linter
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

unit: $(TESTABLE) ## tests that run on any kernel
	@echo 'deselected: tests marked `long` (make test-all runs them)'
	@$(VENV)/bin/pytest tests --ignore tests/live --ignore tests/contract

live: $(READY) ## tests on a kernel with GRE: here, or in the machine
	@$(PY) tools/live-tests

bench: $(READY) ## figures as a table, and as JSON in results/bench.json
	@mkdir -p $(RESULTS)
	@$(PY) -m tests.bench --json $(RESULTS)/bench.json

docs: $(READY) ## write again what is generated: docs/topology.md, docs/commands.md, topologies/topology.schema.json
	@$(PY) -m dmvpn_lab.spec.reference
	@$(PY) -m typer dmvpn_lab.cli.app utils docs --name dmvpn-lab --title Commands --output docs/commands.md

site: $(READY) ## build the documentation site into dist/site/
	@$(PY) -m sphinx -q -W -d dist/.doctrees docs dist/site && echo 'site: dist/site/index.html'

wheel: $(READY) ## build the wheel into dist/
	@$(PY) -m build --wheel

bundle: $(READY) ## all that a computer without Internet needs, as one tar in dist/
	@$(PY) tools/make-bundle

images: $(READY) ## build the node image with this host's Docker
	@$(LAB) image build

clean: ## remove the virtual environment and what tests wrote
	rm -rf $(VENV) $(RESULTS) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

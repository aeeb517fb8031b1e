# Every target sets up what it needs; `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
ENOUGH := sys.version_info < (3, 11) and "hdnotes needs Python 3.11 or later: make PYTHON=python3.11"

.PHONY: help setup book paper test benchmark clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: .venv/complete ## make .venv with everything the book and its tests need

.venv/complete: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit($(ENOUGH))'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -r requirements.txt
	$(BIN)/python -m pip install --no-deps -e .
	touch $@

book: setup ## execute the chapters whose page is missing and build the site
	@$(BIN)/hdnotes run --missing
	@$(BIN)/hdnotes site

paper: setup ## compute the sources' own sizes, on a GPU if there is one: make paper [CHAPTERS=egop]
	$(BIN)/hdnotes run $(CHAPTERS) --profile paper

test: setup ## lint, types, tests, every notebook at the smoke profile, and the built site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q --ignore=tests/site
	$(BIN)/hdnotes site
	$(BIN)/pytest -q tests/site

benchmark: setup ## measure the ratios of the page on machines
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

clean: ## remove the built site and the tools' caches; results and .venv stay
	rm -rf book/_build .hypothesis .mypy_cache .pytest_cache .ruff_cache

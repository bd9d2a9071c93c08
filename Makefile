# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
# Extra options for pip, for example an index of CPU-only torch wheels; CONTRIBUTING.md says when.
PIP_ARGS ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt
SOURCES := pyproject.toml constraints.txt

.DELETE_ON_ERROR:
.PHONY: run test check ui bench format browser clean

run: $(VENV)/.installed
	@$(BIN)/recommendr init
	@exec $(BIN)/recommendr dashboard

test: $(VENV)/.installed-test browser
	@$(BIN)/python -m pytest --cov

ui: $(VENV)/.installed-test browser
	@$(BIN)/python -m pytest tests/ui

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.installed-bench
	@set -e; for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python -m "benchmarks.$$(basename $$script .py)"; \
	done

# A missing browser is no failure: the browser tests skip and say why.
browser:
	@if command -v chromium >/dev/null; then \
		:; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } \
			>/dev/null || echo "chromium could not be installed: browser tests skip"; \
	else \
		echo "chromium is missing, and without root and apt-get it can't be installed: browser tests skip"; \
	fi

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	@echo "Installing into $(VENV), which takes a few minutes the first time"
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-%: $(SOURCES) | $(BIN)/python
	@echo "Installing into $(VENV), which takes a few minutes the first time"
	@$(INSTALL) -e '.[$*]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis recommendr.egg-info

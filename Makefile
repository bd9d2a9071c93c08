# Two commands do everything: `make run` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
# Extra options for pip, for example an index of CPU-only torch wheels; CONTRIBUTING.md says when.
PIP_ARGS ?=

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet $(PIP_ARGS) -c constraints.txt
SOURCES := pyproject.toml constraints.txt

.DELETE_ON_ERROR:
.PHONY: run run-prometheus test test-snowflake check ui bench format browser prometheus pango clean

# Console and monitor end together, whichever of the terminal, make or the console is told to end.
run: $(VENV)/.installed pango
	@$(BIN)/recommendr init
	@trap 'kill $$watching $$console 2>/dev/null; wait' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM HUP; \
	$(BIN)/recommendr monitor run --watch >/dev/null 2>&1 & watching=$$!; \
	$(BIN)/recommendr dashboard & console=$$!; \
	wait $$console

# The stored samples in a Prometheus on 127.0.0.1:9090, by hand; needs prometheus and promtool on the path.
run-prometheus: $(VENV)/.installed
	@exec $(BIN)/python -m telemetry.system

# One thread of linear algebra to each of the two processes: with more they wait for one another.
test: $(VENV)/.installed-test $(VENV)/.installed-oracle browser prometheus pango
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --cov --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Needs a live account: a connection of Snowflake's connections.toml, named by SNOWFLAKE_CONNECTION.
test-snowflake: $(VENV)/.installed-test
	@$(BIN)/python -m pytest tests/telemetry/test_snowflake_live.py

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

bench: $(VENV)/.installed-bench $(VENV)/.installed-oracle
	@set -e; for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python -m "benchmarks.$$(basename $$script .py)"; \
	done

# A missing package of Debian's is no failure: what needs it says so. $(1) is its name, $(2) the check that it is
# there, $(3) what happens without it.
define debian
	@if { $(2); } >/dev/null 2>&1; then \
		:; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(1); } \
			>/dev/null || echo "$(1) could not be installed: $(3)"; \
	else \
		echo "$(1) is missing, and without root and apt-get it can't be installed: $(3)"; \
	fi
endef

browser:
	$(call debian,chromium,command -v chromium,tests that need it skip)

prometheus:
	$(call debian,prometheus,command -v prometheus,tests that need it skip)

# The library that sets text in PDF; the check of dpkg is the quick one.
pango: | $(BIN)/python
	$(call debian,libpangoft2-1.0-0,dpkg -s libpangoft2-1.0-0 || $(BIN)/python -c 'import weasyprint',no report as PDF)

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

# What results are held against. gbstats asks for numpy 1 and runs on 2. Without one of them, its tests skip.
$(VENV)/.installed-oracle: $(VENV)/.installed-test
	@$(INSTALL) --no-deps gbstats==0.8.0 || echo "gbstats could not be installed: tests that need it skip"
	@$(INSTALL) repyability==0.15 || echo "repyability could not be installed: tests that need it skip"
	@touch $@

clean:
	rm -rf $(VENV) .coverage .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis recommendr.egg-info

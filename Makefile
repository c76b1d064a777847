# `make` alone says what there is.

VENV := .venv
BIN := $(VENV)/bin
FIXED ?=
WORKERS ?= $(shell echo $$(($$(nproc) * 3 / 2)))# of tests: many of them wait for what they watch

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint fix stress bench screenshots stub clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.ready ## the leaking service with the dashboard on it; FIXED=1 for its repaired twin
	@$(BIN)/pyobserver demo $(if $(filter-out 0,$(FIXED)),--fixed)

test: $(VENV)/.ready-test ## the tests, on every interpreter found
	@$(BIN)/python -m tests.twice -n $(WORKERS) --dist worksteal -m "not every"

test-all: $(VENV)/.ready-test ## all tests: also one per interpreter and state of the target
	@$(BIN)/python -m tests.twice -n $(WORKERS) --dist worksteal --hypothesis-profile long

lint: $(VENV)/.ready-test ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

fix: $(VENV)/.ready-test ## repairs what lint can repair by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

stress: $(VENV)/.ready-test ## tries for minutes to break programs by attaching; ROUNDS=8 for fewer tries, ONLY="name ..."
	@$(BIN)/python -m tests.stress $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(ONLY),--only $(ONLY))

bench: $(VENV)/.ready-test ## measures speed and cost; ONLY="name ..." for some
	@$(BIN)/python -m tests.bench $(ONLY)

screenshots: $(VENV)/.ready-screenshots ## makes the pictures of the README from real runs
	@$(BIN)/python -m tests.screenshots

stub: $(VENV)/.ready ## assembles the machine code of the attach stub anew
	@$(BIN)/python -m pyobserver.attach.build_stub

clean: ## removes the environment, and all that was built or cached
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis snapshot_report.html
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, made anew when the dependencies change. Each stamp stands for one set of them.

$(VENV)/.ready: EXTRAS :=
$(VENV)/.ready-test: EXTRAS := [test]
$(VENV)/.ready-screenshots: EXTRAS := [test,screenshots]

$(VENV)/.ready $(VENV)/.ready-test $(VENV)/.ready-screenshots: pyproject.toml | $(BIN)/python
	@echo "installing pyobserver$(EXTRAS) into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --root-user-action ignore -e '.$(EXTRAS)'
	@touch $@

$(BIN)/python:
	@for candidate in $(PYTHON) python3.14 python3.13 python3.12 python3.11 python3; do \
	    $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    if ! $$candidate -c 'import ensurepip, venv' 2>/dev/null; then \
	        echo "$$candidate has no venv module (Debian: apt install $$candidate-venv); looking on" >&2; \
	        continue; \
	    fi; \
	    echo "making $(VENV) with $$($$candidate --version)"; \
	    $$candidate -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	done; \
	echo "pyobserver needs Python 3.11 or later with the venv module, and found none. Install one, or name it:" >&2; \
	echo "    make $(or $(MAKECMDGOALS),demo) PYTHON=/path/to/python3" >&2; \
	exit 1

# Two commands: `make demo` and `make test`. Each does its own set-up in .venv.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-skewed demo-tables demo-series test test-full test-gpu checks lint types layers collected bench bench-tables docs lock clean

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
TORCH := torch==$(shell sed -n 's/^torch==//p' constraints.txt)
# Where PyTorch's own CPU builds lie; used only where pip's sources do not hold one.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
# One thread a process: two busy processes with two threads each are far slower.
export OMP_NUM_THREADS := 1
# Tests run in one process per core and one more, because those of the cockpit mostly wait; JOBS=0
# runs all in one. How tests are kept together is said in tests/conftest.py.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n + 1 : 8)))
SPREAD := -n $(JOBS)

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1/p' Makefile | while read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

setup: .venv/.dev  ## create .venv with everything pinned, for jobs and tests

demo: .venv/.jobs  ## the whole job on real handwritten digits, into ./lake
	@$(BIN)/ganmill run deployments/recipes/digits.yaml --track

demo-skewed: .venv/.jobs  ## the same, three classes cut to a tenth and filled up again
	@$(BIN)/ganmill run deployments/recipes/digits-skewed.yaml --track

demo-tables: .venv/.jobs  ## the whole job on a real table of 569 rows and 31 columns
	@$(BIN)/ganmill run deployments/recipes/breast-cancer.yaml --track

demo-series: .venv/.jobs  ## the whole job on a made-up panel: 600 items of shops, day by day
	@$(BIN)/ganmill run deployments/recipes/shops.yaml --track

# Bytecode is kept even where the environment says otherwise: each of the many processes of the tests
# would translate all sources, and each of pytest's all tests, which is half of what collecting costs.
test test-full: export PYTHONDONTWRITEBYTECODE :=

test: .venv/.dev checks  ## lint, types, layers and the tests, one representative per class
	$(BIN)/python -m pytest -m "not full and not gpu" $(SPREAD)

test-full: .venv/.dev checks  ## the whole product, and how much of it the tests cover
	$(BIN)/python -m pytest -m "not gpu" $(SPREAD) --cov --cov-report=term:skip-covered

test-gpu: .venv/.dev  ## what needs CUDA, in under four minutes; leaves gpu-check.json
	$(BIN)/python -m benchmarks.gpu_check --out gpu-check.json

checks: .venv/.dev lint layers
	@$(MAKE) --no-print-directory -j 2 types collected

lint: .venv/.dev  ## ruff, formatting too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.dev  ## mypy, strict
	$(BIN)/mypy

layers: .venv/.dev  ## flows over gan over storage.records; storage knows neither
	$(BIN)/lint-imports

# On the core that mypy leaves idle: pytest translates its tests once, not once a process.
collected: .venv/.dev
	@found=$$($(BIN)/python -m pytest --collect-only --quiet) || { echo "$$found"; exit 1; }

bench: .venv/.dev  ## measure: training step, synthesis against its limit, the demo's quality
	$(BIN)/python -m benchmarks

bench-tables: .venv/.bench  ## measure tables beside CTGAN, on TABLE=file.parquet LABEL=column or the demo's table
	$(BIN)/python -m benchmarks.against_ctgan $(TABLE) $(LABEL)

docs: .venv/.dev  ## write docs/recipe.md, settings.md and deployments/prefect.yaml anew
	$(BIN)/python -m flows.reference docs
	$(BIN)/ganmill deploy --write deployments/prefect.yaml

lock: .venv/.dev  ## make constraints.txt anew from pyproject.toml
	$(PIP) install pip-tools
	$(BIN)/pip-compile --quiet --upgrade --extra jobs --extra dev --extra bench --strip-extras --no-header --no-annotate \
	  --no-emit-find-links --no-emit-index-url --no-emit-trusted-host -c <(echo "$(TORCH)") -o .venv/lock.txt pyproject.toml
	{ head -1 constraints.txt; sed 's/^\(torch==[0-9.]*\)+.*/\1/' .venv/lock.txt; } > .venv/constraints.txt
	mv .venv/constraints.txt constraints.txt

clean:  ## remove .venv and caches; ./lake stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "ganmill needs Python 3.11 or newer, $(PYTHON) is $$($(PYTHON) --version); say make PYTHON=python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv .venv

# A machine with an NVIDIA driver gets the CUDA build; every other Linux machine the CPU build.
.venv/.torch: constraints.txt | .venv/bin/python
	@if command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; then \
	  echo "Installing PyTorch with CUDA (a download of about 3 GB) ..."; $(PIP) install "$(TORCH)"; \
	elif [ "$$(uname -s)" = Linux ]; then \
	  echo "Installing PyTorch for the CPU (a download of about 200 MB) ..."; \
	  $(PIP) install "$(TORCH)+cpu" 2>/dev/null || $(PIP) install "$(TORCH)+cpu" --extra-index-url $(TORCH_CPU_INDEX); \
	else \
	  echo "Installing PyTorch (a download of about 100 MB) ..."; $(PIP) install "$(TORCH)"; \
	fi
	@touch $@

.venv/.jobs: .venv/.torch pyproject.toml constraints.txt
	@echo "Installing ganmill (a download of about 150 MB) ..."
	@$(PIP) install --editable ".[jobs]" -c constraints.txt
	@touch $@

.venv/.dev: .venv/.jobs
	@echo "Installing the tools of its tests (a download of about 60 MB) ..."
	@$(PIP) install --editable ".[jobs,dev]" -c constraints.txt
	@touch $@

.venv/.bench: .venv/.dev
	@echo "Installing CTGAN, which is measured beside ours ..."
	@$(PIP) install --editable ".[jobs,dev,bench]" -c constraints.txt
	@touch $@

# make demo and make test are all it takes: each prepares its own .venv first.
# Works with the make of GNU since 3.81 and needs no more than a Python 3.10 or newer beside it.

VENV   := .venv
BIN    := $(VENV)/bin
# Two times quiet: only errors. What is being done is said by us, before.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
FAILED := { echo "make: installing failed, see above. Behind a mirror: PIP_INDEX_URL=... make" >&2; exit 1; }
# A Python of your choice for .venv: make PYTHON=/path/to/python3 demo
PYTHON ?=
export PYTHON
# The Python of the deployed function, as in s.yaml: make package PY=3.12
PY     ?= 3.10
# Files of tests at the same time; most of them wait for an emulator: make test HANDS=0 for one after the other
HANDS  ?= 3
# More for pytest: make test ARGS="-k budget -x"
ARGS   ?=

.DEFAULT_GOAL := help
.PHONY: help demo test lint format types imports readme check matrix package clean FORCE

help:
	@echo "make demo      a careless cron and fc-reaper on the same small account, and then the truth"
	@echo "make test      the whole suite"
	@echo "make check     lint, types, imports, then the whole suite"
	@echo "make lint      ruff"
	@echo "make format    ruff, mending what it can"
	@echo "make types     mypy, strict"
	@echo "make imports   the arrows between the modules point one way"
	@echo "make readme    what the README shows is what its commands print"
	@echo "make matrix    the suite on the other Pythons of this machine, 3.10 and 3.12"
	@echo "make package   build/function, ready to be deployed (PY=3.12 for that runtime)"
	@echo "make clean     takes away everything that make has made"

# The demo needs little; whoever has the tools of a developer already need not install twice.
demo: $(if $(wildcard $(VENV)/installed-dev),$(VENV)/installed-dev,$(VENV)/installed-demo)
	@$(BIN)/python -m fc_reaper demo

test: $(VENV)/installed-dev
	@$(BIN)/python -m pytest -n $(HANDS) --dist loadfile $(ARGS)

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(VENV)/installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/installed-dev
	@$(BIN)/mypy src tests scripts benchmarks

imports: $(VENV)/installed-dev
	@$(BIN)/lint-imports

readme: $(VENV)/installed-dev
	@$(BIN)/python -m pytest tests/house/test_readme.py

check: lint types imports test

matrix:
	@PYTHON= sh scripts/matrix 3.10 3.12

package: $(VENV)/made
	@$(BIN)/python scripts/package.py --python $(PY)

clean:
	rm -rf $(VENV) .venvs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `made` holds the folder it was made in: a checkout that has moved, or whose Python is gone, begins anew.
usable = $(shell [ "`cat $(VENV)/made 2>/dev/null`" = "$(CURDIR)" ] && $(BIN)/python -c "print(1)" 2>/dev/null)

$(VENV)/made: $(if $(usable),,FORCE)
	@python=`sh scripts/find-python` && rm -rf $(VENV) && "$$python" -m venv $(VENV) && echo "$(CURDIR)" > $@

$(VENV)/installed-demo: pyproject.toml $(VENV)/made
	@echo "Installing into $(VENV), once: this takes most of the time, up to a minute ..."
	@$(PIP) install -e ".[cli,emulator]" || $(FAILED)
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/made
	@echo "Installing into $(VENV), once: this takes most of the time, a minute or two ..."
	@$(PIP) install -e ".[dev]" || $(FAILED)
	@touch $@

FORCE:

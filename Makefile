# make demo and make test need no preparation: each installs what it needs into .venv first.
# Requires GNU make 3.81 or newer and Python 3.10 or newer.

VENV   := .venv
BIN    := $(VENV)/bin
# pip prints errors only; the targets say what is being installed.
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input -qq
FAILED := { echo "make: installing failed, see above. Behind a mirror: PIP_INDEX_URL=... make" >&2; exit 1; }
# The Python for .venv: make PYTHON=/path/to/python3 demo
PYTHON ?=
export PYTHON
# The Python of the deployed function, as in s.yaml: make package PY=3.12
PY     ?= 3.10
# Processes that run tests: make test WORKERS=0 for one file after the other
WORKERS ?= 3
# Arguments for pytest: make test ARGS="-k budget -x"
ARGS   ?=
# The tests of make quick: all modules that need no network, and whole runs against the emulator; not those
# that measure memory, in processes of their own
QUICK  := tests/test_names.py tests/rules tests/policy tests/events tests/evaluator tests/backtest tests/cloud \
          tests/sweep tests/run/test_promises.py tests/cli/test_check.py tests/project/test_imports.py \
          tests/project/test_documents.py \
          --ignore=tests/cloud/test_memory.py --ignore=tests/backtest/test_memory.py

# What provides the commands: the environment for development where it is made, else a smaller one
COMMANDS := $(if $(wildcard $(VENV)/installed-dev),$(VENV)/installed-dev,$(VENV)/installed-demo)

.DEFAULT_GOAL := help
.PHONY: help demo test quick nightly faults mutants lint format types imports schemas readme check matrix package template pins audit clean FORCE

help:
	@echo "make demo      a careless cron job and fc-reaper on the same emulated account, compared"
	@echo "make test      the whole test suite, in under three minutes on two cores"
	@echo "make quick     the tests for everyday work, in under 30 seconds"
	@echo "make nightly   ten thousand random worlds through the handler, with other faults and clocks each"
	@echo "make faults    faults planted in the product, each to be caught by the referee of those worlds"
	@echo "make check     lint, types, imports, then the whole test suite"
	@echo "make mutants   small changes of the product, a random sample, each to be caught by some test"
	@echo "make lint      check with ruff, and the workflows with zizmor and the schemas of their services"
	@echo "make format    format with ruff, and fix what it can fix"
	@echo "make types     check with mypy, strict"
	@echo "make imports   check that imports go down the layers of pyproject.toml"
	@echo "make schemas   write the generated files under docs"
	@echo "make readme    check that the commands of the README print what it shows"
	@echo "make matrix    the tests on the other Pythons of this machine, 3.10 and 3.12"
	@echo "make package   fill build/function for the deployment (PY=3.12 for that runtime)"
	@echo "make template  fill build/template, an application template for s init"
	@echo "make pins      write the hashes of the deployed packages into constraints/function.txt"
	@echo "make audit     ask the advisory databases about the deployed packages"
	@echo "make clean     delete everything that make has made"

demo: $(COMMANDS)
	@$(BIN)/python -m fc_reaper demo

test: tests $(VENV)/installed-dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

quick: tests $(VENV)/installed-dev
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --hypothesis-profile brief $(QUICK) $(ARGS)

tests:
	@echo "make: there are no tests here; what s init makes is tested in the repository of fc-reaper" >&2; exit 1

# make nightly FIRST=20000 begins with another world
FIRST ?= 1000
nightly: $(VENV)/installed-dev
	@$(BIN)/python -m tests.referee --worlds $(FIRST) 10000

faults: $(VENV)/installed-dev
	@$(BIN)/python -m tests.referee.planted

# make mutants MUTANTS=300 SEED=2 takes a larger sample, and another one
MUTANTS ?= 60
SEED    ?= 1
# mutmut changes the copies that it makes, and has an environment of its own.
mutants: $(VENV)/made
	@test -x .venvs/mutants/bin/mutmut || { $(BIN)/python -m venv .venvs/mutants && \
	  .venvs/mutants/bin/python -m pip --disable-pip-version-check --no-input -qq install --no-compile \
	    -e ".[dev]" "mutmut==3.8.1"; } || $(FAILED)
	@.venvs/mutants/bin/python scripts/mutants.py --number $(MUTANTS) --seed $(SEED)

lint: $(VENV)/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-workflows .github/workflows/*.yml deploy/github/*.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.github-actions action.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.dependabot .github/dependabot.yml
	@$(BIN)/check-jsonschema -q --builtin-schema vendor.gitlab-ci deploy/gitlab/*.yml
	@$(BIN)/zizmor --quiet --offline --no-progress .github action.yml deploy/github/*.yml

format: $(VENV)/installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(VENV)/installed-dev
	@$(BIN)/mypy src tests scripts benchmarks

imports: $(VENV)/installed-dev
	@$(BIN)/lint-imports

schemas: $(VENV)/installed-dev
	@$(BIN)/python scripts/schemas.py

readme: $(VENV)/installed-dev
	@$(BIN)/python -m pytest tests/project/test_readme.py

check: lint types imports test

matrix:
	@PYTHON= sh scripts/matrix 3.10 3.12

# It checks the policy, so it needs the commands.
package: $(COMMANDS)
	@$(BIN)/python scripts/package.py --python $(PY)

# `s init` moves it away.
template: $(VENV)/made
	@$(BIN)/python scripts/template.py

pins: $(VENV)/installed-dev
	@$(BIN)/python -m scripts.pins

# pip-audit asks PyPI over the internet, and has an environment of its own.
audit: $(VENV)/made
	@test -x .venvs/audit/bin/pip-audit || { $(BIN)/python -m venv .venvs/audit && \
	  .venvs/audit/bin/python -m pip --disable-pip-version-check --no-input -qq install pip-audit; } || $(FAILED)
	@.venvs/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement constraints/function.txt

clean:
	rm -rf $(VENV) .venvs build dist mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `made` contains the folder of .venv and the Python that was named: where that was moved, its Python is gone,
# or another is named, .venv is made again.
usable = $(shell [ "`sed -n 1p $(VENV)/made 2>/dev/null`" = "$(CURDIR)" ] && \
           { [ -z "$(PYTHON)" ] || [ "`sed -n 2p $(VENV)/made`" = "$(PYTHON)" ]; } && \
           $(BIN)/python -c "print(1)" 2>/dev/null)

$(VENV)/made: $(if $(usable),,FORCE)
	@python=`sh scripts/find-python` && rm -rf $(VENV) && "$$python" -m venv $(VENV) && printf '%s\n' "$(CURDIR)" "$(PYTHON)" > $@

$(VENV)/installed-demo: pyproject.toml $(VENV)/made
	@echo "Installing into $(VENV), once; this takes up to a minute ..."
	@$(PIP) install --no-compile -e ".[cli,emulator]" || $(FAILED)
	@touch $@

$(VENV)/installed-dev: pyproject.toml $(VENV)/made
	@echo "Installing into $(VENV), once; this takes a minute or two ..."
	@$(PIP) install --no-compile -e ".[dev]" || $(FAILED)
	@touch $@

FORCE:

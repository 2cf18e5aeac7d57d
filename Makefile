# `make` alone lists the targets. PYTHON=python3.12 picks the interpreter of a new .venv.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo study test check coverage mutants bench bench-money soak reference lock clean

PYTHON ?=
export PYTHON
# Small matrices gain nothing from threads, and lose much where all cores are busy, as with the tests.
OPENBLAS_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS
# Python does not find itself in an environment that is quite empty.
PATH ?= /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# A stamp carries the hash of all that decides what is installed, so re-running is instant and a changed lock is not.
key = $(shell { cat requirements/$(1).txt pyproject.toml deploy/make-venv.sh; echo "$(CURDIR) $(PYTHON)"; } | sha256sum | cut -c1-16)
DEV := .venv/dev-$(call key,dev)
RUN := .venv/run-$(call key,run)
# The development lock holds all of the other one.
RUNNABLE := $(firstword $(wildcard $(DEV)) $(RUN))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(RUNNABLE) ## an emulated house with its controller and MQTT broker, live in the terminal
	@.venv/bin/penstock demo

study: $(DEV) ## what a battery is worth: make study ARGS="house.toml --from measured.csv" (or ARGS=--benchmark)
	@.venv/bin/penstock study $(ARGS)

test: $(DEV) ## all tests; installs mosquitto, its clients and mbpoll where it may
	@tests/setup.sh
	@.venv/bin/python -m pytest -n auto --dist worksteal

check: $(DEV) ## lint, format, types, import rules, house rules
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python -m pytest -q tests/tidy

coverage: $(DEV) ## branch coverage of dispatch by its own tests; below 100 % is a failure
	@COVERAGE_FILE=.coverage.dispatch .venv/bin/python -m coverage run --branch --source=controller/dispatch \
	    -m pytest -q tests/unit/dispatch
	@COVERAGE_FILE=.coverage.dispatch .venv/bin/python -m coverage report --show-missing --fail-under=100

mutants: export HYPOTHESIS_PROFILE = mutants
mutants: $(DEV) ## one change after another in dispatch: which does no test notice
	@rm -rf mutants
	@.venv/bin/mutmut run --max-children 2
	@.venv/bin/python -m tests.mutants

bench: $(DEV) ## speed and size, as a table and as JSON
	@.venv/bin/python -m tests.bench

bench-money: $(DEV) ## the share of perfect foresight's saving, closed loop; DATA=folder of measured sites
	@.venv/bin/python -m tests.bench.money $(if $(DATA),--data $(DATA)) $(ARGS)

SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
soak: $(DEV) ## the tests with fresh random examples, many of them; SEED=... repeats a run
	@tests/setup.sh
	@tests/soak/setup.sh
	@HYPOTHESIS_PROFILE=soak .venv/bin/python -m pytest -n auto --dist worksteal --hypothesis-seed=$(SEED)

reference: $(DEV) ## our batteries and bills beside NREL's; rewrites the traces that the tests compare with
	@test -x .venv/reference/bin/python || .venv/bin/python -m venv .venv/reference
	@.venv/reference/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
	    --only-binary :all: -r requirements/reference.txt
	@.venv/reference/bin/python -m tests.reference

COMPILE = .venv/lock/bin/uv pip compile pyproject.toml --quiet --no-header --universal --fork-strategy fewest \
    --python-version 3.11 --generate-hashes --upgrade
lock: $(DEV) ## rebuild requirements/*.txt from pyproject.toml with the newest versions it allows
	@.venv/bin/python -m venv .venv/lock
	@.venv/lock/bin/python -m pip install --quiet uv
	$(COMPILE) --extra broker --extra lab --extra study --extra cluster --extra mosaik --extra systems --group dev \
	    --output-file requirements/dev.txt
	$(COMPILE) --extra broker --extra lab --group build --constraint requirements/dev.txt --output-file requirements/run.txt
	$(COMPILE) --extra reference --constraint requirements/dev.txt --output-file requirements/reference.txt

clean: ## remove .venv and everything else that can be made again
	rm -rf .venv build dist mutants *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(DEV):
	@deploy/make-venv.sh dev $@

$(RUN):
	@deploy/make-venv.sh run $@

# Two commands do everything on a machine that has Python, make and a compiler:
#   make demo   install into a virtual environment and run the main example
#   make test   install and run every test, doctest and the build of the docs
# `make help` lists the others.

PYTHON ?= python3
VENV ?= .venv
# Options for installing torch, such as the index of its builds without CUDA.
TORCH_OPTIONS ?=
# Options for the example, such as DEMO_OPTIONS=--fetch.
DEMO_OPTIONS ?=
# Worker processes of the tests; each of them computes with one thread.
JOBS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
# Options for pytest, such as PYTEST_OPTIONS="-m 'not slow'".
PYTEST_OPTIONS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n 's/^torch==/torch==/p' constraints-dev.txt)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint format docs benchmarks hooks clean

help:
	@echo "make demo        install, then compare decoders on EMG: table and figure"
	@echo "make test        install, then run all tests, doctests and the docs build"
	@echo "make test-fast   the same without the tests marked slow"
	@echo "make lint        check style; 'make format' repairs what can be repaired"
	@echo "make docs        build the documentation into docs/_build/html"
	@echo "make benchmarks  list the benchmarks (docs/benchmarks.md holds results)"
	@echo "make hooks       install the pre-commit hooks"
	@echo "make clean       remove everything that the commands above made"
	@echo "Variables: PYTHON VENV TORCH_OPTIONS DEMO_OPTIONS PYTEST_OPTIONS JOBS"

install: $(STAMP)

# torch goes first and alone: its build is the one choice that differs between
# machines, and the second line then takes the installed one as it is.
$(STAMP): pyproject.toml constraints-dev.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || { \
	  echo "$(PYTHON) is not Python 3.11 or newer; name one: make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH_OPTIONS) "$(TORCH)"
	$(BIN)/python -m pip install --quiet -c constraints-dev.txt -e ".[dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/plot_01_gestures.py --figure demo_gestures.png $(DEMO_OPTIONS)

# One thread a process: two workers with two threads each are slower than two
# workers with one (docs/benchmarks.md).
test: export OMP_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal \
	  --durations 15 $(PYTEST_OPTIONS)

test-fast: export OMP_NUM_THREADS = 1
test-fast: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist worksteal \
	  -m "not slow" $(PYTEST_OPTIONS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html
	@echo "Open docs/_build/html/index.html"

benchmarks: $(STAMP)
	@echo "Benchmarks, each with --help:"
	@for file in $$(grep -l __main__ tests/benchmarks/*.py); do \
	  echo "  $(BIN)/python $$file"; done

hooks: $(STAMP)
	$(BIN)/pre-commit install

clean:
	rm -rf $(VENV) build dist docs/_build docs/auto_examples docs/gen_modules \
	  docs/generated docs/sg_execution_times.rst demo_gestures.png \
	  .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

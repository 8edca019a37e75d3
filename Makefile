# `make quickstart` and `make test` need only python3 (≥ 3.11), make and a package index.
VENV := .venv
PY := $(VENV)/bin/python
PYTHON ?=
PYTEST_ARGS ?= -q -n 2
CODE := lamina tests scripts $(wildcard benchmarks examples)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help quickstart test lint types layers unit bench wheel check-wheel clean distclean

help:
	@echo "make quickstart    train a small network on handwritten digits"
	@echo "make test          format, lint, types, layers, tests: cheapest first"
	@echo "make lint | types | layers | unit    one of these"
	@echo "make bench         every benchmark, short"
	@echo "make wheel         dist/lamina-*.whl; make check-wheel tries it in an empty environment"
	@echo "make clean         remove what was built; make distclean the environment too"

quickstart: $(VENV)/.with-viz
	$(VENV)/bin/lamina quickstart

test: lint types layers unit

lint: $(VENV)/.with-test
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)

types: $(VENV)/.with-test
	$(PY) -m mypy

layers: $(VENV)/.with-test
	$(PY) -m pytest -q tests/test_layers.py tests/test_house.py

unit: $(VENV)/.with-test
	$(PY) -m pytest $(PYTEST_ARGS)

bench: $(VENV)/.with-test
	@for file in benchmarks/[!_]*.py; do echo "== $$file"; $(PY) "$$file" --quick || exit 1; done

wheel: $(VENV)/.with-viz
	$(PY) -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

check-wheel: $(VENV)/.with-viz
	$(PY) scripts/check_wheel.py

# One stamp an extra. An environment without a working pip is an unfinished one: made again in place.
$(VENV)/.with-%: pyproject.toml
	@$(PY) -m pip --version >/dev/null 2>&1 || \
	    { python=$$(sh scripts/find-python $(PYTHON)) && "$$python" -m venv $(VENV); }
	$(PY) -m pip install --quiet --editable '.[$*]'
	@touch $@

.PRECIOUS: $(VENV)/.with-%

clean:
	rm -rf dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find lamina tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)

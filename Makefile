# make demo   encode and decode a real Sentinel-2 scene (installs what it needs, no torch)
# make test   lint, types and tests (adds CPU torch and the export tools)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0

.PHONY: demo test test-all lint clean

$(VENV)/.base: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -e '.[ort,ground,bench]'
	touch $@

# CPU torch first and alone: any other version, or a bare `torch`, brings gigabytes of CUDA.
$(VENV)/.dev: $(VENV)/.base
	$(BIN)/python -m pip install -q $(TORCH)
	$(BIN)/python -m pip install -q -e '.[ort,litert,ground,train,export,bench,dev]'
	touch $@

demo: $(VENV)/.base
	$(BIN)/python -m benchmarks demo --output demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n 2 -m 'not slow'

test-all: lint
	$(BIN)/python -m pytest -n 2

clean:
	rm -rf $(VENV) .venv-* build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

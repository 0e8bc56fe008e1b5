# make demo   encode and decode a real Sentinel-2 scene (installs what it needs, no torch)
# make test   lint, types and tests (adds CPU torch, the export tools and, where it may, Debian packages)
# make bench  probe this machine, measure speed, memory and energy: build/bench/report.html
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
BENCH := build/bench
APT := gcc g++ qemu-user clang chromium gdal-bin gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
	gcc-arm-linux-gnueabihf libc6-dev-armhf-cross gcc-riscv64-linux-gnu libc6-dev-riscv64-cross \
	gcc-s390x-linux-gnu libc6-dev-s390x-cross
NPM := kaitai-struct-compiler@0.11.0
APT_MCDC := clang-19 llvm-19 libclang-rt-19-dev

.PHONY: apt npm demo bench test test-all mcdc lint clean

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

# Compilers, emulators and a browser; tests that need one skip without.
apt: $(VENV)/.apt

$(VENV)/.apt: Makefile | $(VENV)/.dev
	@SUDO=; test "$$(id -u)" = 0 || SUDO="sudo -n"; \
	if ! command -v apt-get >/dev/null || ! $$SUDO true 2>/dev/null; then \
		echo "no apt-get as root here, some tests will be skipped; they need: $(APT)"; \
	elif { $$SUDO apt-get update -q && $$SUDO env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $(APT); } >$@.log 2>&1; then \
		$$SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
			$(APT_MCDC) >>$@.log 2>&1 || echo "not installed, MC/DC is skipped: $(APT_MCDC)"; \
		touch $@; \
	else \
		echo "apt-get failed, some tests will be skipped: see $@.log"; \
	fi

# The compiler of onboard/skybook.ksy; its tests skip without.
npm: $(VENV)/.npm

$(VENV)/.npm: Makefile | $(VENV)/.dev
	@if ! command -v npm >/dev/null; then \
		echo "no npm here, tests of onboard/skybook.ksy will be skipped; they need: $(NPM)"; \
	elif npm install --no-save --prefix $(VENV) $(NPM) >$@.log 2>&1; then \
		touch $@; \
	else \
		echo "npm failed, tests of onboard/skybook.ksy will be skipped: see $@.log"; \
	fi

demo: $(VENV)/.base
	$(BIN)/python -m benchmarks demo --output demo

bench: $(VENV)/.base
	mkdir -p $(BENCH)
	-$(BIN)/python -m export engine skybook
	$(BIN)/python -m benchmarks probe -o $(BENCH)/this-machine.toml
	$(BIN)/python -m benchmarks resources --bundle skybook --quick --json $(BENCH)/resources.json
	$(BIN)/python -m benchmarks energy --bundle skybook --quick --json $(BENCH)/energy.json
	$(BIN)/python -m benchmarks board-report --bundle skybook --profile $(BENCH)/this-machine.toml \
		--resources $(BENCH)/resources.json --energy $(BENCH)/energy.json -o $(BENCH)/report.html

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# One thread each: two workers with two threads of BLAS each, on two cores, take many times as long.
test test-all: export OMP_NUM_THREADS = 1
test test-all: export OPENBLAS_NUM_THREADS = 1
# Hundreds of processes would each compile all that they load.
test test-all: export PYTHONDONTWRITEBYTECODE =

test: lint apt npm
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not slow'

test-all: lint apt npm
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Conditions of the C encoder that no test lets decide alone, against tests/export/csource/unreached.txt.
mcdc: apt
	$(BIN)/python -m pytest -q -s tests/export/csource/test_mcdc.py

clean:
	rm -rf $(VENV) .venv-* build demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

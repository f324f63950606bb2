# pynet-browser: `make demo` and `make test` set up everything they need on a fresh machine.
# Every step leaves a stamp file, so that running it again costs nothing.

.DEFAULT_GOAL := help
SHELL  := /bin/bash
VENV   := .venv
PYTHON := $(VENV)/bin/python
BIN    := js/node_modules/.bin

# The newest Python that runs and is new enough; `make test HOST_PYTHON=/opt/python3.12` overrides it.
HOST_PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

NPM_STAMP    := js/node_modules/.stamp
PROXY_STAMP  := $(VENV)/.proxy
DEV_STAMP    := $(VENV)/.dev
PYODIDE_LOCK := build/pyodide/pyodide-lock.json
WHEEL_STAMP  := dist/.wheel
WHEEL_INPUTS := $(shell find pynet_browser js demo \( -name node_modules -o -name __pycache__ -o -name jupyterlite \) \
	-prune -o -type f -not -name pynet.js -print 2>/dev/null) \
	pyproject.toml $(wildcard README.md LICENSE)
NODE_STAMP   := build/.node-tests
NODE_INPUTS  := $(shell find js tests/js tests/vectors -name node_modules -prune -o -type f -print 2>/dev/null)
LITE_STAMP   := $(VENV)/.jupyterlite
LITE_SITE    := build/jupyterlite/jupyter-lite.json

.PHONY: help demo jupyterlite test check wheel bench load fuzz soak setup clean

help:
	@echo "make demo         serve the demo page, with everything it needs"
	@echo "make jupyterlite  build notebooks that have the package: build/jupyterlite; \`make demo\` serves them too"
	@echo "make test         run every test, after setting up what they need (ARGS= goes to pytest)"
	@echo "make check        lint, types and pure tests: seconds"
	@echo "make wheel        build dist/pynet_browser-*.whl"
	@echo "make bench        measure, side by side with its peers"
	@echo "make load         thousands of clients of one proxy, beside its peers"
	@echo "make fuzz         a million mutated messages for every decoder (ARGS=--seed=N repeats a run)"
	@echo "make soak         ten minutes of everything at once (ARGS='--minutes 60' for an hour)"
	@echo "make clean        remove everything generated"

demo: $(PROXY_STAMP) $(PYODIDE_LOCK) $(WHEEL_STAMP)
	$(PYTHON) serve.py $(ARGS)

jupyterlite: $(LITE_SITE)

test: setup $(LITE_SITE) $(NODE_STAMP)
	$(PYTHON) tests/machine.py chromium curl dnsmasq firefox haproxy mariadb mosquitto nginx postgresql redis
	$(PYTHON) tests/machine.py emscripten || echo "Without it the tests of programs that it compiles are left out."
	@echo "What needs no browser is tested meanwhile, and shown afterwards."
	@($(call TEST,tests/unit tests/machinery tests/tls tests/proxy)) >build/tests-here.txt 2>&1 & here=$$!; \
	($(call TEST,tests/browser)); browser=$$?; wait $$here; here=$$?; cat build/tests-here.txt; exit $$((browser | here))

# Neither kind keeps two processors busy. That ARGS choose no test of one of them is no failure (5).
TEST = $(PYTHON) -m pytest $(1) $(ARGS) || test $$? -eq 5

check: $(DEV_STAMP) $(NPM_STAMP)
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy
	$(BIN)/eslint --config js/eslint.config.js --max-warnings 0 js tests demo bench
	$(BIN)/tsc --project js
	@$(MAKE) --no-print-directory $(NODE_STAMP)
	$(PYTHON) -m pytest -q tests/unit

# The JavaScript tests: `make check` and `make test` need them once for the same sources.
$(NODE_STAMP): $(NODE_INPUTS) $(NPM_STAMP)
	node --test tests/js/*.test.js
	@mkdir -p $(@D) && touch $@

bench: setup
	$(PYTHON) tests/machine.py chromium
	$(PYTHON) bench/run.py $(ARGS)
	$(PYTHON) bench/foreign.py

fuzz: $(DEV_STAMP) $(NPM_STAMP)
	$(PYTHON) -m tests.fuzz $(ARGS)

load: $(DEV_STAMP) $(NPM_STAMP)
	$(PYTHON) bench/load.py $(ARGS)

soak: setup
	$(PYTHON) tests/machine.py chromium
	$(PYTHON) bench/soak.py $(ARGS)

wheel: $(WHEEL_STAMP)

# Everything the tests need, except system packages.
setup: $(DEV_STAMP) $(PYODIDE_LOCK) $(WHEEL_STAMP)

clean:
	rm -rf $(VENV) js/node_modules build dist pynet_browser/pynet.js .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.created:
	@test -n "$(HOST_PYTHON)" || { echo "Python 3.11 or newer is needed, with venv and pip"; exit 1; }
	$(HOST_PYTHON) -m venv $(VENV)
	@touch $@

$(PROXY_STAMP): pyproject.toml $(VENV)/.created
	$(PYTHON) -m pip install --quiet hatchling packaging aiohttp prometheus-client -e .
	@$(PYTHON) -m pip install --quiet --only-binary uvloop uvloop \
		|| echo "No uvloop for this machine: the proxy runs on asyncio's own loop."
	@touch $@

$(DEV_STAMP): $(PROXY_STAMP)
	$(PYTHON) -m pip install --quiet -e '.[dev]'
	@touch $@

$(NPM_STAMP): js/package.json js/package-lock.json
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' \
		2>/dev/null || { echo "Node.js 20.19 or newer is needed, with npm: https://nodejs.org"; exit 1; }
	npm ci --prefix js --ignore-scripts --no-audit --no-fund
	@touch $@

$(PYODIDE_LOCK): demo/distribution.py $(NPM_STAMP) $(PROXY_STAMP)
	$(PYTHON) demo/distribution.py
	@touch $@

$(WHEEL_STAMP): $(WHEEL_INPUTS) $(NPM_STAMP) $(PROXY_STAMP)
	@rm -f dist/pynet_browser-*.whl
	$(PYTHON) -m hatchling build --target wheel
	@touch $@

$(LITE_STAMP): $(PROXY_STAMP)
	$(PYTHON) -m pip install --quiet -e '.[jupyterlite]'
	@touch $@

$(LITE_SITE): demo/jupyterlite/build.py $(wildcard demo/jupyterlite/*.ipynb) $(LITE_STAMP) $(PYODIDE_LOCK) $(WHEEL_STAMP)
	$(PYTHON) -m demo.jupyterlite.build
	@touch $@

# `make` alone lists the targets. Everything is installed into .venv, under constraints.txt.
PYTHON ?= python3
LAB_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=
MUTANTS_ARGS ?=
VERSIONS_ARGS ?=
CALLS_ARGS ?=
SEED ?= 0
COUNT ?= 400

BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The package as a folder on the path, which Python finds before a clone named adapool in the folder where it runs.
EDITABLE := --config-settings editable_mode=compat -e '.[all]'
INSTALLED := .venv/.installed
LAB_SETTINGS := .venv/share/jupyter/lab/settings
DEBIAN := chromium chromium-driver npm
AXE := axe-core@4.14.1
ROOT_FLAG := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test test-all test-versions test-runtimes check coverage mutants audit notebooks bench bench-sweep bench-arrays bench-onnx site test-browser flashcards calls clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

$(INSTALLED): Makefile settings.ini setup.py pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v < (3, 11) and \
	  f"adapool needs Python 3.11 or newer and $(PYTHON) is {v[0]}.{v[1]}: try make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(PIP) 'pip>=25.1'
	$(PIP) --group dev $(EDITABLE)
	@mkdir -p $(LAB_SETTINGS)
	@echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' > $(LAB_SETTINGS)/overrides.json
	@touch $@

lab: $(INSTALLED) ## set up .venv and open JupyterLab on the notebooks, index first (LAB_ARGS="--no-browser --port 8899")
	$(BIN)/jupyter lab $(ROOT_FLAG) --ServerApp.root_dir=nbs --LabApp.default_url=/lab/tree/index.ipynb \
	  --ContentsManager.pre_save_hook=nbdev.clean.clean_jupyter $(LAB_ARGS)

test: $(INSTALLED) ## set up .venv, run every notebook and every property, minutes (PYTEST_ARGS="-k windows")
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-all: $(INSTALLED) ## every notebook and every test but for those marked heavy (PYTEST_ARGS="-m heavy")
	$(BIN)/python -m pytest -m 'not heavy' $(PYTEST_ARGS)

check: $(INSTALLED) ## fail where notebooks are not clean, the package or README is not what they say, or types do not fit
	$(BIN)/python tools/check.py
	$(BIN)/ruff check .
	$(BIN)/mypy

coverage: $(INSTALLED) ## lines of the package that notebooks and tests run, kernels as plain Python (COVERAGE_ARGS="-k windows")
	$(BIN)/python tools/covered.py $(COVERAGE_ARGS)

mutants: $(INSTALLED) ## do the tests see small wrong changes? hours; a part: (MUTANTS_ARGS="windows --each 30 --quick")
	$(BIN)/python tools/mutants.py $(MUTANTS_ARGS)

test-versions: $(INSTALLED) ## the quick tests with the lowest, the newest and the pinned versions (VERSIONS_ARGS="lowest -- -k windows")
	$(BIN)/python tools/versions.py $(VERSIONS_ARGS)

.venv/.audit: $(INSTALLED)
	$(PIP) --group audit
	@touch $@

audit: .venv/.audit ## look the pinned versions up among known vulnerabilities, over the internet
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

notebooks: $(INSTALLED) ## before a commit: run the notebooks in place, clean them, export the package, write README.md
	$(BIN)/python tools/notebooks.py run $(NB)
	$(BIN)/nbdev_export
	$(BIN)/python tools/readme.py

.venv/.bench: $(INSTALLED)
	$(PIP) --group bench
	@touch $@

bench: .venv/.bench ## measure against torch, side by side in one process (BENCH_ARGS="--kind max --threads 1")
	$(BIN)/python benchmarks/run.py $(BENCH_ARGS)
	$(if $(BENCH_ARGS),,$(BIN)/python benchmarks/worth.py && $(BIN)/python benchmarks/networks.py && \
	  $(BIN)/python benchmarks/pyramids.py && $(BIN)/python benchmarks/ordinary.py && $(BIN)/python benchmarks/fresh.py && \
	  $(BIN)/python tools/notebooks.py run inside/05_kernels use/02_arrays use/08_benchmarks)

bench-sweep: $(INSTALLED) ## measure adaptive pools of random shapes against torch (SEED=7 COUNT=100)
	$(BIN)/python benchmarks/sweep.py --seed $(SEED) --count $(COUNT)

bench-arrays: .venv/.bench ## measure arrays beside numbagg, xarray, OpenCV and scikit-image (BENCH_ARGS="--seconds 1")
	$(BIN)/python benchmarks/arrays.py $(BENCH_ARGS)
	$(if $(BENCH_ARGS),,$(BIN)/python benchmarks/jax_pools.py)

bench-onnx: $(INSTALLED) ## measure ONNX graphs beside those of PyTorch's exporter, in ONNX Runtime (BENCH_ARGS="--quick")
	$(BIN)/python benchmarks/graphs.py $(BENCH_ARGS)

.venv/.site: $(INSTALLED)
	$(PIP) --group site
	@touch $@

site: .venv/.site ## build the static site from the notebooks, in _build/site
	$(BIN)/python tools/site.py

.venv/.browser: .venv/.site
	$(PIP) --group browser
	@missing=""; for command in $(DEBIAN); do \
	  command -v "$$(echo $$command | sed s/chromium-driver/chromedriver/)" >/dev/null || missing="$$missing $$command"; done; \
	if [ -z "$$missing" ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; \
	then apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $$missing >/dev/null; \
	else echo "make test-browser needs what Debian calls$$missing: sudo apt-get install$$missing"; exit 1; fi
	@npm install --silent --no-save --no-audit --no-fund --prefix .venv/$(AXE) $(AXE) >/dev/null
	@touch $@

test-browser: .venv/.browser site ## the site, JupyterLab and its controls in headless Chromium
	$(BIN)/python -m pytest -n 1 tests/browser $(PYTEST_ARGS)

.venv-runtimes/.installed: Makefile settings.ini setup.py constraints-runtimes.txt
	$(PYTHON) -m venv .venv-runtimes
	.venv-runtimes/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-runtimes.txt \
	  pytest pytest-xdist hypothesis --config-settings editable_mode=compat -e '.[runtimes]'
	@touch $@

test-runtimes: .venv-runtimes/.installed ## programs in LiteRT, ExecuTorch, Core ML, TVM, AOTInductor: 3.3 GB (PYTEST_ARGS="-k tvm")
	.venv-runtimes/bin/python -m pytest tests/runtimes $(PYTEST_ARGS)

flashcards: $(INSTALLED) ## write the questions and answers of the notebooks as an Anki deck, _build/adapool.apkg
	@mkdir -p _build
	@$(BIN)/python -c "from adapool.flashcards import write_deck; print(write_deck('_build/adapool.apkg'))"

calls: $(INSTALLED) ## print the way of a call through the rooms; ARCHITECTURE.md shows a part (CALLS_ARGS=warm)
	@$(BIN)/python tools/calls.py $(CALLS_ARGS)

clean: ## remove .venv and what builds and tests leave behind
	rm -rf .venv .venv-runtimes build _build dist *.egg-info .pytest_cache .hypothesis .ruff_cache

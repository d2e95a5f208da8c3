# The one list of commands. It needs Python 3.11 or later and make; everything else goes into .venv.
#   make train ARGS="env=inverted_pendulum train.seed=1"     ARGS reaches the command
#   make test PYTHON=python3.12                              choose the Python that .venv is made with

VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.complete
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.complete
RAY := .venv-ray
RAY_STAMP := $(RAY)/.complete
RELEASE := .venv-release
SMOKE := .venv-smoke
TRACKIO := .venv-trackio
ARGS ?=
JOBS ?= 2
PYTHON ?=
# Tests that need a GPU run where there is one.
NO_GPU = $(shell nvidia-smi -L >/dev/null 2>&1 || echo 'not gpu')
PYTEST := OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(JOBS) --dist loadfile

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
# A test compares them with src/velora/proof/targets.py.
PROOF_PACKAGES := gcc libc6-dev clang gcc-arm-none-eabi qemu-system-arm gcc-avr avr-libc libsimavr-dev libelf-dev \
    gcc-riscv64-unknown-elf qemu-system-misc lld nodejs

.DEFAULT_GOAL := help
.PHONY: help setup train evaluate test test-all check formatted format lint types layers peers ray bench-learning
.PHONY: bench-learning-smoke integrations trackio bench-speed reliability sweeps bits generate docs docs-serve notebooks
.PHONY: clean viewer proof proof-tools wheel wheel-smoke

help:  ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-16s %s\n", $$1, $$2 }'

setup: $(STAMP)  ## Make .venv and install everything, as pinned in constraints.txt

train: setup  ## Train the default agent: LiquidDDPG on Pendulum-v1
	$(RUN) scripts/train.py agent=liquid_ddpg env=pendulum $(ARGS)

evaluate: setup  ## Evaluate a checkpoint: make evaluate ARGS="checkpoint=<run>/checkpoints/final"
	$(RUN) scripts/evaluate.py $(ARGS)

test: setup  ## Run the default tests
	$(PYTEST) -m "not slow$(if $(NO_GPU), and $(NO_GPU))" $(ARGS)

test-all: setup  ## Run every test, the slow ones too
	$(PYTEST) -m "$(NO_GPU)" $(ARGS)

check: formatted lint types layers test  ## What a contribution must pass, and what CI runs

formatted: setup  ## Check the format
	$(RUN) -m ruff format --check .

format: setup  ## Format the code and fix what can be fixed
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

lint: setup  ## Lint
	$(RUN) -m ruff check .

types: setup  ## Check types, of tests and benchmarks too
	$(RUN) -m mypy

layers: setup  ## Check that imports point down the layers
	$(VENV)/bin/lint-imports

bench-learning: setup peers  ## Measure how agents learn: the tables in benchmarks/learning
	$(RUN) -m benchmarks.learning $(ARGS)

bench-learning-smoke: setup peers  ## See in minutes that every part of bench-learning works; writes nothing
	$(RUN) -m benchmarks.learning --steps 600 $(ARGS)

peers: $(PEERS_STAMP)  ## Make .venv-peers: the libraries that bench-speed compares with

ray: $(RAY_STAMP)  ## Make .venv-ray: Velora beside Ray, as pinned in constraints-ray.txt

integrations: setup  ## Install the loggers W&B, MLflow and Comet into .venv too, for their tests: 600 MB
	$(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt \
	    --constraint .ci/integrations.txt --editable '.[wandb,mlflow,comet]'

trackio: $(TRACKIO)/.complete  ## Make .venv-trackio: Trackio, for its test; everything else it finds in .venv

bench-speed: setup peers  ## Measure speed beside other libraries: the tables in benchmarks/speed
	$(RUN) -m benchmarks.speed $(ARGS)

reliability: setup peers  ## Strike every fault and count what survives: the table in benchmarks/reliability, in 90 minutes
	$(RUN) -m benchmarks.reliability $(ARGS)

sweeps: setup  ## Kill sweeps under every launcher and compare: the table in benchmarks/sweeps; Ray where make ray made it
	$(RUN) -m benchmarks.sweeps $(ARGS)

proof-tools:  ## Install what make proof compiles and emulates with, by apt-get (as root, or by sudo): 2 GB
	$(SUDO) apt-get update
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $(PROOF_PACKAGES)

proof: setup  ## Prove every agent of the zoo on emulated chips: the tables in docs/deploy; needs make proof-tools
	OMP_NUM_THREADS=1 $(RUN) -m benchmarks.proof $(ARGS)

bits: setup  ## Compare the bits of training with those of commit 2f76e7d, or ARGS="--against COMMIT"
	$(RUN) -m benchmarks.bits $(ARGS)

generate: setup  ## Write src/velora/models/keywords.py anew, after a change of settings or cells
	$(RUN) -m velora.models.generate

viewer: setup  ## Check, test and bundle the pages of velora watch, after a change in viewer/; needs Node
	$(RUN) -m tests.unit.watch.golden viewer/build/golden.json
	cd viewer && npm ci --no-audit --no-fund && npm run check && npm test && npm run build

docs: setup  ## Build the documentation into site/
	$(RUN) -m mkdocs build --strict $(ARGS)

docs-serve: setup  ## Show the documentation at http://127.0.0.1:8000, made anew at every change of a page
	$(RUN) -m mkdocs serve $(ARGS)

notebooks: setup  ## Run the notebooks in examples/ and keep what they put out; installs Jupyter into .venv
	$(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[notebook]'
	$(RUN) -m docs._notebooks $(ARGS)

wheel: setup $(RELEASE)/.complete  ## Build wheel and source distribution into dist/, and audit them
	rm -rf dist
	$(RELEASE)/bin/python -m build
	$(RELEASE)/bin/abi3audit --strict --summary dist/*-abi3-*.whl
	$(RELEASE)/bin/twine check --strict dist/*

wheel-smoke: wheel  ## Install them into a fresh environment, with and without a compiler, and try them
	$(or $(PYTHON),$(RUN)) -m venv --clear $(SMOKE)
	$(SMOKE)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt dist/*-abi3-*.whl
	$(SMOKE)/bin/python tests/smoke/wheel.py --kernel native
	CC=false $(SMOKE)/bin/python -m pip install --disable-pip-version-check --force-reinstall --no-deps dist/*.tar.gz
	$(SMOKE)/bin/python tests/smoke/wheel.py --kernel numpy

clean:  ## Remove caches and build results; virtual environments and outputs stay
	rm -rf .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache .coverage build dist site
	find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

KERNEL := $(wildcard src/velora/kernels/native/*.[ch] src/velora/kernels/*.py)  # its tables are written from Python

$(STAMP): pyproject.toml constraints.txt setup.py $(KERNEL)
	@python=; \
	for candidate in $(if $(PYTHON),'$(PYTHON)',python3 python python3.14 python3.13 python3.12 python3.11); do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	        python=$$candidate; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Velora needs Python 3.11 or later; found none $(if $(PYTHON),in PYTHON=$(PYTHON),on this machine)." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
	    echo "$$python can't make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(RUN) -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(PEERS_STAMP): benchmarks/peers/requirements.txt benchmarks/peers/requirements-alone.txt | $(STAMP)
	$(RUN) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --disable-pip-version-check --requirement benchmarks/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --disable-pip-version-check --no-deps \
	    --requirement benchmarks/peers/requirements-alone.txt
	@touch $@

$(RAY_STAMP): pyproject.toml constraints-ray.txt | $(STAMP)
	$(RUN) -m venv --clear $(RAY)
	$(RAY)/bin/python -m pip install --disable-pip-version-check --constraint constraints-ray.txt --editable '.[ray,plot]'
	@touch $@

$(TRACKIO)/.complete: .ci/trackio.txt | $(STAMP)
	$(RUN) -m venv --clear $(TRACKIO)
	$(RUN) -c 'import sysconfig as s; print("import site; site.addsitedir(%r)" % s.get_path("purelib"))' \
	    > "$$($(TRACKIO)/bin/python -c 'import sysconfig as s; print(s.get_path("purelib"))')/of_velora.pth"
	$(TRACKIO)/bin/python -m pip install --disable-pip-version-check --constraint $< trackio
	@touch $@

$(RELEASE)/.complete: .ci/release-tools.txt | $(STAMP)
	$(RUN) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --disable-pip-version-check --requirement $<
	@touch $@

# edgestitch: `make` lists the targets. A machine needs git, make and Python 3.11, nothing else.
PYTHON ?= python3.11
VENV := .venv
TFLITE_VENV := .venv-tflite-runtime
BIN := $(VENV)/bin
MEMBERS := train export runtime benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test check unit mutants figures guard networks emulated cores pretrained wheels clean

help: ## list the targets
	@echo "edgestitch: make TARGET"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-11s %s\n", $$1, $$2}'

setup: $(VENV)/.ready $(TFLITE_VENV)/.ready ## build .venv (the toolchain) and .venv-tflite-runtime (the slim runtime on an old engine)

$(VENV)/.ready: requirements.lock pyproject.toml $(MEMBERS:%=%/pyproject.toml)
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) was not found; name yours: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "building $(VENV): about 3 GB, a minute or two ..."
	$(PYTHON) -m venv --clear $(VENV)
	awk '/^[a-z]/ {keep = /^uv==/} keep' requirements.lock > $(VENV)/uv.lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(MEMBERS:%=-e ./%) -e .
	@touch $@

$(TFLITE_VENV)/.ready: $(VENV)/.ready requirements-tflite-runtime.lock
	$(PYTHON) -m venv --clear --without-pip $(TFLITE_VENV)
	$(BIN)/uv pip install --quiet --python $(TFLITE_VENV)/bin/python --require-hashes -r requirements-tflite-runtime.lock
	$(BIN)/uv pip install --quiet --python $(TFLITE_VENV)/bin/python --no-deps -e ./runtime
	@touch $@

lock: $(VENV)/.ready ## choose the newest versions anew and write both lock files
	$(BIN)/uv pip compile pyproject.toml --group dev --upgrade --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 $(MEMBERS:%=--no-emit-package edgestitch-%) -o requirements.lock
	$(BIN)/uv pip compile runtime/pyproject.toml --extra tflite-runtime --upgrade --generate-hashes \
	  --no-emit-index-url --no-header --python-version 3.11 -o requirements-tflite-runtime.lock

demo: setup ## train, export, classify and bench, with progress (under 5 minutes; real data, else the bundled sample)
	$(BIN)/edgestitch demo

test: setup check unit ## lint, type check and every test but the slow ones

check: setup ## ruff and pyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/pyright --pythonpath $(BIN)/python --pythonversion 3.10 runtime

unit: setup ## pytest without lint
	$(BIN)/python -m pytest -m "not slow and not trainings and not emulated"

figures: setup ## the figures of README that take minutes: accuracy over seeds, drop of each export, the classify ratio, how often verdicts are right
	$(BIN)/python -m pytest -m slow -s

guard: setup ## whether classify costs more over the bare engine call than benchmarks/guard says (half a minute)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && cd "$$folder" && \
	  $(CURDIR)/$(BIN)/edgestitch train --pretrained mlp && \
	  $(CURDIR)/$(BIN)/edgestitch export runs/mlp --format tflite --int8 && \
	  $(CURDIR)/$(BIN)/edgestitch profile runs/mlp/export/mlp-int8.tflite --engine litert --engine reference --json new.json && \
	  $(CURDIR)/$(BIN)/edgestitch compare $(CURDIR)/benchmarks/guard/mlp-int8.json new.json \
	    --fail-if-slower none --fail-if-drop none --fail-if-overhead 25%

networks: setup ## train dscnn twice and dscnn-l once in full, and print their figures (about 45 minutes on two cores)
	$(BIN)/python -m pytest -m trainings -s

emulated: setup ## the runtime on emulated Arm machines, with Debian's Python there (wants qemu-user-static; 6 to 12 minutes)
	EDGESTITCH_NO_SKIP=1 $(BIN)/python -m pytest -m emulated tests/emulated

cores: setup ## generated C on every emulated Cortex-M (wants qemu-system-arm, gcc-arm-none-eabi, libnewlib-arm-none-eabi; a few minutes)
	EDGESTITCH_NO_SKIP=1 $(BIN)/python -m pytest -m "slow or not slow" -s tests/end_to_end/test_c_cores.py tests/export/test_c_check.py

pretrained: setup ## train the models that ship anew, from Fashion-MNIST (about 40 minutes on two cores)
	$(BIN)/python train/make_pretrained.py

mutants: setup ## plant small faults in our code, one at a time; the tests must catch each
	$(BIN)/python tests/mutants.py

wheels: setup ## build the five wheels into dist/
	rm -rf dist
	for part in . $(MEMBERS:%=./%); do $(BIN)/uv build --quiet --wheel --python $(BIN)/python --no-build-isolation --out-dir dist $$part || exit 1; done
	@ls -l dist/*.whl

clean: ## remove the environments and what was built; runs/ stays
	rm -rf $(VENV) $(TFLITE_VENV) dist

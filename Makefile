# Fine-tune a language model from one file. `make help` lists what there is to do.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := api charts cli operator trainer_image tests benchmarks docs examples

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-unit cluster-tools cluster cluster-down faults soak check format lock docs crds kustomize bench recovery clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with everything, from hashed locks; afterwards .venv/bin/finetune is the command

$(READY): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV): the first time downloads about 3 GB, most of it torch."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "The venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --compile-bytecode --python $(BIN)/python requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup ## Fine-tune a small GPT-2 on 100 questions, on this machine, without a hub (about a minute)
	$(BIN)/python examples/arc-easy/make_model.py out/model
	rm -rf out/demo
	$(BIN)/finetune run examples/arc-easy/demo.yaml --output out/demo

# Files start in the order of tests/conftest.py, not in that of their number of tests.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

test: setup ## Run all tests
	$(BIN)/pytest $(PARALLEL)

test-unit: setup ## Run the tests that start no second process (seconds)
	$(BIN)/pytest $(PARALLEL) -m "not distributed and not gpu and not integration and not e2e"

cluster-tools: setup ## Fetch or build what the tests of a cluster run, once (up to 20 minutes)
	cd tests && ../$(BIN)/python -m cluster.binaries

NODES := 1

cluster: setup ## Start a Kubernetes cluster on this machine with the operator in it, to play with (NODES=2)
	@PYTHONPATH=tests $(BIN)/python -m cluster up --nodes $(NODES)

cluster-down: ## Remove that cluster and every trace of it
	@PYTHONPATH=tests $(BIN)/python -m cluster down

faults: setup ## Strike real pods in forty-one ways, and compare the causes that are told with the true ones (half an hour)
	PYTHONPATH=tests $(BIN)/python -m faults $(FAULTS)

SOAK := $(if $(SEED),--seed $(SEED)) $(if $(JOBS),--jobs $(JOBS)) $(if $(REAL),--real)

soak: setup ## Run 200 jobs with random faults, and check every step (SEED=7 JOBS=20 REAL=1)
	@PYTHONPATH=tests $(BIN)/python -m soak $(SOAK)

check: setup ## Lint, check types and import contracts
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m finetune_api.crd --check crds/finetunejobs.yaml

format: setup ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

lock: ## Write requirements/*.txt anew from pyproject.toml (needs uv)
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra dev --extra cli --extra trainer --extra operator -o requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra trainer -c requirements/dev.txt -o requirements/trainer.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) --extra operator -c requirements/dev.txt -o requirements/operator.txt pyproject.toml
	$(BIN)/uv pip compile $(LOCK_FLAGS) -o requirements/uv.txt requirements/uv.in
	$(BIN)/uv pip compile $(LOCK_FLAGS) -c requirements/dev.txt -o requirements/build.txt requirements/build.in

LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

docs: setup ## Write the generated pages of docs/ anew from the models
	$(BIN)/python docs/generate.py

crds: setup ## Write crds/finetunejobs.yaml, and the chart's copy, anew from the models
	$(BIN)/python -m finetune_api.crd > crds/finetunejobs.yaml
	cp crds/finetunejobs.yaml charts/finetune-operator/files/finetunejobs.yaml

kustomize: setup ## Write charts/kustomize anew from the chart
	$(BIN)/python charts/kustomize/generate.py --helm "$$(PYTHONPATH=tests $(BIN)/python -c 'from cluster.binaries import find; print(find("helm"))')"

bench: setup ## Measure trainer, start-up and operator against their peers (about fifteen minutes)
	$(BIN)/python benchmarks/trainer.py
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/operator.py --peer

recovery: setup ## Strike training on real pods, and time how soon it goes on, beside a peer (Linux, root; an hour)
	$(BIN)/python benchmarks/recovery.py --peer

clean: ## Remove the virtual environment, caches and outputs
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

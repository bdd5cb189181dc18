# Needs make, git and one Python >= 3.10; everything else is set up by the target that needs it.
.DEFAULT_GOAL := help
SHELL := /bin/sh
ARGS =

# Somebody else's Python settings are not ours, and cached bytecode makes every start faster.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE VIRTUAL_ENV

# A name on PATH may be a script that fails: take the first that runs and is new enough.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done)
BOOTSTRAP = @$(if $(PYTHON),,echo "isthmus: expected a Python >= 3.10 on PATH, found none" >&2; exit 2;) \
	$(PYTHON) scripts/bootstrap.py
# `make test DEV=dev-3.10`: the same under another Python.
DEV = dev
IN_DEV = $(BOOTSTRAP) run $(DEV) --

.PHONY: help demo test lint types docs bench evaluate train envs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## an arm in MuJoCo in one Python, its policy in another; ARGS="--duration 5"
	$(BOOTSTRAP) demo -- $(ARGS)

test: envs ## every test; ARGS="-k name" for some, DEV=dev-3.10 in another Python
	$(IN_DEV) -m pytest --require-environments $(ARGS)

lint: ## ruff: rules and formatting; no simulator's module is imported here
	$(IN_DEV) -m ruff check .
	$(IN_DEV) -m ruff format --check .
	$(IN_DEV) -m isthmus guard check src training scripts

types: ## mypy --strict
	$(IN_DEV) -m mypy

docs: ## write the generated reference documentation
	$(IN_DEV) scripts/generate_docs.py $(ARGS)

bench: ## measure against a C floor
	$(IN_DEV) -m bench $(ARGS)

evaluate: ## success rate of the committed policy on fresh seeds
	$(IN_DEV) -m isthmus evaluate policies/reach.onnx $(ARGS)

envs:
	$(BOOTSTRAP) ensure $(DEV) tests sim policy

train: ## train the reaching policy again; needs PyTorch
	$(BOOTSTRAP) run train -- training/train_reach.py $(ARGS)

lock: ## rewrite requirements/*.txt
	@requirements/lock.sh

clean: ## remove what was built and cached; keep environments and runs
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

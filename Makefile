# `make demo` shows everything, `make test` is what CI runs.
PYTHON ?= python3
PYTHON37 ?=
TOOLCHAIN ?=
export PYTHON37

VENV := .venv
BIN := $(VENV)/bin
LOCKS := iblvideo_admin/toolchains

.DEFAULT_GOAL := help
.PHONY: help demo venv dlc-venv test-hosts environments test test-full lint format bench locks docs demo-weights clean

help:            ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:            ## install everything into .demo/, render a session, track it, show it (TOOLCHAIN=dlc-tf1-cpu: the old stack)
	@$(PYTHON) demo/run.py $(if $(TOOLCHAIN),--toolchain $(TOOLCHAIN))

venv:            ## the developer's environment .venv, from its lock
	@$(PYTHON) tools/locked_venv.py $(VENV) $(LOCKS)/dev.lock --editable .

dlc-venv: venv   ## the tests' TensorFlow 1.13.1 environment in .cache/, built by the roles themselves
	@$(BIN)/python tools/dlc_venv.py

test-hosts: venv ## the tree under the tests' hosts; as root, or their tests are left out
	@$(BIN)/python tests/e2e/hosts base

# Each takes minutes the first time, and waits for the network in much of it: side by side.
environments: venv
	@$(MAKE) --no-print-directory --jobs=2 dlc-venv test-hosts

test: lint environments  ## lint and test (the one test command)
	$(BIN)/python -m pytest -n 2 -m "not full"

test-full: lint environments  ## the same with everything that takes longer
	$(BIN)/python -m pytest -n 2

lint: venv       ## ruff, mypy, ansible-lint, yamllint, shellcheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint --offline --profile production
	$(BIN)/shellcheck .ci/run training/*.sh

format: venv     ## let ruff put the Python files in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: venv       ## write what is made from the code: reference pages, tables of variables in the roles' READMEs
	$(BIN)/python tools/reference.py
	$(BIN)/python tools/role_readme.py
	$(BIN)/python tools/troubleshooting.py

bench: venv dlc-venv  ## measure how fast a session is tracked
	$(BIN)/python -m bench

locks: venv      ## make the lock files anew (UPGRADE=1: take newer versions)
	@test -x .cache/lock-tool/bin/uv || $(PYTHON) -m venv .cache/lock-tool
	@.cache/lock-tool/bin/pip install -qq --disable-pip-version-check --requirement $(LOCKS)/lock-tool.in
	@$(BIN)/python tools/locks.py --uv $(CURDIR)/.cache/lock-tool/bin/uv $(if $(UPGRADE),--upgrade)

demo-weights: venv dlc-venv  ## train the demo's networks again, into .cache/training (an hour and a half)
	training/retrain.sh .cache/training $(BIN)/python $(CURDIR)/.cache/dlc-tf1-cpu/current/bin/python

clean:           ## remove everything that was made here
	@test ! -x $(BIN)/python || $(BIN)/python tests/e2e/hosts down
	rm -rf .demo .cache $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible

# `make run` and `make test` need Python 3.11+, pip, make and git; everything else they bring themselves, into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run stack test check audit bench docs pictures boards soak clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The venv holds no pip of its own: Debian's python3-venv, which would bring one, is often not installed.
INSTALL = PIP_USER=0 $(PYTHON) -m pip --python $(BIN)/python install --quiet --disable-pip-version-check --no-input
# A live test (real servers, real time) that fails is tried once more and its failure shown; more than a few are a failure.
SECOND_TRY = --reruns 1 --rerun-show-tracebacks --max-suite-reruns 6

help: ## list what there is to make
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

run: $(VENV)/.run ## the main job: the demo, or with REDIS_URL=redis://… in the environment that server; page on port 9468
	@if [[ -n "$${REDIS_URL:-}" ]]; then exec $(BIN)/hotkey-exporter serve; else exec $(BIN)/hotkey-exporter demo; fi

stack: $(VENV)/.run ## the exporter with Prometheus and Alertmanager of Debian beside it, with the rules of alerts/
	@exec deploy/stack

test: $(VENV)/.test ## install what the whole suite needs, then check and test; APT=0 installs no Debian packages
	@.ci/packages
	@$(MAKE) --no-print-directory check
	@$(BIN)/python -m pytest -q -m "not slow and not live" -n auto
	@$(BIN)/python -m pytest -q -m "live and not slow" $(SECOND_TRY)

check: $(VENV)/.test ## ruff, mypy, the layers of the imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

audit: $(VENV)/.test ## known vulnerabilities of all that is installed; fails as well if the advisory database cannot be asked
	@$(PYTHON) -m venv --without-pip $(VENV)/audit
	@PIP_USER=0 $(PYTHON) -m pip --python $(VENV)/audit/bin/python install --quiet --disable-pip-version-check pip-audit
	@{ $(VENV)/audit/bin/pip-audit --path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	  --progress-spinner off --format json 2> >(grep -v '^No known' >&2) || true; } | .ci/audit

bench: $(VENV)/.test ## every benchmark, one line of JSON each
	@for file in $$(grep -l '^if __name__' benchmarks/*.py); do $(BIN)/python -m "benchmarks.$$(basename "$$file" .py)" | tail -n 1; done

docs: $(VENV)/.test ## write config.yaml, docs/configuration.md and docs/metrics.md anew from the code
	@UPDATE=1 $(BIN)/python -m pytest -q tests/config/test_reference.py tests/views/test_reference.py

pictures: $(VENV)/.test ## take the pictures of the page in the docs anew; needs Chromium
	@$(BIN)/python -m tests.browser.pictures docs/images

boards: $(VENV)/.test ## take the pictures of the dashboards in the docs anew, eight minutes; needs Chromium and npm
	@$(BIN)/python -m tests.dashboards.pictures docs/images

soak: $(VENV)/.test ## the long tests
	@$(BIN)/python -m pytest -q -m slow --timeout 7200

clean: ## remove the venv and all caches
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV) (once, about a minute) …"
	@$(INSTALL) -e '.[demo]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "Installing the program and its test tools into $(VENV) (once, a minute or two) …"
	@$(INSTALL) -e '.[demo,test]'
	@touch $@ $(VENV)/.run

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null \
	  || { echo "pip is needed for $(PYTHON); on Debian: apt-get install python3-pip" >&2; exit 1; }
	@$(PYTHON) -m venv --without-pip $(VENV)

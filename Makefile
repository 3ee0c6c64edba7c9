# The two commands that matter: `make verify` and `make test`. Both do all their set-up themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PY := .venv/bin/python
CONNECT_INFRA := .venv/bin/connect-infra
TARGET ?= lab

.PHONY: help verify test proofs lint setup system venv engine lab bench drift docs requirements clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

verify: lab ## from a bare machine to a verified lab host
	$(CONNECT_INFRA) apply --target lab --yes
	$(CONNECT_INFRA) verify --target lab

test: setup engine lint ## the project's own tests, lab tests included
	$(PY) -m pytest tests -m "not long" --durations=25

proofs: setup engine ## the tests that take minutes each
	$(PY) -m pytest tests -m long --durations=25

lint: venv ## ruff, mypy, shellcheck
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	@scripts=$$(git ls-files '*.sh'); if [ -n "$$scripts" ]; then shellcheck $$scripts; fi

setup: system venv ## everything this machine needs

system: ## Debian packages that are missing here
	@missing=""; \
	need() { command -v "$$2" >/dev/null || missing="$$missing $$1"; }; \
	PATH=$$PATH:/usr/sbin:/sbin; \
	need docker.io dockerd; need debootstrap debootstrap; need openssh-server sshd; \
	need openssh-client ssh-keygen; need iproute2 ip; need shellcheck shellcheck; \
	need npm npm; \
	if [ -n "$$missing" ]; then \
	  echo "Installing from Debian:$$missing"; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

venv: .venv/.complete

.venv/.complete: requirements.txt pyproject.toml
	@echo "Installing the pinned Python packages into .venv"
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

engine: setup ## a Docker engine: the one that answers, else our own
	$(CONNECT_INFRA) lab engine

lab: engine ## one bare lab host
	$(CONNECT_INFRA) lab up

bench: lab ## the benchmark beside its peers; writes docs/benchmarks.md
	$(PY) -m benchmarks

drift: setup engine ## break every control on live lab hosts: each spec must notice
	mkdir -p build
	$(CONNECT_INFRA) drift --target lab --json build/drift.json
	-$(CONNECT_INFRA) coverage --drift build/drift.json

docs: venv ## pages that are generated from the data
	$(PY) -m connect_infra.document.errata_page

requirements: ## renew the pinned packages
	$(PY) -m pip install --quiet --upgrade -e . ruff mypy types-docker types-PyYAML
	{ echo '# Pinned: `make venv` installs exactly these. Renew with `make requirements`.'; \
	  $(PY) -m pip freeze --exclude-editable; } > requirements.txt

clean: ## take the lab down and remove what was built here
	-$(CONNECT_INFRA) lab down --images
	rm -rf build .lab .venv .mypy_cache .ruff_cache .hypothesis

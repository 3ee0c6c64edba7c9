# The two commands that matter: `make verify` and `make test`. Both do all their set-up themselves.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PY := .venv/bin/python
CONNECT_INFRA := .venv/bin/connect-infra
TARGET ?= lab
# native (document A) or containers (document S)
TOPOLOGY ?= native
LAB := $(if $(filter containers,$(TOPOLOGY)),lab-containers,lab)
DRIFT := build/drift$(if $(filter containers,$(TOPOLOGY)),-containers).json

.PHONY: help verify test proofs load drift lint setup system browser venv engine lab bench drills kills docs requirements clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

verify: lab ## from a bare machine to a verified lab host (TOPOLOGY=native or containers)
	$(CONNECT_INFRA) apply --target $(LAB) --yes
	$(CONNECT_INFRA) verify --target $(LAB)

test: setup browser engine lint ## the project's own tests, lab tests included
	$(PY) -m pytest tests -m "not long" --durations=25

proofs: setup browser engine ## the tests that take minutes each
	$(PY) -m pytest tests -m long --durations=25

load: lab ## the documented load on a provisioned lab host: 10,000 users, 12 minutes
	$(CONNECT_INFRA) apply --target lab --yes
	$(CONNECT_INFRA) load run documented --target lab

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
	need npm npm; need nghttp2-client h2load; \
	if [ -n "$$missing" ]; then \
	  echo "Installing from Debian:$$missing"; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

browser: ## chromium, in which the tests look at the report
	@command -v chromium >/dev/null || { \
	  echo "Installing from Debian: chromium"; \
	  apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

venv: .venv/.complete

.venv/.complete: requirements.txt pyproject.toml
	@echo "Installing the pinned Python packages into .venv"
	@test -x $(PY) || python3 -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@# Compiled once here, also where Python is told to keep no bytecode: each run starts sooner.
	@PYTHONDONTWRITEBYTECODE= $(PY) -m pytest --collect-only -qq specs >/dev/null
	@touch $@

engine: setup ## a Docker engine: the one that answers, else our own
	$(CONNECT_INFRA) lab engine

lab: engine ## one bare lab host
	$(CONNECT_INFRA) lab up --topology $(TOPOLOGY)

bench: lab ## the benchmark beside its peers; writes docs/benchmarks.md
	$(PY) -m benchmarks

drills: lab ## every drill on a provisioned lab host: half an hour
	$(CONNECT_INFRA) apply --target $(LAB) --yes
	$(CONNECT_INFRA) drill run all --target $(LAB)

kills: lab ## PostgreSQL killed a hundred times under load
	$(CONNECT_INFRA) apply --target lab --yes
	$(CONNECT_INFRA) drill run postgres-killed-100-times --target lab

drift: setup engine ## break every control on live lab hosts: each spec must notice
	mkdir -p build
	$(CONNECT_INFRA) drift --target $(LAB) --json $(DRIFT)
	-$(CONNECT_INFRA) coverage --drift $(DRIFT)

docs: venv ## pages that are generated from the data
	$(PY) -m connect_infra.document.errata_page

requirements: ## renew the pinned packages
	$(PY) -m pip install --quiet --upgrade -e . ruff mypy types-docker types-PyYAML websocket-client
	{ echo '# Pinned: `make venv` installs exactly these. Renew with `make requirements`.'; \
	  $(PY) -m pip freeze --exclude-editable; } > requirements.txt

clean: ## take the lab down and remove what was built here
	-$(CONNECT_INFRA) lab down --images
	rm -rf build .lab .venv .mypy_cache .ruff_cache .hypothesis

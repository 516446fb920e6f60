# Everything a person types. `make help` lists it; DESIGN.md's words, HOUSE.md's habits.
#
# What is made is remembered in .stamps/, so that a second call does nothing. No path here is absolute and every one is
# quoted: the folder may be anywhere, spaces included.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup up new-monitor dashboard test test-first test-stories test-real check check-python check-dashboard bench e2e smoke docs lock clean FORCE

BIN := .venv/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-compile
# Python's and the dashboard's packages come from different places: fetched side by side.
TOGETHER := $(MAKE) --silent -j2
# The install of this folder itself; its build backend is locked too, so nothing is fetched besides.
EDITABLE := $(PIP) --no-deps --no-build-isolation --editable .
EXPORT := src/twinwatch/hub/dashboard
SOURCES := $(wildcard $(addprefix dashboard/,src public package-lock.json tsconfig.json next.config.ts postcss.config.mjs))
# Two runs side by side, of about the same length: what mostly computes, and what mostly waits.
FIRST := house unit contract service
STORIES := story e2e
# Debian's names of what some tests drive: a browser, another PostgreSQL, a C# compiler, another sample store.
DEBIAN := chromium dbus iproute2 libmono-system-net-http4.0-cil mono-mcs mono-runtime openssl postgresql systemd victoria-metrics
# What the benches measure beside.
PEERS := prometheus prometheus-alertmanager prometheus-node-exporter victoria-metrics
export NEXT_TELEMETRY_DISABLED := 1

# The first python that is new enough; `make PYTHON=/path/to/python3.12 up` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python3.14 python; do \
  $$name -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$name; break; }; done)

help: ## this list
	@echo "make TARGET:"
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 14

setup: .stamps/venv .stamps/tools ## .venv with everything, and the dashboard's packages
	@$(TOGETHER) .stamps/dev .stamps/node

up: .stamps/venv .stamps/tools ## database, hub, dashboard and this machine's agent (ARGS="--listen 127.0.0.1:9000")
	@$(TOGETHER) .stamps/hub dashboard
	@exec $(BIN)/twinwatch up $(ARGS)

dashboard: .stamps/node ## build the dashboard, if it changed, into the hub's package
	@if [ -f $(EXPORT)/index.html ] && [ -f .stamps/dashboard ] && \
	  [ -z "$$(find $(SOURCES) -newer .stamps/dashboard -print -quit)" ]; then exit 0; fi; \
	set -e; echo "building the dashboard"; touch .stamps/dashboard.begun; \
	(cd dashboard && npm run --silent build >../.stamps/dashboard.log 2>&1) || \
	  { cat .stamps/dashboard.log; echo "the dashboard was not built" >&2; exit 1; }; \
	rm -rf $(EXPORT).new; cp -R dashboard/out $(EXPORT).new; rm -rf $(EXPORT); mv $(EXPORT).new $(EXPORT); \
	mv .stamps/dashboard.begun .stamps/dashboard

check: setup ## format, lint, types, doors: both languages
	@$(TOGETHER) --output-sync=target check-python check-dashboard

check-python:
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports --no-cache >.stamps/doors.log || { cat .stamps/doors.log; exit 1; }
	@echo "python: format, lint, types and doors hold"

check-dashboard:
	@cd dashboard && npm run --silent check
	@echo "dashboard: format, lint, types, doors and unit tests hold"

test: check dashboard .stamps/debian ## check, and every test, with where the time goes (ARGS="-k word": in one run)
ifeq ($(ARGS),)
	@$(TOGETHER) test-first test-stories
else
	@$(BIN)/python -m pytest $(addprefix tests/,$(FIRST) $(STORIES)) $(ARGS)
endif

test-first:
	@$(BIN)/python -m pytest $(addprefix tests/,$(FIRST))

# Told as a whole at its end: two at once are hard to read.
test-stories:
	@$(BIN)/python -m pytest $(addprefix tests/,$(STORIES)) >.stamps/stories.log 2>&1; ended=$$?; \
	cat .stamps/stories.log; exit $$ended

e2e: setup dashboard .stamps/debian ## the tests in a real browser
	@$(BIN)/python -m pytest tests/e2e $(ARGS)

test-real: .stamps/venv .stamps/dev .stamps/debian ## the real tailscaled, headscale and MinIO, built with Go where it is there, and tests against them
	@$(BIN)/python -m tests.real.build .stamps/real
	@TWINWATCH_REAL="$(CURDIR)/.stamps/real" $(BIN)/python -m pytest tests/real $(ARGS)

new-monitor: setup ## a monitor to start from, with capture and test (make new-monitor tea; PACKAGE=folder for one of your own)
	@$(BIN)/python -m twinwatch.testing.new_monitor $(or $(NAME),$(NEW)) $(if $(PACKAGE),--package "$(PACKAGE)")

bench: setup dashboard .stamps/peers ## every figure as a line of JSON (ARGS="ingest --quick")
	@$(BIN)/python -m bench $(ARGS)

smoke: setup dashboard ## bring everything up in a temporary folder, read samples, take it down: a line of JSON
	@$(BIN)/python -m bench.smoke $(ARGS)

docs: setup ## generate docs/reference and the dashboard's API types from the code
	@$(BIN)/python docs/generate.py
	@cd dashboard && npm run --silent api -- ../docs/reference/openapi.json

lock: .stamps/dev ## resolve pyproject.toml anew into requirements/ (ARGS=--upgrade)
	@set -e; lock() { $(BIN)/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --annotation-style line "$$@"; }; \
	lock $(ARGS) pyproject.toml --all-extras --output-file requirements/dev.txt; \
	lock pyproject.toml --constraints requirements/dev.txt --output-file requirements/base.txt; \
	lock pyproject.toml --extra hub --extra embedded --constraints requirements/dev.txt --output-file requirements/hub.txt; \
	for group in build test; do \
	  lock --group $$group --constraints requirements/dev.txt --output-file requirements/$$group.txt; done

clean: ## forget everything made here, but no data
	rm -rf .venv .stamps dashboard/node_modules dashboard/.next dashboard/out $(EXPORT) dist

# ---- what the targets above need ----

# The word after new-monitor is a name, not another target.
ifeq ($(firstword $(MAKECMDGOALS)),new-monitor)
NEW := $(word 2,$(MAKECMDGOALS))
ifneq ($(NEW),)
.PHONY: $(NEW)
$(NEW): new-monitor
	@:
endif
endif

# A moved folder leaves paths behind in .venv: then it is made anew.
ifneq ($(shell cat .stamps/folder 2>/dev/null),$(CURDIR))
.stamps/venv: FORCE
endif
.stamps/venv:
	@[ -n "$(PYTHON)" ] || { echo "Twinwatch needs Python 3.11 or newer: install it, or name one with PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "$(PYTHON) is not a Python 3.11 or newer: name another with PYTHON=" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) lacks the venv module: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	@mkdir -p .stamps; rm -f .stamps/hub .stamps/dev
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear .venv
	@printf '%s\n' "$(CURDIR)" >.stamps/folder
	@touch $@

.stamps/hub: .stamps/venv requirements/hub.txt requirements/build.txt pyproject.toml
	@echo "installing requirements/hub.txt"
	@$(PIP) --require-hashes -r requirements/hub.txt -r requirements/build.txt
	@$(EDITABLE)
	@touch $@

.stamps/dev: .stamps/venv requirements/dev.txt pyproject.toml
	@echo "installing requirements/dev.txt"
	@$(PIP) --require-hashes -r requirements/dev.txt
	@$(EDITABLE)
	@touch $@ .stamps/hub

.stamps/tools:
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 9) ? 0 : 1)' 2>/dev/null || \
	  { echo "the dashboard is built with Node 20.9 or newer; found: $$(node --version 2>/dev/null || echo none)" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "the dashboard is built with npm, which comes with Node; found none" >&2; exit 1; }
	@mkdir -p .stamps; touch $@

.stamps/node: .stamps/tools dashboard/package-lock.json
	@echo "installing the dashboard's packages"
	@cd dashboard && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error >../.stamps/node.log
	@touch $@

# Only root can install them; a test that misses one is skipped, and says which; a bench has no peer then.
.stamps/debian: WANTED := $(DEBIAN)
.stamps/peers: WANTED := $(PEERS)
.stamps/debian .stamps/peers: FORCE
	@missing=$$(for name in $(WANTED); do dpkg-query -W -f='$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing" $$missing; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >.stamps/debian.log 2>&1 \
	    || echo "not installed (see .stamps/debian.log); tests that need it are skipped by name:" $$missing; \
	else echo "not installed; tests that need it are skipped by name:" $$missing; fi

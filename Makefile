# Everything a fresh machine needs, then the five things one does here. `make demo` and `make test`
# set up on their own: system libraries, a .venv in the checkout, pinned dependencies.
# PYTHON=... picks another interpreter (3.11 to 3.13); ARGS=... is passed on: make demo ARGS="frames=100".

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell sed -n 's/^\(torch==.*\)/\1/p' constraints.txt)

.PHONY: help venv system hands browser demo test lint bench clean

help:
	@echo "make demo    set up, write the graphs of town, drive 300 dreamed frames, write a video to outputs/demo"
	@echo "make test    set up, then formatting, lint, types, layering and all tests"
	@echo "make lint    the checks of make test without the tests"
	@echo "make bench   measure the speeds that docs/benchmarks.md reports"
	@echo "make venv    set up only; make clean removes .venv and caches"

venv: system $(STAMP)

# The camera needs EGL and a Mesa driver, the test of a real window a virtual display.
system:
	@libraries=$$({ ldconfig -p || /sbin/ldconfig -p || true; } 2>/dev/null); \
	missing=""; \
	grep -q 'libGL\.so\.1' <<<"$$libraries" || missing="$$missing libgl1"; \
	grep -q 'libEGL\.so\.1' <<<"$$libraries" || missing="$$missing libegl1"; \
	grep -qE 'libEGL_(mesa|nvidia)\.so\.0' <<<"$$libraries" || missing="$$missing libegl-mesa0 libgl1-mesa-dri"; \
	command -v Xvfb >/dev/null || missing="$$missing xvfb"; \
	if [[ -z "$$missing" ]]; then exit 0; fi; \
	if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
		echo "Installing system packages:$$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "Missing system packages:$$missing"; \
		echo "  Debian, Ubuntu:  sudo apt-get install$$missing"; \
		echo "  Fedora:          sudo dnf install mesa-libGL mesa-libEGL mesa-dri-drivers xorg-x11-server-Xvfb"; \
		echo "Going on; 'dreamlane doctor' says what works without them."; \
	fi

$(BIN)/python:
	@for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
		if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' >/dev/null 2>&1; then \
			echo "Creating $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv $(VENV); exit; \
		fi; \
	done; \
	echo "No Python from 3.11 to 3.13 with venv and pip was found. Install one (Debian: apt-get install python3 python3-venv)"; \
	echo "or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1

# torch comes first and on its own: which build pip picks (CPU or CUDA) is the machine's pip configuration.
$(STAMP): $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off "$(TORCH)" -c constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -e ".[dev,rl,exchange,openvino,serve]" -c constraints.txt
	@touch $@

# What only the tests need: keys pressed from outside the window, and a real browser for pages. Where they can't be
# had, the tests that need them say so and are skipped: $(call for-tests,commands any of which will do,package,which).
define for-tests
@for tool in $(1); do if command -v $$tool >/dev/null; then exit 0; fi; done; \
if [[ $$(id -u) == 0 ]] && command -v apt-get >/dev/null; then \
	echo "Installing system package: $(2)"; \
	{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(2); } \
		|| echo "No $(2) could be installed: the tests $(3) will be skipped."; \
else \
	echo "No $(2) (Debian: sudo apt-get install $(2)): the tests $(3) will be skipped."; \
fi
endef

hands:
	$(call for-tests,xdotool,xdotool,that press real keys)

browser:
	$(call for-tests,chromium chromium-browser google-chrome,chromium,of the report's page)

demo: venv
	$(BIN)/dreamlane export
	$(BIN)/dreamlane demo $(ARGS)

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint hands browser
	$(BIN)/python -m pytest $(ARGS)

bench: venv
	$(BIN)/dreamlane bench $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

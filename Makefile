# Needs python3 (3.11 or later), make and a C library. Everything else is installed into .venv.
#
#   make start    open the Titanic example in the browser
#   make test     install what the tests need, then run all of them
#   make help     list the other targets

PYTHON ?= python3
VENV := .venv
PROJECT ?= projects/titanic
BIN := $(VENV)/bin
LOCK := requirements.lock
# One stamp per set of extras; its name carries the content of what decides an installation, so that a second start
# installs nothing and a changed pin installs again, whatever git does to file times.
KEY := $(shell cat pyproject.toml $(LOCK) | cksum | tr -cd '0-9')
APP_STAMP := $(VENV)/.installed-app-$(KEY)
TEST_STAMP := $(VENV)/.installed-test-$(KEY)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome || echo /usr/bin/chromium)

.DEFAULT_GOAL := help
.PHONY: help start test unit e2e check bench test-mage lock clean chromium

help:
	@sed -n 's/^#: //p' Makefile

#: make start   open the Titanic example in the browser (installs on the first run)
start: $(APP_STAMP)
	@$(BIN)/spellbook start $(PROJECT) $(ARGS)

#: make test    install what the tests need, then run all of them
test: $(TEST_STAMP) chromium
	CHROMIUM="$(CHROMIUM)" SPELLBOOK_CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest $(ARGS)

#: make unit    only the quick tests: no process, no browser
unit: $(TEST_STAMP)
	$(BIN)/python -m pytest tests/unit -m "not thorough" $(ARGS)

#: make e2e     only the stories in a real browser
e2e: $(TEST_STAMP) chromium
	CHROMIUM="$(CHROMIUM)" SPELLBOOK_CHROMIUM="$(CHROMIUM)" $(BIN)/python -m pytest tests/e2e $(ARGS)

#: make check   style, types and layers
check: $(TEST_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

#: make bench   measure, and write the table into docs/performance.md
bench: $(TEST_STAMP)
	$(BIN)/python docs/performance.py $(ARGS)

#: make lock    renew requirements.lock from what is installed in .venv
lock: $(TEST_STAMP)
	@{ echo "# Pins of everything that Spellbook and its tests install; a pip constraints file. Renew: make lock"; \
	  $(PIP) freeze --exclude-editable --exclude pip --exclude setuptools --exclude wheel | sed 's/+cpu$$//'; } > $(LOCK).new
	@mv $(LOCK).new $(LOCK)

#: make test-mage  load each other's files with a real mage-ai 0.9.80, installed into a temporary folder (1.4 GB)
test-mage: $(TEST_STAMP)
	@set -e; mage="$(MAGE)"; \
	if [ -z "$$mage" ]; then \
	  folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	  $(PYTHON) -m venv "$$folder"; mage="$$folder/bin/python"; \
	  "$$mage" -m pip --disable-pip-version-check --no-input install --quiet mage-ai==0.9.80; \
	fi; \
	SPELLBOOK_TEST_MAGE="$$mage" $(BIN)/python -m pytest tests/compat/test_with_mage.py $(ARGS)

#: make clean   remove .venv and caches; projects and their history stay
clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else \
	  "Spellbook needs Python 3.11 or later; $(PYTHON) is %d.%d. Do this: make $(MAKECMDGOALS) PYTHON=python3.12" \
	  % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Cannot make a virtual environment with $(PYTHON). \
	  Do this: install its venv module (Debian, Ubuntu: apt-get install python3-venv)." >&2; exit 1; }

# The pins (-c) keep torch at the release that is tested; where an index offers a CPU build, pip's own settings choose.
$(APP_STAMP): | $(BIN)/python
	@echo "Installing Spellbook into $(VENV); the first time takes some minutes."
	@$(PIP) install --quiet -c $(LOCK) -e .
	@rm -f $(VENV)/.installed-app-*
	@touch $@

$(TEST_STAMP): | $(BIN)/python
	@echo "Installing Spellbook and its test tools into $(VENV)."
	@$(PIP) install --quiet -c $(LOCK) -e '.[test]'
	@rm -f $(VENV)/.installed-*
	@touch $(APP_STAMP) $@

chromium:
	@command -v "$(CHROMIUM)" >/dev/null && exit 0; \
	run=""; [ "$$(id -u)" = 0 ] || run="sudo -n"; \
	if command -v apt-get >/dev/null && $$run true 2>/dev/null; then \
	  echo "Installing Chromium for the browser tests."; \
	  $$run apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$run apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; \
	else \
	  echo "The browser tests need Chromium. Do this: install it, then: make test CHROMIUM=/path/to/chromium" >&2; exit 1; \
	fi

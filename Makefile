.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: demo demo-kinesis stack test test-kinesis test-kcl lint bench compiled interpreted emulators kcl clean help

# The first of these that is a CPython this project runs on; or say which: make PYTHON=/path/to/python demo
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo $$p; break; }; done)
# Changes only when everything in requirements.lock is installed, and the project itself.
INSTALLED := .venv/.installed
# Tools that are no Python packages are made once for all checkouts of a machine, where pipeline/tool_cache.py has them.
EMULATORS := $(shell "$(PYTHON)" -m pipeline.tool_cache emulators demo/stack/package-lock.json)
KCL := $(shell "$(PYTHON)" -m pipeline.tool_cache kcl requirements-kcl.lock)
# What of their programs is here, and so which tests can run.
HAS_NODE := $(shell command -v node >/dev/null && command -v npm >/dev/null && echo yes)
HAS_JAVA := $(shell command -v java >/dev/null && echo yes)
# npm brings certificates of its own and trusts no other: let it trust besides whom this machine trusts.
CA_BUNDLE := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem))
NPM := NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS:-$(CA_BUNDLE)}" npm
# Tests start hundreds of processes: what one has compiled, the next has to find.
unexport PYTHONDONTWRITEBYTECODE
PIP_INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation

demo: $(INSTALLED)  ## move payments from ingest to settlement on this machine, then replay them and compare
	.venv/bin/payments demo

demo-kinesis: $(INSTALLED) emulators kcl  ## the same on emulators of Kinesis, DynamoDB and S3, under KCL; needs Java and Node.js
	.venv/bin/payments demo --on kinesis --seconds 60 --tps 300 --shards 2

stack: $(INSTALLED) emulators kcl  ## have that running for ten minutes, or until Ctrl-C; needs Java and Node.js
	.venv/bin/payments stack

test: interpreted lint  ## lint, then the tests, on the source itself; without Node.js or Java not those that need it
	@tests="not emulator"; \
	if [ -n "$(HAS_NODE)" ] && $(MAKE) --no-print-directory emulators; then tests="not kcl"; \
		if [ -n "$(HAS_JAVA)" ] && $(MAKE) --no-print-directory kcl; then tests="not stack"; \
		else echo "make: NOT RUN, since Java or KCL's jars are not here: the tests under KCL's daemon" >&2; fi; \
	else echo "make: NOT RUN, since Node.js, npm or what it installs is not here: the tests on emulators, and under KCL" >&2; fi; \
	echo ".venv/bin/pytest -n 2 --durations 15 -m \"$$tests\""; .venv/bin/pytest -n 2 --durations 15 -m "$$tests"

test-kinesis: $(INSTALLED) emulators  ## the tests on an emulator of Kinesis; needs Node.js with npm
	.venv/bin/pytest -m "emulator and not kcl"

test-kcl: $(INSTALLED) emulators kcl  ## the tests under KCL's daemon, and of the whole stack, which `make test` leaves out; needs Java and Node.js
	.venv/bin/pytest -m kcl

lint: $(INSTALLED)  ## style, types, and which way imports point
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

bench: $(INSTALLED)  ## payments a second on one core, and where the time goes
	.venv/bin/payments bench

compiled: interpreted $(INSTALLED)  ## native code for what a step consists of: faster, the same bytes; needs a C compiler
	.venv/bin/python compiled.py

interpreted:  ## back to the source alone
	rm -rf build *.so
	find pipeline agents schemas -name '*.so' -delete

emulators: $(if $(HAS_NODE),$(EMULATORS)/.installed)  ## Kinesis and DynamoDB for the tests and the stack; needs Node.js and npm
	@test -n "$(HAS_NODE)" || { echo "make: Node.js with npm is needed, and is not on the PATH." >&2; exit 1; }

kcl: $(KCL)/.installed $(if $(HAS_JAVA),$(KCL)/jars/classes.jsa)  ## KCL's jars, from Maven Central; to run its daemon takes Java 17

clean: interpreted  ## remove what was built here, the environment too; not the tools in ~/.cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

$(EMULATORS)/.installed:
	@echo "make: installing emulators of Kinesis and DynamoDB in $(@D), once for this machine" >&2
	rm -rf $(@D) && mkdir -p $(@D)
	cp demo/stack/package.json demo/stack/package-lock.json $(@D)
	$(NPM) ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

# amazon-kclpy comes as source only, and its setup downloads the jars.  Only they are kept, each of them as it must be.
$(KCL)/.installed:
	@echo "make: building amazon-kclpy for KCL's jars, in $(@D), once for this machine" >&2
	rm -rf $(@D) && mkdir -p $(@D)
	"$(PYTHON)" -m venv $(@D)/build
	grep -A1 -E '^(setuptools|wheel)==' requirements-kcl.lock > $(@D)/build.lock
	$(@D)/build/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(@D)/build.lock
	$(@D)/build/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--no-cache-dir --require-hashes -r requirements-kcl.lock
	mv $(@D)/build/lib/python*/site-packages/amazon_kclpy/jars $(@D)/jars
	rm -rf $(@D)/build $(@D)/build.lock $(@D)/jars/__*
	cd $(@D)/jars && sha256sum --quiet --check $(CURDIR)/requirements-kcl.sha256
	touch $@

$(KCL)/jars/classes.jsa: $(KCL)/.installed
	@echo "make: having Java archive KCL's classes, so that a daemon starts sooner, once for this machine" >&2
	"$(PYTHON)" -m pipeline.kcl_daemon.class_archive $(@D)

$(INSTALLED): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.11, 3.12 or 3.13 is needed, and none is on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit( \
		f"make: Python 3.11, 3.12 or 3.13 is needed; {sys.executable} is {v.major}.{v.minor}.")'
	"$(PYTHON)" -m venv .venv
	@# First what builds the few that come as source only: nothing is built with what the lock does not name.
	sed -nE '/^(packaging|setuptools|setuptools-scm|vcs-versioning)==/,/# via/p' requirements.lock > .venv/build.lock
	$(PIP_INSTALL) --require-hashes -r .venv/build.lock
	$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(PIP_INSTALL) --editable .
	.venv/bin/python -m pip --disable-pip-version-check check
	touch $@

# tallykv: `make run` and `make test` need Python 3.11+ and make, nothing else.
PYTHON ?= python3
# Test files run at once; 0 for all in one process, where a debugger can follow. More than there are
# cores: many tests wait for a process that they started.
JOBS ?= 4
VENV := .venv
BIN := $(VENV)/bin
# Many tests start processes: a module of ours is compiled once, not by each of them.
unexport PYTHONDONTWRITEBYTECODE
# Modules are compiled when they are first imported: most of them never are.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-compile

.DEFAULT_GOAL := help
.PHONY: help run test tests long check lint types bench instructions scale soak memory signals faults rollout-faults security watch contract suite ui evidence lint-speed istio routing load load-web rehearse manifests generated docs wheels sbom lock floors clean system-packages

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## serve on the embedded store (settings: KV_* and OTEL_* variables)
	@exec $(BIN)/python -m svc serve

test: $(VENV)/bench.stamp system-packages ## lint, check types, run all the tests
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory --jobs=2 types tests

tests: $(VENV)/dev.stamp system-packages
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ARGS)

long: $(VENV)/dev.stamp system-packages ## the tests that make test runs in a short form, at full length
	TESTS_LONG=1 $(BIN)/python -m pytest $$(grep -rlE --include='test_*.py' 'support.sizes import|(import|from) hypothesis' tests) $(ARGS)

check: test ## the same

lint: $(VENV)/dev.stamp ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/bench.stamp ## mypy --strict, the benchmarks included
	$(BIN)/mypy

bench: $(VENV)/bench.stamp system-packages ## CPU time per request beside other services (ARGS='--only get --quick')
	$(BIN)/python -m bench.cost $(ARGS)

instructions: $(VENV)/bench.stamp system-packages ## instructions of a request, the same on a busy machine (needs valgrind; ARGS='--before CHECKOUT')
	$(BIN)/python -m bench.instructions $(ARGS)

scale: $(VENV)/bench.stamp system-packages ## CPU time by workers, keys, value sizes and connections
	$(BIN)/python -m bench.scale $(ARGS)

soak: $(VENV)/dev.stamp system-packages ## ten minutes of load, in which no resource may grow
	$(BIN)/python -m bench.soak $(ARGS)

memory: $(VENV)/dev.stamp system-packages ## the largest requests at 64 connections: memory, and whom they hold up
	$(BIN)/python -m bench.memory $(ARGS)

signals: $(VENV)/dev.stamp system-packages ## whether metrics, traces and logs are true, and harmless under strain
	$(BIN)/python -m bench.signals $(ARGS)

faults: $(VENV)/dev.stamp system-packages ## inject faults under load, and count lost and duplicated changes
	$(BIN)/python -m bench.faults $(ARGS)

rollout-faults: $(VENV)/dev.stamp system-packages ## break a rollout's cluster, Prometheus and runners, and see how it ends
	$(BIN)/python -m tests.rollout.faults $(ARGS)

security: $(VENV)/dev.stamp system-packages ## what the door lets in: by scope and prefix, hostile pages and clients, fuzzed requests, rates over pods
	$(BIN)/python -m pytest --quiet tests/svc/door
	$(BIN)/python -m bench.security $(ARGS)

watch: $(VENV)/bench.stamp system-packages ## watch through faults, and measure what watchers cost (ARGS='--before CHECKOUT' compares GETs)
	$(BIN)/python -m bench.watch $(ARGS)

contract: $(VENV)/dev.stamp system-packages ## the OpenAPI document: its tests, and made-up requests by the thousand (ARGS='--examples 20')
	$(BIN)/python -m pytest --quiet tests/svc/api/openapi --deselect tests/svc/api/openapi/test_fuzzing.py
	$(BIN)/python -m tests.svc.api.openapi.fuzzing $(ARGS)

ui: $(VENV)/dev.stamp system-packages ## the tests of the page at full length, with a canary behind Envoy; takes its pictures
	TESTS_LONG=1 $(BIN)/python -m pytest --quiet tests/svc/ui $(ARGS)
	$(BIN)/python -m tests.svc.ui.pictures

evidence: $(VENV)/dev.stamp ## simulated rollouts: how often the verdicts are wrong, and how soon they come
	$(BIN)/python -m bench.evidence $(ARGS)

suite: $(VENV)/bench.stamp system-packages ## make test ten times, two at once, in clean checkouts of the last commit (ARGS='--times 4')
	$(BIN)/python -m bench.suite $(ARGS)

lint-speed: $(VENV)/dev.stamp ## CPU time and memory of lint, by the number of objects
	$(BIN)/python -m bench.lint $(ARGS)

istio: $(VENV)/dev.stamp ## compare our translation with what istiod programmed, fact by fact (ARGS=DIR)
	$(BIN)/python -m bench.istio $(ARGS)

routing: $(VENV)/dev.stamp ## tests of routes: how quick and sure they are, and whether diff finds every difference
	$(BIN)/python -m bench.routing $(ARGS)

load: $(VENV)/dev.stamp system-packages ## half a minute of Locust, by route and by version; wrong answers fail (ARGS='--host URL')
	$(BIN)/python -m loadtest.load $(ARGS)

load-web: $(VENV)/dev.stamp system-packages ## the same, controlled from Locust's page
	$(BIN)/python -m loadtest.load --web $(ARGS)

rehearse: $(VENV)/dev.stamp system-packages ## roll a good release and a bad one out on this machine, with a report of each
	$(BIN)/python -m rollout rehearse istio/canary --report build/rehearsal/good $(ARGS)
	$(BIN)/python -m rollout rehearse istio/canary --canary-env KV_FAULT_ERROR_RATIO=0.05 --report build/rehearsal/bad $(ARGS); test $$? = 1
	@echo "promoted and rolled back, as they should be: build/rehearsal/good/report.html, build/rehearsal/bad/report.html"

manifests: $(VENV)/dev.stamp ## render, lint and judge everything in kustomize/ and istio/
	$(BIN)/python -m rollout lint kustomize istio --with kustomize/overlays/dev --with kustomize/overlays/staging
	$(BIN)/python -m rollout lint --plan istio/canary/1-workloads istio/canary/2-subsets istio/canary/steps --with istio/gateway
	$(BIN)/python -m pytest tests/kustomize tests/istio tests/rollout

generated: $(VENV)/dev.stamp ## write the dashboards, the PrometheusRule, the summary of the manifests and the folder map
	$(BIN)/python -m grafana.build
	$(BIN)/python -m kustomize.components.monitoring.build
	$(BIN)/python -m tests.kustomize.test_summary
	$(BIN)/python -m docs.folder_map

docs: $(VENV)/dev.stamp ## build the documentation's site in build/docs; a broken link fails
	$(BIN)/python -m sphinx -n -W --keep-going -q -b html docs build/docs

wheels: $(VENV)/dev.stamp ## build both distributions into dist/
	cd svc && ../$(BIN)/python -m hatchling build -d ../dist
	cd rollout && ../$(BIN)/python -m hatchling build -d ../dist

sbom: $(VENV)/made.stamp ## bills of materials (CycloneDX) of both products, from the lock files, in build/sbom
	@$(BIN)/python requirements/sbom.py build/sbom

lock: $(VENV)/dev.stamp ## choose the versions in requirements/*.txt anew
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	requirements/lock.sh $(BIN)/uv

floors: $(VENV)/dev.stamp system-packages ## the tests with the lowest versions that are allowed (ARGS=tests/rollout)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	requirements/floors.sh $(BIN)/uv --numprocesses $(JOBS) --dist loadfile $(ARGS)

clean: ## remove everything that was set up here, except data
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis

# What PyPI can't give. Elsewhere than root on Debian or Ubuntu, tests that need one are skipped.
system-packages:
	@tests/system-packages.sh

$(VENV)/made.stamp:
	@$(PYTHON) -c 'import sys; sys.exit("tallykv needs Python 3.11 or later; set PYTHON=" if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV) …"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run.stamp: requirements/run.txt | $(VENV)/made.stamp
	@echo "installing what the service needs …"
	@$(PIP) -r requirements/run.txt
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt | $(VENV)/made.stamp
	@echo "installing what the tests need …"
	@$(PIP) -r requirements/dev.txt
	@touch $@ $(VENV)/run.stamp

# All that the tests need, and the services to measure beside: in one go.
$(VENV)/bench.stamp: requirements/bench.txt | $(VENV)/made.stamp
	@echo "installing what the tests and the benchmarks need …"
	@$(PIP) -r requirements/bench.txt
	@touch $@ $(VENV)/dev.stamp $(VENV)/run.stamp

# `make` lists what there is. Each long step is done once; .venv is made from uv.lock.

SHELL := /bin/bash
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # else each process compiles what it imports anew: seconds for every start, many in the tests
.PHONY: help up chat test check clients crash bench eval-demo-model fmt clean

RUN := .venv/.ready-to-run
TEST := .venv/.ready-to-test
INPUTS := uv.lock pyproject.toml deploy/bootstrap/install.sh deploy/bootstrap/requirements.txt

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; do printf '  make %-16s %s\n' "$$name" "$$text"; done

up: $(RUN) ## install what is needed, start everything on this machine, serve it until Ctrl-C
	@exec .venv/bin/paddock up

chat: $(RUN) ## talk to the running server
	@exec .venv/bin/paddock chat

test: $(TEST) ## install what the tests need, and run them all, in two workers (make test WORKERS=4)
	.venv/bin/python -m pytest -n $(or $(WORKERS),2) --durations=40

check: $(TEST) ## format, lint, types, architecture: what CI runs beside the tests
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

clients: $(TEST) ## run client libraries of others against a Paddock of their own (make clients NAMES="py/ ai_sdk" for some)
	.venv/bin/python -m tests.clients $(NAMES)

crash: $(TEST) ## kill processes at N moments (make crash N=5000 SEED=1), and look whether anything was lost or done twice
	.venv/bin/python -m tests.crash $(or $(N),200) $(or $(SEED),1)

bench: $(TEST) ## measure against peers; prints and stores the results
	.venv/bin/python -m tests.benchmarks

eval-demo-model: $(TEST) ## held-out conversations through a Paddock with the demonstration model; fails below its aims
	.venv/bin/python deploy/demo-model/evaluate_live.py

fmt: $(TEST) ## format the code and fix what can be fixed
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

clean: ## remove what was installed here (not your data)
	rm -rf .venv .venv-bootstrap

$(RUN): $(INPUTS)
	@deploy/bootstrap/install.sh run
	@touch $@

$(TEST): $(INPUTS)
	@deploy/bootstrap/install.sh test
	@touch $@ $(RUN)

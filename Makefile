# `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export GOWORK := off
# Stamping from git fails in a checkout that somebody else owns; VERSION says what is needed.
export GOFLAGS := $(strip $(filter-out -buildvcs=%,$(shell go env GOFLAGS 2>/dev/null)) -buildvcs=false)

MODULE := github.com/pytorch/platform-lane-operator
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Modules beside the main one that hold Go code of ours (hack/sandbox/build/* only pin programs).
NESTED_MODULES := $(patsubst %/go.mod,%,$(shell find hack test -name go.mod -not -path 'hack/sandbox/build/*' 2>/dev/null | sort))
# `make verify` runs what hack/tools holds.
TESTED_MODULES := $(filter-out hack/tools,$(NESTED_MODULES))
ALL_MODULES    := . $(patsubst %/go.mod,%,$(shell find hack test -name go.mod 2>/dev/null | sort))
GO_FOLDERS     := $(wildcard api config controllers cmd hack test)

TOOL     := go tool -modfile=hack/tools/go.mod
version_of = $(shell awk '$$1 == "$(1)" { print $$2 }' $(2)/go.mod)

# Linking golangci-lint takes a while, so it is kept, under the versions of its two halves.
LINTER_VERSION := $(call version_of,github.com/golangci/golangci-lint/v2,hack/tools)-$(lastword $(subst -, ,$(call version_of,sigs.k8s.io/kube-api-linter,hack/tools)))
GOLANGCI_LINT  := $(CURDIR)/bin/tools/golangci-lint-$(LINTER_VERSION)

# The demo and the tests type kubectl commands. `make KUBECTL=kubectl …` takes yours (1.31 or later).
KUBECTL_VERSION := $(call version_of,k8s.io/kubernetes,hack/sandbox/build/kubectl)
PINNED_KUBECTL  := $(CURDIR)/bin/sandbox/kubectl-$(KUBECTL_VERSION)
KUBECTL         ?= $(PINNED_KUBECTL)
KUBECTL_PROGRAM := $(filter $(PINNED_KUBECTL),$(KUBECTL))
export KUBECTL

SANDBOX := go run ./hack/sandbox/cmd/sandbox

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN { FS = ":.*## "; printf "Usage: make \033[36mTARGET\033[0m\n" } \
		/^##@ / { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } \
		/^[a-zA-Z0-9_-]+:.*## / { printf "  \033[36m%-18s\033[0m %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Try it

.PHONY: demo
demo: sandbox-programs build ## Tell the whole story on a real local stack: publish, install, yank, suspend.
	go run ./test/demo

.PHONY: sandbox
sandbox: sandbox-programs ## Run the local stack until Ctrl-C; prints its endpoints.
	$(SANDBOX) up

.PHONY: sandbox-down
sandbox-down: ## Stop the local stack that `make sandbox` started.
	$(SANDBOX) down

.PHONY: run
run: ## Run the operator from source against `go run ./hack/sandbox/cmd/sandbox -without-operator up`.
	env -u AWS_CA_BUNDLE go run ./cmd/manager --config=.sandbox/operator.yaml --kubeconfig=.sandbox/kubeconfig \
		--leader-election-namespace=default --metrics-bind-address=0

##@ Test

.PHONY: test
test: test-prerequisites build sandbox-programs ## Run every test: units, contracts, API server, and the story end to end.
	@hack/tools/test $(TESTED_MODULES)

.PHONY: test-unit
test-unit: sandbox-programs ## Run the packages' own tests; a port's contract meets its real server there.
	go test -timeout 10m ./api/... ./controllers/... ./cmd/...

.PHONY: test-integration
test-integration: test-prerequisites sandbox-programs ## Run the tests of the API server's answers, of the lanes' permissions, and of the local stack.
	@for module in $(TESTED_MODULES); do echo "go -C $$module test ./..."; go -C $$module test -timeout 10m ./...; done
	go test -timeout 10m $$(go list ./hack/... ./test/... | grep -v '/test/e2e$$')

.PHONY: test-e2e
test-e2e: sandbox-programs ## Run the story as a test suite on the local stack.
	go test -count=1 -timeout 30m ./test/e2e

.PHONY: test-scale
test-scale: sandbox-programs ## Put 1,000 lanes into one cluster; `make test` makes do with 200.
	go test -count=1 -timeout 60m -v -run TestOneLaneMore ./test/roles -args -lanes=1000

##@ Develop

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code.
	$(GOLANGCI_LINT) fmt

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Run the linters, in every module.
	@status=0; for module in . $(NESTED_MODULES); do \
		echo "golangci-lint run in $$module"; (cd $$module && $(GOLANGCI_LINT) run ./...) || status=1; \
	done; exit $$status

.PHONY: lint-fix
lint-fix: $(GOLANGCI_LINT) ## Run the linters and let them fix what they can.
	$(GOLANGCI_LINT) run --fix ./...
	@for module in $(NESTED_MODULES); do (cd $$module && $(GOLANGCI_LINT) run --fix ./...); done

.PHONY: generate
generate: ## Generate the DeepCopy methods of the API types.
	$(TOOL) controller-gen object paths=./api/...

.PHONY: manifests
manifests: ## Generate the CRDs, the manager's ClusterRole, and what the AWS account needs.
	$(TOOL) controller-gen \
		crd output:crd:artifacts:config=config/crd/bases \
		rbac:roleName=platform-lane-operator output:rbac:artifacts:config=config/rbac \
		paths=./api/... paths=./controllers/...
	@mkdir -p bin
	go run ./cmd/kubectl-lane bootstrap --config config/manager/operator.yaml > bin/account.yaml
	@mv bin/account.yaml config/aws/account.yaml

.PHONY: verify
verify: verify-format verify-modules verify-generated verify-arrows ## Check that formatting, modules, generated files and import rules are in order.

.PHONY: verify-format
verify-format:
	@unformatted=$$(gofmt -l $(GO_FOLDERS)); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run \`make fmt\`:"; echo "$$unformatted"; exit 1; fi

.PHONY: verify-modules
verify-modules:
	@for module in $(ALL_MODULES); do \
		go -C $$module mod tidy -diff || { echo "$$module/go.mod is not tidy, run \`go -C $$module mod tidy\`"; exit 1; }; \
	done

# Compares with what was there before, so that work in progress is no finding.
.PHONY: verify-generated
verify-generated:
	@before=$$(mktemp -d); trap 'rm -rf "$$before"' EXIT; \
	cp -R api config "$$before"; \
	$(MAKE) generate manifests; \
	for dir in api config; do \
		diff -ru "$$before/$$dir" "$$dir" || { echo "$$dir/ was out of date and has been regenerated: look at the difference and commit it"; exit 1; }; \
	done

.PHONY: verify-arrows
verify-arrows: $(GOLANGCI_LINT)
	GOLANGCI_LINT=$(GOLANGCI_LINT) go -C hack/tools test -count=1 ./arrows

##@ Build and install

.PHONY: build
build: ## Build the manager and the kubectl plugins into bin/.
	@mkdir -p bin
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: install
install: $(KUBECTL_PROGRAM) ## Install the CRDs into the cluster that KUBECONFIG names.
	$(TOOL) kustomize build config/crd | "$(KUBECTL)" apply --server-side -f -

.PHONY: uninstall
uninstall: $(KUBECTL_PROGRAM) ## Remove the CRDs, and with them every lane and yank, from that cluster.
	$(TOOL) kustomize build config/crd | "$(KUBECTL)" delete --ignore-not-found -f -

.PHONY: clean
clean: ## Stop the local stack; remove what was built and the stack's data.
	@if [ -d .sandbox ]; then $(SANDBOX) down; fi
	rm -rf bin .sandbox coverage dist

# What the targets above stand on.

.PHONY: prerequisites
prerequisites:
	@hack/tools/prerequisites

.PHONY: test-prerequisites
test-prerequisites:
	@hack/tools/prerequisites tests

.PHONY: sandbox-programs
sandbox-programs: prerequisites $(KUBECTL_PROGRAM)
	$(SANDBOX) build

$(GOLANGCI_LINT):
	@echo "building golangci-lint with kube-api-linter (about a minute, once)"
	@mkdir -p $(@D)
	CGO_ENABLED=0 go -C hack/tools build -trimpath -ldflags '-s -w' -o $@ sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter

$(PINNED_KUBECTL):
	@echo "building kubectl $(KUBECTL_VERSION) (about a minute, once)"
	@mkdir -p $(@D)
	CGO_ENABLED=0 go -C hack/sandbox/build/kubectl build -trimpath \
		-ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBECTL_VERSION) -X k8s.io/component-base/version.gitCommit= -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(word 2,$(subst ., ,$(KUBECTL_VERSION)))' \
		-o $@ k8s.io/kubernetes/cmd/kubectl

# Everything that a contributor does, by name. `make` alone lists it.
# Nothing has to be installed but Go, make, bash and coreutils: tools are Go
# modules (tools/go.mod), built on first use and kept in Go's build cache.

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help
export GOTOOLCHAIN := auto

REGISTRY ?= citoroute#          registry and folder of the images
VERSION ?= dev#                 tag of the images, and version of the bundle where it is one
CONTAINER_TOOL ?= docker#       builds and pushes the images
FUZZTIME ?= 30s#                how long `make fuzz` runs each target
FUZZ ?= api internal#           folders whose targets `make fuzz` runs
PROFILES ?= GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP,MESH-HTTP,MESH-GRPC# conformance profiles, separated by commas
TEST ?=#                        one conformance test instead of a profile
ARGS ?=#                        more arguments for `make run`, `make bench` and `make test`

PROGRAMS := controller proxy citoroute
TOOL := go tool -modfile=tools/go.mod
STATIC := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w'
# The race detector needs a C compiler.
RACE := $(if $(shell command -v cc || command -v gcc),-race)
# kubectl from the machine, or the one that the local cluster brings.
CLUSTER_BIN := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/citoroute/cluster/bin
KUBECTL := $(or $(shell command -v kubectl),$(CLUSTER_BIN)/kubectl)
# Prints the installation with the images of REGISTRY and VERSION.
INSTALLER = $(TOOL) kustomize build config/default | sed -E 's\#citoroute/(controller|proxy):dev\#$(REGISTRY)/\1:$(VERSION)\#'

##@ General

.PHONY: help
help: ## List the targets and variables
	@awk 'BEGIN {FS = ":.*## "} \
	  /^[a-z0-9-]+:.*## / {printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2} \
	  /^##@ / {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)}' $(MAKEFILE_LIST)
	@printf '\n\033[1mVariables\033[0m\n'
	@awk -F ' *\\?= *|# +' '/^[A-Z_]+ \?=/ {printf "  \033[36m%-16s\033[0m %s (%s)\n", $$1, $$3, $$2}' Makefile | sed 's/ ()$$//'

.PHONY: run
run: ## Serve examples/quickstart on 127.0.0.1:8080, without a cluster
	@$(STATIC) -o bin/citoroute ./cmd/citoroute
	@exec bin/citoroute run --demo examples/quickstart $(ARGS)

.PHONY: clean
clean: ## Remove what was built in this folder
	rm -rf bin dist cover.out

##@ Development

.PHONY: generate
generate: ## Generate Go code (deep copies of the API types)
	$(TOOL) controller-gen object paths=./api/...

.PHONY: manifests
manifests: ## Generate CRDs, RBAC and the webhook from the markers in Go code
	$(TOOL) controller-gen crd paths=./api/... output:crd:dir=config/crd/bases
	$(TOOL) controller-gen rbac:roleName=manager-role paths=./internal/controller/... output:rbac:dir=config/rbac
	$(TOOL) controller-gen webhook paths=./internal/controller/... output:webhook:dir=config/webhook
	# Gateway API's types carry notes for its own generator, which are not for users.
	sed -i '/<gateway:[a-z]*:[a-zA-Z]*>/,/<\/gateway:/d' config/crd/bases/*.yaml

.PHONY: fmt
fmt: ## Format Go code
	$(TOOL) golangci-lint fmt ./...

.PHONY: lint
lint: ## Lint Go code, import rules between packages included
	$(TOOL) golangci-lint run ./...
	cd test/e2e && go tool -modfile=../../tools/go.mod golangci-lint run ./...
	cd test/schema && go tool -modfile=../../tools/go.mod golangci-lint run ./...
	cd test/insights && go tool -modfile=../../tools/go.mod golangci-lint run ./...

.PHONY: test
test: ## Run the unit, golden, envtest, SDK schema and alert tests
	KUBEBUILDER_ASSETS="$$(hack/envtest.sh)" go test $(RACE) -shuffle=on ./... $(ARGS)
	cd test/schema && go test -shuffle=on ./... $(ARGS)
	cd test/insights && go test -shuffle=on ./... $(ARGS)

.PHONY: poison
poison: ## Run the tests of the data plane with memory overwritten as soon as it may serve again
	go test $(RACE) -tags poison ./internal/poison ./internal/ai/... ./internal/proxy/... ./internal/standalone $(ARGS)

.PHONY: golden
golden: ## Write the golden files anew; read the difference before committing it
	go test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' internal | xargs -n1 dirname | sort -u | sed 's|^|./|') -update

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' $(FUZZ) | sed 's/:func / /' | while read -r file name; do \
	  echo "$$name in $$(dirname "$$file")"; \
	  go test "./$$(dirname "$$file")" -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME); \
	done

.PHONY: check
check: generate manifests bundle fmt lint test score ## All that must pass before a commit; nothing generated may be left behind
	@git diff --exit-code --stat || { echo 'check: the files above changed: commit them too'; exit 1; }

.PHONY: score
score: ## Measure the code against the project's limits
	@go run ./hack/score

.PHONY: bench
bench: ## Compare throughput with nginx and httputil.ReverseProxy
	hack/bench/run.sh $(ARGS)

.PHONY: bench-llm
bench-llm: ## Compare chat completions with a plain proxy pass of the same bytes
	hack/bench/run.sh -suite llm $(ARGS)
	hack/bench/run.sh -suite streams -rounds 7 $(ARGS)

.PHONY: bench-portkey
bench-portkey: ## Compare chat completions with Portkey's gateway, from npm
	hack/bench/portkey.sh $(ARGS)

.PHONY: profile
profile: ## Measure anew what the compiler should know about the proxy under load
	mkdir -p bin/profile
	hack/bench/run.sh -rounds 3 -duration 20s -profile bin/profile
	hack/bench/run.sh -suite llm -rounds 1 -duration 20s -profile bin/profile
	go tool pprof -proto bin/profile/*.pprof >cmd/proxy/load.pgo

##@ Build

.PHONY: build
build: ## Build static programs into bin/, as they are in the images
	$(STATIC) -pgo cmd/proxy/load.pgo -o bin/ $(PROGRAMS:%=./cmd/%)

.PHONY: docker-build
docker-build: ## Build the images
	for program in $(PROGRAMS); do \
	  $(CONTAINER_TOOL) build --build-arg BINARY=$$program --build-arg VERSION=$(VERSION) -t $(REGISTRY)/$$program:$(VERSION) .; \
	done

.PHONY: docker-push
docker-push: ## Push the images
	for program in $(PROGRAMS); do $(CONTAINER_TOOL) push $(REGISTRY)/$$program:$(VERSION); done

.PHONY: build-installer
build-installer: ## Write dist/install.yaml: everything that a cluster needs
	@mkdir -p dist
	$(INSTALLER) >dist/install.yaml

.PHONY: bundle
bundle: ## Generate and verify the OLM bundle
	go run ./hack/generate/bundle
	@$(TOOL) operator-verify manifests bundle 2>&1 | { ! grep -v '^go: downloading'; } # it exits with 0 whatever it finds

##@ Cluster

.PHONY: cluster-up
cluster-up: ## Start a local cluster without Docker
	hack/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Stop the local cluster
	hack/cluster/down.sh

.PHONY: install
install: ## Install the CRDs
	$(TOOL) kustomize build config/crd | $(KUBECTL) apply --server-side -f -

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every object of theirs
	$(TOOL) kustomize build config/crd | $(KUBECTL) delete --ignore-not-found -f -

# Without KUBECONFIG the cluster is that of cluster-up, which pulls no images:
# they are built and put there.
.PHONY: deploy
deploy: ## Install the controller; without KUBECONFIG in the local cluster
ifdef KUBECONFIG
	$(INSTALLER) | $(KUBECTL) apply --server-side -f -
else
	hack/cluster/load.sh
	hack/cluster/deploy.sh
endif

.PHONY: undeploy
undeploy: ## Remove the controller
	KUBECONFIG="$${KUBECONFIG:-$$(hack/cluster/up.sh --kubeconfig)}" $(KUBECTL) delete --ignore-not-found -k config/default

.PHONY: test-e2e
test-e2e: ## Run the end-to-end tests; on kind where Docker is, else on the local cluster
	test/e2e/run.sh $(ARGS)

.PHONY: conformance
conformance: ## Run the Gateway API conformance suite (PROFILES, TEST)
	PROFILES='$(PROFILES)' TEST='$(TEST)' test/e2e/conformance.sh

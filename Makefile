# The tasks of a release and of a user who builds from source. .ci/run has the checks.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
GORELEASER ?= go run github.com/goreleaser/goreleaser/v2@v2.15.1

.PHONY: help build test image man completions snapshot clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST)

build: ## the static binary ./wsecho
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o wsecho .

test: ## the short tests
	go test ./...

image: ## an OCI image layout in dist/image, without Docker; the platforms are in PLATFORMS
	rm -rf dist/image
	cd deploy && go run ./cmd/image -root .. -out ../dist/image -version "$(VERSION)" -revision "$(REVISION)" $(if $(PLATFORMS),-platforms "$(PLATFORMS)")

man: ## deploy/man/wsecho.1 and docs/flags.md, from the help
	go test -run TestFlagsPage ./internal/command -update

completions: ## the scripts of three shells, in completions/
	mkdir -p completions
	go run -pgo=off . completion bash >completions/wsecho
	go run -pgo=off . completion zsh >completions/_wsecho
	go run -pgo=off . completion fish >completions/wsecho.fish

snapshot: completions ## archives and packages in dist/, of the current commit
	$(GORELEASER) release --snapshot --clean

clean: ## remove what the other targets have built
	rm -rf wsecho dist completions

# Vitrine. `make help` lists what there is to make.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

export CGO_ENABLED = 0
export VITRINE_DATA ?= $(CURDIR)/data

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
FUZZTIME  ?= 10m
BENCHTIME ?= 1s
TIMEOUT   ?= 30m
PROGRAMS  := $(notdir $(wildcard cmd/*))
CACHE     := .cache
GO_BUILD   = go build -trimpath -tags embedui -ldflags '-s -w -X main.version=$(VERSION)'
# Nothing but the console's own files makes it stale, the documentation that it shows among them.
CONSOLE   := $(shell find web/src web/public docs/*.md web/index.html web/package.json web/vite.config.ts web/tsconfig.json -type f 2>/dev/null)

# What tests need beyond Go and Node.js: programs and the Debian packages that have them.
PROGRAMS_FOR_TESTS := cpio gcc tshark nginx curl openssl chromium ip zstd fc-match vsftpd lftp wget gnutls-cli python3 systemd-tmpfiles postfix dovecot swaks java keytool node tstclnt haproxy apache2 git firefox-esr nft softhsm2-util pkcs11-tool
PACKAGES_FOR_TESTS := cpio gcc libc6-dev tshark nginx-light curl openssl chromium fontconfig fonts-noto-cjk fonts-noto-core iproute2 zstd ca-certificates vsftpd lftp wget gnutls-bin python3 systemd postfix dovecot-imapd dovecot-pop3d swaks libnet-ssleay-perl libnss3-tools haproxy apache2-bin python3-requests python3-httpx python3-h2 default-jdk-headless python3-websockets python3-grpcio git firefox-esr nftables softhsm2 opensc

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: build ## Build, then run everything on this machine in the foreground
	exec bin/vitrine up

.PHONY: build
build: need-build bin/libchdb.so web/dist/index.html ## Build all programs into bin/
	@mkdir -p bin
	for p in $(PROGRAMS); do $(GO_BUILD) -o bin/$$p ./cmd/$$p; done

.PHONY: build-hsm
build-hsm: need-build web/dist/index.html ## Build bin/vitrine-hsm and bin/vitrine-agent-hsm, which reach keys in PKCS#11 tokens; needs a C compiler
	@.ci/packages gcc -- gcc libc6-dev
	@mkdir -p bin
	for p in vitrine vitrine-agent; do CGO_ENABLED=1 $(GO_BUILD) -tags embedui,netgo,osusergo -o bin/$$p-hsm ./cmd/$$p; done

bin/libchdb.so: internal/chdb/fetch/main.go
	@mkdir -p bin
	go run ./internal/chdb/fetch -cache $(CACHE) -o $@
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json $(CONSOLE)
	cd web && npm run build
	@touch $@

.PHONY: test
test: build need-test ## Run every test: Go with the race detector, the console's units, the console in Chromium
	@mkdir -p $(CACHE)/test && rm -f $(CACHE)/test/*.json
	-cd web && npm test -- --reporter=default --reporter=json --outputFile.json=$(CURDIR)/$(CACHE)/test/web-unit.json
	-cd web && npm run e2e -- --reporter=default --reporter=json --outputFile.json=$(CURDIR)/$(CACHE)/test/web-e2e.json
	CGO_ENABLED=1 go test -race -timeout $(TIMEOUT) -json ./... | go run ./internal/testreport $(CACHE)/test/web-unit.json $(CACHE)/test/web-e2e.json

.PHONY: test-go
test-go: ## Find crypto/tls in programs of every release of Go; fetches a gigabyte
	go test -count 1 -timeout $(TIMEOUT) ./source/probe/hooks/gobinary -args -every-release

.PHONY: lint
lint: need-build web/node_modules/.package-lock.json ## Check formatting, vet and lint Go and the console
	@test -z "$$(gofmt -l $$(git ls-files '*.go') | tee /dev/stderr)"
	go vet ./...
	go tool -modfile=.ci/tools.mod staticcheck ./...
	cd web && npm run lint

.PHONY: generate
generate: web/node_modules/.package-lock.json ## Write generated files anew; leaves no diff with clang 14
	@.ci/packages clang llvm-strip -- clang llvm libbpf-dev
	go generate ./...
	cd web && npm run generate

.PHONY: cases
cases: build ## Replay the scenarios below testdata/cases and compare their events
	go test -count 1 -run 'TestCases' -v ./cmd/vitrine

.PHONY: bench
bench: build ## Measure; docs/performance.md explains the figures
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout $(TIMEOUT) ./...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME (10m)
	@go list -f '{{.Dir}}' ./... | while read -r dir; do \
		for target in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go 2>/dev/null | cut -c6-); do \
			echo "== $$dir $$target"; \
			(cd "$$dir" && go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x .); \
		done; \
	done

.PHONY: conformance
conformance: build ## Judge Vitrine by a folder of peers' test data: make conformance DIR=...
	@test -n "$(DIR)" || { echo 'say which folder: make conformance DIR=...' >&2; exit 2; }
	go run ./internal/conformance -vitrine bin/vitrine $(DIR)

.PHONY: test-kernels
test-kernels: build ## Try the probe on kernels from 4.18 to the newest, in emulated machines
	@.ci/packages qemu-system-x86_64 -- qemu-system-x86
	go run ./internal/kerneltest -agent bin/vitrine-agent -cache $(CACHE)/debian

.PHONY: clean
clean: ## Remove what was built; data and downloads stay
	rm -rf bin web/dist

# The programs that a build needs. Their versions are checked by go.mod and by package.json.
.PHONY: need-build
need-build:
	@for p in go node npm git; do command -v $$p >/dev/null || { echo "$$p is missing: Vitrine needs Linux, Go, Node.js with npm, make and git" >&2; exit 1; }; done

.PHONY: need-test
need-test:
	@.ci/packages $(PROGRAMS_FOR_TESTS) -- $(PACKAGES_FOR_TESTS)

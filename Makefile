# A thin layer over meson. `make up` and `make test` install what they need (Debian packages; sudo when not root).
BUILD ?= build
SAMPAN := $(BUILD)/sampan
SHELL := /bin/bash

.PHONY: all up down deps build test unit sanitize sim e2e fidelity conformance bench fuzz interop machines deb clean format

all: build

deps:
	@packaging/deps.sh build

build: deps
	@tools/build.sh $(BUILD)

up: deps build
	@packaging/deps.sh run
	@$(SAMPAN) up $(UPFLAGS)

down:
	@$(SAMPAN) down

test: deps build
	@packaging/deps.sh run test
	@tests/run.sh

unit: build
	meson test -C $(BUILD) --print-errorlogs

sanitize: deps
	@tests/sanitize.sh

e2e: build
	@tests/e2e/run.sh

fidelity: build
	@tests/fidelity.sh

conformance: build
	@tests/conformance.sh "$(FOCUS)"

# Our programs and upstream's in each other's place; upstream's are looked for in $PEERS/bin.
interop: build
	@packaging/deps.sh run test
	@tests/interop/run.sh

# The walk-through on three virtual machines, and a single one (emulated, half an hour; not in `make test`).
machines: build
	@packaging/deps.sh run test
	@tests/machines/run.sh

deb: build
	@packaging/deb.sh $(BUILD)

bench: build
	@packaging/deps.sh run test
	@bench/run.sh

fuzz: deps
	@tests/fuzz/run.sh

format:
	@git ls-files 'src/*.[ch]' 'tests/*.[ch]' | xargs clang-format-14 -i

clean:
	rm -rf build build-*

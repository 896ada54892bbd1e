# Martlet. `make demo` shows the main job, `make test` runs every test; both install what they need (as root).
SHELL := /bin/bash
OBJECTS := Sources/CMartletBPF/objects
BUILD := .build
# SwiftPM leaves a folder in TMPDIR each time it runs.
SWIFTPM := mkdir -p $(BUILD)/tmp && TMPDIR=$(abspath $(BUILD))/tmp swift
SWIFT_FLAGS := --static-swift-stdlib -Xswiftc -use-ld=lld -Xlinker --gc-sections -Xlinker -s \
	-Xlinker --no-export-dynamic -Xlinker -z -Xlinker pack-relative-relocs

.PHONY: build demo test test-long bench lint format clean bpf prerequisites-%

build: prerequisites-build bpf
	$(SWIFTPM) build --scratch-path $(BUILD) -c release --product martlet $(SWIFT_FLAGS)
	mkdir -p bin
	install -m 0755 $(BUILD)/release/martlet bin/martlet

bpf:
	$(MAKE) -s -C bpf OUT=$(abspath $(OBJECTS))

demo: prerequisites-demo build
	scripts/demo

test: prerequisites-test build
	scripts/test

test-long: prerequisites-test build
	scripts/test --long

bench: prerequisites-bench build
	scripts/bench

lint: prerequisites-lint
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	clang-format --dry-run --Werror bpf/*.c bpf/*.h Sources/C*/*.c Sources/C*/include/*.h
	scripts/check-floors

format: prerequisites-lint
	swift format --in-place --recursive --parallel Package.swift Sources Tests
	clang-format -i bpf/*.c bpf/*.h Sources/C*/*.c Sources/C*/include/*.h

clean:
	rm -rf $(BUILD) bin $(OBJECTS)

prerequisites-%:
	@scripts/prerequisites $*

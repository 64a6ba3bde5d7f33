# `make demo` shows the main job, `make test` proves it. Both install what a fresh Debian machine lacks.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

TRIPLE := $(shell rustc -vV | sed -n 's/^host: //p')
AGENT := target/$(TRIPLE)/debug/apc-agent

# command:package, as Debian calls them.
NEEDS := cc:gcc runc:runc nft:nftables ip:iproute2 busybox:busybox-static ssh:openssh-client ssh-keyscan:openssh-client nvim:neovim

.PHONY: build agent deps demo test test-release fuzz-long lint bench bench-exact bench-gate fuzz clean

build: agent
	cargo build --bins

# The SSH server inside an instance stands alone there: it may need no library of the image's.
agent:
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --target $(TRIPLE) \
	    --no-default-features --features static-agent --bin apc-agent
	mkdir -p target/debug
	cmp -s $(AGENT) target/debug/apc-agent || install -m 0755 $(AGENT) target/debug/apc-agent

deps:
	@lacking=""; export PATH="$$PATH:/usr/sbin:/sbin"; \
	for need in $(NEEDS); do \
	    command -v "$${need%%:*}" >/dev/null || lacking="$$lacking $${need##*:}"; \
	done; \
	if [ -n "$$lacking" ]; then \
	    echo "installing:$$lacking"; \
	    sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$lacking >/dev/null; \
	fi

# Containers, NAT and name spaces want root.
demo: deps build
	@if [ "$$(id -u)" = 0 ]; then target/debug/apcd demo; else sudo target/debug/apcd demo; fi

test: deps build
	cargo check --no-default-features --lib
	@if cargo tree --no-default-features --edges normal --prefix none | grep -E '^(tokio|axum|russh|clap) '; then \
	    echo "the pure half has a runtime in its tree"; exit 1; fi
	cargo test

# The stack of 64 KiB and the hundred thousand rules that a release build has to bear; building it takes minutes.
test-release:
	cargo test --release --test hostile

# Times say something only beside each other: the table at the end is of ratios.
bench:
	cargo bench --bench language
	cargo bench --bench adversarial
	cargo bench --bench change
	cargo bench --bench start
	cargo bench --bench lsp
	cargo run --release --manifest-path benches/peers/Cargo.toml --target-dir target

# Instructions, not times: those are the same whatever else the machine does.
bench-exact:
	$(MAKE) deps NEEDS=valgrind:valgrind
	cargo bench --bench exact

# The whole gate beside OpenSSH, with real containers: as root, and best on a machine that does nothing else.
bench-gate: NEEDS += sshd:openssh-server
bench-gate: deps
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --target $(TRIPLE) \
	    --no-default-features --features static-agent --bin apc-agent
	mkdir -p target/release
	install -m 0755 target/$(TRIPLE)/release/apc-agent target/release/apc-agent
	cargo bench --bench gate

# A minute for each target; see fuzz/README.md.
FUZZ_SECONDS ?= 60
fuzz:
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	for target in lex parse format render lint editor decide request lsp; do \
	    mkdir -p fuzz/corpus/$$target; \
	    dictionary=fuzz/policy.dict; case $$target in request|lsp) dictionary=fuzz/json.dict;; esac; \
	    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target fuzz/corpus/$$target policies tests/lint -- \
	        -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=5 -rss_limit_mb=1024 -dict=$$dictionary; \
	done

# A million random worlds for both evaluators, then thirty minutes for each target; its corpora stay in fuzz/corpus.
fuzz-long:
	GATEHOUSE_CASES=1000000 cargo test --release --test eval both_evaluators_give_one_answer
	$(MAKE) fuzz FUZZ_SECONDS=1800

lint:
	cargo fmt --check
	cargo clippy --all-targets -- --deny warnings

clean:
	cargo clean

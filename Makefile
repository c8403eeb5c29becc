# Everything is built and installed below target/. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build run demo test fuzz bench lint core-on-node openapi

setup = @tests/setup/tools.sh
runner = $(CURDIR)/target/tools/bin/wasm-bindgen-test-runner
crates = -p app-auth-core -p app-auth-admin -p app-auth-wasm-host -p app-auth-test-tokens -p app-auth-tests

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## target/gateway: the filter and its schema, ready to be Kong's wasm_filters_path
	$(setup) cargo wasm
	@tests/setup/gateway.sh

run: build ## admin extension, gateway and an upstream, in the foreground
	$(setup) gateway
	@cargo build --locked --release -p app-auth-admin -p app-auth-tests
	@target/release/stack run

demo: build ## the story of one connection, step by step
	$(setup) gateway
	@cargo build --locked --release -p app-auth-admin -p app-auth-tests
	@target/release/stack demo

test: lint build core-on-node ## everything that must hold
	$(setup) envoy postgres smtp idp browser
	cargo build --locked -p app-auth-admin
	# Scenarios mostly wait for servers: more of them than cores go on at a time.
	RUST_TEST_THREADS=$$((2 * $$(nproc))) cargo test --locked $(crates)
	# The admin extension's own tests once more, on PostgreSQL.
	cargo run --locked -p app-auth-tests --bin stack -- with-postgres cargo test --locked -p app-auth-admin --lib

fuzz: build ## odd tokens until one does harm, by the core and at the filter's door
	@while export APP_AUTH_FUZZ_SEED=$$(date +%s)000000 && \
		APP_AUTH_FUZZ_COUNT=100000 cargo test --quiet --locked -p app-auth-core --test tokens fuzz:: && \
		APP_AUTH_FUZZ_COUNT=2000 cargo test --quiet --locked -p app-auth-wasm-host --test filter tokens::given_any_bytes; \
	do :; done; false

bench: build ## one table: this filter beside Envoy's own
	$(setup) envoy wrk
	@cargo build --locked --release -p app-auth-admin -p app-auth-tests
	@target/release/stack bench

lint: ## formatting and clippy
	$(setup) cargo wasm
	cargo fmt --all --check
	cargo clippy --quiet --locked --all-targets $(crates) -- -D warnings
	cargo clippy --quiet --locked -p app-auth-filter --target wasm32-wasip1 -- -D warnings

core-on-node: ## the core's tests as WebAssembly on Node
	$(setup) node runner
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(runner) cargo test --locked -p app-auth-core --target wasm32-unknown-unknown --tests

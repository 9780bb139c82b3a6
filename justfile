# Lists the recipes.
default:
    @just --list --unsorted

# Formatting, lints, tests, documentation.
check: fmt lint test doc

# Formats everything.
fmt:
    cargo fmt

# All lints, as errors.
lint:
    cargo clippy --all-targets -- -D warnings

# Every test, after installing what they need; arguments choose: just test prune
test *args:
    bash tests/run {{args}}

# Faults planted in the core that no test notices; arguments go to cargo-mutants: just mutants -f 'src/plan/prune*'
mutants *args:
    bash tests/mutants/run {{args}}

# The API documentation, without warnings.
doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet

# Accepts changed snapshots after a look at each.
snap:
    cargo insta review

# Writes the JSON Schema of cache.yaml.
schema:
    cargo run --quiet -- schema > schema/cache.schema.json

# The quick start of the README.
demo:
    cargo run --release -- reconcile --apply --config examples/quickstart/cache.yaml

# Licences, banned crates, sources, advisories.
deny:
    cargo deny check

# Exactly what CI runs.
ci:
    bash .ci/run

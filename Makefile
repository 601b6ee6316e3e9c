# make demo   drains one backlog of each kind, with everything that goes wrong on the way
# make test   installs what the tests need where it is missing, then runs every test
# make check  what CI runs: test, rustfmt, clippy, rustdoc, generated files
# make peers  harvests, is harvested, uploads, is uploaded to, is asked and is read, by software that no one here wrote, and takes in documents
#             that no one here wrote; needs Python, Node, pandoc and, once, the network
# make fuzz   mutated OAI-PMH pages, archives, small texts and documents against their readers, each for FUZZ_SECS (600), from FUZZ_SEED where it is given
# make soak   random histories of rollups beyond the seeds of the tests: SOAK_SEEDS (20..220), for SOAK_SECS where it is given
# make shuttle  passes on a scheduler that decides at every point who runs next; part of `make test`, with HIGHWATER_SHUTTLE_SCHEDULES for longer
# make bench  the hot paths against their physical limit, as ratios in one run

CARGO ?= cargo
DEMO ?= $(TARGET)/demo
NOT_RUN = $(TARGET)/not-run.txt
TARGET = $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)

.PHONY: demo demo-clean test check fmt clippy docs generated peers fuzz soak shuttle bench needs

demo:
	$(CARGO) build --locked --quiet -p highwater
	@examples/demo/demo.sh "$(TARGET)/debug/highwater" "$(CURDIR)" "$(DEMO)"
	@examples/oai/demo.sh "$(TARGET)/debug/highwater" "$(CURDIR)" "$(DEMO)/oai"
	@examples/rollup/demo.sh "$(TARGET)/debug/highwater" "$(CURDIR)" "$(DEMO)/rollup"
	@examples/episodes/demo.sh "$(TARGET)/debug/highwater" "$(CURDIR)" "$(DEMO)/episodes" "$(TARGET)/debug/examples/certificates" \
	    "$(CARGO) build --locked --quiet -p highwater-testkit --example certificates --example documents"
	@examples/kb/demo.sh "$(TARGET)/debug/highwater" "$(CURDIR)" "$(DEMO)/kb" "$(TARGET)/debug/examples/documents"

demo-clean:
	rm -rf "$(DEMO)"

needs:
	@tests/needs.sh

# nextest where it is installed: it runs the tests of all crates at once. What a test cannot show on this machine it
# writes to $HIGHWATER_NOT_RUN, and that is told at the end. Half of the time tests wait for a disk or a clock: so two at a
# time for each processor.
test: export HIGHWATER_NOT_RUN = $(NOT_RUN)
test: needs
	@mkdir -p "$(TARGET)" && rm -f "$(NOT_RUN)"
	@if $(CARGO) nextest --version >/dev/null 2>&1; then \
	    $(CARGO) nextest run --locked --workspace --test-threads "$$((2 * $$(getconf _NPROCESSORS_ONLN)))" && $(CARGO) test --locked --workspace --doc --quiet; \
	else \
	    $(CARGO) test --locked --workspace --no-fail-fast; \
	fi
	@$(MAKE) --no-print-directory shuttle
	@if [ -s "$(NOT_RUN)" ]; then echo "Not run on this machine:"; sort -u "$(NOT_RUN)" | sed 's/^/  /'; else echo "Every test ran."; fi

# A build of its own: with `--cfg shuttle` the engine's tokio is another. What does not build or does not hold fails; that the crates are not
# here and cannot be fetched is told at the end.
shuttle: export RUSTFLAGS := $(RUSTFLAGS) --cfg shuttle
shuttle:
	@mkdir -p "$(TARGET)"
	@if $(CARGO) fetch --locked --quiet --target "$$(rustc -vV | sed -n 's/^host: //p')"; then \
	    $(CARGO) test --locked --target-dir "$(TARGET)/shuttle" -p highwater-engine --test shuttle; \
	else \
	    echo "passes on the scheduler of shuttle: its crates are not here, and could not be fetched" | tee -a "$(NOT_RUN)"; \
	fi

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

# What the code says of itself: every link leads somewhere.
docs: export RUSTDOCFLAGS = -D warnings -A rustdoc::private_intra_doc_links
docs:
	$(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet

# Generated files are compared by tests; this writes them anew.
generated:
	UPDATE_GENERATED=1 $(CARGO) test --locked -p highwater --bin highwater --quiet

check: fmt clippy docs test

# Not part of `check`: what pip installs is not ours to pin for ever, and the product needs none of it.
peers:
	$(CARGO) build --locked --quiet -p highwater
	@tests/peers/run.sh "$(TARGET)/debug/highwater" "$(TARGET)/peers"

fuzz: export HIGHWATER_FUZZ_SECS = $(or $(FUZZ_SECS),600)
fuzz:
	$(if $(FUZZ_SEED),HIGHWATER_FUZZ_SEED=$(FUZZ_SEED)) $(CARGO) test --locked --release -p highwater-oai --test fuzz -- --nocapture
	$(if $(FUZZ_SEED),HIGHWATER_FUZZ_SEED=$(FUZZ_SEED)) $(CARGO) test --locked --release -p highwater-episodes --test fuzz_tar --test fuzz_texts -- --nocapture
	$(if $(FUZZ_SEED),HIGHWATER_FUZZ_SEED=$(FUZZ_SEED)) $(CARGO) test --locked --release -p highwater-kb --test fuzz -- --nocapture

# Each seed is printed before it runs; with SOAK_SECS alone there is no last one. A failure is repeated by
# `make soak SOAK_SEEDS=7..8`: what writers do is then the same, though not when the server does it.
soak: export HIGHWATER_SEEDS = $(or $(SOAK_SEEDS),$(if $(SOAK_SECS),20..1000000,20..220))
soak: needs
	$(if $(SOAK_SECS),HIGHWATER_SOAK_SECS=$(SOAK_SECS)) $(CARGO) test --locked -p highwater-rollup --test it -- --nocapture r07_every_cell

bench:
	$(CARGO) bench --locked -p highwater --benches --no-fail-fast

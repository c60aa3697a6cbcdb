# Fuzzing of what reads bytes from outside, with clang's libFuzzer and the sanitizers.
#
#   make fuzz [FUZZ_SECONDS=60] [FUZZ_CC=clang]
#
# Every test/fuzz/fuzz_*.c is a target.  What it finds out is kept in build/fuzz/NAME.corpus.

FUZZ_BUILD = build/fuzz
FUZZ_SECONDS = 60
FUZZ_CC = clang
FUZZ_TARGETS = $(patsubst $(srcdir_here)test/fuzz/%.c,$(FUZZ_BUILD)/%, \
	$(wildcard $(srcdir_here)test/fuzz/fuzz_*.c))
FUZZ_CFLAGS = -std=c11 -O1 -g -Wall -Wextra -Werror -I$(srcdir_here)src \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

.PHONY: fuzz

fuzz: $(FUZZ_TARGETS)
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $$target.corpus; \
		$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 \
			-artifact_prefix=$$target- $$target.corpus || exit 1; \
	done

$(FUZZ_BUILD)/%: $(srcdir_here)test/fuzz/%.c $(CORE_SOURCES)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $^ -lm -ldl -lpthread

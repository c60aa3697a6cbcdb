# Fuzzing of what reads bytes from outside, with clang's libFuzzer and the sanitizers.
#
#   make fuzz [FUZZ_SECONDS=60] [FUZZ_CC=clang] [FUZZ_ARGS=-seed=...]
#
# Every test/fuzz/fuzz_*.c is a target.  What it learns is kept in build/fuzz/NAME.corpus; what it
# finds, beside that as NAME-crash-...: an argument with which NAME repeats it.

FUZZ_BUILD = build/fuzz
FUZZ_SECONDS = 60
FUZZ_CC = clang
FUZZ_TARGETS = $(patsubst $(srcdir_here)test/fuzz/%.c,$(FUZZ_BUILD)/%, \
	$(wildcard $(srcdir_here)test/fuzz/fuzz_*.c))
FUZZ_OBJECTS = $(patsubst $(srcdir_here)src/%.c,$(FUZZ_BUILD)/%.o,$(CORE_SOURCES))
FUZZ_CFLAGS = -std=c11 -O1 -g -Wall -Wextra -Werror -I$(srcdir_here)src -iquote $(srcdir_here)test/core \
	-MMD -MP -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

.PHONY: fuzz
.SECONDARY: $(FUZZ_OBJECTS)

fuzz: $(FUZZ_TARGETS)
	@$(COUNT) sh -c 'for target in $(FUZZ_TARGETS); do \
		mkdir -p $$target.corpus; \
		if $$target -max_total_time=$(FUZZ_SECONDS) -timeout=120 -verbosity=0 -print_final_stats=1 \
			-artifact_prefix=$$target- $(FUZZ_ARGS) $$target.corpus; \
		then echo "ok      $$target"; else echo "FAILED  $$target"; fi; \
	done'

$(FUZZ_BUILD)/%.o: $(srcdir_here)src/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -c -o $@ $<

$(FUZZ_BUILD)/core.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(AR) crs $@ $^

$(FUZZ_BUILD)/%: $(srcdir_here)test/fuzz/%.c $(FUZZ_BUILD)/core.a
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $(filter %.c %.a,$^) -lm -ldl -lpthread

-include $(wildcard $(FUZZ_BUILD)/*/*.d $(FUZZ_BUILD)/*.d)

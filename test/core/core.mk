# C tests of base, learning and retrieval, compiled without the server's headers.
#
#   make check-core [SANITIZE=address,undefined | SANITIZE=thread]
#   make check-conformance [TFRS_FIXTURES=folder]
#   make check-layers
#
# Every test/core/test_*.c is a program of its own; a build directory for each variant.

comma := ,
CORE_BUILD = build/core$(addprefix -,$(subst $(comma),-,$(SANITIZE)))
CORE_SOURCES := $(foreach room,base learning retrieval,$(wildcard $(srcdir_here)src/$(room)/*.c))
CORE_OBJECTS = $(patsubst $(srcdir_here)src/%.c,$(CORE_BUILD)/%.o,$(CORE_SOURCES))
CORE_TESTS = $(patsubst $(srcdir_here)test/core/%.c,$(CORE_BUILD)/%, \
	$(wildcard $(srcdir_here)test/core/test_*.c))
CONFORMANCE_OBJECTS = $(patsubst $(srcdir_here)test/core/%.c,$(CORE_BUILD)/test/%.o, \
	$(wildcard $(srcdir_here)test/core/conformance*.c))
CORE_CFLAGS = -std=c11 -O3 -fno-math-errno -g -DTFRS_ASSERTIONS -Wall -Wextra -Werror -I$(srcdir_here)src -MMD -MP \
	$(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer)
# Only so that a test that never ends is noticed: the slowest take a minute on an idle machine.
CORE_TIMEOUT = 1800

COUNT = $(srcdir_here)test/count

.PHONY: check-core check-conformance check-layers
.SECONDARY: $(CORE_OBJECTS) $(CORE_TESTS:$(CORE_BUILD)/%=$(CORE_BUILD)/test/%.o) \
	$(CORE_BUILD)/test/check.o $(CONFORMANCE_OBJECTS)

# The sanitizer also finds the address of a local variable that outlives its function.
check-core check-conformance: export ASAN_OPTIONS := \
	$(or $(ASAN_OPTIONS),detect_stack_use_after_return=1)

# As many at a time as there are processors.
check-core: $(CORE_TESTS)
	@$(COUNT) sh -c 'printf "%s\n" $(CORE_TESTS) | \
		xargs -n 1 -P "$$(nproc)" $(srcdir_here)test/core/run $(CORE_TIMEOUT) $(CORE_BUILD)/lock'

# Every case of every file that is in the folder; a line a case.
check-conformance: $(CORE_BUILD)/conformance
	@TFRS_FIXTURES="$${TFRS_FIXTURES:-$(srcdir_here)test/fixtures}" $(COUNT) timeout $(CORE_TIMEOUT) $<

check-layers:
	@$(COUNT) sh -c '$(srcdir_here)test/check_layers --self-test; \
		$(srcdir_here)test/check_layers $(srcdir_here)src'

$(CORE_BUILD)/%.o: $(srcdir_here)src/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -c -o $@ $<

$(CORE_BUILD)/test/%.o: $(srcdir_here)test/core/%.c
	@mkdir -p $(@D)
	$(CC) $(CORE_CFLAGS) -c -o $@ $<

$(CORE_BUILD)/core.a: $(CORE_OBJECTS)
	@rm -f $@
	$(AR) crs $@ $^

$(CORE_BUILD)/test_%: $(CORE_BUILD)/test/test_%.o $(CORE_BUILD)/test/check.o $(CORE_BUILD)/core.a
	$(CC) $(CORE_CFLAGS) -o $@ $^ -lm -ldl -lpthread

$(CORE_BUILD)/conformance: $(CONFORMANCE_OBJECTS) $(CORE_BUILD)/core.a
	$(CC) $(CORE_CFLAGS) -o $@ $^ -lm -ldl -lpthread

-include $(wildcard $(CORE_BUILD)/*/*.d)

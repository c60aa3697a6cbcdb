# tfrs_retrieval: built with PGXS.  src/README.md tells what is where.
#
#   make demo                 see it work; like `make check`, needs nothing installed beforehand
#   make check                every test; the parts: check-layers check-core check-conformance
#                             check-exports check-sql check-isolation check-tap check-clients
#   make check-kills          20 crashes during refreshes
#   make check-settings       the SQL tests under unusual settings of the server
#   make check-sqlsmith       random queries
#   make fuzz                 hostile bytes (test/fuzz/fuzz.mk)
#   make check-versions       make check in fresh Debians, with PostgreSQL 15, 17 and 18
#   make check-packages       Debian packages, an image, pg_upgrade from 15 to 17, also in fresh Debians
#   make check-bi             Superset and a browser look at demo/dashboard; takes some minutes
#   make [PG_CONFIG=...]      build for one PostgreSQL server
#   make install [DESTDIR=...]
#
# A build elsewhere: make -f /path/to/Makefile there.  Compilers: CC=clang.  COPT=-Werror for tests.

MODULE_big = tfrs_retrieval
EXTENSION = tfrs_retrieval

srcdir_here := $(or $(addsuffix /,$(VPATH)),$(dir $(firstword $(MAKEFILE_LIST))))
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(srcdir_here)$(EXTENSION).control)
MODULES_IN_ORDER := $(shell sed -n 's/^\([a-z][^[:space:]]*\).*/\1/p' $(srcdir_here)src/LAYERS)
SOURCES := $(foreach m,$(MODULES_IN_ORDER),$(wildcard $(srcdir_here)src/$(m).c))
OBJS = $(patsubst $(srcdir_here)%.c,%.o,$(SOURCES))
SQL_PARTS := $(foreach m,$(MODULES_IN_ORDER),$(wildcard $(srcdir_here)src/$(m).sql))

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
DATA = $(wildcard $(srcdir_here)src/upgrades/$(EXTENSION)--*--*.sql)
SHLIB_EXPORTS = exports.txt
EXTRA_CLEAN = build exports.txt exports.list $(OBJS:.o=.d)

REGRESS = $(patsubst $(srcdir_here)sql/%.sql,%,$(sort $(wildcard $(srcdir_here)sql/*.sql)))
# Where tests find test/fixtures; from 15 on pg_regress says so itself.
export PG_ABS_SRCDIR = $(abspath $(srcdir_here))

PG_CPPFLAGS = -I$(srcdir_here)src -DTFRS_VERSION='"$(EXTVERSION)"'
# Without errno to set, loops with square roots become vector instructions (same bits).
PG_CFLAGS = -std=c11 -O3 -fno-math-errno -Wall -Wextra
ifneq ($(findstring clang,$(CC)),)
# A server built with gcc hands on gcc's flags.
PG_CFLAGS += -Wno-ignored-attributes -Wno-ignored-optimization-argument -Wno-unknown-warning-option
endif
SHLIB_LINK = -lm -ldl -lpthread

# What works without PostgreSQL, or gets it itself.
WITHOUT_SERVER = check check-kills check-layers check-core check-conformance check-sql \
	check-isolation check-tap check-clients check-settings check-sqlsmith check-versions check-packages check-bi \
	fuzz demo demo-stop

ifneq ($(filter-out $(WITHOUT_SERVER),$(or $(MAKECMDGOALS),all)),)

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(wildcard $(PGXS)),)
$(error no server headers by PG_CONFIG=$(PG_CONFIG): install postgresql-server-dev-NN or name another pg_config)
endif

# Bitcode for the server's JIT is made by the clang that the server names, and left out without it.
CLANG := $(shell sed -n 's/^CLANG *= *//p' $(dir $(PGXS))../Makefile.global)
ifeq ($(shell command -v $(CLANG)),)
override with_llvm = no
endif

include $(PGXS)

# Only sources are looked for beside the Makefile, not what was built there for another server.
override srcdir := $(patsubst %/,%,$(srcdir_here))
override VPATH =
vpath %.c $(srcdir)
vpath %.control $(srcdir)

# Objects outside server/ have hidden symbols; of the others exports.txt keeps what SQL calls.
# The server's own headers have parameters that they don't use.  The .d files make an object and
# its bitcode depend on the headers that it includes.
src/base/%.o src/learning/%.o src/retrieval/%.o: override CFLAGS += -fvisibility=hidden
src/server/%.o: override CFLAGS += -Wno-unused-parameter -Wno-sign-compare
src/%.o: override CFLAGS += -MMD -MP -MT $@ -MT $(@:.o=.bc)

ROOMS := $(addprefix $(CURDIR)/,$(sort $(dir $(OBJS))))
$(OBJS) $(OBJS:.o=.bc): | $(ROOMS)
$(ROOMS):
	mkdir -p $@

$(DATA_built): $(SQL_PARTS) $(srcdir_here)src/LAYERS $(srcdir_here)$(EXTENSION).control
	{ printf '%s\n\n' '\echo Use "CREATE EXTENSION $(EXTENSION)" to load this file. \quit'; \
	  cat $(SQL_PARTS); } > $@

exports.txt: $(SOURCES)
	{ printf '%s\n' Pg_magic_func _PG_init; \
	  sed -n 's/^PG_FUNCTION_INFO_V1(\(.*\));/\1\npg_finfo_\1/p' $(SOURCES); } > $@

check-exports: $(OBJS) $(MODULE_big)$(DLSUFFIX) $(DATA_built)
	@$(COUNT) $(srcdir_here)test/exports exports.txt $(MODULE_big)$(DLSUFFIX) $(DATA_built) $(OBJS)

-include $(OBJS:.o=.d)
.PHONY: check-exports

endif

include $(srcdir_here)test/core/core.mk
include $(srcdir_here)test/fuzz/fuzz.mk

# PGXS has a rule for check, which only says that it is not supported.
$(if $(filter check,$(MAKECMDGOALS)),check) check-sql check-isolation check-tap check-clients \
check-settings check-sqlsmith:
	@$(srcdir_here)test/check $(patsubst check-%,%,$(filter-out check,$@))

# The server is killed 20 times while it refreshes a recommender (3 times in check-tap).
check-kills:
	@TFRS_KILLS=20 TFRS_TAP=t/007_refresh_crash.pl $(srcdir_here)test/check tap

# These need root, debootstrap and hours.
check-versions:
	@$(COUNT) sh -c 'for suite in bookworm trixie sid; do $(srcdir_here)test/chroot $$suite; done'

check-packages:
	@$(COUNT) sh -c 'for suite in bookworm trixie; do $(srcdir_here)test/package $$suite; done; \
		$(srcdir_here)test/extension_image sid; $(srcdir_here)test/pg_upgrade bookworm trixie'

check-bi:
	@$(COUNT) $(srcdir_here)test/bi/run

demo demo-stop:
	@$(srcdir_here)demo/run $(if $(filter demo-stop,$@),stop,start)

.PHONY: check check-kills check-sql check-isolation check-tap check-clients check-settings check-sqlsmith check-versions \
	check-packages check-bi demo demo-stop

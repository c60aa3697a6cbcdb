# tfrs_retrieval: build with PGXS.  `make demo` and `make check` need nothing installed beforehand.
#
#   make [PG_CONFIG=...]      build            make install [DESTDIR=...]
#   make check                everything       make demo
#   make check-layers check-core check-sql     parts of it

MODULE_big = tfrs_retrieval
EXTENSION = tfrs_retrieval
EXTVERSION = 1.0

srcdir_here := $(dir $(firstword $(MAKEFILE_LIST)))
MODULES_IN_ORDER := $(shell sed -n '/^[a-z]/p' $(srcdir_here)src/LAYERS)
SOURCES := $(foreach m,$(MODULES_IN_ORDER),$(wildcard $(srcdir_here)src/$(m).c))
OBJS = $(patsubst $(srcdir_here)%.c,%.o,$(SOURCES))
SQL_PARTS := $(foreach m,$(MODULES_IN_ORDER),$(wildcard $(srcdir_here)src/$(m).sql))

DATA_built = $(EXTENSION)--$(EXTVERSION).sql
EXTRA_CLEAN = build

REGRESS = $(patsubst $(srcdir_here)sql/%.sql,%,$(sort $(wildcard $(srcdir_here)sql/*.sql)))

PG_CPPFLAGS = -I$(srcdir_here)src -DTFRS_VERSION='"$(EXTVERSION)"'
PG_CFLAGS = -std=c11 -O3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare
SHLIB_LINK = -lm -ldl -lpthread

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(EXTENSION)--$(EXTVERSION).sql: $(SQL_PARTS) $(srcdir_here)src/LAYERS
	{ printf '%s\n\n' '\echo Use "CREATE EXTENSION tfrs_retrieval" to load this file. \quit'; \
	  cat $(SQL_PARTS); } > $@

include $(srcdir_here)test/core/core.mk
include $(srcdir_here)test/fuzz/fuzz.mk

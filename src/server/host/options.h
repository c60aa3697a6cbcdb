/*
 * options.h: a jsonb object to a C struct by a declarative table of keys, and back to JSON.
 *
 * Every options argument of the project goes through here, so that an unknown key, a wrong type and
 * a number out of range have one wording each.  Keys are applied in the order of the table,
 * whatever their order in the object: a key that sets other fields too (a preset) stands first.
 */
#ifndef TFRS_OPTIONS_H
#define TFRS_OPTIONS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

typedef enum tfrs_option_type
{
	TFRS_OPTION_INTEGER,		/* uint32 or uint64 */
	TFRS_OPTION_INTEGERS,		/* an array: tfrs_option_integers */
	TFRS_OPTION_FLOAT,
	TFRS_OPTION_BOOL,
	TFRS_OPTION_CHOICE,			/* words for the values of an enum or bool */
	TFRS_OPTION_ACTION,			/* a choice that has an effect but no field to write back */
	TFRS_OPTION_FLOATS,			/* an array of floats; the number of them in a uint32 field */
	TFRS_OPTION_DOUBLES,		/* the same of doubles */
	TFRS_OPTION_TEXT,			/* a string into an array of char; "": none */
	TFRS_OPTION_OBJECT,			/* keys of their own for the same struct; false switches them off */
	TFRS_OPTION_OTHER,			/* by functions of the key's own */
	TFRS_OPTION_LATER			/* known, not supported yet */
} tfrs_option_type;

/* The largest integer that every JSON reader keeps exactly. */
#define TFRS_OPTION_LARGEST 9007199254740991.0

#define TFRS_OPTION_MOST_INTEGERS 32

/* As given: in that order, with what is repeated; at least one where the option was given. */
typedef struct tfrs_option_integers
{
	uint32		count;
	uint32		values[TFRS_OPTION_MOST_INTEGERS];
} tfrs_option_integers;

/* A word and its value; the list ends with a NULL name.  A negative value is not supported yet. */
typedef struct tfrs_option_choice
{
	const char *name;
	int			value;
} tfrs_option_choice;

typedef struct tfrs_option_key
{
	const char *name;
	tfrs_option_type type;
	size_t		offset;			/* of the field in the struct, and its size */
	size_t		size;

	/* numbers: the range, its ends included, except 0 where a float must be above it */
	double		low;
	double		high;
	bool		above_zero;

	/* what is 0 or "" was not given, and is not written */
	bool		optional;

	/* arrays: where their length goes; at most as many elements as the field has room for */
	size_t		count_offset;

	/* other: read returns false for a value that is not as takes says */
	const char *takes;			/* "an integer, or an array of two" */
	bool		(*read) (const JsonbValue *value, void *field);
	void		(*write) (const void *field, StringInfo json);
	bool		(*is_given) (const void *field);	/* NULL: always written */

	/* objects: their keys; apply(target, true or false) comes first, the field says which it was */
	const struct tfrs_option_scheme *scheme;

	/* words */
	const tfrs_option_choice *choices;
	void		(*apply) (void *target, int value); /* where set, instead of storing the value */

	/* where the key makes sense only beside certain others: whether, and the words for it */
	bool		(*applies) (const void *target);
	const char *applies_to;		/* "optimizer adagrad" */
} tfrs_option_key;

/* Initializers of offset and size. */
#define TFRS_OPTION_FIELD(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *) NULL)->member)

typedef struct tfrs_option_scheme
{
	const char *what;			/* "training option" */
	const tfrs_option_key *keys;
	size_t		count;
} tfrs_option_scheme;

/* Reads options (NULL: none) into target, which holds the defaults.  Raises. */
extern void tfrs_options_read(const tfrs_option_scheme *scheme, const Jsonb *options,
							  void *target);

/*
 * An aggregate takes one set of options for all rows of a group.  first: the argument of the first
 * row as it came (NULL: it was NULL), copied by tfrs_options_keep; a constant costs a comparison of
 * bytes a row.  Raises where a row has other options.
 */
extern struct varlena *tfrs_options_keep(Datum argument);
extern void tfrs_options_check_same(const char *what, const struct varlena *first, bool is_null,
									Datum argument);

/* Appends target as a JSON object: every key that applies, in the order of the table. */
extern void tfrs_options_write(const tfrs_option_scheme *scheme, const void *target,
							   StringInfo json);

/* Sorts the values and leaves out what is repeated; returns how many are left. */
extern uint32 tfrs_options_distinct(uint32 *values, uint32 count);

/* Append a JSON number that reads back as the same one; value must be finite. */
extern void tfrs_options_write_float(StringInfo json, float value);
extern void tfrs_options_write_double(StringInfo json, double value);

#endif							/* TFRS_OPTIONS_H */

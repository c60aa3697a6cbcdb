/*
 * recommender_fields.h: the table of what is configured of a recommender.
 *
 * TFRS_RECOMMENDER_FIELDS has one line a field.  The struct below, the arguments of
 * create_recommender and alter_recommender, their checks and their messages, the reading of the
 * registry's row and the statements that write it all follow from these lines.  The order is that
 * of the arguments after the name.  recommender.sql declares them, with their defaults, and the
 * columns of the registry, which are called as the members are.
 */
#ifndef TFRS_RECOMMENDER_FIELDS_H
#define TFRS_RECOMMENDER_FIELDS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "server/recommender/parameters.h"
#include "server/recommender/relation_reference.h"

/* What the relations that a recommender rests on are to it. */
typedef enum tfrs_role
{
	TFRS_STORE,
	TFRS_INTERACTIONS,
	TFRS_CANDIDATES,
	TFRS_ROLES
} tfrs_role;

/* What a column of such a relation holds. */
typedef enum tfrs_column_kind
{
	TFRS_COLUMN_OF_ANY,
	TFRS_COLUMN_OF_IDS,
	TFRS_COLUMN_OF_NUMBERS,
	TFRS_COLUMN_OF_TIMES,
	TFRS_COLUMN_OF_BOOLEAN
} tfrs_column_kind;

typedef enum tfrs_field_type
{
	TFRS_FIELD_RELATION,		/* one of the roles */
	TFRS_FIELD_COLUMN,			/* the name of a column of a role's relation, not quoted */
	TFRS_FIELD_OPTIONS,			/* of tfrs.train */
	TFRS_FIELD_REAL,
	TFRS_FIELD_INTEGER
} tfrs_field_type;

/* The same in C. */
#define TFRS_C_RELATION Oid
#define TFRS_C_COLUMN char *
#define TFRS_C_OPTIONS Jsonb *
#define TFRS_C_REAL double
#define TFRS_C_INTEGER int

/* FIELD(type, member, name of the argument, members of tfrs_field) */
#define TFRS_RECOMMENDER_FIELDS(FIELD) \
	FIELD(RELATION, interactions, "interactions", .role = TFRS_INTERACTIONS) \
	FIELD(COLUMN, query_column, "query", .role = TFRS_INTERACTIONS, .kind = TFRS_COLUMN_OF_IDS) \
	FIELD(COLUMN, candidate_column, "candidate", .role = TFRS_INTERACTIONS, \
		  .kind = TFRS_COLUMN_OF_IDS) \
	FIELD(COLUMN, weight_column, "weight", .role = TFRS_INTERACTIONS, \
		  .kind = TFRS_COLUMN_OF_NUMBERS, .optional = true) \
	FIELD(COLUMN, at_column, "at", .role = TFRS_INTERACTIONS, .kind = TFRS_COLUMN_OF_TIMES, \
		  .optional = true) \
	FIELD(RELATION, candidates, "candidates", .role = TFRS_CANDIDATES, .optional = true) \
	FIELD(COLUMN, candidate_key, "candidate_key", .role = TFRS_CANDIDATES, \
		  .kind = TFRS_COLUMN_OF_IDS, .optional = true) \
	FIELD(COLUMN, label_column, "label", .role = TFRS_CANDIDATES, .optional = true) \
	FIELD(COLUMN, available_column, "available", .role = TFRS_CANDIDATES, \
		  .kind = TFRS_COLUMN_OF_BOOLEAN, .optional = true) \
	FIELD(OPTIONS, options, "options", .optional = false) \
	FIELD(REAL, held_out, "held_out", .low = 0, .high = 0.5) \
	FIELD(REAL, tolerance, "tolerance", .low = 0, .high = 1) \
	FIELD(REAL, least_share, "least_share", .low = 0, .high = 1) \
	FIELD(INTEGER, keep_versions, "keep_versions", .low = 1, .high = 1000)

#define TFRS_FIELD_MEMBER(type, member, ...) TFRS_C_##type member;
#define TFRS_FIELD_COUNT(...) +1

#define TFRS_FIELDS (0 TFRS_RECOMMENDER_FIELDS(TFRS_FIELD_COUNT))

typedef struct tfrs_recommender
{
	Oid			registry;		/* the table that its row lies in */
	int32		id;
	char	   *name;
	int			current_version;	/* 0: none is published */

	Oid			store;
	Oid			owner;			/* of the store; InvalidOid where it is gone */

	/* Relations are those that are meant now; InvalidOid where one is gone, or there is no name.
	 * Columns that are not named are NULL. */
	TFRS_RECOMMENDER_FIELDS(TFRS_FIELD_MEMBER)

	tfrs_relation_reference references[TFRS_ROLES];	/* as the registry has them; their names */
} tfrs_recommender;

typedef struct tfrs_field
{
	tfrs_field_type type;
	const char *name;			/* of the argument */
	const char *column;			/* of the registry */
	size_t		offset;			/* in tfrs_recommender */
	bool		optional;		/* it may be NULL */
	tfrs_role	role;			/* relations and columns */
	tfrs_column_kind kind;		/* columns */
	double		low;			/* numbers: the range, its ends included */
	double		high;
} tfrs_field;

extern const tfrs_field tfrs_fields[TFRS_FIELDS];

/* The column that a field names, or NULL; NULL too for fields that are no columns of that role. */
extern const char *tfrs_field_column(const tfrs_field *field, const tfrs_recommender *recommender,
									 tfrs_role role);

/* All of the role's columns, those that are not named being NULL. */
extern void tfrs_recommender_columns(const tfrs_recommender *recommender, tfrs_role role,
									 const char *columns[TFRS_FIELDS]);

/* The value of a field of numbers, and of one of options. */
extern double tfrs_field_number(const tfrs_field *field, const tfrs_recommender *recommender);
extern const Jsonb *tfrs_field_options(const tfrs_field *field,
									   const tfrs_recommender *recommender);

/* From an argument that is not NULL: what is given is meant, whatever was meant before.  An integer
 * that is out of range stays so. */
extern void tfrs_field_set(const tfrs_field *field, tfrs_recommender *recommender, Datum argument);

/* From and to a row of the registry. */
extern void tfrs_field_read(const tfrs_field *field, tfrs_recommender *recommender, Datum value,
							bool null);
extern void tfrs_field_write(const tfrs_field *field, const tfrs_recommender *recommender,
							 tfrs_parameters *parameters);

/* The same for the relation of a role, the store being no field. */
extern void tfrs_recommender_read_relation(tfrs_recommender *recommender, tfrs_role role,
										   Datum value, bool null);

/* A relation of the recommender as it is to be noted; SQL NULL where there is none. */
extern void tfrs_parameters_relation(tfrs_parameters *parameters,
									 const tfrs_recommender *recommender, tfrs_role role);

#endif							/* TFRS_RECOMMENDER_FIELDS_H */

/*
 * recommender_fields.c: values of a recommender's fields, from arguments and from rows of the
 * registry into the struct, and back into parameters of statements.
 *
 * What depends on a field is looked up in the table; what is done here depends on its type only.
 */
#include "server/recommender/recommender_fields.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "server/host/extension_objects.h"

#define FIELD_ROW(type_, member, argument, ...) { \
	.type = TFRS_FIELD_##type_, .name = argument, .column = #member, \
	.offset = offsetof(tfrs_recommender, member), __VA_ARGS__},

StaticAssertDecl(TFRS_FIELDS <= TFRS_REFERENCE_COLUMNS, "a reference remembers all columns");

const tfrs_field tfrs_fields[TFRS_FIELDS] = {
	TFRS_RECOMMENDER_FIELDS(FIELD_ROW)
};

/* Where the relation of each role is. */
static const size_t places[TFRS_ROLES] = {
	[TFRS_STORE] = offsetof(tfrs_recommender, store),
	[TFRS_INTERACTIONS] = offsetof(tfrs_recommender, interactions),
	[TFRS_CANDIDATES] = offsetof(tfrs_recommender, candidates)
};

#define MEMBER(type, recommender, offset) (*(type *) ((char *) (recommender) + (offset)))

const char *
tfrs_field_column(const tfrs_field *field, const tfrs_recommender *recommender, tfrs_role role)
{
	if (field->type != TFRS_FIELD_COLUMN || field->role != role)
		return NULL;
	return MEMBER(char *, recommender, field->offset);
}

void
tfrs_recommender_columns(const tfrs_recommender *recommender, tfrs_role role,
						 const char *columns[TFRS_FIELDS])
{
	for (int i = 0; i < TFRS_FIELDS; i++)
		columns[i] = tfrs_field_column(&tfrs_fields[i], recommender, role);
}

double
tfrs_field_number(const tfrs_field *field, const tfrs_recommender *recommender)
{
	return field->type == TFRS_FIELD_INTEGER ? MEMBER(int, recommender, field->offset)
		: MEMBER(double, recommender, field->offset);
}

const Jsonb *
tfrs_field_options(const tfrs_field *field, const tfrs_recommender *recommender)
{
	return MEMBER(Jsonb *, recommender, field->offset);
}

/* Without a relation there are none of its columns. */
static void
set_relation(tfrs_recommender *recommender, tfrs_role role, Oid relation)
{
	memset(&recommender->references[role], 0, sizeof(tfrs_relation_reference));
	MEMBER(Oid, recommender, places[role]) = relation;
	for (int i = 0; i < TFRS_FIELDS && !OidIsValid(relation); i++)
		if (tfrs_fields[i].type == TFRS_FIELD_COLUMN && tfrs_fields[i].role == role)
			MEMBER(char *, recommender, tfrs_fields[i].offset) = NULL;
}

/* Nothing takes the place of '', which is no name of a column. */
static char *
column_of_argument(Datum argument)
{
	char	   *name = TextDatumGetCString(argument);

	return name[0] == '\0' ? NULL : name;
}

void
tfrs_field_set(const tfrs_field *field, tfrs_recommender *recommender, Datum argument)
{
	switch (field->type)
	{
		case TFRS_FIELD_RELATION:
			set_relation(recommender, field->role, DatumGetObjectId(argument));
			break;
		case TFRS_FIELD_COLUMN:
			MEMBER(char *, recommender, field->offset) = column_of_argument(argument);
			break;
		case TFRS_FIELD_OPTIONS:
			MEMBER(Jsonb *, recommender, field->offset) = DatumGetJsonbP(argument);
			break;
		case TFRS_FIELD_REAL:
			MEMBER(double, recommender, field->offset) = DatumGetFloat8(argument);
			break;
		case TFRS_FIELD_INTEGER:
			MEMBER(int, recommender, field->offset) =
				(int) Max(Min(DatumGetInt64(argument), PG_INT32_MAX), PG_INT32_MIN);
			break;
	}
}

void
tfrs_recommender_read_relation(tfrs_recommender *recommender, tfrs_role role, Datum value,
							   bool null)
{
	tfrs_relation_reference *reference = &recommender->references[role];

	tfrs_relation_reference_read(reference, value, null);
	MEMBER(Oid, recommender, places[role]) = reference->relation;
}

void
tfrs_field_read(const tfrs_field *field, tfrs_recommender *recommender, Datum value, bool null)
{
	if (field->type == TFRS_FIELD_RELATION)
		tfrs_recommender_read_relation(recommender, field->role, value, null);
	else if (!null)
		tfrs_field_set(field, recommender, field->type == TFRS_FIELD_INTEGER ?
					   Int64GetDatum(DatumGetInt32(value)) : value);
}

void
tfrs_field_write(const tfrs_field *field, const tfrs_recommender *recommender,
				 tfrs_parameters *parameters)
{
	switch (field->type)
	{
		case TFRS_FIELD_RELATION:
			tfrs_parameters_relation(parameters, recommender, field->role);
			break;
		case TFRS_FIELD_COLUMN:
			tfrs_parameters_text(parameters, MEMBER(char *, recommender, field->offset));
			break;
		case TFRS_FIELD_OPTIONS:
			tfrs_parameters_jsonb(parameters, MEMBER(Jsonb *, recommender, field->offset));
			break;
		case TFRS_FIELD_REAL:
			tfrs_parameters_float(parameters, MEMBER(double, recommender, field->offset));
			break;
		case TFRS_FIELD_INTEGER:
			tfrs_parameters_add(parameters, INT4OID,
								Int32GetDatum(MEMBER(int, recommender, field->offset)), false);
			break;
	}
}

/* The columns of the relation that are used: those of a store are always the same. */
static void
columns_to_note(const tfrs_recommender *recommender, tfrs_role role,
				const char *columns[TFRS_FIELDS])
{
	tfrs_recommender_columns(recommender, role, columns);
	if (role == TFRS_STORE)
	{
		columns[0] = "version";
		columns[1] = "model";
	}
}

void
tfrs_parameters_relation(tfrs_parameters *parameters, const tfrs_recommender *recommender,
						 tfrs_role role)
{
	Oid			relation = MEMBER(Oid, recommender, places[role]);
	const char *columns[TFRS_FIELDS];
	bool		none = !OidIsValid(relation);

	columns_to_note(recommender, role, columns);
	tfrs_parameters_add(parameters, tfrs_extension_type("relation_reference"),
						none ? (Datum) 0 :
						tfrs_relation_reference_note(&recommender->references[role], relation,
													 role == TFRS_STORE, columns, TFRS_FIELDS),
						none);
}

/*
 * extension_objects.h: relations and types of the extension, by their names in its schema.
 */
#ifndef TFRS_EXTENSION_OBJECTS_H
#define TFRS_EXTENSION_OBJECTS_H

#include "postgres.h"

/* ERROR where there is none of that name, with the reason. */
extern Oid	tfrs_extension_relation(const char *name);
extern Oid	tfrs_extension_type(const char *name);

#endif							/* TFRS_EXTENSION_OBJECTS_H */

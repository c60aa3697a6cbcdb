/*
 * recommender_check.h: what is wrong with a recommender's definition, before anything is made of
 * it.
 */
#ifndef TFRS_RECOMMENDER_CHECK_H
#define TFRS_RECOMMENDER_CHECK_H

#include "postgres.h"

#include "server/recommender/registry.h"

/* Raises for anything that is wrong with sources, columns and options, by the privileges of the
 * caller, and fills in what was left open. */
extern void tfrs_recommender_check_definition(tfrs_recommender *recommender);

#endif							/* TFRS_RECOMMENDER_CHECK_H */

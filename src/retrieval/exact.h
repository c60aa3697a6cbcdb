/*
 * exact.h: the full scan, the definition of the right answer.
 */
#ifndef TFRS_EXACT_H
#define TFRS_EXACT_H

#include "retrieval/collector.h"
#include "retrieval/corpus.h"

/* Offers every row (of the search's among list where it has one) with its score. */
extern void tfrs_exact_scan(const tfrs_scorer *scorer, tfrs_collector *collector);

#endif							/* TFRS_EXACT_H */

/*
 * exact.h: the full scan, the definition of the right answer.
 */
#ifndef TFRS_EXACT_H
#define TFRS_EXACT_H

#include "retrieval/collector.h"
#include "retrieval/corpus.h"

/*
 * Offers the rows that have another score than that of their vectors: before a search that is no scan,
 * whose threshold then begins with them.
 */
extern void tfrs_exact_offer_adjusted(const tfrs_scorer *scorer, tfrs_collector *collector);

/* Offers every row that the lists of the search allow, with its score, adjusted or not. */
extern void tfrs_exact_scan(const tfrs_scorer *scorer, tfrs_collector *collector);

/*
 * Scores beyond the range of float are infinite and so equal to each other.  In the finished hits
 * of a search this replaces the rows of infinite score by those that are best by the values that
 * the operators give (tfrs_scorer_value), in their order.  Other hits stay as they are.
 */
extern void tfrs_exact_order_infinite(const tfrs_scorer *scorer, const tfrs_search *search,
									  tfrs_hit *hits, size_t count);

#endif							/* TFRS_EXACT_H */

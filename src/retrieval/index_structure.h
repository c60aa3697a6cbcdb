/*
 * index_structure.h: what the files of the index share: the stored head, and the way a search goes.
 */
#ifndef TFRS_INDEX_STRUCTURE_H
#define TFRS_INDEX_STRUCTURE_H

#include "retrieval/index.h"
#include "retrieval/tuning.h"

/* Part "head". */
typedef struct tfrs_index_head
{
	uint32_t	kind;
	uint32_t	metric;
	uint64_t	count;
	uint32_t	dim;
	uint32_t	leaves_to_search;	/* of tfrs_tree_effort */
	uint32_t	rerank;
	uint32_t	recall_k;
	float		recall;
	float		bytes;			/* of tfrs_tuning_result, 0 where there is no structure */
	float		bounded_bytes;
	float		reach;
} tfrs_index_head;

typedef struct tfrs_index_structure
{
	tfrs_tree	tree;
	tfrs_tuning_result tuned;
	uint32_t	tuned_k;
} tfrs_index_structure;

extern tfrs_corpus tfrs_index_corpus(const tfrs_index *index);

/* What has to be right about query and search before anything is searched. */
extern tfrs_status tfrs_index_check_search(const tfrs_corpus *corpus, const float *query,
										   const tfrs_search *search, tfrs_scorer *scorer,
										   tfrs_error *error);

/* What the scratch memory of the search must have room for. */
extern tfrs_probe_room tfrs_index_room(const tfrs_index *index, const tfrs_search *search);

/* What the search will read, about, in the bytes of tfrs_probe_take_bytes_read. */
extern double tfrs_index_cost(const tfrs_index *index, const tfrs_search *search);

/* Answers a checked search; scratch is NULL where the index has no structure. */
extern size_t tfrs_index_answer(const tfrs_index *index, const tfrs_scorer *scorer,
								const tfrs_search *search, tfrs_probe_scratch *scratch,
								tfrs_hit *hits);

#endif							/* TFRS_INDEX_STRUCTURE_H */

/*
 * content_training.h: what a training does with the content of its candidates, from the first pass
 * over it to the rows of those that nobody has chosen.
 *
 *     begin -> build step ... -> (pilot, towers, serving) -> fill begin -> fill step ...
 *
 * Where nothing is told of content all of it does nothing.
 */
#ifndef TFRS_CONTENT_TRAINING_H
#define TFRS_CONTENT_TRAINING_H

#include <stdbool.h>

#include "learning/content.h"
#include "learning/new_items.h"
#include "learning/serving.h"

typedef struct tfrs_content_training
{
	tfrs_arena *arena;			/* NULL: there is no content */
	tfrs_content_source source;
	bool		begun;
	bool		built;
	tfrs_content_build build;
	tfrs_content content;		/* once it is built */
	tfrs_new_items items;
	tfrs_content_map map;		/* once new rows are filled in */
} tfrs_content_training;

/* What the source points to must outlive the training; counts are given to the first step. */
extern void tfrs_content_training_init(tfrs_content_training *training, tfrs_arena *arena,
									   const tfrs_content_source *source);

/* TFRS_MORE until the content is built; counts (N): how often each candidate was chosen. */
extern tfrs_status tfrs_content_training_build_step(tfrs_content_training *training,
													const uint32_t *counts, tfrs_error *error);

/* NULL: there is none. */
extern const tfrs_content *tfrs_content_training_rows(const tfrs_content_training *training);

/* Candidates are served: those that are new get rows.  TFRS_MORE until done. */
extern tfrs_status tfrs_content_training_fill_begin(tfrs_content_training *training,
													tfrs_serving *serving, tfrs_error *error);
extern tfrs_status tfrs_content_training_fill_step(tfrs_content_training *training,
												   tfrs_error *error);
extern void tfrs_content_training_free(tfrs_content_training *training);

#endif							/* TFRS_CONTENT_TRAINING_H */

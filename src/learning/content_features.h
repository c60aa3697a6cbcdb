/*
 * content_features.h: the features of candidates as elements of their content (content.h).
 *
 * What reads a table is an element: a word, a tag, an id, a bin, a bucket.  NULL, padding and
 * unknown values are none.  Numbers and vectors have no elements; give a number a bucket as well.
 */
#ifndef TFRS_CONTENT_FEATURES_H
#define TFRS_CONTENT_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "learning/content.h"
#include "learning/feature.h"

/*
 * Fills the features of a source; false where none of them has elements.  encoded: of the
 * features, in their order, for all rows of a training, or for rows that are being served.
 */
extern bool tfrs_content_take_features(tfrs_content_source *source, const tfrs_features *features,
									   const tfrs_encoded_feature *encoded);

#endif							/* TFRS_CONTENT_FEATURES_H */

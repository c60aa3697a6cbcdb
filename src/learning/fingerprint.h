/*
 * fingerprint.h: the hash functions of Keras's Hashing and HashedCrossing layers.
 *
 * A feature of kind hash or cross has no vocabulary: its row in the embedding table is a hash of
 * the value, modulo the number of bins.  The values are those of TensorFlow, bit for bit, so that a
 * tower that was trained there means the same here:
 *
 *     without a salt   FarmHash Fingerprint64 (G. Pike's farmhashna::Hash64)
 *     with a salt      SipHash-2-4 (Aumasson, Bernstein, 2012), the salt being its key
 *     cross            h = 0xDECAFCAFFE; for each feature h = tfrs_fingerprint_cat(h, feature),
 *                      where a string counts with its fingerprint and an integer with its bits
 *
 * Keras hashes an integer as its decimal digits, so 42 and '42' fall into one bin; a cross takes
 * the integer itself.
 */
#ifndef TFRS_FINGERPRINT_H
#define TFRS_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

/* What a cross begins with. */
#define TFRS_CROSS_SEED UINT64_C(0xDECAFCAFFE)

extern uint64_t tfrs_fingerprint(const void *bytes, size_t length);
extern uint64_t tfrs_fingerprint_salted(const void *bytes, size_t length, const uint64_t salt[2]);

/* Takes one more feature into a cross; the order matters. */
extern uint64_t tfrs_fingerprint_cat(uint64_t cross, uint64_t feature);

/* The bin of a hash, 0 .. bins - 1; bins > 0. */
static inline uint32_t
tfrs_fingerprint_bin(uint64_t hash, uint32_t bins)
{
	return (uint32_t) (hash % bins);
}

#endif							/* TFRS_FINGERPRINT_H */

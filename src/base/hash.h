/*
 * hash.h: a fast hash for tables and a digest for whole values.
 *
 * tfrs_hash_* place ids in open-addressing tables.  They are part of the stored format (a block
 * carries its table), so they may not change within format 1.
 *
 * tfrs_digest is BLAKE2b (RFC 7693) with 16 bytes of output: the build id of a block.  It must be
 * collision resistant, since a cached block is found by it and one role must not be able to craft
 * bytes that pass for another's; a faster checksum would not do.  The server's own hashes are out
 * of reach here: the core compiles without it.
 */
#ifndef TFRS_HASH_H
#define TFRS_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

#define TFRS_DIGEST_BYTES 16

typedef struct tfrs_digest
{
	uint64_t	state[8];
	uint64_t	length;			/* bytes compressed so far */
	size_t		filled;			/* bytes waiting in buffer */
	uint8_t		buffer[128];
} tfrs_digest;

static inline uint64_t
tfrs_hash_integer(int64_t value)
{
	return tfrs_random_mix((uint64_t) value);
}

/* Eight bytes as a number, the first one being the lowest on every machine. */
static inline uint64_t
tfrs_hash_word(const uint8_t *bytes)
{
	uint64_t	word = 0;

	for (int i = 7; i >= 0; i--)
		word = word << 8 | bytes[i];
	return word;
}

/* Bits to the right, those that fall out coming in at the left; 0 < bits < 64. */
static inline uint64_t
tfrs_hash_rotate(uint64_t word, int bits)
{
	return word >> bits | word << (64 - bits);
}

extern uint64_t tfrs_hash_bytes(const void *bytes, size_t length);

extern void tfrs_digest_begin(tfrs_digest *digest);
extern void tfrs_digest_add(tfrs_digest *digest, const void *bytes, size_t length);
extern void tfrs_digest_end(tfrs_digest *digest, uint8_t result[TFRS_DIGEST_BYTES]);

#endif							/* TFRS_HASH_H */

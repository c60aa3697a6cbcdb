/*
 * hash.c: byte hash and BLAKE2b (RFC 7693).  Checked against the RFC's vectors in the C tests.
 */
#include "base/hash.h"

#include <string.h>

static uint64_t
fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128) a * b;

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/* A word at a time by multiply and fold, the tail padded with zeros; the length is mixed in. */
uint64_t
tfrs_hash_bytes(const void *bytes, size_t length)
{
	const uint8_t *p = bytes;
	uint64_t	hash = UINT64_C(0x2d358dccaa6c78a5) ^ length;
	size_t		left = length;

	for (; left >= 8; left -= 8, p += 8)
		hash = fold(hash ^ tfrs_hash_word(p), UINT64_C(0x8bb84b93962eacc9));
	if (left > 0)
	{
		uint8_t		tail[8] = {0};

		memcpy(tail, p, left);
		hash = fold(hash ^ tfrs_hash_word(tail), UINT64_C(0x4b33a62ed433d4a3));
	}
	return tfrs_random_mix(hash);
}

static const uint64_t initial[8] = {
	UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b),
	UINT64_C(0x3c6ef372fe94f82b), UINT64_C(0xa54ff53a5f1d36f1),
	UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
	UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179)
};

static const uint8_t order[12][16] = {
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}
};

/* G of the RFC on one column or diagonal of the state. */
static inline void
mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y)
{
	*a += *b + x;
	*d = tfrs_hash_rotate(*d ^ *a, 32);
	*c += *d;
	*b = tfrs_hash_rotate(*b ^ *c, 24);
	*a += *b + y;
	*d = tfrs_hash_rotate(*d ^ *a, 16);
	*c += *d;
	*b = tfrs_hash_rotate(*b ^ *c, 63);
}

/* Subscripts of v are constants, so that the compiler can hold it in registers. */
static void
compress(tfrs_digest *digest, const uint8_t *block, int last)
{
	uint64_t	m[16];
	uint64_t	v[16];

	for (int i = 0; i < 16; i++)
		m[i] = tfrs_hash_word(block + 8 * i);
	memcpy(v, digest->state, sizeof(digest->state));
	memcpy(v + 8, initial, sizeof(initial));
	v[12] ^= digest->length;
	if (last)
		v[14] = ~v[14];
	for (int round = 0; round < 12; round++)
	{
		const uint8_t *s = order[round];

		mix(&v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]]);
		mix(&v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]]);
		mix(&v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]]);
		mix(&v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]]);
		mix(&v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]]);
		mix(&v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]]);
		mix(&v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]]);
		mix(&v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]]);
	}
	for (int i = 0; i < 8; i++)
		digest->state[i] ^= v[i] ^ v[i + 8];
}

void
tfrs_digest_begin(tfrs_digest *digest)
{
	memset(digest, 0, sizeof(*digest));
	memcpy(digest->state, initial, sizeof(initial));
	digest->state[0] ^= UINT64_C(0x01010000) ^ TFRS_DIGEST_BYTES;
}

void
tfrs_digest_add(tfrs_digest *digest, const void *bytes, size_t length)
{
	const uint8_t *p = bytes;

	while (length > 0)
	{
		size_t		take = sizeof(digest->buffer) - digest->filled;

		if (take == 0)
		{
			digest->length += sizeof(digest->buffer);
			compress(digest, digest->buffer, 0);
			digest->filled = 0;
			continue;
		}
		take = take < length ? take : length;
		memcpy(digest->buffer + digest->filled, p, take);
		digest->filled += take;
		p += take;
		length -= take;
	}
}

void
tfrs_digest_end(tfrs_digest *digest, uint8_t result[TFRS_DIGEST_BYTES])
{
	memset(digest->buffer + digest->filled, 0, sizeof(digest->buffer) - digest->filled);
	digest->length += digest->filled;
	compress(digest, digest->buffer, 1);
	for (int i = 0; i < TFRS_DIGEST_BYTES; i++)
		result[i] = (uint8_t) (digest->state[i / 8] >> 8 * (i % 8));
}

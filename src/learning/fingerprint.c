/*
 * fingerprint.c: FarmHash Fingerprint64, SipHash-2-4, and TensorFlow's FingerprintCat64.
 *
 * Written from the published definitions; numbers are read as little endian on every machine.  All
 * arithmetic is modulo 2^64.
 */
#include "learning/fingerprint.h"

#include "base/hash.h"

/* FarmHash's constants: primes between 2^63 and 2^64. */
#define K0 UINT64_C(0xc3a5c85c97cb3127)
#define K1 UINT64_C(0xb492b66fbe98f273)
#define K2 UINT64_C(0x9ae16a3b2f90404f)

typedef struct pair
{
	uint64_t	first;
	uint64_t	second;
} pair;

static uint64_t
read32(const uint8_t *bytes)
{
	return (uint64_t) bytes[3] << 24 | (uint64_t) bytes[2] << 16 | (uint64_t) bytes[1] << 8 |
		bytes[0];
}

static uint64_t
shift_mix(uint64_t value)
{
	return value ^ value >> 47;
}

static uint64_t
mix_two(uint64_t u, uint64_t v, uint64_t factor)
{
	uint64_t	a = shift_mix((u ^ v) * factor);

	return shift_mix((v ^ a) * factor) * factor;
}

static uint64_t
hash_up_to_16(const uint8_t *s, size_t length)
{
	uint64_t	factor = K2 + length * 2;

	if (length >= 8)
	{
		uint64_t	a = tfrs_hash_word(s) + K2;
		uint64_t	b = tfrs_hash_word(s + length - 8);

		return mix_two(tfrs_hash_rotate(b, 37) * factor + a, (tfrs_hash_rotate(a, 25) + b) * factor,
					   factor);
	}
	if (length >= 4)
		return mix_two(length + (read32(s) << 3), read32(s + length - 4), factor);
	if (length > 0)
	{
		uint32_t	y = s[0] + ((uint32_t) s[length >> 1] << 8);
		uint32_t	z = (uint32_t) length + ((uint32_t) s[length - 1] << 2);

		return shift_mix(y * K2 ^ z * K0) * K2;
	}
	return K2;
}

static uint64_t
hash_up_to_32(const uint8_t *s, size_t length)
{
	uint64_t	factor = K2 + length * 2;
	uint64_t	a = tfrs_hash_word(s) * K1;
	uint64_t	b = tfrs_hash_word(s + 8);
	uint64_t	c = tfrs_hash_word(s + length - 8) * factor;
	uint64_t	d = tfrs_hash_word(s + length - 16) * K2;

	return mix_two(tfrs_hash_rotate(a + b, 43) + tfrs_hash_rotate(c, 30) + d,
				   a + tfrs_hash_rotate(b + K2, 18) + c, factor);
}

static uint64_t
hash_up_to_64(const uint8_t *s, size_t length)
{
	uint64_t	factor = K2 + length * 2;
	uint64_t	a = tfrs_hash_word(s) * K2;
	uint64_t	b = tfrs_hash_word(s + 8);
	uint64_t	c = tfrs_hash_word(s + length - 8) * factor;
	uint64_t	d = tfrs_hash_word(s + length - 16) * K2;
	uint64_t	y = tfrs_hash_rotate(a + b, 43) + tfrs_hash_rotate(c, 30) + d;
	uint64_t	z = mix_two(y, a + tfrs_hash_rotate(b + K2, 18) + c, factor);
	uint64_t	e = tfrs_hash_word(s + 16) * factor;
	uint64_t	f = tfrs_hash_word(s + 24);
	uint64_t	g = (y + tfrs_hash_word(s + length - 32)) * factor;
	uint64_t	h = (z + tfrs_hash_word(s + length - 24)) * factor;

	return mix_two(tfrs_hash_rotate(e + f, 43) + tfrs_hash_rotate(g, 30) + h,
				   e + tfrs_hash_rotate(f + a, 18) + g, factor);
}

/* 32 bytes under two seeds. */
static pair
hash_32(const uint8_t *s, uint64_t a, uint64_t b)
{
	uint64_t	c = a + tfrs_hash_word(s);
	uint64_t	sum = c + tfrs_hash_word(s + 8) + tfrs_hash_word(s + 16);

	b = tfrs_hash_rotate(b + c + tfrs_hash_word(s + 24), 21);
	return (pair) {sum + tfrs_hash_word(s + 24), b + tfrs_hash_rotate(sum, 44) + c};
}

/* What a long text has been condensed to so far. */
typedef struct farm_state
{
	uint64_t	x;
	uint64_t	y;
	uint64_t	z;
	pair		v;
	pair		w;
} farm_state;

/* Takes in 64 bytes.  The last block is weighted by another factor, 9 instead of 1. */
static void
take_64(farm_state *state, const uint8_t *s, uint64_t factor, uint64_t weight)
{
	uint64_t	z;

	state->x += state->y + state->v.first + tfrs_hash_word(s + 8);
	state->x = tfrs_hash_rotate(state->x, 37) * factor;
	state->y = tfrs_hash_rotate(state->y + state->v.second + tfrs_hash_word(s + 48), 42) * factor;
	state->x ^= state->w.second * weight;
	state->y += state->v.first * weight + tfrs_hash_word(s + 40);
	z = tfrs_hash_rotate(state->z + state->w.first, 33) * factor;
	state->v = hash_32(s, state->v.second * factor, state->x + state->w.first);
	state->w = hash_32(s + 32, z + state->w.second, state->y + tfrs_hash_word(s + 16));
	state->z = state->x;
	state->x = z;
}

static uint64_t
hash_long(const uint8_t *s, size_t length)
{
	const uint64_t seed = 81;
	const uint8_t *end = s + (length - 1) / 64 * 64;
	const uint8_t *last = s + length - 64;
	farm_state	state = {.x = seed * K2 + tfrs_hash_word(s), .y = seed * K1 + 113};
	uint64_t	factor;

	state.z = shift_mix(state.y * K2 + 113) * K2;
	for (; s != end; s += 64)
		take_64(&state, s, K1, 1);
	factor = K1 + ((state.z & 0xff) << 1);
	state.w.first += (length - 1) & 63;
	state.v.first += state.w.first;
	state.w.first += state.v.first;
	take_64(&state, last, factor, 9);
	return mix_two(mix_two(state.v.first, state.w.first, factor) + shift_mix(state.y) * K0 +
				   state.z, mix_two(state.v.second, state.w.second, factor) + state.x, factor);
}

uint64_t
tfrs_fingerprint(const void *bytes, size_t length)
{
	if (length <= 16)
		return hash_up_to_16(bytes, length);
	if (length <= 32)
		return hash_up_to_32(bytes, length);
	if (length <= 64)
		return hash_up_to_64(bytes, length);
	return hash_long(bytes, length);
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	for (; rounds > 0; rounds--)
	{
		v[0] += v[1];
		v[1] = tfrs_hash_rotate(v[1], 64 - 13) ^ v[0];
		v[0] = tfrs_hash_rotate(v[0], 32);
		v[2] += v[3];
		v[3] = tfrs_hash_rotate(v[3], 64 - 16) ^ v[2];
		v[0] += v[3];
		v[3] = tfrs_hash_rotate(v[3], 64 - 21) ^ v[0];
		v[2] += v[1];
		v[1] = tfrs_hash_rotate(v[1], 64 - 17) ^ v[2];
		v[2] = tfrs_hash_rotate(v[2], 32);
	}
}

static void
sip_take(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	sip_rounds(v, 2);
	v[0] ^= word;
}

uint64_t
tfrs_fingerprint_salted(const void *bytes, size_t length, const uint64_t salt[2])
{
	const uint8_t *s = bytes;
	uint64_t	v[4] = {
		salt[0] ^ UINT64_C(0x736f6d6570736575), salt[1] ^ UINT64_C(0x646f72616e646f6d),
		salt[0] ^ UINT64_C(0x6c7967656e657261), salt[1] ^ UINT64_C(0x7465646279746573)
	};
	uint64_t	word = (uint64_t) length << 56;
	size_t		i = 0;

	for (; i + 8 <= length; i += 8)
		sip_take(v, tfrs_hash_word(s + i));
	for (int shift = 0; i < length; i++, shift += 8)
		word |= (uint64_t) s[i] << shift;
	sip_take(v, word);
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
tfrs_fingerprint_cat(uint64_t cross, uint64_t feature)
{
	const uint64_t factor = UINT64_C(0xc6a4a7935bd1e995);
	uint64_t	result = (cross ^ factor ^ shift_mix(feature * factor) * factor) * factor;

	return shift_mix(shift_mix(result) * factor);
}

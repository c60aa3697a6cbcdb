/*
 * fingerprint.c: FarmHash Fingerprint64, SipHash-2-4, and TensorFlow's FingerprintCat64.
 *
 * Written from the published definitions; numbers are read as little endian on every machine.  All
 * arithmetic is modulo 2^64.
 */
#include "learning/fingerprint.h"

#include <string.h>

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
read64(const uint8_t *bytes)
{
	uint64_t	value = 0;

	for (int i = 7; i >= 0; i--)
		value = value << 8 | bytes[i];
	return value;
}

static uint64_t
read32(const uint8_t *bytes)
{
	return (uint64_t) bytes[3] << 24 | (uint64_t) bytes[2] << 16 | (uint64_t) bytes[1] << 8 |
		bytes[0];
}

static uint64_t
rotate_right(uint64_t value, int shift)
{
	return value >> shift | value << (64 - shift);
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
		uint64_t	a = read64(s) + K2;
		uint64_t	b = read64(s + length - 8);

		return mix_two(rotate_right(b, 37) * factor + a, (rotate_right(a, 25) + b) * factor,
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
	uint64_t	a = read64(s) * K1;
	uint64_t	b = read64(s + 8);
	uint64_t	c = read64(s + length - 8) * factor;
	uint64_t	d = read64(s + length - 16) * K2;

	return mix_two(rotate_right(a + b, 43) + rotate_right(c, 30) + d,
				   a + rotate_right(b + K2, 18) + c, factor);
}

static uint64_t
hash_up_to_64(const uint8_t *s, size_t length)
{
	uint64_t	factor = K2 + length * 2;
	uint64_t	a = read64(s) * K2;
	uint64_t	b = read64(s + 8);
	uint64_t	c = read64(s + length - 8) * factor;
	uint64_t	d = read64(s + length - 16) * K2;
	uint64_t	y = rotate_right(a + b, 43) + rotate_right(c, 30) + d;
	uint64_t	z = mix_two(y, a + rotate_right(b + K2, 18) + c, factor);
	uint64_t	e = read64(s + 16) * factor;
	uint64_t	f = read64(s + 24);
	uint64_t	g = (y + read64(s + length - 32)) * factor;
	uint64_t	h = (z + read64(s + length - 24)) * factor;

	return mix_two(rotate_right(e + f, 43) + rotate_right(g, 30) + h,
				   e + rotate_right(f + a, 18) + g, factor);
}

/* 32 bytes under two seeds. */
static pair
hash_32(const uint8_t *s, uint64_t a, uint64_t b)
{
	uint64_t	c = a + read64(s);
	uint64_t	sum = c + read64(s + 8) + read64(s + 16);

	b = rotate_right(b + c + read64(s + 24), 21);
	return (pair) {sum + read64(s + 24), b + rotate_right(sum, 44) + c};
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

	state->x = rotate_right(state->x + state->y + state->v.first + read64(s + 8), 37) * factor;
	state->y = rotate_right(state->y + state->v.second + read64(s + 48), 42) * factor;
	state->x ^= state->w.second * weight;
	state->y += state->v.first * weight + read64(s + 40);
	z = rotate_right(state->z + state->w.first, 33) * factor;
	state->v = hash_32(s, state->v.second * factor, state->x + state->w.first);
	state->w = hash_32(s + 32, z + state->w.second, state->y + read64(s + 16));
	state->z = state->x;
	state->x = z;
}

static uint64_t
hash_long(const uint8_t *s, size_t length)
{
	const uint64_t seed = 81;
	const uint8_t *end = s + (length - 1) / 64 * 64;
	const uint8_t *last = s + length - 64;
	farm_state	state = {.x = seed * K2 + read64(s), .y = seed * K1 + 113};
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
		v[1] = rotate_right(v[1], 64 - 13) ^ v[0];
		v[0] = rotate_right(v[0], 32);
		v[2] += v[3];
		v[3] = rotate_right(v[3], 64 - 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate_right(v[3], 64 - 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate_right(v[1], 64 - 17) ^ v[2];
		v[2] = rotate_right(v[2], 32);
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
		sip_take(v, read64(s + i));
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

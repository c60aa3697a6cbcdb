/*
 * test_hash.c: BLAKE2b against RFC 7693 and Python's hashlib; the table hashes against recorded
 * values, since stored tables depend on them.
 */
#include <string.h>

#include "base/hash.h"
#include "check.h"

static void
check_digest(const uint8_t digest[TFRS_DIGEST_BYTES], const char *expected)
{
	char		text[2 * TFRS_DIGEST_BYTES + 1] = "";

	for (int i = 0; i < TFRS_DIGEST_BYTES; i++)
	{
		text[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	if (strcmp(text, expected) != 0)
		check_fail(__FILE__, __LINE__, "digest is %s, not %s", text, expected);
}

static void
digest_of(const void *bytes, size_t length, uint8_t result[TFRS_DIGEST_BYTES])
{
	tfrs_digest digest;

	tfrs_digest_begin(&digest);
	tfrs_digest_add(&digest, bytes, length);
	tfrs_digest_end(&digest, result);
}

CHECK_TEST(digest_of_short_texts)
{
	uint8_t		digest[TFRS_DIGEST_BYTES];

	digest_of("", 0, digest);
	check_digest(digest, "cae66941d9efbd404e4d88758ea67670");
	digest_of("abc", 3, digest);
	check_digest(digest, "cf4ab791c62b8d2b2109c90275287816");
}

/* hashlib: d.update(blake2b(bytes((7 * i + n) % 256 for i in range(n))).digest()), n < 400 */
CHECK_TEST(digest_of_digests_of_all_lengths)
{
	tfrs_digest outer;
	uint8_t		bytes[400];
	uint8_t		digest[TFRS_DIGEST_BYTES];

	tfrs_digest_begin(&outer);
	for (size_t n = 0; n < 400; n++)
	{
		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t) (7 * i + n);
		digest_of(bytes, n, digest);
		tfrs_digest_add(&outer, digest, sizeof(digest));
	}
	tfrs_digest_end(&outer, digest);
	check_digest(digest, "79e3f83a7076f529cca0bbe5c5cc612e");
}

CHECK_TEST(digest_does_not_depend_on_the_pieces)
{
	uint8_t		bytes[1000];
	uint8_t		whole[TFRS_DIGEST_BYTES];
	uint8_t		pieces[TFRS_DIGEST_BYTES];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t) (i * i);
	digest_of(bytes, sizeof(bytes), whole);
	for (size_t piece = 1; piece < 300; piece++)
	{
		tfrs_digest digest;

		tfrs_digest_begin(&digest);
		for (size_t done = 0; done < sizeof(bytes); done += piece)
			tfrs_digest_add(&digest, bytes + done,
							piece < sizeof(bytes) - done ? piece : sizeof(bytes) - done);
		tfrs_digest_end(&digest, pieces);
		CHECK(memcmp(whole, pieces, sizeof(whole)) == 0);
	}
}

CHECK_TEST(table_hashes_are_part_of_the_format)
{
	uint8_t		bytes[257];

	for (int i = 0; i < 256; i++)
		bytes[i + 1] = (uint8_t) i;
	CHECK(tfrs_hash_integer(0) == UINT64_C(0xe220a8397b1dcdaf));
	CHECK(tfrs_hash_integer(1) == UINT64_C(0x910a2dec89025cc1));
	CHECK(tfrs_hash_integer(-1) == UINT64_C(0xe4d971771b652c20));
	CHECK(tfrs_hash_bytes(NULL, 0) == UINT64_C(0x0bd2db2e48789d20));
	CHECK(tfrs_hash_bytes("a", 1) == UINT64_C(0xd440221583a85d9c));
	CHECK(tfrs_hash_bytes("abcdefgh", 8) == UINT64_C(0x1a914b7424a7b346));
	CHECK(tfrs_hash_bytes("abcdefghi", 9) == UINT64_C(0x761d952844138e6f));
	CHECK(tfrs_hash_bytes(bytes + 1, 256) == UINT64_C(0x6a32aaa526846664));
}

CHECK_TEST(trailing_zeros_and_lengths_matter)
{
	static const uint8_t zeros[64];

	for (size_t a = 0; a < 64; a++)
		for (size_t b = 0; b < a; b++)
			CHECK(tfrs_hash_bytes(zeros, a) != tfrs_hash_bytes(zeros, b));
}

/* 2^16 ids that look alike in 2^16 places: about 1/e of the places stay empty by chance. */
CHECK_TEST(similar_ids_spread)
{
	static uint8_t used[2][1 << 16];
	size_t		empty[2] = {0, 0};

	memset(used, 0, sizeof(used));
	for (uint64_t i = 0; i < 1 << 16; i++)
	{
		char		text[16] = "customer-       ";

		for (int digit = 0; digit < 6; digit++)
			text[15 - digit] = (char) ('a' + (i >> 4 * digit) % 16);
		used[0][tfrs_hash_integer((int64_t) (i << 20)) & 0xffff] = 1;
		used[1][tfrs_hash_bytes(text, sizeof(text)) & 0xffff] = 1;
	}
	for (size_t place = 0; place < 1 << 16; place++)
		for (int kind = 0; kind < 2; kind++)
			empty[kind] += used[kind][place] == 0;
	CHECK_NEAR(empty[0] / 65536.0, 0.3679, 0.01);
	CHECK_NEAR(empty[1] / 65536.0, 0.3679, 0.01);
}

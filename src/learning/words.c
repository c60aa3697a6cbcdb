/*
 * words.c: one pass over the bytes of a text.
 *
 * The classes of characters are those of ASCII whatever the locale, so isspace and its kin have no
 * say here.
 */
#include "learning/words.h"

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_punctuation(char c)
{
	return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
		(c >= '{' && c <= '~');
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}

void
tfrs_words_begin(tfrs_words *words, const char *text, size_t length, char *room)
{
	words->text = text;
	words->end = text + length;
	words->word = room;
	words->length = 0;
}

bool
tfrs_words_next(tfrs_words *words)
{
	words->length = 0;
	for (; words->text < words->end; words->text++)
	{
		char		c = *words->text;

		if (is_blank(c) && words->length > 0)
			return true;
		if (!is_blank(c) && !is_punctuation(c))
			words->word[words->length++] = lower(c);
	}
	return words->length > 0;
}

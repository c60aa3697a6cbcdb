/*
 * words.h: splits a text into words as Keras's TextVectorization does with its defaults.
 *
 * ASCII letters become lower case, the 32 ASCII punctuation characters are removed (not replaced:
 * sci-fi becomes scifi), and the text is split at runs of blank, \t, \n, \v, \f, \r.  All other
 * bytes stay as they are: no Unicode folding, no Unicode blanks.  That is also what makes it work
 * byte by byte in every encoding of the server that has ASCII's bytes for ASCII alone.
 */
#ifndef TFRS_WORDS_H
#define TFRS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct tfrs_words
{
	const char *text;			/* what is left of the text */
	const char *end;
	char	   *word;			/* room for as many bytes as the text has */
	size_t		length;			/* of the word that was found */
} tfrs_words;

/* Both stay the caller's: the text of length bytes, and room for as many. */
extern void tfrs_words_begin(tfrs_words *words, const char *text, size_t length, char *room);

/* The next word, in words->word with its length; false when there is none. */
extern bool tfrs_words_next(tfrs_words *words);

#endif							/* TFRS_WORDS_H */

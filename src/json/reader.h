/*
 * reader.h: a strict pull parser over a JSON text in memory, with the rules and words of Go's
 * encoding/json.
 *
 * Strings come back as views into the text unless an escape or broken UTF-8 forces a copy into the
 * arena (broken bytes become U+FFFD, as Go does). Nothing else is allocated. The first error
 * sticks: every later call fails at once, so a caller may check only at the end. Not thread-safe.
 *
 *     struct json_reader r;
 *     json_reader_init(&r, text, arena);
 *     if (json_peek(&r) == '{' && json_enter(&r, '{'))
 *             while (json_next_key(&r, &key))
 *                     json_skip(&r, NULL);            // or json_read_string(), json_enter(), …
 *     if (!json_finish(&r))
 *             return err_bad_request(err, "%s", r.error);
 */
#ifndef SAMPAN_JSON_READER_H
#define SAMPAN_JSON_READER_H

#include "base/base.h"

enum { JSON_DEPTH_MAX = 10000 };

struct json_reader {
	const char *p, *end;
	struct arena *arena;
	int depth;
	bool first; /* just behind an opening bracket */
	bool failed;
	char error[96]; /* "invalid character 'x' looking for beginning of value"; empty unless
			   failed */
};

void json_reader_init(struct json_reader *r, struct str text, struct arena *a);

/* The first character of the value that comes next: { [ " - 0-9 t f n; 0 when there is none (then
 * failed). */
char json_peek(struct json_reader *r);
/* What json_peek() announced is then read by one of the following. */

/* Steps into an object or array; false when failed. open: '{' or '['. */
bool json_enter(struct json_reader *r, char open);
/* Inside an object: reads the next key (ret_key may be NULL) and its colon; false at the end of the
 * object (which is then left) or when failed. */
bool json_next_key(struct json_reader *r, struct str *ret_key);
/* Inside an array: true when another value comes; false at its end (then left) or when failed. */
bool json_next_item(struct json_reader *r);
bool json_read_string(struct json_reader *r, struct str *ret);
/* The literal's text: checked for the grammar, not converted. */
bool json_read_number(struct json_reader *r, struct str *ret);
/* true, false, null: *ret (may be NULL) gets the first letter. */
bool json_read_word(struct json_reader *r, char *ret);

/* Checks and passes over any value; *ret (may be NULL) gets its text. Needs no json_peek(). */
bool json_skip(struct json_reader *r, struct str *ret);
/* True when the text ended with the value and nothing failed. */
bool json_finish(struct json_reader *r);

/* Whether the whole text is one valid value; error (may be NULL) gets the reader's words. */
bool json_valid(struct str text, char error[96]);

#endif

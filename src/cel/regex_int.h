/* regex_int.h: what the pattern's parser makes and the engine runs. */
#ifndef SAMPAN_CEL_REGEX_INT_H
#define SAMPAN_CEL_REGEX_INT_H

#include "cel/regex.h"

struct regex_range {
	uint32_t from, to;
};

struct regex_class {
	struct regex_range *v;
	size_t n;
	bool negated;
};

enum regex_assert {
	REGEX_BEGIN_TEXT,
	REGEX_END_TEXT,
	REGEX_BEGIN_LINE,
	REGEX_END_LINE,
	REGEX_WORD,
	REGEX_NOT_WORD,
};

enum regex_node_kind {
	REGEX_EMPTY,
	REGEX_CLASS,
	REGEX_ASSERT,
	REGEX_CONCAT,
	REGEX_ALTERNATE,
	REGEX_REPEAT,
};

struct regex_node {
	enum regex_node_kind kind;
	enum regex_assert assert;
	struct regex_class class;
	struct {
		struct regex_node **v;
		size_t n;
	} subs;
	int min, max; /* of a repeat; max -1: no end */
	bool lazy;
};

enum {
	REGEX_DEPTH_MAX = 250,
	REGEX_REPEAT_MAX = 1000,
	REGEX_PROGRAM_MAX = 20000, /* instructions */
};

struct regex_node *regex_parse(struct str pattern, struct arena *a, struct str *ret_error);
/* The character at p (< end) and its length; broken UTF-8 is U+FFFD, one byte long. */
uint32_t regex_rune(const char *p, const char *end, size_t *ret_len);

#endif

/* regex.c: a pattern's program and the machine that runs it: all threads side by side, in the order
 * of their priority, so that no text makes it go back. */
#include "cel/regex_int.h"

#include <ctype.h>

enum op { OP_CLASS, OP_ASSERT, OP_SPLIT, OP_JUMP, OP_MATCH };

struct instruction {
	enum op op;
	uint32_t x, y; /* where to go on; of a split x first */
	enum regex_assert assert;
	const struct regex_class *class;
};

struct cel_regex {
	struct instruction *v;
	size_t n, cap;
	bool anchored; /* it begins with ^: only the text's start need be tried */
};

/* --- making it --- */

struct maker {
	struct cel_regex *re;
	struct arena *a;
	bool too_large;
};

static uint32_t emit(struct maker *m, enum op op)
{
	if (m->re->n == REGEX_PROGRAM_MAX) {
		m->too_large = true;
		return 0;
	}
	if (m->re->n == m->re->cap) {
		size_t cap = m->re->cap ? m->re->cap * 2 : 32;
		struct instruction *v = arena_alloc(m->a, cap * sizeof(*v));

		if (m->re->n)
			memcpy(v, m->re->v, m->re->n * sizeof(*v));
		m->re->v = v;
		m->re->cap = cap;
	}
	m->re->v[m->re->n].op = op;
	m->re->v[m->re->n].x = m->re->n + 1;
	return m->re->n++;
}

static void make(struct maker *m, const struct regex_node *n);

static void make_alternatives(struct maker *m, const struct regex_node *n)
{
	uint32_t *ends = arena_alloc(m->a, (n->subs.n + 1) * sizeof(*ends));

	for (size_t i = 0; i < n->subs.n; i++) {
		uint32_t split = 0;
		bool last = i + 1 == n->subs.n;

		if (!last)
			split = emit(m, OP_SPLIT);
		make(m, n->subs.v[i]);
		if (last)
			break;
		ends[i] = emit(m, OP_JUMP);
		m->re->v[split].y = m->re->n;
	}
	for (size_t i = 0; i + 1 < n->subs.n; i++)
		m->re->v[ends[i]].x = m->re->n;
}

/* A split that tries `into` the sub-pattern first, or last when lazy. */
static void set_split(struct maker *m, uint32_t split, bool lazy, uint32_t into, uint32_t past)
{
	m->re->v[split].x = lazy ? past : into;
	m->re->v[split].y = lazy ? into : past;
}

static void make_repeat(struct maker *m, const struct regex_node *n)
{
	uint32_t split, from;

	for (int i = 0; i < n->min && !m->too_large; i++)
		make(m, n->subs.v[0]);
	if (n->max < 0) {
		split = emit(m, OP_SPLIT);
		make(m, n->subs.v[0]);
		from = emit(m, OP_JUMP);
		m->re->v[from].x = split;
		set_split(m, split, n->lazy, split + 1, m->re->n);
		return;
	}
	from = m->re->n;
	for (int i = n->min; i < n->max && !m->too_large; i++) {
		split = emit(m, OP_SPLIT);
		m->re->v[split].y = UINT32_MAX; /* to the end, below */
		make(m, n->subs.v[0]);
	}
	for (uint32_t i = from; i < m->re->n; i++)
		if (m->re->v[i].op == OP_SPLIT && m->re->v[i].y == UINT32_MAX)
			set_split(m, i, n->lazy, i + 1, m->re->n);
}

static void make(struct maker *m, const struct regex_node *n)
{
	uint32_t at;

	if (m->too_large)
		return;
	switch (n->kind) {
	case REGEX_EMPTY:
		break;
	case REGEX_CLASS:
		at = emit(m, OP_CLASS);
		m->re->v[at].class = &n->class;
		break;
	case REGEX_ASSERT:
		at = emit(m, OP_ASSERT);
		m->re->v[at].assert = n->assert;
		break;
	case REGEX_CONCAT:
		for (size_t i = 0; i < n->subs.n; i++)
			make(m, n->subs.v[i]);
		break;
	case REGEX_ALTERNATE:
		make_alternatives(m, n);
		break;
	case REGEX_REPEAT:
		make_repeat(m, n);
		break;
	}
}

bool cel_regex_compile(
	struct str pattern, struct arena *a, struct cel_regex **ret, struct str *ret_error)
{
	struct maker m = {.re = ARENA_NEW(a, struct cel_regex), .a = a};
	struct regex_node *n = regex_parse(pattern, a, ret_error);

	if (!n)
		return false;
	make(&m, n);
	emit(&m, OP_MATCH);
	if (m.too_large) {
		*ret_error =
			arena_fmt(a, "error parsing regexp: expression too large: `" STR_FMT "`",
				STR_ARG(pattern));
		return false;
	}
	m.re->anchored = m.re->v[0].op == OP_ASSERT && m.re->v[0].assert == REGEX_BEGIN_TEXT;
	*ret = m.re;
	return true;
}

/* --- running it --- */

struct thread {
	uint32_t pc;
	const char *start;
};

struct threads {
	struct thread *v;
	size_t n;
	uint32_t *mark; /* by instruction: the step in which it was added */
};

struct machine {
	const struct cel_regex *re;
	const char *begin, *end;
	uint32_t *stack; /* of instructions to be followed */
	uint32_t step;
};

static bool in_class(const struct regex_class *c, uint32_t r)
{
	for (size_t i = 0; i < c->n; i++)
		if (r >= c->v[i].from && r <= c->v[i].to)
			return !c->negated;
	return c->negated;
}

static bool is_word(const char *p)
{
	return isalnum((unsigned char)*p) || *p == '_';
}

static bool holds(const struct machine *m, enum regex_assert what, const char *p)
{
	bool before = p > m->begin && is_word(p - 1), after = p < m->end && is_word(p);

	switch (what) {
	case REGEX_BEGIN_TEXT:
		return p == m->begin;
	case REGEX_END_TEXT:
		return p == m->end;
	case REGEX_BEGIN_LINE:
		return p == m->begin || p[-1] == '\n';
	case REGEX_END_LINE:
		return p == m->end || *p == '\n';
	case REGEX_WORD:
		return before != after;
	case REGEX_NOT_WORD:
		return before == after;
	}
	return false;
}

/* Adds the instruction and what follows without a character, in order. */
static void follow(
	struct machine *m, struct threads *t, uint32_t pc, const char *p, const char *start)
{
	size_t n = 0;

	m->stack[n++] = pc;
	while (n > 0) {
		const struct instruction *i;

		pc = m->stack[--n];
		if (t->mark[pc] == m->step)
			continue;
		t->mark[pc] = m->step;
		i = &m->re->v[pc];
		switch (i->op) {
		case OP_JUMP:
			m->stack[n++] = i->x;
			break;
		case OP_SPLIT:
			m->stack[n++] = i->y;
			m->stack[n++] = i->x;
			break;
		case OP_ASSERT:
			if (holds(m, i->assert, p))
				m->stack[n++] = i->x;
			break;
		case OP_CLASS:
		case OP_MATCH:
			t->v[t->n++] = (struct thread){pc, start};
			break;
		}
	}
}

static void threads_init(struct threads *t, size_t n, struct arena *a)
{
	t->v = arena_alloc(a, n * sizeof(*t->v));
	t->mark = arena_alloc(a, n * sizeof(*t->mark));
	t->n = 0;
}

/* Steps all threads over the character; the first that has matched ends those behind it. */
static bool step(struct machine *m, struct threads *now, struct threads *next, uint32_t r,
	const char *p, const char *after, const char **ret_start)
{
	next->n = 0;
	m->step++;
	for (size_t i = 0; i < now->n; i++) {
		const struct instruction *in = &m->re->v[now->v[i].pc];

		if (in->op == OP_MATCH) {
			*ret_start = now->v[i].start;
			return true;
		}
		if (p < m->end && in_class(in->class, r))
			follow(m, next, in->x, after, now->v[i].start);
	}
	return false;
}

static bool run(const struct cel_regex *re, struct str text, size_t from, bool any, struct arena *a,
	const char **ret_start, const char **ret_end)
{
	const char *base = text.p ? text.p : "";
	struct machine m = {.re = re, .begin = base, .end = base + text.n};
	struct threads x, y, *now = &x, *next = &y, *swap;
	bool found = false;

	threads_init(&x, re->n, a);
	threads_init(&y, re->n, a);
	m.stack = arena_alloc(a, (re->n * 2 + 2) * sizeof(*m.stack));
	m.step = 1;
	for (const char *p = m.begin + from;;) {
		size_t len = 1;
		uint32_t r = p < m.end ? regex_rune(p, m.end, &len) : 0;

		if (!found && (!re->anchored || p == m.begin))
			follow(&m, now, 0, p, p);
		if (now->n == 0 && (found || re->anchored || p == m.end))
			break;
		if (step(&m, now, next, r, p, p + len, ret_start)) {
			found = true;
			*ret_end = p;
			if (any)
				break;
		}
		if (p == m.end)
			break;
		p += len;
		swap = now;
		now = next;
		next = swap;
	}
	return found;
}

bool cel_regex_match(const struct cel_regex *re, struct str text, struct arena *a)
{
	const char *start, *end;

	return run(re, text, 0, true, a, &start, &end);
}

bool cel_regex_find(const struct cel_regex *re, struct str text, size_t from, struct arena *a,
	size_t *ret_start, size_t *ret_end)
{
	const char *start, *end;

	if (!run(re, text, from, false, a, &start, &end))
		return false;
	*ret_start = start - (text.p ? text.p : start);
	*ret_end = end - (text.p ? text.p : end);
	return true;
}

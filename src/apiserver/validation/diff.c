/*
 * diff.c: unified differences with the hunks that difflib finds: the longest matching block, then
 * what lies before and behind it; in texts of 200 lines and more, lines that make up over a
 * hundredth of the new text do not begin a match.
 */
#include "apiserver/validation/go_json.h"

enum { CONTEXT_LINES = 3, POPULAR_FROM_LINES = 200, DIFF_MAX = 1024 * 1024 };

struct line {
	struct str text;
	uint32_t id; /* equal lines have equal ids */
};

struct lines {
	struct line *v;
	size_t n;
};

struct match {
	size_t a, b, n;
};

struct matches {
	struct match *v;
	size_t n;
};

struct differ {
	struct arena *arena;
	struct lines a, b;
	uint32_t n_ids;
	bool *popular;    /* by id */
	uint32_t *first;  /* by id: 1 + its first line in b, 0: none */
	uint32_t *next;   /* by line of b: 1 + the next equal line */
	uint32_t *length; /* scratch: 2 rows */
	struct matches found;
};

struct opcode {
	char kind; /* '=' equal, '!' replace, '-' delete, '+' insert */
	size_t a1, a2, b1, b2;
};

struct opcodes {
	struct opcode *v;
	size_t n;
};

static struct lines split(struct arena *a, struct str text)
{
	struct lines out = {0};
	struct str head, rest = text;

	for (bool more = true; more;) {
		more = str_cut(rest, '\n', &head, &rest);
		ARENA_PUSH(a, &out, ((struct line){.text = head}));
	}
	return out;
}

/* Numbers lines so that equal ones get one number: a small open hash table. */
static void number_lines(struct differ *d)
{
	size_t total = d->a.n + d->b.n, cap = 16;

	while (cap < 2 * total)
		cap *= 2;
	struct line **table = ARENA_ARRAY(d->arena, struct line *, cap);
	memset(table, 0, cap * sizeof(*table));
	for (size_t i = 0; i < total; i++) {
		struct line *l = i < d->a.n ? &d->a.v[i] : &d->b.v[i - d->a.n];
		size_t at = str_hash(l->text) & (cap - 1);

		while (table[at] && !str_eq(table[at]->text, l->text))
			at = (at + 1) & (cap - 1);
		if (!table[at]) {
			table[at] = l;
			l->id = d->n_ids++;
		}
		l->id = table[at]->id;
	}
}

static void index_lines(struct differ *d)
{
	uint32_t *count = arena_alloc(d->arena, d->n_ids * sizeof(*count));

	d->popular = arena_alloc(d->arena, d->n_ids);
	d->first = arena_alloc(d->arena, d->n_ids * sizeof(*d->first));
	d->next = arena_alloc(d->arena, d->b.n * sizeof(*d->next));
	d->length = arena_alloc(d->arena, 2 * (d->b.n + 1) * sizeof(*d->length));
	for (size_t j = d->b.n; j > 0; j--) {
		uint32_t id = d->b.v[j - 1].id;

		d->next[j - 1] = d->first[id];
		d->first[id] = (uint32_t)j;
		count[id]++;
	}
	for (uint32_t id = 0; d->b.n >= POPULAR_FROM_LINES && id < d->n_ids; id++)
		d->popular[id] = count[id] > d->b.n / 100 + 1;
}

static struct match longest_match(struct differ *d, size_t alo, size_t ahi, size_t blo, size_t bhi)
{
	struct match best = {.a = alo, .b = blo};
	uint32_t *prev = d->length, *row = d->length + d->b.n + 1;

	memset(d->length, 0, 2 * (d->b.n + 1) * sizeof(*d->length));
	for (size_t i = alo; i < ahi; i++) {
		uint32_t id = d->a.v[i].id, *swap = prev;

		memset(row + blo, 0, (bhi - blo + 1) * sizeof(*row));
		for (size_t j = d->popular[id] ? 0 : d->first[id]; j && j <= bhi;
			j = d->next[j - 1]) {
			if (j <= blo)
				continue;
			row[j] = (j - 1 > blo ? prev[j - 1] : 0) + 1;
			if (row[j] > best.n)
				best = (struct match){i + 1 - row[j], j - row[j], row[j]};
		}
		prev = row;
		row = swap;
	}
	while (best.a > alo && best.b > blo && d->a.v[best.a - 1].id == d->b.v[best.b - 1].id) {
		best.a--;
		best.b--;
		best.n++;
	}
	while (best.a + best.n < ahi && best.b + best.n < bhi &&
		d->a.v[best.a + best.n].id == d->b.v[best.b + best.n].id)
		best.n++;
	return best;
}

static void match_blocks(struct differ *d, size_t alo, size_t ahi, size_t blo, size_t bhi)
{
	struct match m;

	if (alo >= ahi || blo >= bhi)
		return;
	m = longest_match(d, alo, ahi, blo, bhi);
	if (m.n == 0)
		return;
	match_blocks(d, alo, m.a, blo, m.b);
	ARENA_PUSH(d->arena, &d->found, m);
	match_blocks(d, m.a + m.n, ahi, m.b + m.n, bhi);
}

static void push_op(struct differ *d, struct opcodes *ops, struct opcode op)
{
	ARENA_PUSH(d->arena, ops, op);
}

static struct opcodes opcodes_of(struct differ *d)
{
	struct opcodes ops = {0};
	size_t i = 0, j = 0;

	ARENA_PUSH(d->arena, &d->found, ((struct match){d->a.n, d->b.n, 0}));
	for (size_t k = 0; k < d->found.n; k++) {
		struct match m = d->found.v[k];
		char kind = i < m.a && j < m.b ? '!' : i < m.a ? '-' : j < m.b ? '+' : 0;

		/* neighbours are one block */
		while (k + 1 < d->found.n && d->found.v[k + 1].n &&
			d->found.v[k + 1].a == m.a + m.n && d->found.v[k + 1].b == m.b + m.n)
			m.n += d->found.v[++k].n;
		if (kind)
			push_op(d, &ops, (struct opcode){kind, i, m.a, j, m.b});
		i = m.a + m.n;
		j = m.b + m.n;
		if (m.n)
			push_op(d, &ops, (struct opcode){'=', m.a, i, m.b, j});
	}
	return ops;
}

static void write_range(struct buf *out, size_t from, size_t to)
{
	if (to - from == 1)
		buf_fmt(out, "%zu", from + 1);
	else
		buf_fmt(out, "%zu,%zu", to == from ? from : from + 1, to - from);
}

static void write_lines(struct buf *out, const struct lines *l, size_t from, size_t to, char mark)
{
	for (size_t i = from; i < to; i++)
		buf_fmt(out, "%c" STR_FMT "\n", mark, STR_ARG(l->v[i].text));
}

static void write_hunk(struct buf *out, const struct differ *d, const struct opcode *op, size_t n)
{
	if (n == 0 || (n == 1 && op[0].kind == '='))
		return;
	buf_add_c(out, "@@ -");
	write_range(out, op[0].a1, op[n - 1].a2);
	buf_add_c(out, " +");
	write_range(out, op[0].b1, op[n - 1].b2);
	buf_add_c(out, " @@\n");
	for (size_t i = 0; i < n; i++) {
		if (op[i].kind == '=') {
			write_lines(out, &d->a, op[i].a1, op[i].a2, ' ');
			continue;
		}
		write_lines(out, &d->a, op[i].a1, op[i].a2, '-');
		write_lines(out, &d->b, op[i].b1, op[i].b2, '+');
	}
}

/* Groups of changes with their context: a long equal run ends one and begins the next. */
static void write_hunks(struct buf *out, struct differ *d, struct opcodes *ops)
{
	struct opcodes group = {0};

	if (ops->n && ops->v[0].kind == '=' && ops->v[0].a2 - ops->v[0].a1 > CONTEXT_LINES) {
		ops->v[0].a1 = ops->v[0].a2 - CONTEXT_LINES;
		ops->v[0].b1 = ops->v[0].b2 - CONTEXT_LINES;
	}
	if (ops->n && ops->v[ops->n - 1].kind == '=') {
		struct opcode *last = &ops->v[ops->n - 1];
		last->a2 = MIN(last->a2, last->a1 + CONTEXT_LINES);
		last->b2 = MIN(last->b2, last->b1 + CONTEXT_LINES);
	}
	for (size_t i = 0; i < ops->n; i++) {
		struct opcode op = ops->v[i];

		if (op.kind == '=' && op.a2 - op.a1 > 2 * CONTEXT_LINES) {
			push_op(d, &group,
				(struct opcode){'=', op.a1, op.a1 + CONTEXT_LINES, op.b1,
					op.b1 + CONTEXT_LINES});
			write_hunk(out, d, group.v, group.n);
			group = (struct opcodes){0};
			op.a1 = op.a2 - CONTEXT_LINES;
			op.b1 = op.b2 - CONTEXT_LINES;
		}
		push_op(d, &group, op);
	}
	write_hunk(out, d, group.v, group.n);
}

struct str unified_diff(struct arena *a, struct str old, struct str now)
{
	struct differ d = {.arena = a, .a = split(a, old), .b = split(a, now)};
	struct buf out CLEANUP(buf_release) = {0};
	struct opcodes ops;

	number_lines(&d);
	index_lines(&d);
	match_blocks(&d, 0, d.a.n, 0, d.b.n);
	ops = opcodes_of(&d);
	buf_init(&out, DIFF_MAX);
	write_hunks(&out, &d, &ops);
	return arena_str(a, buf_str(&out));
}

#include "network/nft_table.h"

#include <stdlib.h>

struct element {
	char *value; /* "" in a set */
	char *told;  /* NULL: the kernel does not have it */
	bool gone;
};

struct set {
	char *type;
	struct map elements; /* key -> struct element */
	struct map changed;  /* keys to look at -> the set itself */
	bool told, gone;
};

struct chain {
	char *rules;
	bool told, gone, dirty;
};

struct nft_table {
	char *name, *base;
	struct map sets, chains;                 /* by name */
	struct map changed_sets, changed_chains; /* names -> themselves */
	bool told;
};

struct nft_table *nft_table_new(const char *name, const char *base)
{
	struct nft_table *t = xcalloc(1, sizeof(*t));

	t->name = xstrdup(name);
	t->base = xstrdup(base);
	return t;
}

static void element_free(struct element *e)
{
	free(e->value);
	free(e->told);
	free(e);
}

static void set_free(struct set *s)
{
	for (struct map_entry *e = map_first(&s->elements); e; e = map_next(&s->elements, e))
		element_free(e->value);
	map_release(&s->elements);
	map_release(&s->changed);
	free(s->type);
	free(s);
}

static void chain_free(struct chain *c)
{
	free(c->rules);
	free(c);
}

void nft_table_free(struct nft_table *t)
{
	for (struct map_entry *e = map_first(&t->sets); e; e = map_next(&t->sets, e))
		set_free(e->value);
	for (struct map_entry *e = map_first(&t->chains); e; e = map_next(&t->chains, e))
		chain_free(e->value);
	map_release(&t->sets);
	map_release(&t->chains);
	map_release(&t->changed_sets);
	map_release(&t->changed_chains);
	free(t->name);
	free(t->base);
	free(t);
}

static char *copy(struct str s)
{
	char *c = xmalloc(s.n + 1);

	if (s.n)
		memcpy(c, s.p, s.n);
	c[s.n] = 0;
	return c;
}

/* --- changes of the value --- */

void nft_table_add_set(struct nft_table *t, struct str name, const char *type)
{
	struct set *s = map_get(&t->sets, name);

	if (!s) {
		s = xcalloc(1, sizeof(*s));
		s->type = xstrdup(type);
		map_set(&t->sets, name, s);
	}
	s->gone = false;
	map_set(&t->changed_sets, name, s);
}

static void drop_element(struct set *s, struct str key, struct element *e)
{
	e->gone = true;
	map_set(&s->changed, key, s);
}

void nft_table_delete_set(struct nft_table *t, struct str name)
{
	struct set *s = map_get(&t->sets, name);

	if (!s)
		return;
	s->gone = true;
	for (struct map_entry *e = map_first(&s->elements); e; e = map_next(&s->elements, e))
		drop_element(s, str_n(e->key, e->key_len), e->value);
	map_set(&t->changed_sets, name, s);
}

void nft_table_put(struct nft_table *t, struct str set, struct str key, struct str value)
{
	struct set *s = map_get(&t->sets, set);
	struct element *e;

	assert(s && !s->gone);
	e = map_get(&s->elements, key);
	if (e && !e->gone && str_eqc(value, e->value))
		return;
	if (!e) {
		e = xcalloc(1, sizeof(*e));
		map_set(&s->elements, key, e);
	}
	e->gone = false;
	free(e->value);
	e->value = copy(value);
	map_set(&s->changed, key, s);
	map_set(&t->changed_sets, set, s);
}

void nft_table_remove(struct nft_table *t, struct str set, struct str key)
{
	struct set *s = map_get(&t->sets, set);
	struct element *e = s ? map_get(&s->elements, key) : NULL;

	if (!e)
		return;
	drop_element(s, key, e);
	map_set(&t->changed_sets, set, s);
}

const char *nft_table_get(const struct nft_table *t, struct str set, struct str key)
{
	const struct set *s = map_get(&t->sets, set);
	const struct element *e = s ? map_get(&s->elements, key) : NULL;

	return e && !e->gone ? e->value : NULL;
}

void nft_table_set_chain(struct nft_table *t, struct str name, struct str rules)
{
	struct chain *c = map_get(&t->chains, name);

	if (c && !c->gone && str_eqc(rules, c->rules))
		return;
	if (!c) {
		c = xcalloc(1, sizeof(*c));
		map_set(&t->chains, name, c);
	}
	c->gone = false;
	c->dirty = true;
	free(c->rules);
	c->rules = copy(rules);
	map_set(&t->changed_chains, name, c);
}

void nft_table_delete_chain(struct nft_table *t, struct str name)
{
	struct chain *c = map_get(&t->chains, name);

	if (!c)
		return;
	c->gone = true;
	map_set(&t->changed_chains, name, c);
}

/* --- the text, in an order in which nothing names what is not there --- */

static struct str key_of(const struct map_entry *e)
{
	return str_n(e->key, e->key_len);
}

static void declare(struct nft_table *t, struct buf *nft)
{
	for (struct map_entry *e = map_first(&t->changed_sets); e;
		e = map_next(&t->changed_sets, e)) {
		struct set *s = e->value;

		if (!s->told && !s->gone)
			buf_fmt(nft, "add %s %s %s { %s; }\n", strchr(s->type, ':') ? "map" : "set",
				t->name, e->key, s->type);
	}
	for (struct map_entry *e = map_first(&t->changed_chains); e;
		e = map_next(&t->changed_chains, e)) {
		struct chain *c = e->value;

		if (!c->told && !c->gone)
			buf_fmt(nft, "add chain %s %s\n", t->name, e->key);
	}
}

static void write_rules(struct nft_table *t, const char *name, struct chain *c, struct buf *nft)
{
	struct str rest = str_c(c->rules), line;

	if (c->told)
		buf_fmt(nft, "flush chain %s %s\n", t->name, name);
	while (rest.n) {
		str_cut(rest, '\n', &line, &rest);
		if (line.n)
			buf_fmt(nft, "add rule %s %s " STR_FMT "\n", t->name, name, STR_ARG(line));
	}
	c->told = true;
	c->dirty = false;
}

/* Elements of one set that go or come, many in a line. */
static void write_elements(
	struct nft_table *t, const char *name, struct set *s, bool coming, struct buf *nft)
{
	size_t n = 0;

	for (struct map_entry *m = map_first(&s->changed); m; m = map_next(&s->changed, m)) {
		struct element *e = map_get(&s->elements, key_of(m));
		bool comes = e && !e->gone && (!e->told || strcmp(e->told, e->value)),
		     goes = e && e->told && (e->gone || comes);

		if (!(coming ? comes : goes))
			continue;
		if (n++ % 1000 == 0)
			buf_fmt(nft, "%s%s element %s %s { ", n > 1 ? " }\n" : "",
				coming ? "add" : "delete", t->name, name);
		else
			buf_add_c(nft, ", ");
		buf_add_c(nft, m->key);
		if (coming && e->value[0])
			buf_fmt(nft, " : %s", e->value);
	}
	if (n)
		buf_add_c(nft, " }\n");
}

static void settle_elements(struct set *s)
{
	for (struct map_entry *m = map_first(&s->changed); m; m = map_next(&s->changed, m)) {
		struct element *e = map_get(&s->elements, key_of(m));

		if (!e)
			continue;
		free(e->told);
		e->told = NULL;
		if (e->gone)
			element_free(map_remove(&s->elements, key_of(m)));
		else
			e->told = xstrdup(e->value);
	}
	map_release(&s->changed);
}

static void write_sets(struct nft_table *t, bool coming, struct buf *nft)
{
	for (struct map_entry *e = map_first(&t->changed_sets); e;
		e = map_next(&t->changed_sets, e)) {
		struct set *s = e->value;

		if (coming ? !s->gone : s->told)
			write_elements(t, e->key, s, coming, nft);
	}
}

static void settle_sets(struct nft_table *t, struct buf *nft)
{
	for (struct map_entry *e = map_first(&t->changed_sets); e;
		e = map_next(&t->changed_sets, e)) {
		struct set *s = e->value;

		settle_elements(s);
		if (s->gone && s->told)
			buf_fmt(nft, "delete set %s %s\n", t->name, e->key);
		s->told = true;
		if (s->gone)
			set_free(map_remove(&t->sets, key_of(e)));
	}
	map_release(&t->changed_sets);
}

static void write_chains(struct nft_table *t, struct buf *nft)
{
	for (struct map_entry *e = map_first(&t->changed_chains); e;
		e = map_next(&t->changed_chains, e)) {
		struct chain *c = e->value;

		if (!c->gone && c->dirty)
			write_rules(t, e->key, c, nft);
	}
}

/* Chains may name each other: all are emptied before the first is deleted. */
static void delete_chains(struct nft_table *t, struct buf *nft)
{
	for (int pass = 0; pass < 2; pass++)
		for (struct map_entry *e = map_first(&t->changed_chains); e;
			e = map_next(&t->changed_chains, e)) {
			struct chain *c = e->value;

			if (!c->gone)
				continue;
			if (c->told)
				buf_fmt(nft, "%s chain %s %s\n", pass ? "delete" : "flush", t->name,
					e->key);
			if (pass)
				chain_free(map_remove(&t->chains, key_of(e)));
		}
	map_release(&t->changed_chains);
}

void nft_table_changes(struct nft_table *t, struct buf *nft)
{
	bool first = !t->told;

	if (first)
		buf_fmt(nft, "add table %s\ndelete table %s\nadd table %s\n", t->name, t->name,
			t->name);
	t->told = true;
	declare(t, nft);
	write_sets(t, false, nft);
	write_chains(t, nft);
	write_sets(t, true, nft);
	delete_chains(t, nft);
	settle_sets(t, nft);
	if (first)
		buf_fmt(nft, "table %s {\n%s}\n", t->name, t->base);
}

void nft_table_forget(struct nft_table *t)
{
	t->told = false;
	for (struct map_entry *m = map_first(&t->sets); m; m = map_next(&t->sets, m)) {
		struct set *s = m->value;

		s->told = false;
		map_set(&t->changed_sets, key_of(m), s);
		for (struct map_entry *e = map_first(&s->elements); e;
			e = map_next(&s->elements, e)) {
			struct element *el = e->value;

			free(el->told);
			el->told = NULL;
			map_set(&s->changed, key_of(e), s);
		}
	}
	for (struct map_entry *m = map_first(&t->chains); m; m = map_next(&t->chains, m)) {
		struct chain *c = m->value;

		c->told = false;
		c->dirty = true;
		map_set(&t->changed_chains, key_of(m), c);
	}
}

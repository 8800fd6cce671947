/* field_selector.c: ?fieldSelector= (apimachinery fields). */
#include "api/object.h"
#include "api/selector.h"
#include "json/quote.h"

/* Cuts off the next term: a comma ends it unless a backslash stands before it. False at the end. */
static bool next_term(struct str *rest, struct str *term)
{
	bool escaped = false;

	if (!rest->p)
		return false;
	for (size_t i = 0; i < rest->n; i++) {
		if (escaped) {
			escaped = false;
		} else if (rest->p[i] == '\\') {
			escaped = true;
		} else if (rest->p[i] == ',') {
			*term = str_sub(*rest, 0, i);
			*rest = str_sub(*rest, i + 1, rest->n);
			return true;
		}
	}
	*term = *rest;
	*rest = (struct str){0};
	return true;
}

/* The first of !=, == and = splits the term. */
static bool split_term(struct str term, struct field_requirement *r)
{
	for (size_t i = 0; i < term.n; i++) {
		char next = i + 1 < term.n ? term.p[i + 1] : 0;
		size_t n = term.p[i] == '!' && next == '=' ? 2
			   : term.p[i] != '='              ? 0
			   : next == '='                   ? 2
							   : 1;

		if (n == 0)
			continue;
		r->negated = term.p[i] == '!';
		r->field = str_sub(term, 0, i);
		r->value = str_sub(term, i + n, term.n);
		return true;
	}
	return false;
}

static size_t rune_len(struct str s, size_t i)
{
	unsigned char c = s.p[i];
	size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return MIN(n, s.n - i);
}

static int unescape(struct str *value, struct arena *a, struct err *err)
{
	char *out = arena_alloc(a, value->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < value->n; i++) {
		char c = value->p[i];

		if (c == ',' || c == '=')
			return err_bad_request(
				err, "invalid field selector: unescaped character in value: %d", c);
		if (c == '\\') {
			if (++i >= value->n)
				return err_bad_request(
					err, "invalid field selector: invalid escape sequence: \\");
			c = value->p[i];
			if (c != '\\' && c != ',' && c != '=')
				return err_bad_request(err,
					"invalid field selector: invalid escape sequence: "
					"\\" STR_FMT,
					(int)rune_len(*value, i), value->p + i);
		}
		out[n++] = c;
	}
	*value = str_n(out, n);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

int field_selector_parse(
	struct str text, struct arena *a, struct field_selector *ret, struct err *err)
{
	struct str_vec terms = {0};
	struct str rest = text, term;
	struct field_selector s = {0};
	int r;

	while (next_term(&rest, &term))
		ARENA_PUSH(a, &terms, term);
	if (terms.n)
		qsort(terms.v, terms.n, sizeof(struct str), by_text);
	for (size_t i = 0; i < terms.n; i++) {
		struct field_requirement q;

		if (terms.v[i].n == 0)
			continue;
		if (!split_term(terms.v[i], &q))
			return err_bad_request(err,
				"invalid selector: '" STR_FMT "'; can't understand '" STR_FMT "'",
				STR_ARG(text), STR_ARG(terms.v[i]));
		r = unescape(&q.value, a, err);
		if (r < 0)
			return r;
		ARENA_PUSH(a, &s, q);
	}
	*ret = s;
	return 0;
}

static bool is_selectable(const struct schema_resource *res, struct str field)
{
	if (str_eqc(field, "metadata.name"))
		return true;
	if (str_eqc(field, "metadata.namespace"))
		return res->namespaced || !res->selectable;
	for (size_t i = 0; res->selectable && res->selectable[i]; i++)
		if (str_eqc(field, res->selectable[i]))
			return true;
	return str_eqc(field, "spec.host") &&
	       strcmp(res->kind, "Pod") == 0; /* the oldest name of spec.nodeName */
}

int field_selector_check(
	const struct field_selector *s, const struct schema_resource *res, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct buf quoted CLEANUP(buf_release) = {0};

		if (is_selectable(res, s->v[i].field))
			continue;
		if (res->selectable)
			return err_bad_request(
				err, "field label not supported: " STR_FMT, STR_ARG(s->v[i].field));
		buf_init(&quoted, 1 << 16);
		quote_write(&quoted, s->v[i].field);
		return err_bad_request(err,
			STR_FMT " is not a known field selector: only \"metadata.name\", "
				"\"metadata.namespace\"",
			STR_ARG(buf_str(&quoted)));
	}
	return 0;
}

bool field_selector_matches(const struct field_selector *s, const struct object *o)
{
	for (size_t i = 0; i < s->n; i++)
		if (str_eq(object_field(o, s->v[i].field), s->v[i].value) == s->v[i].negated)
			return false;
	return true;
}

struct str field_selector_exact(const struct field_selector *s, const char *field)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].negated && str_eqc(s->v[i].field, field))
			return s->v[i].value;
	return (struct str){0};
}

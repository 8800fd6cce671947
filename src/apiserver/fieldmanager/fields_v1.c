/* fields_v1.c: FieldsV1, the text form of a set (structured-merge-diff fieldpath/serialize.go). A
 * path element is the key of a member, itself partly JSON inside a JSON string. */
#include "apiserver/fieldmanager/field_set.h"

#include "json/reader.h"
#include "json/write.h"

enum {
	DEPTH_MAX = 200, /* levels of a set; the deepest types have some forty */
	ELEMENT_MAX = 1024 * 1024,
};

/* --- reading --- */

static int parse_element(struct str text, struct arena *a, struct fpath_element *ret, bool *known)
{
	struct json_value *v;
	struct str rest;

	*known = true;
	if (text.n < 2 || text.p[1] != ':')
		return -EINVAL;
	rest = str_sub(text, 2, text.n);
	*ret = (struct fpath_element){0};
	switch (text.p[0]) {
	case 'f':
		ret->kind = FPATH_FIELD;
		ret->name = rest;
		return 0;
	case 'k':
	case 'v':
		if (json_parse(rest, a, &v, NULL) < 0 ||
			(text.p[0] == 'k' && v->kind != JSON_OBJECT))
			return -EINVAL;
		ret->kind = text.p[0] == 'k' ? FPATH_KEY : FPATH_VALUE;
		ret->value = fvalue_from_json(v, a);
		return 0;
	case 'i':
		ret->kind = FPATH_INDEX;
		ret->value.kind = FVALUE_INT;
		return str_to_i64(rest, &ret->value.i);
	default:
		*known = false; /* a later version may know it */
		return 0;
	}
}

/* *member: the place itself belongs to the set, because it says so or has nothing below. */
static int parse(
	struct json_reader *r, int depth, struct arena *a, struct field_set *ret, bool *member)
{
	struct fpath_element e;
	struct str key;
	char c = json_peek(r);

	*ret = (struct field_set){0};
	*member = false;
	if (c == 'n')
		json_skip(r, NULL);
	else if (c != '{' || depth > DEPTH_MAX)
		return -EINVAL;
	else
		json_enter(r, '{');
	while (c == '{' && json_next_key(r, &key)) {
		struct field_set below;
		bool known, below_member;

		if (str_eqc(key, ".")) {
			*member = true;
			json_skip(r, NULL);
			continue;
		}
		if (parse_element(key, a, &e, &known) < 0)
			return -EINVAL;
		if (!known)
			json_skip(r, NULL);
		else if (parse(r, depth + 1, a, &below, &below_member) < 0)
			return -EINVAL;
		else
			field_set_add(ret, &e, below_member, below, a);
	}
	*member |= !ret->n;
	return r->failed ? -EINVAL : 0;
}

int field_set_parse(struct str json, struct arena *a, struct field_set *ret)
{
	struct json_reader r;
	struct field_set set;
	bool member;

	json_reader_init(&r, json, a);
	if (parse(&r, 0, a, &set, &member) < 0 || !json_finish(&r))
		return -EINVAL;
	*ret = set;
	return 0;
}

/* --- writing --- */

static void write_element(const struct fpath_element *e, struct buf *out)
{
	struct buf text CLEANUP(buf_release) = {0};

	buf_init(&text, ELEMENT_MAX);
	switch (e->kind) {
	case FPATH_FIELD:
		buf_add_c(&text, "f:");
		buf_add_str(&text, e->name);
		break;
	case FPATH_KEY:
		buf_add_c(&text, "k:");
		fvalue_write_json(&e->value, &text);
		break;
	case FPATH_VALUE:
		buf_add_c(&text, "v:");
		fvalue_write_json(&e->value, &text);
		break;
	case FPATH_INDEX:
		buf_fmt(&text, "i:%lld", (long long)e->value.i);
		break;
	}
	json_write_string(out, buf_str(&text));
}

/* The element of nearly every node, without a text in between. */
static bool write_plain_field(const struct fpath_element *e, struct buf *out)
{
	size_t n = e->name.n;
	char *to;

	if (e->kind != FPATH_FIELD)
		return false;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = e->name.p[i];

		if (c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' ||
			c == '&')
			return false;
	}
	to = buf_reserve(out, n + 4);
	if (!to)
		return true;
	memcpy(to, "\"f:", 3);
	if (n)
		memcpy(to + 3, e->name.p, n);
	to[n + 3] = '"';
	to[n + 4] = 0;
	out->n += n + 4;
	return true;
}

static void write_set(const struct field_set *s, bool self, struct buf *out)
{
	buf_add_char(out, '{');
	if (self && s->n)
		buf_add_c(out, "\".\":{}");
	for (size_t i = 0; i < s->n; i++) {
		if (i || self)
			buf_add_char(out, ',');
		if (!write_plain_field(&s->v[i].element, out))
			write_element(&s->v[i].element, out);
		buf_add_char(out, ':');
		write_set(&s->v[i].below, s->v[i].member, out);
	}
	buf_add_char(out, '}');
}

void field_set_write(const struct field_set *s, struct buf *out)
{
	write_set(s, false, out);
}

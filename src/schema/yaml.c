/*
 * yaml.c: YAML into JSON. libyaml's events become a tree of nodes (parse), which becomes a JSON
 * tree (convert): aliases are followed there, where their number can be held against the size of
 * the document, as Go's YAML does against bombs.
 */
#include <yaml.h>

#include "json/quote.h"
#include "json/value.h"
#include "schema/schema.h"
#include "schema/yaml_scalar.h"

enum { DEPTH_MAX = 10000, JSON_MAX = 32 * 1024 * 1024 };

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP, NODE_ALIAS };

struct node {
	enum node_kind kind;
	bool plain;           /* a scalar without quotes or tag */
	bool open;            /* a container that is still being read, or being converted */
	size_t line;          /* from 1 */
	struct str tag, text; /* of a scalar */
	struct node *target;  /* of an alias */
	struct node_vec {
		struct node **v;
		size_t n;
	} children; /* of a map: key, value, key, value … */
};

struct anchor {
	struct str name;
	struct node *node;
};

struct reader {
	yaml_parser_t parser;
	struct arena *a;
	struct err *err;
	struct {
		struct anchor *v;
		size_t n;
	} anchors;
};

/* --- parse --- */

static int parser_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
	size_t line = p->context_mark.line;

	if (p->problem_mark.line)
		line = p->problem_mark.line + (p->error == YAML_SCANNER_ERROR ? 1 : 0);
	if (line)
		return err_bad_request(r->err, "yaml: line %zu: %s", line, problem);
	return err_bad_request(r->err, "yaml: %s", problem);
}

static struct str event_str(struct reader *r, const yaml_char_t *s)
{
	return s ? arena_strc(r->a, (const char *)s) : (struct str){0};
}

static void add_anchor(struct reader *r, const yaml_char_t *name, struct node *n)
{
	struct anchor anchor = {event_str(r, name), n};

	if (!name)
		return;
	for (size_t i = 0; i < r->anchors.n; i++)
		if (str_eq(r->anchors.v[i].name, anchor.name)) {
			r->anchors.v[i].node = n;
			return;
		}
	ARENA_PUSH(r->a, &r->anchors, anchor);
}

static int alias_node(struct reader *r, const yaml_event_t *e, struct node *n)
{
	struct str name = str_c((const char *)e->data.alias.anchor);

	n->kind = NODE_ALIAS;
	for (size_t i = 0; i < r->anchors.n; i++)
		if (str_eq(r->anchors.v[i].name, name))
			n->target = r->anchors.v[i].node;
	if (!n->target)
		return err_bad_request(
			r->err, "yaml: unknown anchor '" STR_FMT "' referenced", STR_ARG(name));
	return 0;
}

static void scalar_node(struct reader *r, const yaml_event_t *e, struct node *n)
{
	n->text = str_n(arena_memdup(r->a, e->data.scalar.value, e->data.scalar.length),
		e->data.scalar.length);
	n->tag = event_str(r, e->data.scalar.tag);
	n->plain = e->data.scalar.plain_implicit && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	add_anchor(r, e->data.scalar.anchor, n);
}

/* One event into a node; 1 when it opens a container. */
static int make_node(struct reader *r, const yaml_event_t *e, struct node **ret)
{
	struct node *n = ARENA_NEW(r->a, struct node);

	n->line = e->start_mark.line + 1;
	*ret = n;
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		scalar_node(r, e, n);
		return 0;
	case YAML_ALIAS_EVENT:
		return alias_node(r, e, n);
	case YAML_SEQUENCE_START_EVENT:
		n->kind = NODE_LIST;
		add_anchor(r, e->data.sequence_start.anchor, n);
		return 1;
	case YAML_MAPPING_START_EVENT:
		n->kind = NODE_MAP;
		add_anchor(r, e->data.mapping_start.anchor, n);
		return 1;
	default:
		return err_bad_request(r->err, "yaml: unexpected event");
	}
}

/* Handles an event below the document; *root is set by the first node. Returns 1 at the document's
 * end. */
static int take_event(
	struct reader *r, const yaml_event_t *e, struct node_vec *open, struct node **root)
{
	struct node *n = NULL;
	int opens;

	switch (e->type) {
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_START_EVENT:
		return 0;
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return 1;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		open->n--;
		return 0;
	default:
		break;
	}
	opens = make_node(r, e, &n);
	if (opens < 0)
		return opens;
	if (open->n)
		ARENA_PUSH(r->a, &open->v[open->n - 1]->children, n);
	else
		*root = n;
	if (opens) {
		if (open->n >= DEPTH_MAX)
			return err_bad_request(r->err, "yaml: exceeded max depth of %d", DEPTH_MAX);
		ARENA_PUSH(r->a, open, n);
	}
	return 0;
}

static int parse(struct reader *r, struct str yaml, struct node **root)
{
	struct node_vec open = {0};
	int done = 0;

	if (!yaml_parser_initialize(&r->parser))
		abort(); /* out of memory */
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)(yaml.p ? yaml.p : ""), yaml.n);
	while (done == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r->parser, &event)) {
			done = parser_error(r);
			break;
		}
		done = take_event(r, &event, &open, root);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r->parser);
	return done < 0 ? done : 0;
}

/* --- convert --- */

struct converter {
	struct arena *a;
	struct err *err;
	struct str_vec *duplicates;
	size_t decoded, aliased; /* nodes seen; of them through an alias */
	size_t alias_depth;
};

/* How much of a document may come from aliases: nearly all of a small one, a tenth of a large one.
 */
static double allowed_ratio(size_t decoded)
{
	const double low = 400000, high = 4000000;

	if (decoded <= low)
		return 0.99;
	if (decoded >= high)
		return 0.10;
	return 0.99 - 0.89 * ((double)decoded - low) / (high - low);
}

static int convert(struct converter *c, struct node *n, struct json_value **ret);

static int count(struct converter *c)
{
	c->decoded++;
	if (c->alias_depth)
		c->aliased++;
	if (c->aliased > 100 && c->decoded > 1000 &&
		(double)c->aliased / (double)c->decoded > allowed_ratio(c->decoded))
		return err_bad_request(c->err, "yaml: document contains excessive aliasing");
	return 0;
}

static bool is_merge(const struct node *key)
{
	return key->kind == NODE_SCALAR && str_eqc(key->text, "<<") && key->plain;
}

/* A key as JSON has it: the text of a string, number or bool. */
static int key_text(struct converter *c, const struct json_value *key, struct str *ret)
{
	switch (key->kind) {
	case JSON_STRING:
	case JSON_NUMBER:
		*ret = key->text;
		return 0;
	case JSON_BOOL:
		*ret = key->boolean ? S("true") : S("false");
		return 0;
	case JSON_NULL:
		return err_bad_request(c->err,
			"unsupported map key of type: %%!s(<nil>), key: <nil>, value: <nil>");
	default:
		return err_bad_request(c->err, "yaml: invalid map key");
	}
}

static void report_duplicate(struct converter *c, const struct node *value, struct str key)
{
	struct str quoted = quote_text(c->a, key);

	if (c->duplicates)
		ARENA_PUSH(c->a, c->duplicates,
			arena_fmt(c->a, "line %zu: key " STR_FMT " already set in map", value->line,
				STR_ARG(quoted)));
}

static int convert_members(struct converter *c, struct node *n, struct json_value *out);

/* "<<: *base" and "<<: [*a, *b]": the members of maps; of a list's maps the earlier win. */
static int merge_into(struct converter *c, struct node *n, struct json_value *out)
{
	struct node *target = n->kind == NODE_ALIAS ? n->target : n;
	int r = 0;

	if (n->kind == NODE_LIST) {
		for (size_t i = n->children.n; i > 0 && r == 0; i--) {
			struct node *item = n->children.v[i - 1];

			if (item->kind == NODE_LIST || item->kind == NODE_SCALAR)
				return err_bad_request(c->err, "yaml: map merge requires map or "
							       "sequence of maps as the value");
			r = merge_into(c, item, out);
		}
		return r;
	}
	if (target->kind != NODE_MAP)
		return err_bad_request(
			c->err, "yaml: map merge requires map or sequence of maps as the value");
	if (target->open)
		return err_bad_request(c->err, "yaml: anchor value contains itself");
	c->alias_depth += n->kind == NODE_ALIAS;
	r = count(c);
	if (r == 0)
		r = convert_members(c, target, out);
	c->alias_depth -= n->kind == NODE_ALIAS;
	return r;
}

static int key_order(const void *a, const void *b)
{
	return str_cmp(((const struct json_member *)a)->key, ((const struct json_member *)b)->key);
}

static int convert_members(struct converter *c, struct node *n, struct json_value *out)
{
	int r = 0;

	n->open = true;
	for (size_t i = 0; i + 1 < n->children.n && r == 0; i += 2) {
		struct json_value *key = NULL, *value = NULL;
		struct str text;

		if (is_merge(n->children.v[i])) {
			r = merge_into(c, n->children.v[i + 1], out);
			continue;
		}
		r = convert(c, n->children.v[i], &key);
		if (r == 0)
			r = key_text(c, key, &text);
		if (r == 0)
			r = convert(c, n->children.v[i + 1], &value);
		if (r < 0)
			break;
		if (json_get(out, text))
			report_duplicate(c, n->children.v[i + 1], text);
		json_set(c->a, out, text, value);
	}
	n->open = false;
	return r;
}

static int convert_alias(struct converter *c, struct node *n, struct json_value **ret)
{
	int r;

	if (n->target->open)
		return err_bad_request(c->err, "yaml: anchor value contains itself");
	c->alias_depth++;
	r = convert(c, n->target, ret);
	c->alias_depth--;
	return r;
}

static int convert(struct converter *c, struct node *n, struct json_value **ret)
{
	struct json_value *item = NULL;
	int r = count(c);

	if (r < 0)
		return r;
	switch (n->kind) {
	case NODE_ALIAS:
		return convert_alias(c, n, ret);
	case NODE_SCALAR:
		return yaml_scalar(n->text, n->tag, n->plain, c->a, ret, c->err);
	case NODE_MAP:
		*ret = json_new(c->a, JSON_OBJECT);
		r = convert_members(c, n, *ret);
		if ((*ret)->members.n > 1)
			qsort((*ret)->members.v, (*ret)->members.n, sizeof(struct json_member),
				key_order);
		return r;
	case NODE_LIST:
		*ret = json_new(c->a, JSON_ARRAY);
		n->open = true;
		for (size_t i = 0; i < n->children.n && r == 0; i++) {
			r = convert(c, n->children.v[i], &item);
			json_append(c->a, *ret, item);
		}
		n->open = false;
		return r;
	}
	return 0;
}

int yaml_to_json(struct str yaml, struct arena *a, struct str *ret, struct str_vec *duplicates,
	struct err *err)
{
	struct arena scratch CLEANUP(arena_release) = {0};
	struct buf out CLEANUP(buf_release) = {0};
	struct reader r = {.a = &scratch, .err = err};
	struct converter c = {.a = &scratch, .err = err};
	struct str_vec twice = {0};
	struct json_value *v = NULL;
	struct node *root = NULL;
	int code;

	c.duplicates = duplicates ? &twice : NULL;
	code = parse(&r, yaml, &root);
	if (code == 0 && root)
		code = convert(&c, root, &v);
	if (code < 0)
		return code;
	buf_init(&out, JSON_MAX);
	if (v)
		json_write(v, &out);
	else
		buf_add_c(&out, "null");
	if (buf_failed(&out))
		return err_bad_request(err, "yaml: document contains excessive aliasing");
	*ret = arena_str(a, buf_str(&out));
	for (size_t i = 0; i < twice.n; i++)
		ARENA_PUSH(a, duplicates, arena_str(a, twice.v[i]));
	return 0;
}

/* Expressions and what upstream's environment (cel-go 0.26, Kubernetes 1.36) makes of each: type,
 * value, error or the compiler's message, and cost. tests/unit/cel/expressions.jsonl is the table:
 * e expression, t type, v value, x error, c message of the compiler, cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/file.h"
#include "cel/cel.h"
#include "cel/eval.h"
#include "json/quote.h"
#include "json/value.h"

static const struct cel_type list_int = {.kind = CEL_LIST, .params = {&cel_type_int}};
static const struct cel_type map_int = {
	.kind = CEL_MAP, .params = {&cel_type_string, &cel_type_int}};
static const struct cel_variable vars[] = {
	{"object", &cel_type_dyn},
	{"x", &cel_type_int},
	{"u", &cel_type_uint},
	{"d", &cel_type_dyn},
	{"s", &cel_type_string},
	{"l", &list_int},
	{"ls", &cel_type_list_string},
	{"m", &cel_type_map_string_dyn},
	{"mi", &map_int},
	{"b", &cel_type_bool},
	{"f", &cel_type_double},
	{"authorizer", &cel_type_authorizer},
	{"a.b", &cel_type_int},
};
static const struct cel_env env = {vars, ARRAY_SIZE(vars)};

static const char object[] =
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"web\",\"namespace\":"
	"\"ns1\","
	"\"labels\":{\"app\":\"web\",\"tier\":\"front\"},\"generation\":3,\"annotations\":{}},"
	"\"spec\":{\"replicas\":3,\"containers\":[{\"name\":\"c1\",\"image\":\"nginx:1.25\","
	"\"ports\":[{\"containerPort\":80}],\"resources\":{\"limits\":{\"cpu\":\"500m\","
	"\"memory\":\"1Gi\"}}},{\"name\":\"c2\",\"image\":\"busybox\"}],\"ratio\":0.5,"
	"\"hostNetwork\":false,\"nul\":null},\"status\":{}}";

static int by_text(const void *x, const void *y)
{
	return strcmp(*(char *const *)x, *(char *const *)y);
}

static void show(struct cel_value v, struct buf *b, struct arena *a);

static void show_map(struct cel_value v, struct buf *b, struct arena *a)
{
	size_t n = cel_size(v);
	char **entries = arena_alloc(a, (n + 1) * sizeof(*entries));

	for (size_t i = 0; i < n; i++) {
		struct cel_entry e = cel_map_at(v, i, a);
		struct buf one;

		buf_init(&one, 1 << 20);
		show(e.key, &one, a);
		buf_add_c(&one, ": ");
		show(e.value, &one, a);
		entries[i] = arena_cstr(a, buf_str(&one));
		buf_release(&one);
	}
	qsort(entries, n, sizeof(*entries), by_text);
	buf_add_char(b, '{');
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "%s%s", i ? ", " : "", entries[i]);
	buf_add_char(b, '}');
}

static void show_list(struct cel_value v, struct buf *b, struct arena *a)
{
	buf_add_char(b, '[');
	for (size_t i = 0; i < cel_size(v); i++) {
		if (i)
			buf_add_c(b, ", ");
		show(cel_list_at(v, i, a), b, a);
	}
	buf_add_char(b, ']');
}

static void show(struct cel_value v, struct buf *b, struct arena *a)
{
	switch ((enum cel_kind)v.kind) {
	case CEL_UINT:
		buf_fmt(b, "%lluu", (unsigned long long)v.u);
		break;
	case CEL_DOUBLE:
		buf_fmt(b, "d\"" STR_FMT "\"", STR_ARG(cel_show(v, a)));
		break;
	case CEL_STRING:
		quote_write(b, v.s);
		break;
	case CEL_BYTES:
		buf_add_char(b, 'b');
		for (size_t i = 0; i < v.s.n; i++)
			buf_fmt(b, "%02x", (unsigned char)v.s.p[i]);
		break;
	case CEL_NULL:
		buf_add_c(b, "null");
		break;
	case CEL_DURATION:
		buf_fmt(b, "dur(%lldns)", (long long)v.i);
		break;
	case CEL_TIMESTAMP:
		v.zone_min = 0;
		buf_fmt(b, "ts(" STR_FMT ")", STR_ARG(cel_show(v, a)));
		break;
	case CEL_TYPE:
		buf_fmt(b, "type(" STR_FMT ")", STR_ARG(cel_show(v, a)));
		break;
	case CEL_OPTIONAL:
		buf_add_c(b, v.optional ? "optional(" : "none");
		if (v.optional) {
			show(*v.optional, b, a);
			buf_add_char(b, ')');
		}
		break;
	case CEL_LIST:
		show_list(v, b, a);
		break;
	case CEL_MAP:
		show_map(v, b, a);
		break;
	case CEL_OPAQUE:
		buf_fmt(b, "<" STR_FMT ">", STR_ARG(cel_show(v, a)));
		break;
	default:
		buf_add_str(b, cel_show(v, a));
	}
}

static struct cel_value json(const char *text, struct arena *a)
{
	return cel_json_text(str_c(text), a);
}

struct outcome {
	struct str type, value, error, message;
	uint64_t cost;
};

static void evaluate(struct cel_program *p, struct arena *a, struct outcome *o)
{
	struct cel_value values[] = {
		json(object, a),
		cel_int(7),
		cel_uint(7),
		json("{\"a\":1,\"s\":\"str\",\"l\":[1,\"two\",3.5]}", a),
		cel_string(S("hello")),
		json("[3,1,2]", a),
		json("[\"a\",\"b\",\"c\"]", a),
		json("{\"k\":1,\"n\":null}", a),
		json("{\"one\":1,\"two\":2}", a),
		cel_bool(true),
		cel_double(2.5),
		{.kind = CEL_UNSET},
		cel_int(5),
	};
	struct cel_result r = cel_eval(p, &(struct cel_activation){.values = values}, a);
	struct buf b;

	o->type = cel_type_text(cel_program_type(p), a);
	o->cost = r.cost;
	if (r.value.kind == CEL_ERROR) {
		o->error = r.value.s;
		return;
	}
	buf_init(&b, 16 << 20);
	show(r.value, &b, a);
	o->value = arena_str(a, buf_str(&b));
	buf_release(&b);
}

static bool differs(const struct json_value *row, const char *key, struct str got)
{
	struct str want = json_get_str(row, key);

	if (str_eq(want, got))
		return false;
	print_error(STR_FMT "\n  %s: want " STR_FMT "\n  %s: got  " STR_FMT "\n",
		STR_ARG(json_get_str(row, "e")), key, STR_ARG(want), key, STR_ARG(got));
	return true;
}

static unsigned check_row(struct str line)
{
	struct arena a;
	struct json_value *row;
	struct cel_program *p;
	struct cel_issues issues;
	struct outcome o = {0};
	unsigned bad = 0;
	struct str want_cost;

	arena_init(&a);
	assert_int_equal(json_parse(line, &a, &row, NULL), 0);
	if (cel_compile(&env, json_get_str(row, "e"), &a, &p, &issues) == 0) {
		evaluate(p, &a, &o);
		cel_program_unref(p);
	} else if (issues.instantiation) {
		o.error = arena_fmt(&a, "program: " STR_FMT, STR_ARG(issues.text));
	} else {
		o.message = issues.text;
	}
	bad += differs(row, "t", o.type);
	bad += differs(row, "v", o.value);
	bad += differs(row, "x", o.error);
	bad += differs(row, "c", o.message);
	want_cost = json_getc(row, "cost")->text;
	if (!str_eq(want_cost, arena_fmt(&a, "%llu", (unsigned long long)o.cost))) {
		print_error(STR_FMT "\n  cost: want " STR_FMT ", got %llu\n",
			STR_ARG(json_get_str(row, "e")), STR_ARG(want_cost),
			(unsigned long long)o.cost);
		bad++;
	}
	arena_release(&a);
	return bad != 0;
}

static void expressions(void **state)
{
	struct arena a;
	struct str text, line;
	unsigned bad = 0, rows = 0;

	arena_init(&a);
	assert_int_equal(
		file_read("tests/unit/cel/expressions.jsonl", 8 << 20, &a, &text, NULL), 0);
	while (text.n) {
		str_cut(text, '\n', &line, &text);
		if (line.n == 0)
			continue;
		bad += check_row(line);
		rows++;
	}
	arena_release(&a);
	assert_true(rows > 200);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

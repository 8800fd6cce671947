/* Any text is an expression or has issues; what compiles evaluates to a value or an error within
 * its cost. */
#include "cel/cel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct cel_variable vars[] = {
	{"object", &cel_type_dyn},
	{"x", &cel_type_int},
	{"s", &cel_type_string},
	{"l", &cel_type_list_dyn},
	{"b", &cel_type_bool},
};
static const struct cel_env env = {vars, ARRAY_SIZE(vars)};

static void evaluate(const struct cel_program *p, struct arena *a)
{
	struct cel_value list = cel_json_text(S("[1, \"a\", {\"k\": 2.5}, null, true]"), a);
	struct cel_value values[] = {
		cel_json_text(S("{\"spec\": {\"replicas\": 3, \"names\": [\"a\", \"b\"]}}"), a),
		cel_int(7),
		cel_string(S("hello")),
		list,
		cel_bool(true),
	};
	struct cel_activation activation = {.values = values, .cost_max = 20000};
	struct cel_result r = cel_eval(p, &activation, a);
	struct buf b;

	assert(r.value.kind != CEL_UNSET);
	assert(r.value.kind != CEL_ERROR || r.value.s.p);
	buf_init(&b, 1 << 20);
	cel_write_json(r.value, &b, a);
	buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct cel_program *p;
	struct cel_issues issues;

	if (cel_compile(&env, str_n((const char *)data, size), &a, &p, &issues) == 0) {
		assert(cel_program_type(p));
		evaluate(p, &a);
		cel_program_unref(p);
	} else {
		assert(issues.text.n > 0);
	}
	arena_release(&a);
	return 0;
}

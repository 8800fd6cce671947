/* compile.c: from text to program: parse, check, fold. */
#include "cel/node.h"
#include "cel/type.h"

static size_t code_points(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

static struct cel_node *parse_and_check(struct cel_compile *c, bool *used)
{
	struct cel_node *root;
	size_t size = code_points(c->text);

	if (size > CEL_EXPRESSION_MAX) {
		cel_issue_at(c, UINT32_MAX,
			"expression code point size exceeds limit: size: %zu, limit %d", size,
			CEL_EXPRESSION_MAX);
		return NULL;
	}
	root = cel_parse(c);
	if (c->n_issues == 0)
		cel_check(c, root, used);
	return root;
}

int cel_compile(const struct cel_env *env, struct str expression, struct arena *a,
	struct cel_program **ret, struct cel_issues *issues)
{
	struct cel_program *p = xcalloc(1, sizeof(*p));
	struct cel_compile c = {.env = env, .a = &p->arena, .scratch = a, .issues = issues};
	struct str error;

	p->refs = 1;
	p->env = env;
	arena_init(&p->arena);
	p->used = arena_alloc(&p->arena, env->n_vars + 1);
	*issues = (struct cel_issues){0};
	c.text = str_n(arena_cstr(&p->arena, expression), expression.n);
	p->root = parse_and_check(&c, p->used);
	p->n_locals = c.n_locals;
	if (c.n_issues > 0) {
		cel_issues_finish(&c);
	} else if (!cel_fold_constants(&c, &p->root, &error)) {
		issues->text = arena_str(a, error);
		issues->instantiation = true;
	} else {
		*ret = p;
		return 0;
	}
	cel_program_unref(p);
	return -EINVAL;
}

struct cel_program *cel_program_ref(struct cel_program *p)
{
	p->refs++;
	return p;
}

struct cel_program *cel_program_unref(struct cel_program *p)
{
	if (p && --p->refs == 0) {
		arena_release(&p->arena);
		free(p);
	}
	return NULL;
}

const struct cel_type *cel_program_type(const struct cel_program *p)
{
	return p->root->type;
}

bool cel_program_uses(const struct cel_program *p, const char *variable)
{
	for (size_t i = 0; i < p->env->n_vars; i++)
		if (strcmp(p->env->vars[i].name, variable) == 0)
			return p->used[i];
	return false;
}

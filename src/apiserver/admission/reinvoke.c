#include "apiserver/admission/reinvoke.h"

static void require(struct reinvoke *m, struct arena *a)
{
	for (size_t i = 0; i < m->invoked.n; i++)
		if (!str_vec_has(&m->again, m->invoked.v[i]))
			ARENA_PUSH(a, &m->again, m->invoked.v[i]);
	m->invoked = (struct str_vec){0};
}

void reinvoke_begin(struct reinvoke *m, const struct admission_run *run, struct str object)
{
	if (run->second && !str_eq(m->output, object))
		require(m, run->attrs.arena);
}

void reinvoke_changed(struct reinvoke *m, struct admission_run *run)
{
	require(m, run->attrs.arena);
	run->again = true;
}

bool reinvoke_wanted(const struct reinvoke *m, const struct admission_run *run, struct str key)
{
	return !run->second || str_vec_has(&m->again, key);
}

void reinvoke_ran(struct reinvoke *m, struct admission_run *run, struct str key)
{
	ARENA_PUSH(run->attrs.arena, &m->invoked, key);
}

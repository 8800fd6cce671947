/* functions.c: all libraries' functions by name. */
#include "cel/function.h"

static const struct cel_library *const libraries[] = {&cel_lib_operators, &cel_lib_std,
	&cel_lib_time, &cel_lib_strings, &cel_lib_lists, &cel_lib_k8s_lists, &cel_lib_sets,
	&cel_lib_optional, &cel_lib_regex, &cel_lib_url, &cel_lib_quantity, &cel_lib_net,
	&cel_lib_format, &cel_lib_semver, &cel_lib_authz, &cel_lib_jsonpatch};

/* About 140 names, asked once per call of an expression that is compiled: a walk is fast enough
 * when it compares the first byte first. */
const struct cel_function *cel_function_find(struct str name)
{
	if (name.n == 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		for (size_t k = 0; k < libraries[i]->n; k++) {
			const struct cel_function *f = &libraries[i]->functions[k];

			if (f->name[0] == name.p[0] && str_eqc(name, f->name))
				return f;
		}
	}
	return NULL;
}

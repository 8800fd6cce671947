#include "store/etcd/keys.h"

/* Groups whose resources stand below the group's name: those of the API servers that upstream's is
 * put together from. */
static bool stands_below_group(const char *group)
{
	return !strcmp(group, "apiregistration.k8s.io") || !strcmp(group, "apiextensions.k8s.io");
}

static const struct {
	const char *group, *plural, *place;
} special[] = {
	{"", "replicationcontrollers", "controllers"},
	{"", "endpoints", "services/endpoints"},
	{"", "nodes", "minions"},
	{"", "services", "services/specs"},
	{"networking.k8s.io", "ingresses", "ingress"},
};

static const char *special_place(const struct schema_resource *res)
{
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (!strcmp(special[i].group, res->group) &&
			!strcmp(special[i].plural, res->plural))
			return special[i].place;
	return NULL;
}

void etcd_place(const struct schema_resource *res, struct buf *out)
{
	const char *place = special_place(res);

	if (stands_below_group(res->group))
		buf_fmt(out, "%s/", res->group);
	buf_add_c(out, place ? place : res->plural);
}

void etcd_key(struct str prefix, const struct schema_resource *res, struct str ns, struct str name,
	struct buf *out)
{
	buf_add_str(out, prefix);
	buf_add_char(out, '/');
	etcd_place(res->storage_resource, out);
	buf_add_char(out, '/');
	if (res->namespaced) {
		buf_add_str(out, ns);
		buf_add_char(out, '/');
	}
	buf_add_str(out, name);
}

/* Of one place there is one stored resource: upstream's groups share no plurals but by
 * cohabitation (events), where one of the two is storage here. */
static const struct schema_resource *find_plural(const char *group, struct str plural)
{
	for (size_t i = 0; i < schema_n_resources; i++) {
		const struct schema_resource *res = schema_resources[i];

		if (!res->storage || !str_eqc(plural, res->plural) || special_place(res))
			continue;
		if (group ? !strcmp(group, res->group) : !stands_below_group(res->group))
			return res;
	}
	return NULL;
}

static const struct schema_resource *find_special(struct str place)
{
	for (size_t i = 0; i < ARRAY_SIZE(special); i++)
		if (str_eqc(place, special[i].place))
			for (size_t k = 0; k < schema_n_resources; k++)
				if (schema_resources[k]->storage &&
					special_place(schema_resources[k]) == special[i].place)
					return schema_resources[k];
	return NULL;
}

/* The resource whose place stands at the beginning of `path`; *rest is what follows. */
static const struct schema_resource *find(struct str path, struct str *rest)
{
	static const char *const groups[] = {"apiregistration.k8s.io", "apiextensions.k8s.io"};
	const struct schema_resource *res;
	struct str first, second, after, two;

	if (!str_cut(path, '/', &first, &after))
		return NULL;
	*rest = after;
	res = find_special(first);
	if (res)
		return res;
	if (!str_cut(after, '/', &second, &two))
		return find_plural(NULL, first);
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (str_eqc(first, groups[i])) {
			*rest = two;
			return find_plural(groups[i], second);
		}
	res = find_special(str_sub(path, 0, first.n + 1 + second.n));
	if (res) {
		*rest = two;
		return res;
	}
	return find_plural(NULL, first);
}

const struct schema_resource *etcd_key_parse(
	struct str prefix, struct str key, struct str *ret_ns, struct str *ret_name)
{
	const struct schema_resource *res;
	struct str rest;

	if (!str_starts(key, prefix) || key.n <= prefix.n || key.p[prefix.n] != '/')
		return NULL;
	res = find(str_sub(key, prefix.n + 1, key.n), &rest);
	if (!res)
		return NULL;
	*ret_ns = S("");
	*ret_name = rest;
	if (res->namespaced && !str_cut(rest, '/', ret_ns, ret_name))
		return NULL;
	if (!ret_name->n || str_chr(*ret_name, '/') >= 0 || (res->namespaced && !ret_ns->n))
		return NULL;
	return res;
}

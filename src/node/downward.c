/* downward.c: what a pod may know about itself. */
#include "node/env.h"
#include "node/pod_plan.h"
#include "node/resources.h"

static int by_key(const void *a, const void *b)
{
	return str_cmp(((const struct str_pair *)a)->key, ((const struct str_pair *)b)->key);
}

/* key="value" lines, the value as Go quotes it. */
static struct str format_map(const struct str_map *m, struct arena *a)
{
	struct buf b CLEANUP(buf_release) = {0};
	struct str_pair *v = arena_memdup(a, m->v, m->n * sizeof(*m->v));

	if (m->n > 1)
		qsort(v, m->n, sizeof(*v), by_key);
	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < m->n; i++) {
		if (i)
			buf_add_char(&b, '\n');
		buf_add_str(&b, v[i].key);
		buf_add_c(&b, "=\"");
		for (size_t j = 0; j < v[i].value.n; j++) {
			unsigned char ch = (unsigned char)v[i].value.p[j];

			if (ch == '"' || ch == '\\')
				buf_fmt(&b, "\\%c", ch);
			else if (ch == '\n')
				buf_add_c(&b, "\\n");
			else if (ch == '\t')
				buf_add_c(&b, "\\t");
			else if (ch == '\r')
				buf_add_c(&b, "\\r");
			else if (ch < 0x20 || ch == 0x7f)
				buf_fmt(&b, "\\x%02x", ch);
			else
				buf_add_char(&b, (char)ch);
		}
		buf_add_char(&b, '"');
	}
	return arena_str(a, buf_str(&b));
}

static struct str joined(const struct str_vec *v, struct arena *a)
{
	struct str out = S("");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? "," : "", STR_ARG(v->v[i]));
	return out;
}

static bool subscripted(struct str path, const char *field, struct str *ret_key)
{
	struct str f = str_c(field);

	if (!str_starts(path, f) || path.n < f.n + 4 || path.p[f.n] != '[' ||
		path.p[path.n - 1] != ']')
		return false;
	*ret_key = str_sub(path, f.n + 2, path.n - 2);
	return true;
}

int downward_field(const struct pod_facts *f, struct str path, struct arena *a, struct str *ret,
	struct err *err)
{
	const struct v1_pod *pod = f->pod;
	const struct meta_v1_object_meta *m = &pod->metadata;
	const struct str *v;
	struct str key;
	const struct {
		const char *path;
		struct str value;
	} plain[] = {
		{"metadata.name", m->name},
		{"metadata.namespace", m->namespace},
		{"metadata.uid", m->uid},
		{"spec.nodeName", pod->spec.node_name},
		{"spec.serviceAccountName", pod->spec.service_account_name},
		{"status.hostIP", f->host_ips.n ? f->host_ips.v[0] : S("")},
		{"status.podIP", f->pod_ips.n ? f->pod_ips.v[0] : S("")},
	};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		if (str_eqc(path, plain[i].path)) {
			*ret = plain[i].value;
			return 0;
		}
	}
	if (subscripted(path, "metadata.annotations", &key) ||
		subscripted(path, "metadata.labels", &key)) {
		v = str_map_get(
			str_starts(path, S("metadata.labels")) ? &m->labels : &m->annotations, key);
		*ret = v ? *v : S("");
	} else if (str_eq(path, S("metadata.annotations"))) {
		*ret = format_map(&m->annotations, a);
	} else if (str_eq(path, S("metadata.labels"))) {
		*ret = format_map(&m->labels, a);
	} else if (str_eq(path, S("status.hostIPs"))) {
		*ret = joined(&f->host_ips, a);
	} else if (str_eq(path, S("status.podIPs"))) {
		*ret = joined(&f->pod_ips, a);
	} else {
		return err_bad_request(err, "unsupported fieldPath: " STR_FMT, STR_ARG(path));
	}
	return 0;
}

int downward_resource(const struct pod_facts *f, const struct v1_container *c,
	const struct v1_resource_field_selector *sel, struct arena *a, struct str *ret,
	struct err *err)
{
	struct str kind, name;
	const struct str *q = NULL;
	int64_t value, divisor;
	bool limits, cpu;

	if (!str_empty(sel->container_name)) {
		c = pod_container(f->pod, sel->container_name, NULL);
		if (!c)
			return err_bad_request(err, "container " STR_FMT " not found",
				STR_ARG(sel->container_name));
	}
	if (!c || !str_cut(sel->resource, '.', &kind, &name))
		return err_bad_request(
			err, "unsupported container resource : " STR_FMT, STR_ARG(sel->resource));
	limits = str_eq(kind, S("limits"));
	cpu = str_eq(name, S("cpu"));
	if ((!limits && !str_eq(kind, S("requests"))) ||
		(!cpu && !str_eq(name, S("memory")) && !str_eq(name, S("ephemeral-storage")) &&
			!str_starts(name, S("hugepages-"))))
		return err_bad_request(
			err, "unsupported container resource : " STR_FMT, STR_ARG(sel->resource));
	if (limits) {
		q = str_map_get(&c->resources.limits, name);
		if ((!q || quantity_milli_of(*q) == 0) && f->allocatable)
			q = str_map_get(f->allocatable, name);
	} else {
		q = str_map_get(&c->resources.requests, name);
	}
	value = !q ? 0 : cpu ? quantity_milli_of(*q) : quantity_value_of(*q);
	divisor = cpu ? quantity_milli_of(sel->divisor) : quantity_value_of(sel->divisor);
	if (divisor <= 0)
		divisor = cpu ? 1000 : 1;
	*ret = arena_fmt(a, "%lld", (long long)(value / divisor + (value % divisor != 0)));
	return 0;
}

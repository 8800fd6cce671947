/* printers.c: the cells of most kinds, and how a cell is written. Pods are in print_pod.c. */
#include "api/selector.h"
#include "apiserver/resources/printers.h"
#include "json/write.h"
#include "schema/quantity.h"
#include "types.gen.h"

void row_str(struct row *r, struct str s)
{
	if (r->n++)
		buf_add_char(r->out, ',');
	json_write_string(r->out, s);
}

void row_strc(struct row *r, const char *s)
{
	row_str(r, str_c(s));
}

void row_bool(struct row *r, bool v)
{
	if (r->n++)
		buf_add_char(r->out, ',');
	buf_add_str(r->out, v ? S("true") : S("false"));
}

void row_int(struct row *r, int64_t v)
{
	if (r->n++)
		buf_add_char(r->out, ',');
	buf_add_i64(r->out, v);
}

void row_fmt(struct row *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	row_str(r, arena_vfmt(r->a, fmt, ap));
	va_end(ap);
}

struct str age_text(struct arena *a, const struct k8s_time *since, int64_t now_ns)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (!since->set)
		return S("<unknown>");
	buf_init(&b, 64);
	human_duration(&b, now_ns / 1000000000 - since->sec);
	return arena_str(a, buf_str(&b));
}

void row_age(struct row *r, const struct k8s_time *since)
{
	row_str(r, age_text(r->a, since, r->now_ns));
}

struct str join_list(struct arena *a, const struct str_vec *v, const char *sep)
{
	struct str out = S("");

	for (size_t i = 0; i < v->n; i++)
		out = arena_fmt(
			a, STR_FMT "%s" STR_FMT, STR_ARG(out), i ? sep : "", STR_ARG(v->v[i]));
	return v->n ? out : S("<none>");
}

struct str labels_text(struct arena *a, const struct str_map *m)
{
	struct str out = S("");

	for (size_t i = 0; i < m->n; i++)
		out = arena_fmt(a, STR_FMT "%s" STR_FMT "=" STR_FMT, STR_ARG(out), i ? "," : "",
			STR_ARG(m->v[i].key), STR_ARG(m->v[i].value));
	return m->n ? out : S("<none>");
}

struct str selector_text(struct arena *a, const struct meta_v1_label_selector *s)
{
	struct label_selector parsed;
	struct str text;

	if (label_selector_from(s, a, &parsed, NULL) < 0)
		return S("<error>");
	text = label_selector_text(&parsed, a);
	return text.n ? text : S("<none>");
}

void row_containers(struct row *r, const struct v1_container_vec *list)
{
	struct str_vec names = {0}, images = {0};

	for (size_t i = 0; i < list->n; i++) {
		ARENA_PUSH(r->a, &names, list->v[i].name);
		ARENA_PUSH(r->a, &images, list->v[i].image);
	}
	row_str(r, list->n ? join_list(r->a, &names, ",") : S(""));
	row_str(r, list->n ? join_list(r->a, &images, ",") : S(""));
}

#define ROW(a_, cells_, now_) ((struct row){.a = (a_), .out = (cells_), .now_ns = (now_)})

void print_config_map(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_config_map *cm = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, cm->metadata.name);
	row_int(&r, (int64_t)(cm->data.n + cm->binary_data.n));
	row_age(&r, &cm->metadata.creation_timestamp);
}

void print_secret(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_secret *s = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, s->metadata.name);
	row_str(&r, s->type);
	row_int(&r, (int64_t)s->data.n);
	row_age(&r, &s->metadata.creation_timestamp);
}

void print_service_account(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_service_account *sa = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, sa->metadata.name);
	row_age(&r, &sa->metadata.creation_timestamp);
}

void print_namespace(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_namespace *ns = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, ns->metadata.name);
	row_str(&r, ns->status.phase);
	row_age(&r, &ns->metadata.creation_timestamp);
}

void print_lease(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct coordination_v1_lease *l = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, l->metadata.name);
	row_str(&r, l->spec.holder_identity);
	row_age(&r, &l->metadata.creation_timestamp);
}

void print_pod_template(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_pod_template *t = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, t->metadata.name);
	row_containers(&r, &t->template.spec.containers);
	row_str(&r, labels_text(a, &t->template.metadata.labels));
}

void print_replication_controller(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	static const struct v1_container_vec none;
	const struct v1_replication_controller *rc = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, rc->metadata.name);
	row_int(&r, rc->spec.replicas ? *rc->spec.replicas : 0);
	row_int(&r, rc->status.replicas);
	row_int(&r, rc->status.ready_replicas);
	row_age(&r, &rc->metadata.creation_timestamp);
	row_containers(&r, rc->spec.template ? &rc->spec.template->spec.containers : &none);
	row_str(&r, labels_text(a, &rc->spec.selector));
}

void print_replica_set(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct apps_v1_replica_set *rs = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, rs->metadata.name);
	row_int(&r, rs->spec.replicas ? *rs->spec.replicas : 0);
	row_int(&r, rs->status.replicas);
	row_int(&r, rs->status.ready_replicas);
	row_age(&r, &rs->metadata.creation_timestamp);
	row_containers(&r, &rs->spec.template.spec.containers);
	row_str(&r, selector_text(a, rs->spec.selector));
}

void print_deployment(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct apps_v1_deployment *d = obj;
	struct row r = ROW(a, cells, now_ns);
	struct label_selector selector;

	row_str(&r, d->metadata.name);
	row_fmt(&r, "%d/%d", d->status.ready_replicas, d->spec.replicas ? *d->spec.replicas : 0);
	row_int(&r, d->status.updated_replicas);
	row_int(&r, d->status.available_replicas);
	row_age(&r, &d->metadata.creation_timestamp);
	row_containers(&r, &d->spec.template.spec.containers);
	if (label_selector_from(d->spec.selector, a, &selector, NULL) < 0)
		row_strc(&r, "<invalid>");
	else
		row_str(&r, label_selector_text(&selector, a));
}

static struct str node_status(struct arena *a, const struct v1_node *node)
{
	struct str status = S("Unknown");

	for (size_t i = 0; i < node->status.conditions.n; i++)
		if (str_eqc(node->status.conditions.v[i].type, "Ready"))
			status = str_eqc(node->status.conditions.v[i].status, "True")
					 ? S("Ready")
					 : S("NotReady");
	if (node->spec.unschedulable)
		status = arena_fmt(a, STR_FMT ",SchedulingDisabled", STR_ARG(status));
	return status;
}

static int compare_str(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str node_roles(struct arena *a, const struct v1_node *node)
{
	struct str prefix = S("node-role.kubernetes.io/");
	struct str_vec roles = {0};

	for (size_t i = 0; i < node->metadata.labels.n; i++) {
		struct str key = node->metadata.labels.v[i].key, role = {0};

		if (str_starts(key, prefix))
			role = str_sub(key, prefix.n, key.n);
		else if (str_eqc(key, "kubernetes.io/role"))
			role = node->metadata.labels.v[i].value;
		if (role.n && !str_vec_has(&roles, role))
			ARENA_PUSH(a, &roles, role);
	}
	if (roles.n)
		qsort(roles.v, roles.n, sizeof(*roles.v), compare_str);
	return join_list(a, &roles, ",");
}

static struct str node_address(const struct v1_node *node, const char *type)
{
	for (size_t i = 0; i < node->status.addresses.n; i++)
		if (str_eqc(node->status.addresses.v[i].type, type))
			return node->status.addresses.v[i].address;
	return S("<none>");
}

static struct str or_unknown(struct str s)
{
	return s.n ? s : S("<unknown>");
}

void print_node(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_node *node = obj;
	const struct v1_node_system_info *info = &node->status.node_info;
	struct str kernel = or_unknown(info->kernel_version);
	struct row r = ROW(a, cells, now_ns);

	if (info->architecture.n)
		kernel = arena_fmt(
			a, STR_FMT " (" STR_FMT ")", STR_ARG(kernel), STR_ARG(info->architecture));
	row_str(&r, node->metadata.name);
	row_str(&r, node_status(a, node));
	row_str(&r, node_roles(a, node));
	row_age(&r, &node->metadata.creation_timestamp);
	row_str(&r, info->kubelet_version);
	row_str(&r, node_address(node, "InternalIP"));
	row_str(&r, node_address(node, "ExternalIP"));
	row_str(&r, or_unknown(info->os_image));
	row_str(&r, kernel);
	row_str(&r, or_unknown(info->container_runtime_version));
}

static struct str source_text(struct arena *a, const struct v1_event *e)
{
	struct str component = e->source.component.n ? e->source.component : e->reporting_component;
	struct str host = e->source.host.n ? e->source.host : e->reporting_instance;

	return host.n ? arena_fmt(a, STR_FMT ", " STR_FMT, STR_ARG(component), STR_ARG(host))
		      : component;
}

void print_event(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_event *e = obj;
	struct str first =
		age_text(a, e->first_timestamp.set ? &e->first_timestamp : &e->event_time, now_ns);
	struct str last = e->last_timestamp.set ? age_text(a, &e->last_timestamp, now_ns) : first;
	struct str kind = str_n(arena_cstr(a, e->involved_object.kind), e->involved_object.kind.n);
	int64_t count = e->count ? e->count : 1;
	struct row r = ROW(a, cells, now_ns);

	for (size_t i = 0; i < kind.n; i++)
		if (kind.p[i] >= 'A' && kind.p[i] <= 'Z')
			((char *)kind.p)[i] += 'a' - 'A';
	if (e->series) {
		last = age_text(a, &e->series->last_observed_time, now_ns);
		count = e->series->count;
	}
	row_str(&r, last);
	row_str(&r, e->type);
	row_str(&r, e->reason);
	row_fmt(&r, STR_FMT "%s" STR_FMT, STR_ARG(kind), e->involved_object.name.n ? "/" : "",
		STR_ARG(e->involved_object.name));
	row_str(&r, e->involved_object.field_path);
	row_str(&r, source_text(a, e));
	row_str(&r, str_trim(e->message));
	row_str(&r, first);
	row_int(&r, count);
	row_str(&r, e->metadata.name);
}

void print_resource_quota(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_resource_quota *q = obj;
	struct str requests = S(""), limits = S("");
	struct row r = ROW(a, cells, now_ns);

	for (size_t i = 0; i < q->status.hard.n; i++) {
		struct str name = q->status.hard.v[i].key;
		const struct str *used = str_map_get(&q->status.used, name);
		struct str *to = str_starts(name, S("limits.")) ? &limits : &requests;

		*to = arena_fmt(a, STR_FMT "%s" STR_FMT ": " STR_FMT "/" STR_FMT, STR_ARG(*to),
			to->n ? ", " : "", STR_ARG(name), STR_ARG(used ? *used : S("0")),
			STR_ARG(q->status.hard.v[i].value));
	}
	row_str(&r, q->metadata.name);
	row_str(&r, requests);
	row_str(&r, limits);
	row_age(&r, &q->metadata.creation_timestamp);
}

/* LimitRanger: what a namespace's LimitRanges say about containers, pods and claims: defaults for
 * what was left out, then least, most and the ratio of limit to request. */
#include "api/amounts.h"
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"
#include "apiserver/validation/pod.h"

#define ANNOTATION "kubernetes.io/limit-ranger"

struct ranges {
	const struct v1_limit_range **v;
	size_t n;
};

static struct ranges ranges_of(const struct admission_attrs *attrs)
{
	struct snapshot *s = store_snapshot(attrs->store, &v1_limit_range_resource);
	struct ranges all = {0};
	struct snapshot_iter it;
	const struct object *o;

	snapshot_iter_init(&it, s, attrs->ns, S(""), S(""));
	while ((o = snapshot_next(&it)))
		ARENA_PUSH(attrs->arena, &all,
			object_decode(object_ref_in(attrs->arena, o), attrs->arena));
	snapshot_unref(s);
	return all;
}

/* --- defaults --- */

struct defaults {
	struct str_map requests, limits;
	struct str_vec notes; /* what was set, for the annotation */
};

static void merge(struct arena *a, struct str_map *to, const struct str_map *from, const char *what,
	const char *where, struct str name, struct str_vec *notes)
{
	struct str set = S("");

	for (size_t i = 0; i < from->n; i++) {
		if (str_map_get(to, from->v[i].key))
			continue;
		str_map_put(a, to, from->v[i].key, from->v[i].value);
		set = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(set), set.n ? ", " : "",
			STR_ARG(from->v[i].key));
	}
	if (set.n)
		ARENA_PUSH(a, notes,
			arena_fmt(a, STR_FMT " %s for %s " STR_FMT, STR_ARG(set), what, where,
				STR_ARG(name)));
}

static void default_containers(
	struct arena *a, struct v1_container_vec *v, const char *where, struct defaults *d)
{
	for (size_t i = 0; i < v->n; i++) {
		struct v1_container *c = &v->v[i];

		merge(a, &c->resources.requests, &d->requests, "request", where, c->name,
			&d->notes);
		merge(a, &c->resources.limits, &d->limits, "limit", where, c->name, &d->notes);
	}
}

static void default_pod(struct arena *a, const struct v1_limit_range *range, struct v1_pod *pod)
{
	struct defaults d = {0};
	struct str text = S("LimitRanger plugin set: ");

	for (size_t i = 0; i < range->spec.limits.n; i++) {
		const struct v1_limit_range_item *item = &range->spec.limits.v[i];

		if (!str_eqc(item->type, "Container"))
			continue;
		for (size_t k = 0; k < item->default_request.n; k++)
			str_map_put(a, &d.requests, item->default_request.v[k].key,
				item->default_request.v[k].value);
		for (size_t k = 0; k < item->default_.n; k++)
			str_map_put(
				a, &d.limits, item->default_.v[k].key, item->default_.v[k].value);
	}
	default_containers(a, &pod->spec.containers, "container", &d);
	default_containers(a, &pod->spec.init_containers, "init container", &d);
	for (size_t i = 0; i < d.notes.n; i++)
		text = arena_fmt(a, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? "; " : "",
			STR_ARG(d.notes.v[i]));
	if (d.notes.n)
		str_map_put(a, &pod->metadata.annotations, S(ANNOTATION), text);
}

/* --- constraints --- */

struct check {
	struct arena *a;
	struct str type; /* Container, Pod, PersistentVolumeClaim */
	struct amounts requests, limits;
	struct str_vec errors;
};

#define COMPLAIN(c, ...) ARENA_PUSH((c)->a, &(c)->errors, arena_fmt((c)->a, __VA_ARGS__))

static struct str shown(struct check *c, const struct quantity *q)
{
	return quantity_text(q, c->a);
}

/* "minimum cpu usage per Container is 1" */
static struct str bound(
	struct check *c, const char *which, struct str name, const struct quantity *q)
{
	return arena_fmt(c->a, "%s " STR_FMT " usage per " STR_FMT " is " STR_FMT, which,
		STR_ARG(name), STR_ARG(c->type), STR_ARG(shown(c, q)));
}

static void check_min(struct check *c, struct str name, const struct quantity *least)
{
	const struct quantity *request = amounts_get(&c->requests, name);
	const struct quantity *limit = amounts_get(&c->limits, name);
	struct str says = bound(c, "minimum", name, least);

	if (!request)
		COMPLAIN(c, STR_FMT ".  No request is specified", STR_ARG(says));
	else if (quantity_cmp(request, least) < 0)
		COMPLAIN(c, STR_FMT ", but request is " STR_FMT, STR_ARG(says),
			STR_ARG(shown(c, request)));
	else if (limit && quantity_cmp(limit, least) < 0)
		COMPLAIN(c, STR_FMT ", but limit is " STR_FMT, STR_ARG(says),
			STR_ARG(shown(c, limit)));
}

static void check_max(struct check *c, struct str name, const struct quantity *most)
{
	const struct quantity *request = amounts_get(&c->requests, name);
	const struct quantity *limit = amounts_get(&c->limits, name);
	struct str says = bound(c, "maximum", name, most);

	if (!limit)
		COMPLAIN(c, STR_FMT ".  No limit is specified", STR_ARG(says));
	else if (quantity_cmp(limit, most) > 0)
		COMPLAIN(c, STR_FMT ", but limit is " STR_FMT, STR_ARG(says),
			STR_ARG(shown(c, limit)));
	else if (request && quantity_cmp(request, most) > 0)
		COMPLAIN(c, STR_FMT ", but request is " STR_FMT, STR_ARG(says),
			STR_ARG(shown(c, request)));
}

/* Claims have no limits. */
static void check_max_request(struct check *c, struct str name, const struct quantity *most)
{
	const struct quantity *request = amounts_get(&c->requests, name);
	struct str says = bound(c, "maximum", name, most);

	if (!request)
		COMPLAIN(c, STR_FMT ".  No request is specified", STR_ARG(says));
	else if (quantity_cmp(request, most) > 0)
		COMPLAIN(c, STR_FMT ", but request is " STR_FMT, STR_ARG(says),
			STR_ARG(shown(c, request)));
}

static void check_ratio(struct check *c, struct str name, const struct quantity *most)
{
	const struct quantity *request = amounts_get(&c->requests, name);
	const struct quantity *limit = amounts_get(&c->limits, name);
	struct str says =
		arena_fmt(c->a, STR_FMT " max limit to request ratio per " STR_FMT " is " STR_FMT,
			STR_ARG(name), STR_ARG(c->type), STR_ARG(shown(c, most)));
	double ratio;

	if (!request || !request->nano) {
		COMPLAIN(c, STR_FMT ", but no request is specified or request is 0", STR_ARG(says));
		return;
	}
	if (!limit || !limit->nano) {
		COMPLAIN(c, STR_FMT ", but no limit is specified or limit is 0", STR_ARG(says));
		return;
	}
	ratio = (double)limit->nano / (double)request->nano;
	if (ratio * 1e9 > (double)most->nano)
		COMPLAIN(c, STR_FMT ", but provided ratio is %f", STR_ARG(says), ratio);
}

static void check_item(struct check *c, const struct v1_limit_range_item *item)
{
	struct amounts min = amounts_of(c->a, &item->min), max = amounts_of(c->a, &item->max);
	struct amounts ratio = amounts_of(c->a, &item->max_limit_request_ratio);

	for (size_t i = 0; i < min.n; i++)
		check_min(c, min.v[i].name, &min.v[i].q);
	for (size_t i = 0; i < max.n; i++)
		check_max(c, max.v[i].name, &max.v[i].q);
	for (size_t i = 0; i < ratio.n; i++)
		check_ratio(c, ratio.v[i].name, &ratio.v[i].q);
}

static void check_containers(
	struct check *c, const struct v1_container_vec *v, const struct v1_limit_range_item *item)
{
	for (size_t i = 0; i < v->n; i++) {
		c->requests = amounts_of(c->a, &v->v[i].resources.requests);
		c->limits = amounts_of(c->a, &v->v[i].resources.limits);
		check_item(c, item);
	}
}

static void check_pod(
	struct check *c, const struct v1_limit_range_item *item, const struct v1_pod *pod)
{
	c->type = item->type;
	if (str_eqc(item->type, "Container")) {
		check_containers(c, &pod->spec.containers, item);
		check_containers(c, &pod->spec.init_containers, item);
	} else if (str_eqc(item->type, "Pod")) {
		c->requests = pod_amounts(c->a, pod, (struct pod_amounts_opts){0});
		c->limits = pod_amounts(c->a, pod, (struct pod_amounts_opts){.limits = true});
		check_item(c, item);
	}
}

static void check_claim(struct check *c, const struct v1_limit_range_item *item,
	const struct v1_persistent_volume_claim *claim)
{
	struct amounts min = amounts_of(c->a, &item->min), max = amounts_of(c->a, &item->max);

	if (!str_eqc(item->type, "PersistentVolumeClaim"))
		return;
	c->type = item->type;
	c->requests = amounts_of(c->a, &claim->spec.resources.requests);
	c->limits = (struct amounts){0};
	for (size_t i = 0; i < min.n; i++)
		check_min(c, min.v[i].name, &min.v[i].q);
	for (size_t i = 0; i < max.n; i++)
		check_max_request(c, max.v[i].name, &max.v[i].q);
}

/* --- the plugin --- */

static bool concerns(const struct admission_attrs *attrs)
{
	bool pod = attrs->resource == &v1_pod_resource;

	if (attrs->old && meta_of_const(attrs->resource, attrs->old)->deletion_timestamp.set)
		return false;
	if (pod && attrs->op == ADMIT_UPDATE)
		return str_eqc(attrs->subresource, "resize");
	return !attrs->subresource.n &&
	       (pod || attrs->resource == &v1_persistent_volume_claim_resource);
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	struct ranges all;

	if (!concerns(attrs) || attrs->resource != &v1_pod_resource)
		return 0;
	all = ranges_of(attrs);
	for (size_t i = 0; i < all.n; i++)
		default_pod(attrs->arena, all.v[i], attrs->obj);
	return 0;
}

static int validate(struct admission_attrs *attrs, struct err *err)
{
	struct ranges all;

	if (!concerns(attrs))
		return 0;
	all = ranges_of(attrs);
	for (size_t i = 0; i < all.n; i++) {
		struct check c = {.a = attrs->arena};

		for (size_t k = 0; k < all.v[i]->spec.limits.n; k++) {
			const struct v1_limit_range_item *item = &all.v[i]->spec.limits.v[k];

			if (attrs->resource == &v1_pod_resource)
				check_pod(&c, item, attrs->obj);
			else
				check_claim(&c, item, attrs->obj);
		}
		if (c.errors.n)
			return admission_forbidden_text(attrs, err, aggregate_text(c.a, &c.errors));
	}
	return 0;
}

const struct admission_plugin admission_limit_ranger = {
	.name = "LimitRanger",
	.ops = ADMIT_CREATE | ADMIT_UPDATE,
	.admit = admit,
	.validate = validate,
};

#include "apiserver/subresource.h"

#include "apiserver/decode.h"

static const struct {
	const char *name;
	void (*fn)(struct request *r);
} subresources[] = {
	{"scale", handle_scale},
	{"binding", handle_binding},
	{"eviction", handle_eviction},
	{"token", handle_token},
	{"log", handle_proxy_subresource},
	{"exec", handle_proxy_subresource},
	{"attach", handle_proxy_subresource},
	{"portforward", handle_proxy_subresource},
	{"proxy", handle_proxy_subresource},
};

struct body_run {
	struct admission_run run;
	struct request *r;
	subresource_admitted_fn *then;
	void *user_data;
};

static void validated(struct admission_run *run, struct err *err)
{
	struct body_run *b = container_of(run, struct body_run, run);
	struct request *r = b->r;

	b->then(r, &run->attrs, b->user_data, err);
	request_unref(r);
}

static void admitted(struct admission_run *run, struct err *err)
{
	if (err) {
		validated(run, err);
		return;
	}
	run->done = validated;
	admission_validate(run);
}

void subresource_admission(struct request *r, enum admission_op op, const struct body_type *body,
	void *obj, const void *old, subresource_admitted_fn *then, void *user_data)
{
	struct body_run *b = ARENA_NEW(r->arena, struct body_run);

	*b = (struct body_run){.r = request_ref(r), .then = then, .user_data = user_data};
	b->run.attrs = request_admission(r, op, obj, old);
	b->run.attrs.body = body->type;
	b->run.attrs.body_group = body->group;
	b->run.attrs.body_version = body->version;
	b->run.attrs.body_kind = body->kind;
	b->run.done = admitted;
	admission_admit(&b->run);
}

bool handle_subresource(struct request *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(subresources); i++) {
		if (!strcmp(r->sub->name, subresources[i].name)) {
			subresources[i].fn(r);
			return true;
		}
	}
	return false;
}

bool handle_virtual(struct request *r)
{
	const struct schema_resource *res = r->res;

	if (!*res->group && !strcmp(res->plural, "bindings"))
		handle_binding(r);
	else if (!*res->group && !strcmp(res->plural, "componentstatuses"))
		handle_component_statuses(r);
	else if (!strcmp(res->group, "authentication.k8s.io") ||
		 !strcmp(res->group, "authorization.k8s.io"))
		handle_review(r);
	else if (!strcmp(res->group, "metrics.k8s.io"))
		handle_metrics_api(r);
	else
		return false;
	return true;
}

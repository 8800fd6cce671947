/* payload.c: gathers the files of a volume from the API. */
#include "node/volumes/payload.h"
#include "node/pod_plan.h"

enum source_kind { SOURCE_CONFIG_MAP, SOURCE_SECRET, SOURCE_DOWNWARD, SOURCE_TOKEN, SOURCE_NONE };

struct source {
	enum source_kind kind;
	struct str name;
	const struct v1_key_to_path_vec *items;
	const struct v1_downward_api_volume_file_vec *files;
	const struct v1_service_account_token_projection *token;
	bool optional;
	int mode;
};

struct payload_op {
	struct payload_request req;
	struct arena arena;
	const struct v1_pod *pod;
	struct {
		struct source *v;
		size_t n;
	} sources;
	size_t at;
	struct payload payload;
	int64_t refresh_ms;
	bool user_given; /* all containers run as the same user, or the pod has an fsGroup */
	int64_t fs_user;
};

bool volume_is_payload(const struct v1_volume *v)
{
	return v->config_map || v->secret || v->downward_api || v->projected;
}

/* --- the sources of a volume --- */

static int mode_of(const int32_t *mode)
{
	return mode ? *mode : 0644;
}

static void add_source(struct payload_op *op, struct source s)
{
	ARENA_PUSH(&op->arena, &op->sources, s);
}

static struct source projection(const struct v1_volume_projection *p, int mode)
{
	struct source s = {.kind = SOURCE_NONE, .mode = mode};

	if (p->config_map) {
		s = (struct source){.kind = SOURCE_CONFIG_MAP,
			.name = p->config_map->name,
			.items = &p->config_map->items,
			.mode = mode};
		s.optional = p->config_map->optional && *p->config_map->optional;
	} else if (p->secret) {
		s = (struct source){.kind = SOURCE_SECRET,
			.name = p->secret->name,
			.items = &p->secret->items,
			.mode = mode};
		s.optional = p->secret->optional && *p->secret->optional;
	} else if (p->downward_api) {
		s.kind = SOURCE_DOWNWARD;
		s.files = &p->downward_api->items;
	} else if (p->service_account_token) {
		s.kind = SOURCE_TOKEN;
		s.token = p->service_account_token;
	}
	return s;
}

static void find_sources(struct payload_op *op, const struct v1_volume *v)
{
	if (v->config_map)
		add_source(
			op, (struct source){.kind = SOURCE_CONFIG_MAP,
				    .name = v->config_map->name,
				    .items = &v->config_map->items,
				    .optional = v->config_map->optional && *v->config_map->optional,
				    .mode = mode_of(v->config_map->default_mode)});
	if (v->secret)
		add_source(op, (struct source){.kind = SOURCE_SECRET,
				       .name = v->secret->secret_name,
				       .items = &v->secret->items,
				       .optional = v->secret->optional && *v->secret->optional,
				       .mode = mode_of(v->secret->default_mode)});
	if (v->downward_api)
		add_source(op, (struct source){.kind = SOURCE_DOWNWARD,
				       .files = &v->downward_api->items,
				       .mode = mode_of(v->downward_api->default_mode)});
	for (size_t i = 0; v->projected && i < v->projected->sources.n; i++)
		add_source(op, projection(&v->projected->sources.v[i],
				       mode_of(v->projected->default_mode)));
}

void payload_references(const struct v1_volume *v,
	void (*fn)(void *user_data, const struct schema_resource *res, struct str name),
	void *user_data)
{
	if (v->config_map)
		fn(user_data, &v1_config_map_resource, v->config_map->name);
	if (v->secret)
		fn(user_data, &v1_secret_resource, v->secret->secret_name);
	for (size_t i = 0; v->projected && i < v->projected->sources.n; i++) {
		const struct v1_volume_projection *p = &v->projected->sources.v[i];

		if (p->config_map)
			fn(user_data, &v1_config_map_resource, p->config_map->name);
		if (p->secret)
			fn(user_data, &v1_secret_resource, p->secret->name);
	}
}

/* --- files --- */

static void put_file(
	struct payload_op *op, struct str path, struct str content, int mode, int64_t uid)
{
	struct payload_file f = {
		arena_str(&op->arena, path), arena_str(&op->arena, content), mode, uid};

	for (size_t i = 0; i < op->payload.n; i++) {
		if (str_eq(op->payload.v[i].path, path)) { /* a later source wins */
			op->payload.v[i] = f;
			return;
		}
	}
	ARENA_PUSH(&op->arena, &op->payload, f);
}

static const struct str *key_in(const struct str_map *const maps[2], struct str key)
{
	const struct str *v = str_map_get(maps[0], key);

	return v || !maps[1] ? v : str_map_get(maps[1], key);
}

static int put_keys(struct payload_op *op, const struct source *s,
	const struct str_map *const maps[2], struct err *err)
{
	if (s->items->n == 0) {
		for (size_t m = 0; m < 2 && maps[m]; m++)
			for (size_t i = 0; i < maps[m]->n; i++)
				put_file(op, maps[m]->v[i].key, maps[m]->v[i].value, s->mode, -1);
		return 0;
	}
	for (size_t i = 0; i < s->items->n; i++) {
		const struct v1_key_to_path *k = &s->items->v[i];
		const struct str *v = key_in(maps, k->key);

		if (!v && s->optional)
			continue;
		if (!v)
			return err_bad_request(err, "references non-existent %s key: " STR_FMT,
				s->kind == SOURCE_SECRET ? "secret" : "config", STR_ARG(k->key));
		put_file(op, k->path, *v, k->mode ? *k->mode : s->mode, -1);
	}
	return 0;
}

static int put_downward(struct payload_op *op, const struct source *s, struct err *err)
{
	for (size_t i = 0; i < s->files->n; i++) {
		const struct v1_downward_api_volume_file *f = &s->files->v[i];
		struct str content = S("");
		int r = 0;

		if (f->field_ref)
			r = downward_field(&op->req.facts, f->field_ref->field_path, &op->arena,
				&content, err);
		else if (f->resource_field_ref)
			r = downward_resource(&op->req.facts, NULL, f->resource_field_ref,
				&op->arena, &content, err);
		if (r < 0)
			return r;
		put_file(op, f->path, content, f->mode ? *f->mode : s->mode, -1);
	}
	return 0;
}

/* --- one source after the other --- */

static void next_source(struct payload_op *op);

static void finish(struct payload_op *op, struct err *err)
{
	op->req.done(op->req.user_data, err ? NULL : &op->payload, op->refresh_ms, err);
	arena_release(&op->arena);
	free(op);
}

static void got_object(void *user_data, const void *typed, struct err *err)
{
	struct payload_op *op = user_data;
	const struct source *s = &op->sources.v[op->at];
	const struct v1_config_map *cm = typed;
	const struct v1_secret *secret = typed;
	const struct str_map *maps[2] = {0};
	struct err bad CLEANUP(err_release) = {0};

	if (!typed && !(err->code == 404 && s->optional)) {
		finish(op, err);
		return;
	}
	if (typed) {
		maps[0] = s->kind == SOURCE_SECRET ? &secret->data : &cm->data;
		maps[1] = s->kind == SOURCE_SECRET ? NULL : &cm->binary_data;
		if (put_keys(op, s, maps, &bad) < 0) {
			finish(op, &bad);
			return;
		}
	}
	op->at++;
	next_source(op);
}

static void got_token(struct client_call *call)
{
	struct payload_op *op = call->user_data;
	const struct source *s = &op->sources.v[op->at];
	struct authentication_v1_token_request *t = NULL;
	int64_t life_ms =
		s->token->expiration_seconds ? *s->token->expiration_seconds * 1000 : 3600000;
	int mode = op->user_given ? 0600 : s->mode;
	int r = call->result;

	if (r == 0)
		r = schema_decode_json(&authentication_v1_token_request_schema, call->answer,
			&call->arena, NULL, (void **)&t, &call->err);
	if (r < 0) {
		finish(op, &call->err);
		return;
	}
	if (t->status.expiration_timestamp.set)
		life_ms = t->status.expiration_timestamp.sec * 1000 -
			  loop_wall_ns(client_loop(op->req.client)) / 1000000;
	life_ms = MAX(life_ms * 8 / 10, 10000);
	if (op->refresh_ms == 0 || life_ms < op->refresh_ms)
		op->refresh_ms = MIN(life_ms, 24 * 3600 * 1000);
	put_file(op, s->token->path, t->status.token, mode, op->user_given ? op->fs_user : -1);
	op->at++;
	next_source(op);
}

static void ask_token(struct payload_op *op, const struct source *s)
{
	struct client_call *call = client_call_new(op->req.client);
	struct authentication_v1_token_request *t =
		ARENA_NEW(&call->arena, struct authentication_v1_token_request);
	struct authentication_v1_bound_object_reference *ref =
		ARENA_NEW(&call->arena, struct authentication_v1_bound_object_reference);

	t->spec.expiration_seconds = s->token->expiration_seconds;
	if (!str_empty(s->token->audience))
		ARENA_PUSH(&call->arena, &t->spec.audiences, s->token->audience);
	ref->kind = S("Pod");
	ref->api_version = S("v1");
	ref->name = op->pod->metadata.name;
	ref->uid = op->pod->metadata.uid;
	t->spec.bound_object_ref = ref;
	call->verb = "create";
	call->resource = &v1_service_account_resource;
	call->ns = op->pod->metadata.namespace;
	call->name = op->pod->spec.service_account_name;
	call->subresource = S("token");
	call->object = t;
	call->body_type = &authentication_v1_token_request_schema;
	call->done = got_token;
	call->user_data = op;
	client_do(op->req.client, call);
}

static void next_source(struct payload_op *op)
{
	struct err err CLEANUP(err_release) = {0};

	for (; op->at < op->sources.n; op->at++) {
		const struct source *s = &op->sources.v[op->at];

		switch (s->kind) {
		case SOURCE_CONFIG_MAP:
			objects_get(op->req.objects, &v1_config_map_resource,
				op->pod->metadata.namespace, s->name, got_object, op);
			return;
		case SOURCE_SECRET:
			objects_get(op->req.objects, &v1_secret_resource,
				op->pod->metadata.namespace, s->name, got_object, op);
			return;
		case SOURCE_TOKEN:
			ask_token(op, s);
			return;
		case SOURCE_DOWNWARD:
			if (put_downward(op, s, &err) < 0) {
				finish(op, &err);
				return;
			}
			break;
		case SOURCE_NONE:
			err_bad_request(&err, "a source of the projected volume is not supported");
			finish(op, &err);
			return;
		}
	}
	finish(op, NULL);
}

/* The user that all containers run as, or -1. */
static int64_t common_user(const struct v1_pod *pod)
{
	int64_t user = -1;
	const struct v1_container *c;

	for (int k = 0; k < 2; k++) {
		for (size_t i = 0;
			(c = pod_container_at(pod, k ? CONTAINER_INIT : CONTAINER_REGULAR, i));
			i++) {
			const int64_t *u = c->security_context && c->security_context->run_as_user
						   ? c->security_context->run_as_user
					   : pod->spec.security_context
						   ? pod->spec.security_context->run_as_user
						   : NULL;

			if (!u || (user >= 0 && user != *u))
				return -1;
			user = *u;
		}
	}
	return user;
}

static void start(struct loop_task *t);

struct starter {
	struct loop_task task;
	struct payload_op *op;
};

static void start(struct loop_task *t)
{
	struct starter *s = container_of(t, struct starter, task);

	next_source(s->op);
	free(s);
}

void payload_gather(const struct payload_request *r)
{
	struct payload_op *op = xcalloc(1, sizeof(*op));
	struct starter *s = xcalloc(1, sizeof(*s));
	const struct v1_pod_security_context *sc;

	arena_init(&op->arena);
	op->req = *r;
	op->pod = schema_copy(&v1_pod_schema, r->facts.pod, &op->arena);
	op->req.facts.pod = op->pod;
	op->req.facts.pod_ips = (struct str_vec){0};
	for (size_t i = 0; i < r->facts.pod_ips.n; i++)
		ARENA_PUSH(&op->arena, &op->req.facts.pod_ips,
			arena_str(&op->arena, r->facts.pod_ips.v[i]));
	if (r->facts.allocatable) {
		struct str_map *m = ARENA_NEW(&op->arena, struct str_map);

		for (size_t i = 0; i < r->facts.allocatable->n; i++) {
			struct str_pair p = r->facts.allocatable->v[i];

			p.key = arena_str(&op->arena, p.key);
			p.value = arena_str(&op->arena, p.value);
			ARENA_PUSH(&op->arena, m, p);
		}
		op->req.facts.allocatable = m;
	}
	sc = op->pod->spec.security_context;
	op->payload.fs_group = sc && sc->fs_group ? *sc->fs_group : -1;
	op->fs_user = common_user(op->pod);
	op->user_given = op->fs_user >= 0 || op->payload.fs_group >= 0;
	for (size_t i = 0; i < op->pod->spec.volumes.n; i++)
		if (str_eq(op->pod->spec.volumes.v[i].name, r->volume->name))
			find_sources(op, &op->pod->spec.volumes.v[i]);
	op->req.volume = NULL;
	s->op = op;
	s->task.fn = start;
	loop_post(client_loop(r->client), &s->task);
}

#include "client/client_int.h"

#include <stdio.h>

#include "json/reader.h"
#include "json/value.h"

void client_subscribe(struct client *c, const struct schema_resource *res,
	const char *field_selector, void (*on_event)(void *user_data, const struct store_event *ev),
	void *user_data)
{
	c->ops->subscribe(c, res, field_selector, on_event, user_data);
}

void client_start(struct client *c, void (*on_synced)(void *user_data), void *user_data)
{
	c->ops->start(c, on_synced, user_data);
}

bool client_synced(const struct client *c)
{
	return c->ops->synced(c);
}

struct snapshot *client_snapshot(struct client *c, const struct schema_resource *res)
{
	return c->ops->snapshot(c, res);
}

bool client_caught_up(struct client *c, const struct schema_resource *res, uint64_t revision)
{
	return c->ops->caught_up(c, res, revision);
}

struct loop *client_loop(struct client *c)
{
	return c->loop;
}

void client_free(struct client *c)
{
	if (c)
		c->ops->free(c);
}

struct client_call *client_call_new(struct client *c)
{
	struct client_call *call = xcalloc(1, sizeof(*call));

	arena_init(&call->arena);
	return call;
}

/* The strings of the request are the caller's only until client_do returns. */
static void own_strings(struct client_call *call)
{
	struct arena *a = &call->arena;

	call->ns = arena_str(a, call->ns);
	call->name = arena_str(a, call->name);
	call->subresource = arena_str(a, call->subresource);
	call->query = arena_str(a, call->query);
	call->body = arena_str(a, call->body);
}

void client_do(struct client *c, struct client_call *call)
{
	own_strings(call);
	c->ops->do_call(c, call);
}

/* --- the request --- */

void client_collection_path(const struct schema_resource *res, struct str ns, struct buf *out)
{
	if (*res->group)
		buf_fmt(out, "/apis/%s/%s", res->group, res->version);
	else
		buf_fmt(out, "/api/%s", res->version);
	if (res->namespaced && !str_empty(ns)) {
		buf_add_c(out, "/namespaces/");
		http_escape(out, ns, false);
	}
	buf_fmt(out, "/%s", res->plural);
}

static bool verb_is(const struct client_call *call, const char *verb)
{
	return strcmp(call->verb, verb) == 0;
}

void client_call_path(const struct client_call *call, struct buf *out)
{
	/* A create has the name in its body, unless it is one of a subresource (binding, eviction,
	 * token). */
	bool named = !str_empty(call->name) &&
		     (!verb_is(call, "create") || !str_empty(call->subresource)) &&
		     !verb_is(call, "list") && !verb_is(call, "deletecollection");

	client_collection_path(call->resource, call->ns, out);
	if (named) {
		buf_add_char(out, '/');
		http_escape(out, call->name, false);
	}
	if (named && !str_empty(call->subresource)) {
		buf_add_char(out, '/');
		buf_add_str(out, call->subresource);
	}
	if (!str_empty(call->query)) {
		buf_add_char(out, '?');
		buf_add_str(out, call->query);
	}
}

const char *client_call_method(const struct client_call *call)
{
	static const struct {
		const char *verb, *method;
	} methods[] = {
		{"create", "POST"},
		{"update", "PUT"},
		{"patch", "PATCH"},
		{"delete", "DELETE"},
		{"deletecollection", "DELETE"},
		{"get", "GET"},
		{"list", "GET"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (verb_is(call, methods[i].verb))
			return methods[i].method;
	assert(!"a verb of client_call");
	return NULL;
}

const char *client_call_content_type(const struct client_call *call)
{
	return call->content_type ? call->content_type : "application/json";
}

struct str client_call_body(struct client_call *call, struct buf *scratch)
{
	const struct schema_type *type = call->body_type ? call->body_type : call->resource->type;

	if (!call->object)
		return call->body;
	schema_encode_json(type, call->object, scratch);
	return buf_str(scratch);
}

/* --- the answer --- */

/* Inside an object, at its '{': goes to the value of a key; false when there is none. */
static bool find_key(struct json_reader *r, const char *want)
{
	struct str key;

	if (json_peek(r) != '{' || !json_enter(r, '{'))
		return false;
	while (json_next_key(r, &key)) {
		if (str_eqc(key, want))
			return true;
		json_skip(r, NULL);
	}
	return false;
}

/* Only as much of the body is read as stands before the revision. */
static uint64_t answer_revision(struct client_call *call)
{
	struct json_reader r;
	struct str text;
	uint64_t revision = 0;

	json_reader_init(&r, call->answer, &call->arena);
	if (find_key(&r, "metadata") && find_key(&r, "resourceVersion") && json_peek(&r) == '"' &&
		json_read_string(&r, &text) && str_to_u64(text, &revision) == 0)
		return revision;
	return 0;
}

static void add_details(const struct json_value *details, struct err *err)
{
	const struct json_value *causes = json_getc(details, "causes");

	err_details(err, json_get_str(details, "group"), json_get_str(details, "kind"),
		json_get_str(details, "name"), json_get_str(details, "uid"));
	for (size_t i = 0; causes && causes->kind == JSON_ARRAY && i < causes->items.n; i++) {
		const struct json_value *c = causes->items.v[i];
		struct str reason = json_get_str(c, "reason");
		char text[64];

		snprintf(text, sizeof(text), STR_FMT, STR_ARG(reason));
		err_add_cause(err, text, json_get_str(c, "field"), STR_FMT,
			STR_ARG(json_get_str(c, "message")));
	}
}

int client_status_err(int code, struct str body, struct err *err)
{
	struct arena a CLEANUP(arena_release) = {0};
	struct json_value *status = NULL, *details, *code_value;
	int64_t number;
	struct str message, reason;
	int r;

	if (json_parse(body, &a, &status, NULL) < 0 ||
		!str_eqc(json_get_str(status, "kind"), "Status"))
		return err_fmt(err, code, "", "the server answered %d: %.*s", code,
			(int)MIN(body.n, 200u), body.p ? body.p : "");
	code_value = json_getc(status, "code"); /* in a watch's event it is nowhere else */
	if (code_value && code_value->kind == JSON_NUMBER &&
		str_to_i64(code_value->text, &number) == 0 && number >= 400 && number < 600)
		code = (int)number;
	message = json_get_str(status, "message");
	reason = arena_str(&a, json_get_str(status, "reason"));
	r = err_fmt(err, code, reason.p ? reason.p : "", STR_FMT, STR_ARG(message));
	details = json_getc(status, "details");
	if (details && err)
		add_details(details, err);
	return r;
}

void client_call_answer(struct client_call *call, int status, struct str body)
{
	call->status = status;
	call->answer = body;
	if (status >= 200 && status < 300) {
		call->result = 0;
		call->revision = answer_revision(call);
	} else {
		call->result = client_status_err(status, body, &call->err);
	}
}

void client_call_failed(struct client_call *call, struct err *err)
{
	call->status = 0;
	call->result = -EIO;
	if (err_set(err))
		err_move(&call->err, err);
	else
		err_fmt(&call->err, 503, "ServiceUnavailable", "the server gave no answer");
}

void client_call_finish(struct client_call *call)
{
	if (call->done)
		call->done(call);
	err_release(&call->err);
	arena_release(&call->arena);
	free(call);
}

/*
 * static_pods.c: pods from manifests in a directory (--pod-manifest-path), run without being asked
 * by the API server. Each has a mirror in the API that shows its status: same name, annotated, with
 * a uid of its own.
 *
 * The directory is looked at every few seconds; a changed file is another pod (its uid comes from
 * its content).
 */
#include <dirent.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "node/pod.h"

enum { LOOK_MS = 5000, MANIFEST_MAX = 1 << 20 };

struct mirror {
	struct mirror *next;
	const struct object *object;
};

struct static_pods {
	struct kubelet *k;
	struct loop_timer timer;
	struct mirror *mirrors;
	bool node_ready;
};

/* --- manifests --- */

static struct str digest_of(struct arena *a, struct str text, struct str node)
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, MANIFEST_MAX * 2);
	buf_add_str(&b, node);
	buf_add_str(&b, text);
	EVP_Digest(b.p, b.n, md, &n, EVP_sha256(), NULL);
	buf_reset(&b);
	for (size_t i = 0; i < 16; i++)
		buf_fmt(&b, "%02x", md[i]);
	return arena_str(a, buf_str(&b));
}

static void default_container(struct arena *a, struct v1_container *c)
{
	struct str last = c->image;
	ssize_t slash = str_rchr(last, '/');

	(void)a;
	if (slash >= 0)
		last = str_sub(last, (size_t)slash + 1, last.n);
	if (str_empty(c->termination_message_path))
		c->termination_message_path = S("/dev/termination-log");
	if (str_empty(c->termination_message_policy))
		c->termination_message_policy = S("File");
	if (str_empty(c->image_pull_policy))
		c->image_pull_policy = str_chr(last, ':') < 0 || str_ends(last, S(":latest"))
					       ? S("Always")
					       : S("IfNotPresent");
}

static void default_pod(struct arena *a, struct v1_pod *pod)
{
	struct v1_toleration all = {.operator= S("Exists"), .effect = S("NoExecute")};
	int64_t grace = 30;

	schema_default(&v1_pod_schema, pod, a);
	if (str_empty(pod->metadata.namespace))
		pod->metadata.namespace = S("default");
	if (str_empty(pod->spec.restart_policy))
		pod->spec.restart_policy = S("Always");
	if (str_empty(pod->spec.dns_policy))
		pod->spec.dns_policy = S("ClusterFirst");
	if (!pod->spec.termination_grace_period_seconds)
		pod->spec.termination_grace_period_seconds = arena_memdup(a, &grace, sizeof(grace));
	ARENA_PUSH(a, &pod->spec.tolerations, all); /* no taint drives it away */
	for (size_t i = 0; i < pod->spec.containers.n; i++)
		default_container(a, &pod->spec.containers.v[i]);
	for (size_t i = 0; i < pod->spec.init_containers.n; i++)
		default_container(a, &pod->spec.init_containers.v[i]);
}

static void annotate(struct arena *a, struct v1_pod *pod, struct str key, struct str value)
{
	struct str_map *m = &pod->metadata.annotations;
	struct str_pair p = {key, value};
	size_t i = m->n;

	if (str_map_get(m, key))
		return;
	ARENA_PUSH(a, m, p);
	for (; i > 0 && str_cmp(m->v[i - 1].key, key) > 0; i--) {
		struct str_pair t = m->v[i - 1];

		m->v[i - 1] = m->v[i];
		m->v[i] = t;
	}
}

static struct object *manifest_object(struct kubelet *k, const char *path, struct err *err)
{
	struct arena a;
	struct str text, json, hash;
	struct v1_pod *pod = NULL;
	struct object *o = NULL;
	int r;

	arena_init(&a);
	r = file_read(path, MANIFEST_MAX, &a, &text, err);
	if (r == 0)
		r = yaml_to_json(text, &a, &json, NULL, err);
	if (r == 0)
		r = schema_decode_json(&v1_pod_schema, json, &a, NULL, (void **)&pod, err);
	if (r == 0 && (!str_eq(pod->kind, S("Pod")) || str_empty(pod->metadata.name) ||
			      pod->spec.containers.n == 0))
		r = err_bad_request(err, "not a Pod with a name and containers");
	if (r == 0) {
		hash = digest_of(&a, text, k->node_name);
		default_pod(&a, pod);
		pod->metadata.name = arena_fmt(&a, STR_FMT "-" STR_FMT, STR_ARG(pod->metadata.name),
			STR_ARG(k->node_name));
		pod->metadata.uid = hash;
		pod->metadata.generation = 1;
		annotate(&a, pod, S("kubernetes.io/config.source"), S("file"));
		annotate(&a, pod, S("kubernetes.io/config.hash"), hash);
		pod->spec.node_name = k->node_name;
		r = object_draft(&v1_pod_resource, pod, &o, err);
	}
	arena_release(&a);
	return r == 0 ? o : NULL;
}

/* --- mirrors --- */

static struct mirror **mirror_at(struct static_pods *s, struct str ns, struct str name)
{
	struct mirror **at = &s->mirrors;

	while (*at && (!str_eq((*at)->object->name, name) || !str_eq((*at)->object->ns, ns)))
		at = &(*at)->next;
	return at;
}

const struct object *static_pods_mirror_of(struct kubelet *k, struct pod *p)
{
	struct mirror *m = k->static_pods ? *mirror_at(k->static_pods, p->ns, p->name) : NULL;

	return m ? m->object : NULL;
}

static void call_done(struct client_call *call)
{
	if (call->result < 0 && call->status != 409 && call->status != 404)
		log_warn("mirror pod " STR_FMT ": %s", STR_ARG(call->name), err_text(&call->err));
}

/* The API server wants to see whose mirror it is. */
static void own_mirror(struct kubelet *k, struct arena *a, struct v1_pod *pod)
{
	const struct v1_node *node = node_object(k, a);
	struct meta_v1_owner_reference owner = {
		.api_version = S("v1"), .kind = S("Node"), .name = k->node_name};

	if (!node)
		return;
	owner.uid = node->metadata.uid;
	owner.controller = ARENA_NEW(a, bool);
	*owner.controller = true;
	pod->metadata.owner_references = (struct meta_v1_owner_reference_vec){0};
	ARENA_PUSH(a, &pod->metadata.owner_references, owner);
}

static void create_mirror(struct kubelet *k, struct pod *p)
{
	struct client_call *call = client_call_new(k->client);
	struct v1_pod *pod = object_decode(object_ref_in(&call->arena, p->object), &call->arena);
	const struct str *hash =
		str_map_get(&pod->metadata.annotations, S("kubernetes.io/config.hash"));

	annotate(&call->arena, pod, S("kubernetes.io/config.mirror"), hash ? *hash : p->uid);
	own_mirror(k, &call->arena, pod);
	pod->metadata.uid = S("");
	pod->metadata.resource_version = S("");
	pod->status = (struct v1_pod_status){0};
	call->verb = "create";
	call->resource = &v1_pod_resource;
	call->ns = p->ns;
	call->name = p->name;
	call->object = pod;
	call->done = call_done;
	client_do(k->client, call);
}

static void delete_mirror(struct kubelet *k, const struct object *o)
{
	struct client_call *call = client_call_new(k->client);

	call->verb = "delete";
	call->resource = &v1_pod_resource;
	call->ns = o->ns;
	call->name = o->name;
	call->body =
		S("{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0}");
	call->done = call_done;
	client_do(k->client, call);
}

static void match_mirrors(struct static_pods *s)
{
	if (!s->node_ready || !s->k->pods_synced)
		return;
	for (struct pod *p = s->k->pods; p; p = p->next)
		if (p->is_static && !p->gone && !*mirror_at(s, p->ns, p->name))
			create_mirror(s->k, p);
	for (struct mirror *m = s->mirrors; m; m = m->next) {
		struct pod *p = pod_by_name(s->k, m->object->ns, m->object->name);

		if (!p || !p->is_static || p->gone)
			delete_mirror(s->k, m->object);
	}
}

void static_pods_mirror_event(struct kubelet *k, const struct store_event *ev)
{
	struct static_pods *s = k->static_pods;
	struct mirror **at = mirror_at(s, ev->object->ns, ev->object->name), *m = *at;
	struct pod *p;

	if (ev->type == STORE_DELETED) {
		if (!m)
			return;
		*at = m->next;
		object_unref(m->object);
		free(m);
		loop_timer_start(&s->timer, 0);
		return;
	}
	if (!m) {
		m = xcalloc(1, sizeof(*m));
		m->next = s->mirrors;
		s->mirrors = m;
	}
	object_unref(m->object);
	m->object = object_ref(ev->object);
	if (ev->object->deletion_ms)
		delete_mirror(k, ev->object); /* it comes back while the manifest is there */
	p = pod_by_name(k, ev->object->ns, ev->object->name);
	if (p)
		pod_wake(p);
	else
		loop_timer_start(&s->timer, 0);
}

void static_pods_node_ready(struct kubelet *k)
{
	k->static_pods->node_ready = true;
	loop_timer_start(&k->static_pods->timer, 0);
}

/* --- looking at the directory --- */

static void take(struct kubelet *k, const char *path, struct str_vec *seen, struct arena *a)
{
	struct err err CLEANUP(err_release) = {0};
	struct object *o = manifest_object(k, path, &err);
	struct pod *p;

	if (!o) {
		log_warn("static pod %s: %s", path, err_text(&err));
		return;
	}
	ARENA_PUSH(a, seen, arena_str(a, o->uid));
	p = pod_by_uid(k, o->uid);
	if (!p) {
		p = pod_new(k, o->ns, o->name, o->uid);
		p->is_static = true;
		p->object = object_ref(o);
		pod_look_again(p);
		pod_wake(p);
	} else if (p->gone || !p->object) { /* known from the runtime only, since a restart */
		p->is_static = true;
	}
	object_unref(o);
}

static void look(struct loop_timer *t)
{
	struct static_pods *s = container_of(t, struct static_pods, timer);
	const char *path = s->k->opts.static_pod_path;
	struct str_vec seen = {0};
	struct dirent *e;
	struct stat st;
	struct arena a;
	DIR *d = NULL;

	arena_init(&a);
	if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		take(s->k, path, &seen, &a);
	else if (path)
		d = opendir(path);
	while (d && (e = readdir(d)))
		if (e->d_name[0] != '.')
			take(s->k, arena_fmt(&a, "%s/%s", path, e->d_name).p, &seen, &a);
	if (d)
		closedir(d);
	for (struct pod *p = s->k->pods; p; p = p->next) {
		if (!p->is_static || p->gone || str_vec_has(&seen, p->uid))
			continue;
		p->gone = true;
		pod_wake(p);
	}
	match_mirrors(s);
	if (path)
		loop_timer_start(&s->timer, LOOK_MS);
	arena_release(&a);
}

int static_pods_start(struct kubelet *k, struct err *err)
{
	struct static_pods *s = xcalloc(1, sizeof(*s));

	(void)err;
	s->k = k;
	k->static_pods = s;
	loop_timer_init(&s->timer, k->loop, look);
	loop_timer_start(&s->timer, 0);
	return 0;
}

void static_pods_free(struct static_pods *s)
{
	if (!s)
		return;
	loop_timer_stop(&s->timer);
	while (s->mirrors) {
		struct mirror *m = s->mirrors;

		s->mirrors = m->next;
		object_unref(m->object);
		free(m);
	}
	free(s);
}

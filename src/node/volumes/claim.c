/* claim.c: claim -> volume -> path. */
#include "node/volumes/claim.h"
#include "node/volumes/host_volume.h"

struct resolve {
	struct kubelet *k;
	struct arena arena;
	struct str claim;
	void (*done)(void *user_data, struct str path, struct err *err);
	void *user_data;
};

static void finish(struct resolve *r, struct str path, struct err *err)
{
	r->done(r->user_data, path, err);
	arena_release(&r->arena);
	free(r);
}

static void got_volume(void *user_data, const void *typed, struct err *err)
{
	struct resolve *r = user_data;
	const struct v1_persistent_volume *pv = typed;
	struct err bad CLEANUP(err_release) = {0};

	if (!pv) {
		finish(r, S(""), err);
		return;
	}
	if (pv->spec.local) {
		finish(r, pv->spec.local->path, NULL);
	} else if (pv->spec.host_path) {
		if (host_path_check(pv->spec.host_path->path, pv->spec.host_path->type, &bad) < 0)
			finish(r, S(""), &bad);
		else
			finish(r, pv->spec.host_path->path, NULL);
	} else {
		err_bad_request(&bad,
			"no volume plugin on this node supports the persistent volume " STR_FMT,
			STR_ARG(pv->metadata.name));
		finish(r, S(""), &bad);
	}
}

static void got_claim(void *user_data, const void *typed, struct err *err)
{
	struct resolve *r = user_data;
	const struct v1_persistent_volume_claim *c = typed;
	struct err bad CLEANUP(err_release) = {0};

	if (!c) {
		finish(r, S(""), err);
		return;
	}
	if (!str_eq(c->status.phase, S("Bound")) || str_empty(c->spec.volume_name)) {
		err_bad_request(&bad,
			"PersistentVolumeClaim is not bound: \"" STR_FMT "/" STR_FMT "\"",
			STR_ARG(c->metadata.namespace), STR_ARG(c->metadata.name));
		finish(r, S(""), &bad);
		return;
	}
	objects_get(r->k->objects, &v1_persistent_volume_resource, S(""), c->spec.volume_name,
		got_volume, r);
}

void claim_resolve(struct kubelet *k, const struct v1_pod *pod, const struct v1_volume *v,
	void (*done)(void *user_data, struct str path, struct err *err), void *user_data)
{
	struct resolve *r = xcalloc(1, sizeof(*r));

	arena_init(&r->arena);
	r->k = k;
	r->done = done;
	r->user_data = user_data;
	r->claim = v->persistent_volume_claim
			   ? arena_str(&r->arena, v->persistent_volume_claim->claim_name)
			   : arena_fmt(&r->arena, STR_FMT "-" STR_FMT, STR_ARG(pod->metadata.name),
				     STR_ARG(v->name));
	objects_get(k->objects, &v1_persistent_volume_claim_resource, pod->metadata.namespace,
		r->claim, got_claim, r);
}

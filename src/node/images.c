/* images.c: is it there? may it be pulled? pull it. */
#include "node/images.h"

struct ensure {
	struct image_request req;
	struct arena arena;
	struct loop_timer timer; /* brings results to a later turn */
	struct str reference;
	struct cri_auths auths;
	size_t secret_at;
	int64_t began_ms;
	bool pulled;
	const char *reason;
	struct str message;
};

static struct kubelet *kubelet_of(const struct ensure *e)
{
	return e->req.pod->k;
}

static int64_t wall_ms(const struct ensure *e)
{
	return loop_wall_ns(kubelet_of(e)->loop) / 1000000;
}

static void finish(
	struct ensure *e, const struct cri_image *image, const char *reason, struct str message)
{
	struct pod *p = e->req.pod;

	if (reason)
		pod_event(p, e->req.container, "Warning", "Failed", "Error: %s", reason);
	e->req.done(e->req.user_data, image, reason, message);
	loop_timer_stop(&e->timer);
	arena_release(&e->arena);
	free(e);
}

static void timer_fired(struct loop_timer *t)
{
	struct ensure *e = container_of(t, struct ensure, timer);

	finish(e, NULL, e->reason, e->message);
}

static void fail_later(struct ensure *e, const char *reason, struct str message)
{
	e->reason = reason;
	e->message = message;
	loop_timer_start(&e->timer, 0);
}

/* --- pulling --- */

static void got_pulled(void *user_data, const struct cri_image *v, size_t n, struct err *err)
{
	struct ensure *e = user_data;
	struct str took = duration_text(&e->arena, loop_now_ms(kubelet_of(e)->loop) - e->began_ms);

	if (err || n == 0) {
		finish(e, NULL, "ImageInspectError",
			arena_fmt(&e->arena, "Failed to inspect image \"" STR_FMT "\": %s",
				STR_ARG(e->req.image),
				err ? err_text(err) : "it is not there after the pull"));
		return;
	}
	pod_event(e->req.pod, e->req.container, "Normal", "Pulled",
		"Successfully pulled image \"" STR_FMT "\" in " STR_FMT " (" STR_FMT
		" including waiting). Image size: %llu bytes.",
		STR_ARG(e->req.image), STR_ARG(took), STR_ARG(took), (unsigned long long)v->size);
	finish(e, v, NULL, S(""));
}

static void pull_done(void *user_data, struct str id, struct err *err)
{
	struct ensure *e = user_data;
	struct container_memory *m = e->req.memory;
	struct str text;

	if (!err) {
		m->image.delay_ms = 0;
		set_string(&m->image_error, (struct str){0});
		kubelet_of(e)->cri->ops->image_status(kubelet_of(e)->cri, id, got_pulled, e);
		return;
	}
	text = arena_strc(&e->arena, err_text(err));
	pod_event(e->req.pod, e->req.container, "Warning", "Failed",
		"Failed to pull image \"" STR_FMT "\": " STR_FMT, STR_ARG(e->req.image),
		STR_ARG(text));
	backoff_next(&m->image, wall_ms(e), wall_ms(e));
	set_string(&m->image_error, arena_fmt(&e->arena, "ErrImagePull: " STR_FMT, STR_ARG(text)));
	finish(e, NULL, "ErrImagePull", text);
}

static void next_secret(struct ensure *e);

static void got_secret(void *user_data, const void *typed, struct err *err)
{
	struct ensure *e = user_data;
	const struct v1_secret *s = typed;
	const struct str *json = NULL;

	if (!s && err->code == 404)
		pod_event(e->req.pod, (struct str){0}, "Warning", "FailedToRetrieveImagePullSecret",
			"Unable to retrieve some image pull secrets (" STR_FMT
			"); attempting to pull the image may not "
			"succeed.",
			STR_ARG(e->req.spec->spec.image_pull_secrets.v[e->secret_at].name));
	if (s)
		json = str_map_get(&s->data, S(".dockerconfigjson"));
	if (s && !json)
		json = str_map_get(&s->data, S(".dockercfg"));
	if (json)
		image_auths(arena_str(&e->arena, *json), e->req.image, &e->arena, &e->auths);
	e->secret_at++;
	next_secret(e);
}

static void next_secret(struct ensure *e)
{
	const struct v1_local_object_reference_vec *s = &e->req.spec->spec.image_pull_secrets;
	struct kubelet *k = kubelet_of(e);

	if (e->secret_at < s->n) {
		objects_get(k->objects, &v1_secret_resource, e->req.pod->ns,
			s->v[e->secret_at].name, got_secret, e);
		return;
	}
	pod_event(e->req.pod, e->req.container, "Normal", "Pulling",
		"Pulling image \"" STR_FMT "\"", STR_ARG(e->req.image));
	e->began_ms = loop_now_ms(k->loop);
	k->cri->ops->pull_image(
		k->cri, e->reference, e->auths.v, e->auths.n, e->req.sandbox_cfg, pull_done, e);
}

static void pull(struct ensure *e)
{
	struct container_memory *m = e->req.memory;
	int64_t now = wall_ms(e);

	if (backoff_active(&m->image, m->image.updated_ms, now)) {
		pod_event(e->req.pod, e->req.container, "Normal", "BackOff",
			"Back-off pulling image \"" STR_FMT "\"", STR_ARG(e->req.image));
		fail_later(e, "ImagePullBackOff",
			arena_fmt(&e->arena, "Back-off pulling image \"" STR_FMT "\"%s%s",
				STR_ARG(e->req.image), m->image_error ? ": " : "",
				m->image_error ? m->image_error : ""));
		return;
	}
	next_secret(e);
}

/* --- looking --- */

static void looked(void *user_data, const struct cri_image *v, size_t n, struct err *err)
{
	struct ensure *e = user_data;

	if (err) {
		struct str text =
			arena_fmt(&e->arena, "Failed to inspect image \"" STR_FMT "\": %s",
				STR_ARG(e->req.image), err_text(err));

		pod_event(e->req.pod, e->req.container, "Warning", "InspectFailed", STR_FMT,
			STR_ARG(text));
		finish(e, NULL, "ImageInspectError", text);
	} else if (n > 0) {
		pod_event(e->req.pod, e->req.container, "Normal", "Pulled",
			"Container image \"" STR_FMT
			"\" already present on machine and can be accessed by the pod",
			STR_ARG(e->req.image));
		finish(e, v, NULL, S(""));
	} else if (str_eq(e->req.policy, S("Never"))) {
		struct str text = arena_fmt(&e->arena,
			"Container image \"" STR_FMT "\" is not present with pull policy of Never",
			STR_ARG(e->req.image));

		pod_event(e->req.pod, e->req.container, "Warning", "ErrImageNeverPull", STR_FMT,
			STR_ARG(text));
		finish(e, NULL, "ErrImageNeverPull", text);
	} else {
		pull(e);
	}
}

void image_ensure(const struct image_request *r)
{
	struct ensure *e = xcalloc(1, sizeof(*e));
	struct kubelet *k = r->pod->k;
	struct err err CLEANUP(err_release) = {0};

	arena_init(&e->arena);
	e->req = *r;
	loop_timer_init(&e->timer, k->loop, timer_fired);
	if (image_reference(r->image, &e->arena, &e->reference, &err) < 0) {
		struct str text = arena_fmt(&e->arena,
			"Failed to apply default image tag \"" STR_FMT "\": %s", STR_ARG(r->image),
			err_text(&err));

		pod_event(r->pod, r->container, "Warning", "InspectFailed", STR_FMT, STR_ARG(text));
		fail_later(e, "InvalidImageName", text);
		return;
	}
	if (str_eq(r->policy, S("Always")))
		pull(e);
	else
		k->cri->ops->image_status(k->cri, e->reference, looked, e);
}

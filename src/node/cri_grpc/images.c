/* images.c: ImageService. */
#include "node/cri_grpc/client.h"

static struct call *start(struct cri *cri, const char *method, struct str image, int timeout_ms,
	void (*reply)(struct call *c, struct err *err))
{
	struct image_request request = {.image = image};

	return call_start(cri_grpc_of(cri), method, &image_request, &request, timeout_ms, reply);
}

static void images_done(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct images_reply *m = err ? NULL : call_decode(c, &images_reply, &mine);
	struct cri_image *v = NULL;

	if (m)
		v = ARENA_ARRAY(&c->arena, struct cri_image, m->n);
	for (size_t i = 0; m && i < m->n; i++) {
		v[i] = m->v[i].i;
		v[i].uid = m->v[i].uid ? *m->v[i].uid : -1;
	}
	c->images(c->user_data, v, m ? m->n : 0, err ? err : m ? NULL : &mine);
}

void grpc_image_status(struct cri *cri, struct str image, cri_images_done *done, void *user_data)
{
	struct call *c =
		start(cri, "ImageService/ImageStatus", image, CALL_TIMEOUT_MS, images_done);

	c->images = done;
	c->user_data = user_data;
}

void grpc_list_images(struct cri *cri, cri_images_done *done, void *user_data)
{
	struct call *c = call_start(cri_grpc_of(cri), "ImageService/ListImages", NULL, NULL,
		CALL_TIMEOUT_MS, images_done);

	c->images = done;
	c->user_data = user_data;
}

static void removed(struct call *c, struct err *err)
{
	c->done(c->user_data, err && err->code == 404 ? NULL : err);
}

void grpc_remove_image(struct cri *cri, struct str image, cri_done *done, void *user_data)
{
	struct call *c = start(cri, "ImageService/RemoveImage", image, CALL_TIMEOUT_MS, removed);

	c->done = done;
	c->user_data = user_data;
}

/* --- pulling: with each of the credentials until one works --- */

struct pull {
	struct cri_grpc *g;
	struct arena arena;
	struct str *messages; /* the request with each of the credentials, encoded */
	size_t n, at;
	cri_id_done *done;
	void *user_data;
};

static void pull_next(struct pull *p);

static void pull_free(struct pull *p)
{
	arena_release(&p->arena);
	free(p);
}

static void pull_dropped(struct call *c)
{
	pull_free(c->user_data);
}

static void pulled(struct call *c, struct err *err)
{
	struct err mine CLEANUP(err_release) = {0};
	struct text_message *m = err ? NULL : call_decode(c, &text_message, &mine);
	struct pull *p = c->user_data;

	if (!m && ++p->at < p->n) {
		pull_next(p);
		return;
	}
	p->done(p->user_data, m ? m->text : S(""), err ? err : m ? NULL : &mine);
	pull_free(p);
}

static void pull_next(struct pull *p)
{
	struct call *c = call_start_encoded(
		p->g, "ImageService/PullImage", p->messages[p->at], CALL_NO_TIMEOUT, pulled);

	c->dropped = pull_dropped;
	c->user_data = p;
}

void grpc_pull_image(struct cri *cri, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data)
{
	struct image_request request = {.image = image};
	struct pull *p = xcalloc(1, sizeof(*p));

	arena_init(&p->arena);
	p->g = cri_grpc_of(cri);
	p->done = done;
	p->user_data = user_data;
	p->n = MAX(n_auth, 1u);
	p->messages = ARENA_ARRAY(&p->arena, struct str, p->n);
	request.sandbox = sandbox_message(&p->arena, sandbox_cfg);
	for (size_t i = 0; i < p->n; i++) {
		struct buf b CLEANUP(buf_release) = {0};

		buf_init(&b, CALL_REQUEST_MAX);
		request.auth = n_auth ? &auth[i] : NULL;
		wire_encode(&image_request, &request, &b);
		p->messages[i] = arena_str(&p->arena, buf_str(&b));
	}
	pull_next(p);
}

/* images.c: the image calls of cri.h. Pulls run in a child process (`sampan image pull`), the rest
 * in jobs. */
#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/store.h"
#include "node/runtime/jsonout.h"
#include "node/runtime/runtime.h"

enum { OUTPUT_MAX = 65536, CHUNK = 4096 };

struct pull {
	struct pull *next;
	struct runtime *rt;
	uv_process_t process;
	uv_pipe_t in, out, err;
	uv_write_t write;
	struct buf secret, out_text, err_text;
	int handles;
	bool running, out_open, err_open, given_up;
	int code;
	cri_id_done *done;
	void *user_data;
	char chunk[CHUNK];
};

static void pull_release(uv_handle_t *h)
{
	struct pull *p = h->data;

	if (--p->handles > 0)
		return;
	buf_release(&p->secret);
	buf_release(&p->out_text);
	buf_release(&p->err_text);
	free(p);
}

static void pull_unlink(struct pull *p)
{
	for (struct pull **at = &p->rt->pulls; *at; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
}

static void pull_maybe_end(struct pull *p)
{
	struct err err CLEANUP(err_release) = {0};

	if (p->running || p->out_open || p->err_open)
		return;
	if (!p->given_up) {
		pull_unlink(p);
		if (p->code == 0 && p->out_text.n) {
			p->done(p->user_data, str_trim(buf_str(&p->out_text)), NULL);
		} else {
			struct str words = p->err_text.n ? str_trim(buf_str(&p->err_text))
							 : S("the pull ended without a word");
			bool missing = str_find(words, S("not found")) >= 0;

			err_fmt(&err, missing ? 404 : 500, missing ? "NotFound" : "InternalError",
				STR_FMT, STR_ARG(words));
			p->done(p->user_data, (struct str){0}, &err);
		}
	}
	uv_close((uv_handle_t *)&p->process, pull_release);
}

static void alloc_cb(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct pull *p = h->data;

	*buf = uv_buf_init(p->chunk, CHUNK);
}

static void read_cb(uv_stream_t *s, ssize_t n, const uv_buf_t *buf)
{
	struct pull *p = s->data;
	struct buf *to = s == (uv_stream_t *)&p->out ? &p->out_text : &p->err_text;

	if (n > 0)
		buf_add(to, buf->base, MIN((size_t)n, to->max - to->n));
	if (n >= 0)
		return;
	uv_close((uv_handle_t *)s, pull_release);
	if (s == (uv_stream_t *)&p->out)
		p->out_open = false;
	else
		p->err_open = false;
	pull_maybe_end(p);
}

static void exit_cb(uv_process_t *process, int64_t status, int signal)
{
	struct pull *p = process->data;

	p->running = false;
	p->code = signal ? 128 + signal : status;
	pull_maybe_end(p);
}

static void secret_written(uv_write_t *req, int status)
{
	struct pull *p = req->data;

	uv_close((uv_handle_t *)&p->in, pull_release);
}

static void write_secret(struct buf *b, const struct cri_auth *auth)
{
	struct jout j = {b};

	jout_open(&j, NULL, '{');
	if (auth) {
		jout_str(&j, "username", auth->username);
		jout_str(&j, "password", auth->password);
		jout_str(&j, "auth", auth->auth);
		jout_str(&j, "identityToken", auth->identity_token);
		jout_str(&j, "registryToken", auth->registry_token);
	}
	jout_close(&j, '}');
}

static int pull_spawn(struct pull *p, const char *image)
{
	char *args[16] = {"sampan", "image", "pull", "--auth-stdin", "--data-dir", p->rt->base_dir};
	uv_pipe_t *const pipes[] = {&p->in, &p->out, &p->err};
	uv_loop_t *loop = loop_uv(p->rt->cri.loop);
	uv_stdio_container_t stdio[3];
	uv_process_options_t opts = {.exit_cb = exit_cb,
		.file = "/proc/self/exe",
		.args = args,
		.stdio = stdio,
		.stdio_count = 3};
	int n = 6;

	if (p->rt->registry_mirrors) {
		args[n++] = "--registry-mirror";
		args[n++] = p->rt->registry_mirrors;
	}
	args[n++] = "--"; /* a name may not be taken for a flag */
	args[n++] = (char *)image;
	for (int i = 0; i < 3; i++) {
		uv_pipe_init(loop, pipes[i], 0);
		pipes[i]->data = p;
		stdio[i] = (uv_stdio_container_t){
			UV_CREATE_PIPE | (i == 0 ? UV_READABLE_PIPE : UV_WRITABLE_PIPE),
			{(uv_stream_t *)pipes[i]}};
	}
	p->process.data = p;
	p->handles = 4;
	return uv_spawn(loop, &p->process, &opts);
}

void images_pull(struct cri *c, struct str image, const struct cri_auth *auth, size_t n_auth,
	const struct cri_sandbox_config *sandbox_cfg, cri_id_done *done, void *user_data)
{
	struct runtime *rt = runtime_of(c);
	struct pull *p = xcalloc(1, sizeof(*p));
	struct arena a CLEANUP(arena_release);
	uv_buf_t secret;
	int r;

	arena_init(&a);
	p->rt = rt;
	p->done = done;
	p->user_data = user_data;
	buf_init(&p->secret, OUTPUT_MAX);
	buf_init(&p->out_text, OUTPUT_MAX);
	buf_init(&p->err_text, OUTPUT_MAX);
	write_secret(&p->secret, n_auth ? &auth[0] : NULL);
	p->next = rt->pulls;
	rt->pulls = p;
	r = pull_spawn(p, arena_cstr(&a, image));
	if (r < 0) {
		buf_fmt(&p->err_text, "cannot start a pull: %s", uv_strerror(r));
		p->code = 1;
		uv_close((uv_handle_t *)&p->in, pull_release);
		uv_close((uv_handle_t *)&p->out, pull_release);
		uv_close((uv_handle_t *)&p->err, pull_release);
		pull_maybe_end(p);
		return;
	}
	p->running = p->out_open = p->err_open = true;
	p->write.data = p;
	secret = uv_buf_init(p->secret.p, p->secret.n);
	if (uv_write(&p->write, (uv_stream_t *)&p->in, &secret, 1, secret_written) < 0)
		uv_close((uv_handle_t *)&p->in, pull_release);
	uv_read_start((uv_stream_t *)&p->out, alloc_cb, read_cb);
	uv_read_start((uv_stream_t *)&p->err, alloc_cb, read_cb);
}

void images_free(struct runtime *rt)
{
	while (rt->pulls) {
		struct pull *p = rt->pulls;

		rt->pulls = p->next;
		p->given_up = true;
		if (p->running)
			uv_process_kill(&p->process, SIGTERM);
	}
}

/* --- what is there --- */

struct image_job {
	struct job job;
	struct runtime *rt;
	struct arena arena;
	struct str name; /* {NULL,0}: all */
	struct cri_image *v;
	size_t n;
	struct err err;
	cri_images_done *images_done;
	cri_done *done;
	void *user_data;
};

static void fill(const struct image *m, struct cri_image *to)
{
	struct str user = m->user, group;

	to->id = m->id;
	to->tags = m->tags;
	to->digests = m->digests;
	to->size = m->size;
	to->uid = -1;
	str_cut(m->user, ':', &user, &group);
	if (!user.n)
		to->uid = 0;
	else if (str_to_i64(user, &to->uid) < 0) {
		to->uid = -1;
		to->username = user;
	}
}

static void look_run(struct job *job)
{
	struct image_job *j = container_of(job, struct image_job, job);
	struct image_index idx;

	if (image_index_load(&j->rt->images, &j->arena, &idx, &j->err) < 0)
		return;
	if (j->name.p) {
		struct image *m = image_find(&idx, j->name, &j->arena);

		idx.v = m;
		idx.n = m ? 1 : 0;
	}
	j->v = ARENA_ARRAY(&j->arena, struct cri_image, idx.n);
	j->n = idx.n;
	for (size_t i = 0; i < idx.n; i++)
		fill(&idx.v[i], &j->v[i]);
}

static void image_job_free(struct image_job *j)
{
	err_release(&j->err);
	arena_release(&j->arena);
	free(j);
}

static void look_done(struct job *job)
{
	struct image_job *j = container_of(job, struct image_job, job);

	j->images_done(j->user_data, j->v, j->n, err_set(&j->err) ? &j->err : NULL);
	image_job_free(j);
}

static struct image_job *image_job_new(struct cri *c, struct str name, void *user_data)
{
	struct image_job *j = xcalloc(1, sizeof(*j));

	arena_init(&j->arena);
	j->rt = runtime_of(c);
	j->name = arena_str(&j->arena, name);
	j->user_data = user_data;
	return j;
}

void images_status(struct cri *c, struct str image, cri_images_done *done, void *user_data)
{
	struct image_job *j = image_job_new(c, image.p ? image : S(""), user_data);

	j->images_done = done;
	job_submit(j->rt->jobs, &j->job, look_run, look_done);
}

void images_list(struct cri *c, cri_images_done *done, void *user_data)
{
	struct image_job *j = image_job_new(c, (struct str){0}, user_data);

	j->images_done = done;
	job_submit(j->rt->jobs, &j->job, look_run, look_done);
}

static void remove_run(struct job *job)
{
	struct image_job *j = container_of(job, struct image_job, job);

	if (image_remove(&j->rt->images, j->name, &j->err) == -ENOENT)
		err_release(&j->err); /* idempotent */
}

static void remove_done(struct job *job)
{
	struct image_job *j = container_of(job, struct image_job, job);

	j->done(j->user_data, err_set(&j->err) ? &j->err : NULL);
	image_job_free(j);
}

void images_remove(struct cri *c, struct str image, cri_done *done, void *user_data)
{
	struct image_job *j = image_job_new(c, image, user_data);

	j->done = done;
	job_submit(j->rt->jobs, &j->job, remove_run, remove_done);
}

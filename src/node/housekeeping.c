/*
 * housekeeping.c: what is done now and then: rotates logs that have grown, lists images for the
 * Node, and removes unused images when the disk fills up.
 */
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/machine.h"
#include "node/pod.h"

enum {
	LOGS_MS = 10000,
	IMAGES_MS = 5 * 60 * 1000,
	FIRST_IMAGES_MS = 5000,
	PRESSURE_FREE_PERCENT = 10
};

struct housekeeping {
	struct kubelet *k;
	struct loop_timer logs_timer, images_timer;
};

/* --- logs --- */

/* Drops the oldest of <log>.<time> so that with the next one there are not too many. */
static void drop_old_logs(const char *log, int keep)
{
	struct arena a;
	struct str dir, base;
	struct str oldest;
	ssize_t slash = str_rchr(str_c(log), '/');
	int n;

	arena_init(&a);
	dir = arena_str(&a, str_n(log, (size_t)slash));
	base = arena_fmt(&a, "%s.", log + slash + 1);
	do {
		DIR *d = opendir(dir.p);
		struct dirent *e;

		n = 0;
		oldest = (struct str){0};
		while (d && (e = readdir(d))) {
			struct str name = str_c(e->d_name);

			if (!str_starts(name, base))
				continue;
			n++;
			if (!oldest.p || str_cmp(name, oldest) < 0)
				oldest = arena_str(&a, name);
		}
		if (d)
			closedir(d);
		if (n >= keep && oldest.p)
			unlink(arena_fmt(&a, STR_FMT "/" STR_FMT, STR_ARG(dir), STR_ARG(oldest)).p);
	} while (n > keep);
	arena_release(&a);
}

static void reopened(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err)
		log_warn("pod " STR_FMT "/" STR_FMT ": reopening a log: %s", STR_ARG(p->ns),
			STR_ARG(p->name), err_text(err));
	pod_ops_end(p);
}

static void rotate(struct pod *p, const struct cri_container_status *c)
{
	struct kubelet *k = p->k;
	struct arena a;
	struct str path, to;
	struct stat st;
	time_t now = (time_t)(loop_wall_ns(k->loop) / 1000000000);
	char stamp[32];
	struct tm tm;

	arena_init(&a);
	path = arena_str(&a, c->log_path);
	if (path.n && stat(path.p, &st) == 0 && st.st_size > k->opts.log_size_max) {
		gmtime_r(&now, &tm);
		strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm);
		to = arena_fmt(&a, "%s.%s", path.p, stamp);
		drop_old_logs(path.p, MAX(k->opts.log_files_max - 1, 1));
		if (rename(path.p, to.p) == 0) {
			pod_ops_begin(p);
			k->cri->ops->reopen_log(k->cri, c->id, reopened, p);
		}
	}
	arena_release(&a);
}

static void rotate_logs(struct loop_timer *t)
{
	struct housekeeping *h = container_of(t, struct housekeeping, logs_timer);

	for (struct pod *p = h->k->pods; p; p = p->next)
		for (size_t i = 0; i < p->observed.n_containers; i++)
			if (p->observed.containers[i].state == CRI_RUNNING)
				rotate(p, &p->observed.containers[i]);
	loop_timer_start(&h->logs_timer, LOGS_MS);
}

/* --- images --- */

static bool image_used(struct kubelet *k, const struct cri_image *image)
{
	for (struct pod *p = k->pods; p; p = p->next) {
		for (size_t i = 0; i < p->observed.n_containers; i++) {
			const struct cri_container_status *c = &p->observed.containers[i];

			if (str_eq(c->image_id, image->id) || str_vec_has(&image->tags, c->image) ||
				str_vec_has(&image->digests, c->image_ref))
				return true;
		}
		if (p->starting)
			return true; /* it may be just about to use one */
	}
	return false;
}

static void image_removed(void *user_data, struct err *err)
{
	(void)user_data;
	if (err)
		log_debug("removing an image: %s", err_text(err));
}

static void note_images(struct kubelet *k, const struct cri_image *v, size_t n)
{
	struct v1_container_image *list = xcalloc(n ? n : 1, sizeof(*list));
	bool changed = n != k->n_node_images;

	arena_release(&k->images_arena);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < v[i].digests.n; j++)
			ARENA_PUSH(&k->images_arena, &list[i].names,
				arena_str(&k->images_arena, v[i].digests.v[j]));
		for (size_t j = 0; j < v[i].tags.n; j++)
			ARENA_PUSH(&k->images_arena, &list[i].names,
				arena_str(&k->images_arena, v[i].tags.v[j]));
		list[i].size_bytes = (int64_t)v[i].size;
	}
	free(k->node_images);
	k->node_images = list;
	k->n_node_images = n;
	if (changed)
		node_agent_changed(k->node);
}

static void got_images(void *user_data, const struct cri_image *v, size_t n, struct err *err)
{
	struct housekeeping *h = user_data;
	struct kubelet *k = h->k;
	uint64_t free_bytes = 0, size = machine_disk(k->opts.data_dir, &free_bytes, NULL, NULL);
	uint64_t used = size - free_bytes,
		 high = size / 100 * (uint64_t)k->opts.image_gc_high_percent;
	uint64_t low = size / 100 * (uint64_t)k->opts.image_gc_low_percent;
	bool pressure = size && free_bytes < size / 100 * PRESSURE_FREE_PERCENT;

	loop_timer_start(&h->images_timer, IMAGES_MS);
	if (err)
		return;
	note_images(k, v, n);
	for (size_t i = 0; i < n && size && used > high; i++) {
		if (image_used(k, &v[i]))
			continue;
		k->cri->ops->remove_image(k->cri, v[i].id, image_removed, h);
		used -= MIN(used, v[i].size);
		if (used <= low)
			break;
	}
	if (pressure != k->disk_pressure) {
		k->disk_pressure = pressure;
		node_agent_changed(k->node);
	}
}

static void look_at_images(struct loop_timer *t)
{
	struct housekeeping *h = container_of(t, struct housekeeping, images_timer);

	h->k->cri->ops->list_images(h->k->cri, got_images, h);
}

struct housekeeping *housekeeping_new(struct kubelet *k)
{
	struct housekeeping *h = xcalloc(1, sizeof(*h));

	h->k = k;
	loop_timer_init(&h->logs_timer, k->loop, rotate_logs);
	loop_timer_init(&h->images_timer, k->loop, look_at_images);
	loop_timer_start(&h->logs_timer, LOGS_MS);
	loop_timer_start(&h->images_timer, FIRST_IMAGES_MS);
	return h;
}

void housekeeping_free(struct housekeeping *h)
{
	if (!h)
		return;
	loop_timer_stop(&h->logs_timer);
	loop_timer_stop(&h->images_timer);
	free(h);
}

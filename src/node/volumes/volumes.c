/* volumes.c: the volumes of a pod, each a small state machine: new -> busy -> mounted, and back
 * when it is stale. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "node/resources.h"
#include "node/volumes/claim.h"
#include "node/volumes/files.h"
#include "node/volumes/host_volume.h"
#include "node/volumes/payload.h"
#include "node/volumes/volumes.h"

enum { RETRY_MIN_MS = 500, RETRY_MAX_MS = 122000 };

struct volume {
	struct volume *next;
	struct volumes *owner;
	char *name, *path; /* path NULL: an image volume */
	bool payload, in_memory, mounted, busy, stale, seen;
	int64_t retry_ms, delay_ms; /* not before; the next wait */
	int64_t refresh_ms;         /* monotonic; 0 = never */
	struct {
		struct object_ref {
			const struct schema_resource *res;
			char *name;
		} * v;
		size_t n;
	} refs;
};

struct volumes {
	struct volumes_owner o;
	struct volume *list;
	int busy;
	struct loop_timer timer; /* the next retry or refresh */
	void (*torn_down)(void *user_data, struct err *err);
	bool tearing, freed;
	uv_work_t work;
	int mounts_left;
};

static void timer_fired(struct loop_timer *t)
{
	struct volumes *v = container_of(t, struct volumes, timer);

	v->o.changed(v->o.user_data);
}

struct volumes *volumes_new(const struct volumes_owner *o)
{
	struct volumes *v = xcalloc(1, sizeof(*v));

	v->o = *o;
	loop_timer_init(&v->timer, o->k->loop, timer_fired);
	return v;
}

static void volume_free(struct volume *vol)
{
	for (size_t i = 0; i < vol->refs.n; i++) {
		objects_unwatch(vol->owner->o.k->objects, vol->refs.v[i].res, vol->owner->o.ns,
			str_c(vol->refs.v[i].name));
		free(vol->refs.v[i].name);
	}
	free(vol->refs.v);
	free(vol->name);
	free(vol->path);
	free(vol);
}

static void really_free(struct volumes *v)
{
	loop_timer_stop(&v->timer);
	while (v->list) {
		struct volume *vol = v->list;

		v->list = vol->next;
		volume_free(vol);
	}
	free(v);
}

void volumes_free(struct volumes *v)
{
	if (!v)
		return;
	v->freed = true;
	if (v->busy == 0)
		really_free(v);
}

static struct volume *find(const struct volumes *v, struct str name)
{
	struct volume *vol = v->list;

	while (vol && !str_eqc(name, vol->name))
		vol = vol->next;
	return vol;
}

/* --- what happens to one volume --- */

static int64_t now_ms(const struct volumes *v)
{
	return loop_now_ms(v->o.k->loop);
}

static void volume_done(struct volume *vol, struct err *err)
{
	struct volumes *v = vol->owner;
	struct arena a;

	vol->busy = false;
	v->busy--;
	if (v->freed) {
		if (v->busy == 0)
			really_free(v);
		return;
	}
	if (err) {
		vol->delay_ms = vol->delay_ms ? MIN(vol->delay_ms * 2, RETRY_MAX_MS) : RETRY_MIN_MS;
		vol->retry_ms = now_ms(v) + vol->delay_ms;
		if (!v->tearing) {
			arena_init(&a);
			v->o.failed(v->o.user_data,
				arena_fmt(&a, "MountVolume.SetUp failed for volume \"%s\" : %s",
					vol->name, err_text(err)));
			arena_release(&a);
		}
	} else {
		vol->delay_ms = vol->retry_ms = 0;
		vol->mounted = true;
	}
	v->o.changed(v->o.user_data);
}

static void got_payload(
	void *user_data, const struct payload *p, int64_t refresh_ms, struct err *err)
{
	struct volume *vol = user_data;
	struct volumes *v = vol->owner;
	struct err bad CLEANUP(err_release) = {0};
	int r = 0;

	if (err || v->freed || v->tearing) {
		volume_done(vol, err);
		return;
	}
	if (vol->in_memory)
		r = memory_dir_make(vol->path, 0, &bad);
	else if ((r = files_make_dir(vol->path, 0755)) < 0)
		err_errno(&bad, -r, "mkdir %s", vol->path);
	if (r == 0 && !vol->mounted && chmod(vol->path, 0777) < 0)
		r = err_errno(&bad, errno, "chmod %s", vol->path);
	if (r == 0 && !vol->mounted && p->fs_group >= 0 &&
		(chown(vol->path, (uid_t)-1, (gid_t)p->fs_group) < 0 ||
			chmod(vol->path, 02777) < 0))
		r = err_errno(&bad, errno, "applying fsGroup to %s", vol->path);
	if (r == 0)
		r = atomic_write(vol->path, p, loop_wall_ns(v->o.k->loop), &bad);
	vol->refresh_ms = refresh_ms ? now_ms(v) + refresh_ms : 0;
	volume_done(vol, r < 0 ? &bad : NULL);
}

static void got_claim(void *user_data, struct str path, struct err *err)
{
	struct volume *vol = user_data;
	struct arena a;

	if (!err && !vol->owner->freed) {
		arena_init(&a);
		free(vol->path);
		vol->path = xstrdup(arena_cstr(&a, path));
		arena_release(&a);
	}
	volume_done(vol, err);
}

static int64_t fs_group_of(const struct v1_pod *pod)
{
	const struct v1_pod_security_context *sc = pod->spec.security_context;

	return sc && sc->fs_group ? *sc->fs_group : -1;
}

static void set_up(struct volume *vol, const struct v1_volume *spec, const struct pod_facts *facts)
{
	struct volumes *v = vol->owner;
	struct err err CLEANUP(err_release) = {0};
	int r = 0;

	vol->busy = true;
	vol->stale = false;
	v->busy++;
	if (vol->payload) {
		payload_gather(&(struct payload_request){.client = v->o.k->client,
			.objects = v->o.k->objects,
			.facts = *facts,
			.volume = spec,
			.user_data = vol,
			.done = got_payload});
		return;
	}
	if (spec->persistent_volume_claim || spec->ephemeral) {
		claim_resolve(v->o.k, facts->pod, spec, got_claim, vol);
		return;
	}
	if (spec->empty_dir)
		r = empty_dir_make(vol->path, spec->empty_dir,
			pod_resource_sums(facts->pod).memory_limit, fs_group_of(facts->pod), &err);
	else if (spec->host_path)
		r = host_path_check(spec->host_path->path, spec->host_path->type, &err);
	else if (!spec->image)
		r = err_bad_request(&err, "no volume plugin on this node supports it");
	volume_done(vol, r < 0 ? &err : NULL);
}

/* --- the list --- */

static void refer(void *user_data, const struct schema_resource *res, struct str name)
{
	struct volume *vol = user_data;
	struct arena a;

	arena_init(&a);
	vol->refs.v = xrealloc(vol->refs.v, (vol->refs.n + 1) * sizeof(*vol->refs.v));
	vol->refs.v[vol->refs.n].res = res;
	vol->refs.v[vol->refs.n++].name = xstrdup(arena_cstr(&a, name));
	arena_release(&a);
	objects_watch(vol->owner->o.k->objects, res, vol->owner->o.ns, name);
}

static const char *plugin_of(const struct v1_volume *s)
{
	return s->config_map     ? "configmap"
	       : s->secret       ? "secret"
	       : s->downward_api ? "downward-api"
	       : s->projected    ? "projected"
				 : "empty-dir";
}

static bool has_token(const struct v1_volume *s)
{
	for (size_t i = 0; s->projected && i < s->projected->sources.n; i++)
		if (s->projected->sources.v[i].service_account_token ||
			s->projected->sources.v[i].secret)
			return true;
	return s->secret != NULL;
}

static struct volume *volume_new(struct volumes *v, const struct v1_volume *s)
{
	struct volume *vol = xcalloc(1, sizeof(*vol));
	struct arena a;

	arena_init(&a);
	vol->owner = v;
	vol->name = xstrdup(arena_cstr(&a, s->name));
	vol->payload = volume_is_payload(s);
	vol->in_memory = has_token(s);
	if (s->host_path)
		vol->path = xstrdup(arena_cstr(&a, s->host_path->path));
	else if (!s->image)
		vol->path = xasprintf("%s/pods/" STR_FMT "/volumes/kubernetes.io~%s/%s",
			v->o.k->opts.root_dir, STR_ARG(v->o.uid), plugin_of(s), vol->name);
	vol->next = v->list;
	v->list = vol;
	if (vol->payload)
		payload_references(s, refer, vol);
	arena_release(&a);
	return vol;
}

static void rearm(struct volumes *v)
{
	int64_t next = 0, now = now_ms(v);

	for (struct volume *vol = v->list; vol; vol = vol->next) {
		int64_t due = vol->retry_ms ? vol->retry_ms : vol->mounted ? vol->refresh_ms : 0;

		if (due && !vol->busy && (next == 0 || due < next))
			next = due;
	}
	if (next)
		loop_timer_start(&v->timer, MAX(next - now, 1));
	else
		loop_timer_stop(&v->timer);
}

bool volumes_sync(struct volumes *v, const struct pod_facts *facts)
{
	const struct v1_volume_vec *specs = &facts->pod->spec.volumes;
	bool all = true;

	if (v->tearing)
		return false;
	for (size_t i = 0; i < specs->n; i++) {
		struct volume *vol = find(v, specs->v[i].name);
		int64_t now = now_ms(v);

		if (!vol)
			vol = volume_new(v, &specs->v[i]);
		if (vol->mounted && vol->refresh_ms && now >= vol->refresh_ms)
			vol->stale = true;
		if (!vol->busy && (!vol->mounted || vol->stale) && now >= vol->retry_ms)
			set_up(vol, &specs->v[i], facts);
		all &= vol->mounted;
	}
	rearm(v);
	return all;
}

void volumes_object_changed(struct volumes *v, const struct schema_resource *res, struct str name)
{
	for (struct volume *vol = v->list; vol; vol = vol->next)
		for (size_t i = 0; i < vol->refs.n; i++)
			if (vol->refs.v[i].res == res && str_eqc(name, vol->refs.v[i].name))
				vol->stale = true;
}

void volumes_pod_changed(struct volumes *v)
{
	for (struct volume *vol = v->list; vol; vol = vol->next)
		vol->stale |= vol->payload;
}

struct str volumes_path(const struct volumes *v, struct str name)
{
	const struct volume *vol = find(v, name);

	return vol && vol->path ? str_c(vol->path) : (struct str){0};
}

bool volume_is_read_only(const struct v1_volume *v)
{
	return volume_is_payload(v);
}

struct str volumes_waiting_for(const struct volumes *v)
{
	for (const struct volume *vol = v->list; vol; vol = vol->next)
		if (!vol->mounted)
			return str_c(vol->name);
	return (struct str){0};
}

/* --- taking down --- */

static void remove_work(uv_work_t *w)
{
	struct volumes *v = w->data;
	char *dir = xasprintf("%s/pods/" STR_FMT, v->o.k->opts.root_dir, STR_ARG(v->o.uid));
	char *sub = xasprintf("%s/volumes", dir), *paths = xasprintf("%s/volume-subpaths", dir);

	v->mounts_left = files_unmount_below(dir);
	if (v->mounts_left == 0) {
		files_remove_tree(paths);
		files_remove_tree(sub);
	}
	free(paths);
	free(sub);
	free(dir);
}

static void removed(uv_work_t *w, int status)
{
	struct volumes *v = w->data;
	struct err err CLEANUP(err_release) = {0};

	(void)status;
	v->busy--;
	if (v->freed) {
		if (v->busy == 0)
			really_free(v);
		return;
	}
	if (v->mounts_left)
		err_internal(&err, "%d mounts of the pod cannot be unmounted", v->mounts_left);
	v->tearing = false;
	v->torn_down(v->o.user_data, v->mounts_left ? &err : NULL);
}

void volumes_teardown(struct volumes *v, void (*done)(void *user_data, struct err *err))
{
	v->tearing = true;
	v->torn_down = done;
	v->work.data = v;
	v->busy++;
	while (v->list && !v->list->busy) {
		struct volume *vol = v->list;

		v->list = vol->next;
		volume_free(vol);
	}
	uv_queue_work(loop_uv(v->o.k->loop), &v->work, remove_work, removed);
}

/* --- subPath --- */

static int prepare_target(const char *target, bool is_dir, struct err *err)
{
	char *slash = strrchr(target, '/');
	char *dir = xasprintf("%.*s", (int)(slash - target), target);
	int r = files_make_dir(dir, 0750), fd;

	free(dir);
	umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW);
	if (r == 0 && is_dir && mkdir(target, 0750) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0 && !is_dir) {
		fd = open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);
		if (fd < 0)
			r = -errno;
		else
			close(fd);
	}
	return r < 0 ? err_errno(err, -r, "%s", target) : 0;
}

int volumes_subpath(struct volumes *v, struct arena *a, struct str volume, struct str sub,
	struct str container, size_t mount_index, bool read_only, struct str *ret, struct err *err)
{
	struct str base = volumes_path(v, volume);
	struct str target =
		arena_fmt(a, "%s/pods/" STR_FMT "/volume-subpaths/" STR_FMT "/" STR_FMT "/%zu",
			v->o.k->opts.root_dir, STR_ARG(v->o.uid), STR_ARG(volume),
			STR_ARG(container), mount_index);
	struct stat st;
	char from[64];
	int fd, r;

	fd = files_open_beneath(base.p, sub, !read_only);
	if (fd < 0) {
		log_warn("pod " STR_FMT "/" STR_FMT ": subPath " STR_FMT " of volume " STR_FMT
			 ": %s",
			STR_ARG(v->o.ns), STR_ARG(v->o.name), STR_ARG(sub), STR_ARG(volume),
			strerror(-fd));
		return err_bad_request(err,
			"failed to prepare subPath for volumeMount \"" STR_FMT
			"\" of container \"" STR_FMT "\"",
			STR_ARG(volume), STR_ARG(container));
	}
	r = fstat(fd, &st) < 0 ? err_errno(err, errno, "subPath") : 0;
	if (r == 0)
		r = prepare_target(target.p, S_ISDIR(st.st_mode), err);
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if (r == 0 && mount(from, target.p, NULL, MS_BIND | MS_REC, NULL) < 0)
		r = err_errno(err, errno, "binding %s", target.p);
	close(fd);
	if (r == 0)
		*ret = target;
	return r;
}

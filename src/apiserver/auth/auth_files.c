#include "apiserver/auth/auth_files.h"

#include <pthread.h>

#include "apiserver/auth/authz_chain.h"
#include "apiserver/auth/config_file.h"
#include "apiserver/auth/oidc.h"

enum { REPLACED_MAX = 1000 }; /* configurations that are kept for requests that still ask them */
#define LOOK_AGAIN_NS INT64_C(1000000000)

struct auth_files {
	struct arena arena;
	struct authz_opts authz;
	struct auth_opts authn; /* what authn_config_make looks at */
	struct followed_file authz_file, authn_file;
	bool has_anonymous, anonymous; /* as the file said at first: must not change */
	struct str_vec anonymous_paths;
	unsigned replaced;
	_Atomic int64_t next_ns;
	pthread_mutex_t lock; /* one thread looks */
};

/* --- opening --- */

static const char *copy(struct arena *a, const char *path)
{
	return path ? arena_strc(a, path).p : NULL;
}

static void keep_opts(struct auth_files *f, const struct auth_opts *o)
{
	f->authz = (struct authz_opts){.config_file = copy(&f->arena, o->authz.config_file),
		.policy_file = copy(&f->arena, o->authz.policy_file)};
	f->authn = (struct auth_opts){.authn_config_file = copy(&f->arena, o->authn_config_file),
		.anonymous_given = o->anonymous_given};
}

static int open_authz(struct auth *a, const struct authz_opts *o, struct err *err)
{
	struct auth_files *f = a->files;
	struct authz_chain *chain;
	struct arena scratch = {0};
	struct str text;
	int r = authz_opts_check(o, err);

	if (r == 0 && !o->config_file) {
		r = authz_chain_new(o, &chain, err);
	} else if (r == 0) {
		r = config_read(o->config_file, &scratch, &text, err);
		if (r == 0)
			r = authz_chain_from_config(o, text, NULL, &chain, err);
		if (r == 0)
			followed_file_init(&f->authz_file, f->authz.config_file, text);
	}
	arena_release(&scratch);
	if (r == 0)
		a->chain = chain;
	return r;
}

static int open_authn(struct auth *a, const struct auth_opts *o, struct err *err)
{
	struct auth_files *f = a->files;
	struct authn_config c;
	struct arena scratch = {0};
	struct str text = S("");
	struct err why CLEANUP(err_release) = {0};
	int r = 0;

	if (o->authn_config_file) {
		r = config_read(o->authn_config_file, &scratch, &text, &why);
		if (r < 0)
			r = err_bad_request(err,
				"failed to load authentication configuration from file \"%s\": %s",
				o->authn_config_file, err_text(&why));
	}
	if (r == 0)
		r = authn_config_make(o, text, &a->issuers, &f->arena, &c, err);
	if (r == 0 && o->authn_config_file)
		followed_file_init(&f->authn_file, f->authn.authn_config_file, text);
	if (r == 0) {
		a->issuers_jwt = c.issuers;
		if (c.has_anonymous)
			a->no_anonymous = !c.anonymous;
		f->has_anonymous = c.has_anonymous;
		f->anonymous = c.anonymous;
		for (size_t i = 0; i < c.anonymous_paths.n; i++)
			ARENA_PUSH(&f->arena, &f->anonymous_paths,
				arena_str(&f->arena, c.anonymous_paths.v[i]));
		a->anonymous_paths = f->anonymous_paths;
	}
	arena_release(&scratch);
	return r;
}

int auth_files_open(struct auth *a, const struct auth_opts *o, struct err *err)
{
	struct auth_files *f = a->files = xcalloc(1, sizeof(*f));
	int r;

	pthread_mutex_init(&f->lock, NULL);
	keep_opts(f, o);
	r = open_authz(a, &o->authz, err);
	if (r == 0)
		r = open_authn(a, o, err);
	if (r == 0 && !a->no_anonymous && str_vec_has(&o->authz.modes, S("AlwaysAllow"))) {
		log_warn("AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting "
			 "AnonymousAuth to false. You should use a different authorizer");
		a->no_anonymous = true;
	}
	return r;
}

void auth_files_close(struct auth_files *f)
{
	if (!f)
		return;
	followed_file_release(&f->authz_file);
	followed_file_release(&f->authn_file);
	pthread_mutex_destroy(&f->lock);
	arena_release(&f->arena);
	free(f);
}

/* --- following --- */

static void follow_authz(struct auth *a, struct auth_files *f)
{
	struct err why CLEANUP(err_release) = {0};
	struct authz_chain *next, *now = a->chain;

	if (authz_chain_from_config(&f->authz, f->authz_file.text, now, &next, &why) < 0) {
		log_error("failed to reload authorization config: %s", err_text(&why));
		return;
	}
	next->replaced = now;
	a->chain = next;
	f->replaced++;
	log_info("reloaded authorization config");
}

static bool same_anonymous(const struct auth_files *f, const struct authn_config *c)
{
	bool same = c->has_anonymous == f->has_anonymous && c->anonymous == f->anonymous &&
		    c->anonymous_paths.n == f->anonymous_paths.n;

	for (size_t i = 0; same && i < f->anonymous_paths.n; i++)
		same = str_eq(f->anonymous_paths.v[i], c->anonymous_paths.v[i]);
	return same;
}

static void follow_authn(struct auth *a, struct auth_files *f)
{
	struct err why CLEANUP(err_release) = {0};
	struct jwt_issuers *now = a->issuers_jwt, *next;
	struct arena scratch = {0};
	struct authn_config c;
	int r = authn_config_make(&f->authn, f->authn_file.text, &a->issuers, &scratch, &c, &why);

	if (r == 0 && !same_anonymous(f, &c)) {
		jwt_issuers_free(c.issuers);
		r = err_bad_request(
			&why, "anonymous: Forbidden: changed from initial configuration file");
	}
	arena_release(&scratch);
	if (r < 0) {
		log_error("failed to load authentication config: %s", err_text(&why));
		return;
	}
	next = c.issuers ? c.issuers : xcalloc(1, sizeof(*next));
	next->replaced = now;
	a->issuers_jwt = next;
	f->replaced++;
	log_info("reloaded authentication config");
}

void auth_files_follow(struct auth *a, int64_t now_ns)
{
	struct auth_files *f = a->files;

	if ((!f->authz_file.path && !f->authn_file.path) || now_ns < f->next_ns ||
		f->replaced >= REPLACED_MAX || pthread_mutex_trylock(&f->lock))
		return;
	if (now_ns >= f->next_ns) {
		f->next_ns = now_ns + LOOK_AGAIN_NS;
		if (f->authz_file.path && followed_file_changed(&f->authz_file))
			follow_authz(a, f);
		if (f->authn_file.path && followed_file_changed(&f->authn_file))
			follow_authn(a, f);
	}
	pthread_mutex_unlock(&f->lock);
}

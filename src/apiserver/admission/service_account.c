/* ServiceAccount: every pod runs as one, and gets its token, the cluster's CA and its namespace
 * mounted. */
#include "apiserver/admission/plugins.h"
#include "apiserver/server.h"

#define MOUNT_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define MIRROR "kubernetes.io/config.mirror"

enum { TOKEN_SECONDS = 3607, FILE_MODE = 0644, SUFFIX = 5 };

static const struct v1_service_account *find_account(
	struct admission_attrs *attrs, struct str name, struct err *err)
{
	const struct object *o =
		store_get(attrs->store, &v1_service_account_resource, attrs->ns, name);
	const struct v1_service_account *account = NULL;

	if (o)
		account = object_decode(object_ref_in(attrs->arena, o), attrs->arena);
	else
		admission_forbidden(attrs, err,
			"error looking up service account " STR_FMT "/" STR_FMT
			": serviceaccount \"" STR_FMT "\" not found",
			STR_ARG(attrs->ns), STR_ARG(name), STR_ARG(name));
	object_unref(o);
	return account;
}

static bool wants_token(const struct v1_service_account *account, const struct v1_pod *pod)
{
	if (pod->spec.automount_service_account_token)
		return *pod->spec.automount_service_account_token;
	return !account->automount_service_account_token ||
	       *account->automount_service_account_token;
}

/* A suffix of the alphabet that upstream's generated names have. */
static struct str random_name(struct admission_attrs *attrs, const char *prefix)
{
	static const char letters[] = "bcdfghjklmnpqrstvwxz2456789";
	uint64_t random = loop_random(attrs->server->opts.clock);
	char suffix[SUFFIX + 1] = "";

	for (int i = 0; i < SUFFIX; i++, random /= sizeof(letters) - 1)
		suffix[i] = letters[random % (sizeof(letters) - 1)];
	return arena_fmt(attrs->arena, "%s%s", prefix, suffix);
}

static void *boxed(struct arena *a, int64_t v)
{
	return arena_memdup(a, &v, sizeof(v));
}

static struct v1_volume access_volume(struct arena *a, struct str name)
{
	struct v1_projected_volume_source *projected =
		ARENA_NEW(a, struct v1_projected_volume_source);
	struct v1_service_account_token_projection *token =
		ARENA_NEW(a, struct v1_service_account_token_projection);
	struct v1_config_map_projection *ca = ARENA_NEW(a, struct v1_config_map_projection);
	struct v1_downward_api_projection *ns = ARENA_NEW(a, struct v1_downward_api_projection);
	struct v1_downward_api_volume_file file = {.path = S("namespace")};
	int32_t mode = FILE_MODE;

	token->path = S("token");
	token->expiration_seconds = boxed(a, TOKEN_SECONDS);
	ca->name = S("kube-root-ca.crt");
	ARENA_PUSH(
		a, &ca->items, ((struct v1_key_to_path){.key = S("ca.crt"), .path = S("ca.crt")}));
	file.field_ref = ARENA_NEW(a, struct v1_object_field_selector);
	file.field_ref->api_version = S("v1");
	file.field_ref->field_path = S("metadata.namespace");
	ARENA_PUSH(a, &ns->items, file);
	projected->default_mode = arena_memdup(a, &mode, sizeof(mode));
	ARENA_PUSH(a, &projected->sources,
		((struct v1_volume_projection){.service_account_token = token}));
	ARENA_PUSH(a, &projected->sources, ((struct v1_volume_projection){.config_map = ca}));
	ARENA_PUSH(a, &projected->sources, ((struct v1_volume_projection){.downward_api = ns}));
	return (struct v1_volume){.name = name, .projected = projected};
}

/* Mounts the volume into the containers that have nothing there yet; whether any needed it. */
static bool mount_into(struct arena *a, struct v1_container_vec *containers, struct str volume)
{
	bool any = false;

	for (size_t i = 0; i < containers->n; i++) {
		struct v1_volume_mount_vec *mounts = &containers->v[i].volume_mounts;
		bool taken = false;

		for (size_t m = 0; m < mounts->n; m++)
			taken |= str_eqc(mounts->v[m].mount_path, MOUNT_PATH);
		if (taken)
			continue;
		ARENA_PUSH(a, mounts,
			((struct v1_volume_mount){
				.name = volume, .read_only = true, .mount_path = S(MOUNT_PATH)}));
		any = true;
	}
	return any;
}

static void mount_token(struct admission_attrs *attrs, struct v1_pod *pod)
{
	struct str name = {0};
	bool have = false, used;

	for (size_t i = 0; i < pod->spec.volumes.n && !have; i++) {
		name = pod->spec.volumes.v[i].name;
		have = str_starts(name, S("kube-api-access-"));
	}
	if (!have)
		name = random_name(attrs, "kube-api-access-");
	used = mount_into(attrs->arena, &pod->spec.init_containers, name);
	used |= mount_into(attrs->arena, &pod->spec.containers, name);
	if (used && !have)
		ARENA_PUSH(attrs->arena, &pod->spec.volumes, access_volume(attrs->arena, name));
}

static int check_mirror(struct admission_attrs *attrs, const struct v1_pod *pod, struct err *err)
{
	if (pod->spec.service_account_name.n)
		return admission_forbidden(
			attrs, err, "a mirror pod may not reference service accounts");
	for (size_t i = 0; i < pod->spec.volumes.n; i++) {
		const struct v1_volume *v = &pod->spec.volumes.v[i];

		if (v->secret)
			return admission_forbidden(
				attrs, err, "a mirror pod may not reference secrets");
		for (size_t s = 0; v->projected && s < v->projected->sources.n; s++)
			if (v->projected->sources.v[s].service_account_token)
				return admission_forbidden(attrs, err,
					"a mirror pod may not use ServiceAccountToken volume "
					"projections");
	}
	return 0;
}

/* A server without a key to sign with makes no tokens: what the story said when the controller
 * manager had been given none. */
static int no_token(const struct v1_service_account *account, struct err *err)
{
	err_fmt(err, 500, "ServerTimeout",
		"No API token found for service account \"" STR_FMT
		"\", retry after the token is automatically created and added to the service "
		"account",
		STR_ARG(account->metadata.name));
	err_details(err, S(""), S("serviceaccounts"), S("create pod"), S(""));
	if (err)
		err->retry_after_s = 1;
	return -EAGAIN;
}

static int check_created(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_pod *pod = attrs->obj;

	if (!admission_is(attrs, &v1_pod_resource))
		return 0;
	if (str_map_get(&pod->metadata.annotations, S(MIRROR)))
		return check_mirror(attrs, pod, err);
	if (!pod->spec.service_account_name.n)
		return admission_forbidden(attrs, err,
			"no service account specified for pod " STR_FMT "/" STR_FMT,
			STR_ARG(attrs->ns), STR_ARG(pod->metadata.name));
	return find_account(attrs, pod->spec.service_account_name, err) ? 0 : -EACCES;
}

static int admit(struct admission_attrs *attrs, struct err *err)
{
	const struct v1_service_account *account;
	struct v1_pod *pod = attrs->obj;

	if (attrs->resource != &v1_pod_resource || attrs->subresource.n)
		return 0;
	if (str_map_get(&pod->metadata.annotations, S(MIRROR)))
		return check_mirror(attrs, pod, err);
	if (!pod->spec.service_account_name.n)
		pod->spec.service_account_name = S("default");
	pod->spec.service_account = pod->spec.service_account_name;
	account = find_account(attrs, pod->spec.service_account_name, err);
	if (!account)
		return -EACCES;
	if (wants_token(account, pod)) {
		if (!attrs->server->opts.service_account_key_pem.n)
			return no_token(account, err);
		mount_token(attrs, pod);
	}
	if (!pod->spec.image_pull_secrets.n)
		pod->spec.image_pull_secrets = account->image_pull_secrets;
	return 0;
}

const struct admission_plugin admission_service_account = {
	.name = "ServiceAccount",
	.ops = ADMIT_CREATE,
	.admit = admit,
	.validate = check_created,
};

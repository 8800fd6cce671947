#include "client/kubeconfig.h"

#include "base/file.h"
#include "json/value.h"
#include "base/base64.h"
#include "schema/schema.h"

enum { FILE_MAX = 1 << 20 };

struct reading {
	const char *path;
	struct arena *arena;
	struct err *err;
};

/* The part `inner` of the entry called `name` in the list `list`. */
static struct json_value *find_entry(
	const struct json_value *config, const char *list, struct str name, const char *inner)
{
	const struct json_value *entries = json_getc(config, list);

	for (size_t i = 0; entries && entries->kind == JSON_ARRAY && i < entries->items.n; i++)
		if (str_eq(json_get_str(entries->items.v[i], "name"), name))
			return json_getc(entries->items.v[i], inner);
	return NULL;
}

/* Relative to the kubeconfig's own folder, as everywhere. */
static struct str path_beside(const struct reading *r, struct str file)
{
	struct str path = str_c(r->path);
	ssize_t slash = str_rchr(path, '/');

	if (slash >= 0 && !str_starts(file, S("/")))
		return arena_fmt(r->arena, "%.*s/" STR_FMT, (int)slash, path.p, STR_ARG(file));
	return arena_str(r->arena, file);
}

static int read_beside(struct reading *r, struct str file, struct str *ret)
{
	return file_read(path_beside(r, file).p, FILE_MAX, r->arena, ret, r->err);
}

/* `<name>-data` in base64, or the file called `<name>`. Neither: stays empty. */
static int read_pem(struct reading *r, const struct json_value *v, const char *name,
	struct str *ret, struct str *ret_file)
{
	struct str key = arena_fmt(r->arena, "%s-data", name);
	struct str data = json_get_str(v, key.p), file = json_get_str(v, name);

	if (!str_empty(data)) {
		if (base64_decode(data, r->arena, ret) != 0)
			return err_bad_request(r->err, "%s: %s is not base64", r->path, key.p);
		return 0;
	}
	if (str_empty(file))
		return 0;
	*ret_file = path_beside(r, file);
	return read_beside(r, file, ret);
}

static int read_cluster(struct reading *r, const struct json_value *cluster, struct kubeconfig *k)
{
	const struct json_value *insecure = json_getc(cluster, "insecure-skip-tls-verify");

	k->server = json_get_str(cluster, "server");
	k->tls_server_name = json_get_str(cluster, "tls-server-name");
	k->insecure = insecure && insecure->kind == JSON_BOOL && insecure->boolean;
	if (str_empty(k->server))
		return err_bad_request(
			r->err, "%s: the cluster of the context has no server", r->path);
	return read_pem(r, cluster, "certificate-authority", &k->ca_pem, &(struct str){0});
}

static int read_user(struct reading *r, const struct json_value *user, struct kubeconfig *k)
{
	struct str file = json_get_str(user, "tokenFile");
	int ret;

	k->token = json_get_str(user, "token");
	if (str_empty(k->token) && !str_empty(file)) {
		ret = read_beside(r, file, &k->token);
		if (ret < 0)
			return ret;
		k->token = str_trim(k->token);
	}
	ret = read_pem(r, user, "client-certificate", &k->cert_pem, &k->cert_file);
	return ret < 0 ? ret : read_pem(r, user, "client-key", &k->key_pem, &k->key_file);
}

static int read_context(
	struct reading *r, const struct json_value *config, struct str name, struct kubeconfig *k)
{
	const struct json_value *context, *cluster, *user;
	int ret;

	context = find_entry(config, "contexts", name, "context");
	if (!context)
		return err_bad_request(
			r->err, "%s: there is no context \"" STR_FMT "\"", r->path, STR_ARG(name));
	cluster = find_entry(config, "clusters", json_get_str(context, "cluster"), "cluster");
	if (!cluster)
		return err_bad_request(r->err,
			"%s: the cluster of context \"" STR_FMT "\" is not there", r->path,
			STR_ARG(name));
	k->ns = json_get_str(context, "namespace");
	ret = read_cluster(r, cluster, k);
	user = find_entry(config, "users", json_get_str(context, "user"), "user");
	return ret < 0 || !user ? ret : read_user(r, user, k);
}

int kubeconfig_read(const char *path, const char *context, struct kubeconfig *ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct reading r = {path, &ret->arena, err};
	struct json_value *config;
	struct str text, json;
	int rc;

	*ret = (struct kubeconfig){0};
	rc = file_read(path, FILE_MAX, r.arena, &text, err);
	if (rc < 0)
		return rc;
	if (yaml_to_json(text, r.arena, &json, NULL, &why) < 0 ||
		json_parse(json, r.arena, &config, &why) < 0)
		return err_bad_request(err, "%s: %s", path, err_text(&why));
	return read_context(&r, config,
		context ? str_c(context) : json_get_str(config, "current-context"), ret);
}

void kubeconfig_release(struct kubeconfig *k)
{
	arena_release(&k->arena);
	*k = (struct kubeconfig){0};
}

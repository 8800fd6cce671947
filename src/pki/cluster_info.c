#include "pki/cluster_info.h"

#include "json/value.h"
#include "pki/bootstrap_token.h"
#include "base/base64.h"
#include "schema/schema.h"

enum { TEXT_MAX = 256 * 1024 };

struct str cluster_info_kubeconfig(struct arena *a, const struct cluster_info *info)
{
	bool v6 = str_chr(info->address, ':') >= 0;
	struct str text;
	struct buf b;

	buf_init(&b, TEXT_MAX);
	buf_add_c(&b, "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ");
	base64_encode(info->ca_pem, &b);
	if (info->pods.n || info->services.n)
		buf_fmt(&b,
			"\n    extensions:\n    - extension:\n        pods: \"" STR_FMT
			"\"\n        services: \"" STR_FMT
			"\"\n      name: " CLUSTER_INFO_EXTENSION,
			STR_ARG(info->pods), STR_ARG(info->services));
	buf_fmt(&b, "\n    server: https://%s" STR_FMT "%s:%d\n  name: \"\"\n", v6 ? "[" : "",
		STR_ARG(info->address), v6 ? "]" : "", info->port);
	buf_add_c(&b, "contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n");
	text = arena_str(a, buf_str(&b));
	buf_release(&b);
	return text;
}

static const struct json_value *extension_of(const struct json_value *cluster)
{
	const struct json_value *list = json_getc(cluster, "extensions");

	for (size_t i = 0; list && list->kind == JSON_ARRAY && i < list->items.n; i++)
		if (str_eqc(json_get_str(list->items.v[i], "name"), CLUSTER_INFO_EXTENSION))
			return json_getc(list->items.v[i], "extension");
	return NULL;
}

int cluster_info_read(
	struct str kubeconfig, struct arena *a, struct cluster_info *ret, struct err *err)
{
	struct err why CLEANUP(err_release) = {0};
	struct cluster_info info = {0};
	const struct json_value *clusters, *cluster = NULL, *networks;
	struct json_value *config;
	struct str json, data;

	if (yaml_to_json(kubeconfig, a, &json, NULL, &why) < 0 ||
		json_parse(json, a, &config, &why) < 0)
		return err_bad_request(err, "cluster-info is no kubeconfig: %s", err_text(&why));
	clusters = json_getc(config, "clusters");
	if (clusters && clusters->kind == JSON_ARRAY && clusters->items.n)
		cluster = json_getc(clusters->items.v[0], "cluster");
	data = json_get_str(cluster, "certificate-authority-data");
	if (!data.n || base64_decode(data, a, &info.ca_pem) != 0 || !info.ca_pem.n)
		return err_bad_request(err, "cluster-info names no CA");
	networks = extension_of(cluster);
	info.pods = json_get_str(networks, "pods");
	info.services = json_get_str(networks, "services");
	*ret = info;
	return 0;
}

struct str cluster_info_signature(const struct str_map *data, struct str token_id)
{
	struct str prefix = S(BOOTSTRAP_JWS_PREFIX);

	for (size_t i = 0; i < data->n; i++)
		if (str_starts(data->v[i].key, prefix) &&
			str_eq(str_sub(data->v[i].key, prefix.n, data->v[i].key.n), token_id))
			return data->v[i].value;
	return S("");
}

/* volume_sources.c: the kinds of volumes a pod can have; exactly one per volume. */
#include "apiserver/validation/names.h"
#include "apiserver/validation/pod.h"
#include "apiserver/validation/storage.h"
#include "schema/quantity.h"

static void require(struct str v, const struct field_path *p, struct field_errors *e)
{
	if (v.n == 0)
		field_required(e, p, "");
}

void validate_host_path(const struct v1_host_path_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const kinds[] = {"", "BlockDevice", "CharDevice", "Directory",
		"DirectoryOrCreate", "File", "FileOrCreate", "Socket", NULL};

	if (v->path.n == 0) {
		field_required(e, AT(p, "path"), "");
		return;
	}
	validate_path_no_backsteps(v->path, AT(p, "path"), e);
	if (v->type.p)
		field_one_of(e, AT(p, "type"), v->type, kinds);
}

static void validate_git_repo(const struct v1_git_repo_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	require(v->repository, AT(p, "repository"), e);
	validate_local_descending_path(v->directory, AT(p, "directory"), e);
}

/* Partitions count from 1, but 0 means the whole disk: the check and its words differ, upstream
 * too. */
void validate_disk(struct str id, int32_t partition, const struct field_path *id_path,
	const struct field_path *p, struct field_errors *e)
{
	require(id, id_path, e);
	if (partition < 0 || partition > 255)
		field_invalid_int(
			e, AT(p, "partition"), partition, "must be between 1 and 255, inclusive");
}

static void validate_items(
	const struct v1_key_to_path_vec *items, const struct field_path *p, struct field_errors *e)
{
	struct field_path list = FIELD(p, "items");

	for (size_t i = 0; i < items->n; i++)
		validate_key_to_path(&items->v[i], AT_INDEX(&list, i), e);
}

static void validate_secret(
	const struct v1_secret_volume_source *v, const struct field_path *p, struct field_errors *e)
{
	require(v->secret_name, AT(p, "secretName"), e);
	validate_file_mode(v->default_mode, AT(p, "defaultMode"), e);
	validate_items(&v->items, p, e);
}

static void validate_config_map(const struct v1_config_map_volume_source *v,
	const struct field_path *p, struct field_errors *e)
{
	require(v->name, AT(p, "name"), e);
	validate_file_mode(v->default_mode, AT(p, "defaultMode"), e);
	validate_items(&v->items, p, e);
}

void validate_nfs(
	const struct v1_nfs_volume_source *v, const struct field_path *p, struct field_errors *e)
{
	require(v->server, AT(p, "server"), e);
	require(v->path, AT(p, "path"), e);
	if (!str_starts(v->path, S("/")))
		field_invalid(e, AT(p, "path"), v->path, "must be an absolute path");
}

static bool all_alnum(struct str s, size_t n)
{
	if (s.n != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!((s.p[i] | 32) >= 'a' && (s.p[i] | 32) <= 'z') &&
			!(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

/* iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$ */
static bool iqn_matches(struct str s)
{
	ssize_t colon = str_chr(s, ':');

	if (s.n < 12 || s.p[3] != '.' || s.p[8] != '-' || s.p[11] != '.' || colon <= 12 ||
		(size_t)colon + 1 >= s.n)
		return false;
	for (int i = 4; i < 11; i++)
		if (i != 8 && (s.p[i] < '0' || s.p[i] > '9'))
			return false;
	for (ssize_t i = 12; i < colon; i++)
		if (!all_alnum(str_sub(s, (size_t)i, (size_t)i + 1), 1) && s.p[i] != '-' &&
			s.p[i] != '.')
			return false;
	for (size_t i = (size_t)colon + 1; i < s.n; i++)
		if (strchr(",;*&$| \t\n\r\f\v", s.p[i]))
			return false;
	return true;
}

bool iscsi_name_known(struct str s)
{
	return str_starts(s, S("iqn")) || str_starts(s, S("eui")) || str_starts(s, S("naa"));
}

bool iscsi_name_matches(struct str s)
{
	if (str_starts(s, S("iqn")))
		return iqn_matches(s);
	if (str_starts(s, S("eui")))
		return s.n == 20 && all_alnum(str_sub(s, 4, s.n), 16);
	return !str_starts(s, S("naa")) || (s.n == 36 && all_alnum(str_sub(s, 4, s.n), 32));
}

static void validate_iscsi(const struct v1_iscsi_volume_source *v, struct str name,
	const struct field_path *p, const struct field_path *volume, struct field_errors *e)
{
	static const char known[] = "must be valid format starting with iqn, eui, or naa";

	require(v->target_portal, AT(p, "targetPortal"), e);
	if (v->iqn.n == 0)
		field_required(e, AT(p, "iqn"), "");
	else if (!iscsi_name_known(v->iqn))
		field_invalid(e, AT(p, "iqn"), v->iqn, known);
	else if (!iscsi_name_matches(v->iqn))
		field_invalid(e, AT(p, "iqn"), v->iqn, "must be valid format");
	if (v->lun < 0 || v->lun > 255)
		field_invalid_int(e, AT(p, "lun"), v->lun, "must be between 0 and 255, inclusive");
	if ((v->chap_auth_discovery || v->chap_auth_session) && !v->secret_ref)
		field_required(e, AT(p, "secretRef"), "");
	if (!v->initiator_name.p)
		return;
	if (!iscsi_name_known(v->initiator_name))
		field_invalid(e, AT(p, "initiatorname"), v->initiator_name, known);
	if (!iscsi_name_matches(v->initiator_name))
		field_invalid(e, AT(p, "initiatorname"), v->initiator_name, "must be valid format");
	if (name.n + 1 + v->target_portal.n > 64)
		field_invalid(e, AT(volume, "name"), name,
			"Total length of <volume name>:<iscsi.targetPortal> must be under 64 "
			"characters "
			"if iscsi.initiatorName is specified.");
}

void validate_quobyte(const struct v1_quobyte_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	static const char pairs[] =
		"must be a host:port pair or multiple pairs separated by commas";
	struct str pair, rest = v->registry;

	if (v->registry.n == 0)
		field_required(e, AT(p, "registry"), pairs);
	else if (v->tenant.n >= 65)
		field_required(e, AT(p, "tenant"),
			"must be a UUID and may not exceed a length of 64 characters");
	else
		for (bool more = true; more;) {
			more = str_cut(rest, ',', &pair, &rest);
			ssize_t colon = str_chr(pair, ':');
			if (colon < 0 || (pair.p[0] != '[' && colon != str_rchr(pair, ':')))
				field_invalid(e, AT(p, "registry"), v->registry, pairs);
		}
	require(v->volume, AT(p, "volume"), e);
}

void validate_flocker(const struct v1_flocker_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	if (v->dataset_name.n == 0 && v->dataset_uuid.n == 0)
		field_required(e, p, "one of datasetName and datasetUUID is required");
	if (v->dataset_name.n && v->dataset_uuid.n)
		field_invalid(e, p, S("resource"),
			"datasetName and datasetUUID can not be specified simultaneously");
	if (str_chr(v->dataset_name, '/') >= 0)
		field_invalid(e, AT(p, "datasetName"), v->dataset_name, "must not contain '/'");
}

void validate_fc(
	const struct v1_fc_volume_source *v, const struct field_path *p, struct field_errors *e)
{
	if (v->target_wwns.n == 0 && v->wwids.n == 0)
		field_required(e, AT(p, "targetWWNs"),
			"must specify either targetWWNs or wwids, but not both");
	if (v->target_wwns.n && v->wwids.n)
		field_invalid_raw(e, AT(p, "targetWWNs"), str_vec_json(e->arena, &v->target_wwns),
			"targetWWNs and wwids can not be specified simultaneously");
	if (v->target_wwns.n == 0)
		return;
	if (!v->lun)
		field_required(e, AT(p, "lun"), "lun is required if targetWWNs is specified");
	else if (*v->lun < 0 || *v->lun > 255)
		field_invalid_int(e, AT(p, "lun"), *v->lun, "must be between 0 and 255, inclusive");
}

void validate_flex_options(struct str driver, const struct str_map *options,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path at = FIELD(p, "options");

	require(driver, AT(p, "driver"), e);
	for (size_t i = 0; i < options->n; i++) {
		struct str key = options->v[i].key, ns, rest;

		if (!str_cut(key, '/', &ns, &rest))
			ns = key;
		ns = arena_fmt(e->arena, "." STR_FMT, STR_ARG(ns));
		for (size_t k = 0; k < ns.n; k++)
			if (ns.p[k] >= 'A' && ns.p[k] <= 'Z')
				((char *)ns.p)[k] += 'a' - 'A';
		if (str_ends(ns, S(".kubernetes.io")) || str_ends(ns, S(".k8s.io")))
			field_invalid(e, AT_KEY(&at, key), key,
				"kubernetes.io and k8s.io namespaces are reserved");
	}
}

void validate_azure_disk(const struct v1_azure_disk_volume_source *v, const struct field_path *p,
	struct field_errors *e)
{
	static const char *const modes[] = {"None", "ReadOnly", "ReadWrite", NULL};
	static const char *const kinds[] = {"Dedicated", "Managed", "Shared", NULL};
	static const char *const managed[] = {"/subscriptions/{sub-id}/resourcegroups/{group-name}/"
					      "providers/microsoft.compute/disks/{disk-id}",
		NULL};
	static const char *const blob[] = {
		"https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
		NULL};

	require(v->disk_name, AT(p, "diskName"), e);
	require(v->disk_uri, AT(p, "diskURI"), e);
	if (v->caching_mode.p)
		field_one_of(e, AT(p, "cachingMode"), v->caching_mode, modes);
	if (!v->kind.p)
		return;
	field_one_of(e, AT(p, "kind"), v->kind, kinds);
	if (str_eqc(v->kind, "Managed")) {
		if (!str_starts(v->disk_uri, S("/subscriptions/")))
			field_not_supported(e, AT(p, "diskURI"), v->disk_uri, managed);
	} else if (!str_starts(v->disk_uri, S("https://"))) {
		field_not_supported(e, AT(p, "diskURI"), v->disk_uri, blob);
	}
}

static void validate_storage_os(const struct v1_storage_os_volume_source *v,
	const struct field_path *p, struct field_errors *e)
{
	struct field_path ref = FIELD(p, "secretRef");

	if (v->volume_name.n == 0)
		field_required(e, AT(p, "volumeName"), "");
	else
		validate_dns1123_label(v->volume_name, AT(p, "volumeName"), e);
	if (v->volume_namespace.n)
		validate_dns1123_label(v->volume_namespace, AT(p, "volumeNamespace"), e);
	if (v->secret_ref)
		require(v->secret_ref->name, AT(&ref, "name"), e);
}

static void validate_csi(
	const struct v1_csi_volume_source *v, const struct field_path *p, struct field_errors *e)
{
	struct field_path ref = FIELD(p, "nodePublishSecretRef");

	validate_csi_driver_name(v->driver, AT(p, "driver"), e);
	if (!v->node_publish_secret_ref)
		return;
	if (v->node_publish_secret_ref->name.n == 0)
		field_required(e, AT(&ref, "name"), "");
	else
		validate_dns1123_subdomain(v->node_publish_secret_ref->name, AT(p, "name"), e);
}

static void validate_ephemeral(const struct v1_volume *v, const struct pod_check *c,
	const struct field_path *p, const struct field_path *volume)
{
	struct field_errors *e = c->errs;
	struct field_path t = FIELD(p, "volumeClaimTemplate");

	if (!v->ephemeral->volume_claim_template)
		field_required(e, &t, "");
	else
		validate_claim_template(v->ephemeral->volume_claim_template, &t, e);
	if (!c->meta || c->meta->name.n == 0 || v->name.n == 0)
		return;
	struct str claim =
		arena_fmt(e->arena, STR_FMT "-" STR_FMT, STR_ARG(c->meta->name), STR_ARG(v->name));
	struct str_vec msgs = is_dns1123_subdomain(e->arena, claim);
	for (size_t i = 0; i < msgs.n; i++)
		field_invalid(e, AT(volume, "name"), v->name, "PVC name \"" STR_FMT "\": " STR_FMT,
			STR_ARG(claim), STR_ARG(msgs.v[i]));
}

static void validate_downward_api(const struct v1_downward_api_volume_source *v,
	const struct field_path *p, struct field_errors *e)
{
	validate_file_mode(v->default_mode, AT(p, "defaultMode"), e);
	for (size_t i = 0; i < v->items.n; i++)
		validate_downward_api_file(&v->items.v[i], p, e);
}

static void validate_cinder(
	const struct v1_cinder_volume_source *v, const struct field_path *p, struct field_errors *e)
{
	struct field_path ref = FIELD(p, "secretRef");

	require(v->volume_id, AT(p, "volumeID"), e);
	if (v->secret_ref)
		require(v->secret_ref->name, AT(&ref, "name"), e);
}

static void validate_image(const struct v1_image_volume_source *v, const struct pod_check *c,
	const struct field_path *p)
{
	if (c->opts.resource_is_pod)
		require(v->reference, AT(p, "reference"), c->errs);
	validate_pull_policy(v->pull_policy, AT(p, "pullPolicy"), c->errs);
}

void validate_scale_io(struct str gateway, struct str system, struct str volume,
	const struct field_path *p, struct field_errors *e)
{
	require(gateway, AT(p, "gateway"), e);
	require(system, AT(p, "system"), e);
	require(volume, AT(p, "volumeName"), e);
}

bool volume_first_of(size_t *n, bool present, const struct field_path *p, struct field_errors *e)
{
	if (!present)
		return false;
	if ((*n)++ == 0)
		return true;
	field_forbidden(e, p, "may not specify more than 1 volume type");
	return false;
}

/* The kinds of which only strings are required. */
static void validate_simple_source(
	const struct v1_volume *v, size_t *n, const struct field_path *p, struct field_errors *e)
{
	struct field_path azure = FIELD(p, "azureFile"), vsphere = FIELD(p, "vsphereVolume");
	struct field_path photon = FIELD(p, "photonPersistentDisk"),
			  portworx = FIELD(p, "portworxVolume");

	if (volume_first_of(n, v->azure_file, &azure, e)) {
		require(v->azure_file->secret_name, AT(&azure, "secretName"), e);
		require(v->azure_file->share_name, AT(&azure, "shareName"), e);
	}
	if (volume_first_of(n, v->vsphere_volume, &vsphere, e))
		require(v->vsphere_volume->volume_path, AT(&vsphere, "volumePath"), e);
	if (volume_first_of(n, v->photon_persistent_disk, &photon, e))
		require(v->photon_persistent_disk->pd_id, AT(&photon, "pdID"), e);
	if (volume_first_of(n, v->portworx_volume, &portworx, e))
		require(v->portworx_volume->volume_id, AT(&portworx, "volumeID"), e);
}

/* emptyDir to persistentVolumeClaim, in upstream's order. Some paths differ from the field's name
 * there. */
static void validate_common_source(
	const struct v1_volume *v, size_t *n, const struct field_path *p, struct field_errors *e)
{
	struct field_path empty = FIELD(p, "emptyDir"), disk = FIELD(p, "persistentDisk");
	struct field_path aws = FIELD(p, "awsElasticBlockStore"), iscsi = FIELD(p, "iscsi");
	struct field_path gluster = FIELD(p, "glusterfs"),
			  claim = FIELD(p, "persistentVolumeClaim");

	if (v->empty_dir) {
		(*n)++;
		if (quantity_of(v->empty_dir->size_limit).nano < 0)
			field_forbidden(e, AT(&empty, "sizeLimit"),
				"SizeLimit field must be a valid resource quantity");
	}
	if (volume_first_of(n, v->host_path, AT(p, "hostPath"), e))
		validate_host_path(v->host_path, AT(p, "hostPath"), e);
	if (volume_first_of(n, v->git_repo, AT(p, "gitRepo"), e))
		validate_git_repo(v->git_repo, AT(p, "gitRepo"), e);
	if (volume_first_of(n, v->gce_persistent_disk, AT(p, "gcePersistentDisk"), e))
		validate_disk(v->gce_persistent_disk->pd_name, v->gce_persistent_disk->partition,
			AT(&disk, "pdName"), &disk, e);
	if (volume_first_of(n, v->aws_elastic_block_store, &aws, e))
		validate_disk(v->aws_elastic_block_store->volume_id,
			v->aws_elastic_block_store->partition, AT(&aws, "volumeID"), &aws, e);
	if (volume_first_of(n, v->secret, AT(p, "secret"), e))
		validate_secret(v->secret, AT(p, "secret"), e);
	if (volume_first_of(n, v->nfs, AT(p, "nfs"), e))
		validate_nfs(v->nfs, AT(p, "nfs"), e);
	if (volume_first_of(n, v->iscsi, &iscsi, e))
		validate_iscsi(v->iscsi, v->name, &iscsi, p, e);
	if (volume_first_of(n, v->glusterfs, &gluster, e)) {
		require(v->glusterfs->endpoints, AT(&gluster, "endpoints"), e);
		require(v->glusterfs->path, AT(&gluster, "path"), e);
	}
	if (volume_first_of(n, v->flocker, AT(p, "flocker"), e))
		validate_flocker(v->flocker, AT(p, "flocker"), e);
	if (volume_first_of(n, v->persistent_volume_claim, &claim, e))
		require(v->persistent_volume_claim->claim_name, AT(&claim, "claimName"), e);
}

void validate_monitors(
	const struct str_vec *monitors, const struct field_path *p, struct field_errors *e)
{
	if (monitors->n == 0)
		field_required(e, AT(p, "monitors"), "");
}

static void validate_more_sources(
	const struct v1_volume *v, size_t *n, const struct field_path *p, struct field_errors *e)
{
	struct field_path rbd = FIELD(p, "rbd"), cephfs = FIELD(p, "cephfs");

	if (volume_first_of(n, v->rbd, &rbd, e)) {
		validate_monitors(&v->rbd->monitors, &rbd, e);
		require(v->rbd->image, AT(&rbd, "image"), e);
	}
	if (volume_first_of(n, v->cinder, AT(p, "cinder"), e))
		validate_cinder(v->cinder, AT(p, "cinder"), e);
	if (volume_first_of(n, v->cephfs, AT(p, "cephFS"), e))
		validate_monitors(&v->cephfs->monitors, &cephfs, e);
	if (volume_first_of(n, v->quobyte, AT(p, "quobyte"), e))
		validate_quobyte(v->quobyte, AT(p, "quobyte"), e);
	if (volume_first_of(n, v->downward_api, AT(p, "downwarAPI"), e))
		validate_downward_api(v->downward_api, AT(p, "downwardAPI"), e);
	if (volume_first_of(n, v->fc, AT(p, "fc"), e))
		validate_fc(v->fc, AT(p, "fc"), e);
	if (volume_first_of(n, v->flex_volume, AT(p, "flexVolume"), e))
		validate_flex_options(
			v->flex_volume->driver, &v->flex_volume->options, AT(p, "flexVolume"), e);
	if (volume_first_of(n, v->config_map, AT(p, "configMap"), e))
		validate_config_map(v->config_map, AT(p, "configMap"), e);
}

void validate_volume_source(
	const struct v1_volume *v, const struct pod_check *c, const struct field_path *p)
{
	struct field_errors *e = c->errs;
	size_t n = 0;

	validate_common_source(v, &n, p, e);
	validate_more_sources(v, &n, p, e);
	validate_simple_source(v, &n, p, e);
	if (volume_first_of(&n, v->azure_disk, AT(p, "azureDisk"), e))
		validate_azure_disk(v->azure_disk, AT(p, "azureDisk"), e);
	if (volume_first_of(&n, v->storageos, AT(p, "storageos"), e))
		validate_storage_os(v->storageos, AT(p, "storageos"), e);
	if (volume_first_of(&n, v->projected, AT(p, "projected"), e))
		validate_projected(v->projected, AT(p, "projected"), e);
	if (volume_first_of(&n, v->scale_io, AT(p, "scaleIO"), e))
		validate_scale_io(v->scale_io->gateway, v->scale_io->system,
			v->scale_io->volume_name, AT(p, "scaleIO"), e);
	if (volume_first_of(&n, v->csi, AT(p, "csi"), e))
		validate_csi(v->csi, AT(p, "csi"), e);
	if (volume_first_of(&n, v->ephemeral, AT(p, "ephemeral"), e))
		validate_ephemeral(v, c, AT(p, "ephemeral"), p);
	if (volume_first_of(&n, v->image, AT(p, "image"), e))
		validate_image(v->image, c, AT(p, "image"));
	if (n == 0)
		field_required(e, p, "must specify a volume type");
}

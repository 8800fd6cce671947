/*
 * go_json.c: values as upstream's messages show them.
 *
 * Upstream validates internal types, whose Go structs have no JSON tags: a value in a message is
 * their default encoding, every field under its Go name, absent ones null. The internal structs are
 * nearly those of v1: `names` has the Go names that are not the JSON name with a capital, `orders`
 * the structs whose fields stand in another order.
 */
#include "apiserver/validation/go_json.h"
#include "apiserver/validation/pod.h"
#include "json/write.h"

enum { JSON_MAX = 4 * 1024 * 1024 };

static const struct {
	const char *json, *go, *type; /* type: only in this one */
} names[] = {
	{"gcePersistentDisk", "GCEPersistentDisk", NULL},
	{"awsElasticBlockStore", "AWSElasticBlockStore", NULL},
	{"nfs", "NFS", NULL},
	{"iscsi", "ISCSI", NULL},
	{"rbd", "RBD", NULL},
	{"cephfs", "CephFS", NULL},
	{"fc", "FC", NULL},
	{"storageos", "StorageOS", NULL},
	{"csi", "CSI", NULL},
	{"pdName", "PDName", NULL},
	{"fsType", "FSType", NULL},
	{"iqn", "IQN", NULL},
	{"iscsiInterface", "ISCSIInterface", NULL},
	{"chapAuthDiscovery", "DiscoveryCHAPAuth", NULL},
	{"chapAuthSession", "SessionCHAPAuth", NULL},
	{"endpoints", "EndpointsName", NULL},
	{"monitors", "CephMonitors", "v1_rbd_volume_source"},
	{"image", "RBDImage", "v1_rbd_volume_source"},
	{"pool", "RBDPool", "v1_rbd_volume_source"},
	{"user", "RadosUser", "v1_rbd_volume_source"},
	{"apiVersion", "APIVersion", NULL},
	{"wwids", "WWIDs", NULL},
	{"diskURI", "DataDiskURI", NULL},
	{"sslEnabled", "SSLEnabled", NULL},
	{"apiGroup", "APIGroup", NULL},
	{"tty", "TTY", NULL},
	{"httpGet", "HTTPGet", NULL},
	{"tcpSocket", "TCPSocket", NULL},
	{"grpc", "GRPC", NULL},
	{"httpHeaders", "HTTPHeaders", NULL},
	{"seLinuxOptions", "SELinuxOptions", NULL},
	{"seLinuxChangePolicy", "SELinuxChangePolicy", NULL},
	{"gmsaCredentialSpecName", "GMSACredentialSpecName", NULL},
	{"gmsaCredentialSpec", "GMSACredentialSpec", NULL},
	{"fsGroup", "FSGroup", NULL},
	{"fsGroupChangePolicy", "FSGroupChangePolicy", NULL},
	{"ip", "IP", NULL},
	{"ipMode", "IPMode", NULL},
	{"uid", "UID", NULL},
	{"os", "OS", NULL},
	{"dnsPolicy", "DNSPolicy", NULL},
	{"dnsConfig", "DNSConfig", NULL},
};

#define POD_CONTEXT                                                                                \
	"seLinuxOptions windowsOptions runAsUser runAsGroup runAsNonRoot supplementalGroups "      \
	"supplementalGroupsPolicy fsGroup fsGroupChangePolicy sysctls seccompProfile "             \
	"appArmorProfile seLinuxChangePolicy"

static const struct {
	const char *type, *fields;
} orders[] = {
	{"v1_pod_spec",
		"volumes initContainers containers ephemeralContainers restartPolicy "
		"terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector "
		"serviceAccountName automountServiceAccountToken nodeName securityContext "
		"imagePullSecrets hostname subdomain setHostnameAsFQDN affinity schedulerName "
		"tolerations hostAliases priorityClassName priority preemptionPolicy dnsConfig "
		"readinessGates runtimeClassName overhead enableServiceLinks "
		"topologySpreadConstraints os schedulingGates resourceClaims resources "
		"hostnameOverride schedulingGroup"},
	{"v1_volume",
		"name hostPath emptyDir gcePersistentDisk awsElasticBlockStore gitRepo secret nfs "
		"iscsi "
		"glusterfs persistentVolumeClaim rbd quobyte flexVolume cinder cephfs flocker "
		"downwardAPI "
		"fc azureFile configMap vsphereVolume azureDisk photonPersistentDisk projected "
		"portworxVolume scaleIO storageos csi ephemeral image"},
	{"v1_volume_projection", "secret downwardAPI configMap serviceAccountToken "
				 "clusterTrustBundle podCertificate"},
	{"v1_pod_security_context", POD_CONTEXT},
};

struct out {
	struct buf b;
	bool indent;
	int depth;
	const struct v1_pod_spec *pod; /* whose security context is being written */
};

static void newline(struct out *o)
{
	if (!o->indent)
		return;
	buf_add_char(&o->b, '\n');
	for (int i = 0; i < o->depth; i++)
		buf_add_char(&o->b, ' ');
}

static void open_(struct out *o, char c)
{
	buf_add_char(&o->b, c);
	o->depth++;
}

static void close_(struct out *o, char c, bool empty)
{
	o->depth--;
	if (!empty)
		newline(o);
	buf_add_char(&o->b, c);
}

static void write_key(struct out *o, struct str key, bool first)
{
	if (!first)
		buf_add_char(&o->b, ',');
	newline(o);
	json_write_string(&o->b, key);
	buf_add_c(&o->b, o->indent ? ": " : ":");
}

static void write_struct(struct out *o, const struct schema_type *type, const void *v);

static void write_scalar(struct out *o, const struct schema_field *f, const void *v)
{
	const struct int_or_string *ios = v;
	const struct str *s = v;

	switch (f->kind) {
	case SCHEMA_BOOL:
		buf_add_c(&o->b, *(const bool *)v ? "true" : "false");
		break;
	case SCHEMA_INT32:
		buf_add_i64(&o->b, *(const int32_t *)v);
		break;
	case SCHEMA_INT64:
		buf_add_i64(&o->b, *(const int64_t *)v);
		break;
	case SCHEMA_INT_OR_STRING:
		if (ios->is_string)
			json_write_string(&o->b, ios->s);
		else
			buf_add_i64(&o->b, ios->i);
		break;
	case SCHEMA_MESSAGE:
		write_struct(o, f->type, v);
		break;
	case SCHEMA_QUANTITY:
		json_write_string(&o->b, s->n ? *s : S("0"));
		break;
	case SCHEMA_STRING:
		json_write_string(&o->b, *s);
		break;
	default:
		buf_add_c(&o->b, "null");
	}
}

static size_t size_of(const struct schema_field *f)
{
	switch (f->kind) {
	case SCHEMA_BOOL:
		return sizeof(bool);
	case SCHEMA_INT32:
		return sizeof(int32_t);
	case SCHEMA_INT64:
		return sizeof(int64_t);
	case SCHEMA_INT_OR_STRING:
		return sizeof(struct int_or_string);
	case SCHEMA_MESSAGE:
		return f->type->size;
	default:
		return sizeof(struct str);
	}
}

static void write_list(struct out *o, const struct schema_field *f, const void *v)
{
	const struct {
		const char *v;
		size_t n;
	} *list = v;

	if (!list->v) {
		buf_add_c(&o->b, "null");
		return;
	}
	open_(o, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i)
			buf_add_char(&o->b, ',');
		newline(o);
		write_scalar(o, f, list->v + i * size_of(f));
	}
	close_(o, ']', list->n == 0);
}

static void write_map(struct out *o, const struct schema_field *f, const void *v)
{
	const struct str_map *m = v;

	if (!m->v) {
		buf_add_c(&o->b, "null");
		return;
	}
	open_(o, '{');
	for (size_t i = 0; i < m->n; i++) {
		write_key(o, m->v[i].key, i == 0);
		write_scalar(o, f, &m->v[i].value);
	}
	close_(o, '}', m->n == 0);
}

static bool is_string_like(const struct schema_field *f)
{
	return f->kind == SCHEMA_STRING || f->kind == SCHEMA_QUANTITY;
}

static void write_value(struct out *o, const struct schema_field *f, const void *base)
{
	const void *v = (const char *)base + f->offset;

	if (f->shape == SCHEMA_LIST)
		write_list(o, f, v);
	else if (f->shape == SCHEMA_MAP)
		write_map(o, f, v);
	else if (!(f->flags & SCHEMA_OPTIONAL))
		write_scalar(o, f, v);
	else if (is_string_like(f) ? !((const struct str *)v)->p : !*(void *const *)v)
		buf_add_c(&o->b, "null");
	else
		write_scalar(o, f, is_string_like(f) ? v : *(void *const *)v);
}

static void write_go_name(
	struct out *o, const struct schema_type *type, const struct schema_field *f, bool first)
{
	char name[128];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i].json, f->name) &&
			(!names[i].type || !strcmp(names[i].type, type->c_name))) {
			write_key(o, str_c(names[i].go), first);
			return;
		}
	assert(f->name_len < sizeof(name));
	memcpy(name, f->name, f->name_len);
	if (name[0] >= 'a' && name[0] <= 'z')
		name[0] -= 'a' - 'A';
	write_key(o, str_n(name, f->name_len), first);
}

static void write_bool_ptr(struct out *o, const bool *v)
{
	buf_add_c(&o->b, !v ? "null" : *v ? "true" : "false");
}

/* The internal PodSecurityContext begins with what v1 has in the spec. */
static void write_host_fields(struct out *o)
{
	write_key(o, S("HostNetwork"), true);
	write_bool_ptr(o, &o->pod->host_network);
	write_key(o, S("HostPID"), false);
	write_bool_ptr(o, &o->pod->host_pid);
	write_key(o, S("HostIPC"), false);
	write_bool_ptr(o, &o->pod->host_ipc);
	write_key(o, S("ShareProcessNamespace"), false);
	write_bool_ptr(o, o->pod->share_process_namespace);
	write_key(o, S("HostUsers"), false);
	write_bool_ptr(o, o->pod->host_users);
}

static const char *order_of(const struct schema_type *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++)
		if (!strcmp(orders[i].type, type->c_name))
			return orders[i].fields;
	return NULL;
}

/* Kinds of apimachinery have JSON tags, also inside. */
static void write_tagged(struct out *o, const struct schema_type *type, const void *v)
{
	struct buf b CLEANUP(buf_release) = {0};

	buf_init(&b, JSON_MAX);
	schema_encode_json(type, v, &b);
	buf_add_str(&o->b, buf_str(&b));
}

static void write_fields(struct out *o, const struct schema_type *type, const void *v, bool first)
{
	const char *order = order_of(type);

	if (!order) {
		for (size_t i = 0; i < type->n_fields; i++, first = false) {
			write_go_name(o, type, &type->fields[i], first);
			write_value(o, &type->fields[i], v);
		}
		return;
	}
	struct str head, rest = str_c(order);
	for (bool more = true; more; first = false) {
		more = str_cut(rest, ' ', &head, &rest);
		const struct schema_field *f = schema_field_find(type, head);
		assert(f);
		write_go_name(o, type, f, first);
		write_value(o, f, v);
	}
}

static void write_struct(struct out *o, const struct schema_type *type, const void *v)
{
	bool context = !strcmp(type->c_name, "v1_pod_security_context") && o->pod;

	if (strstr(type->name, ".apimachinery.")) {
		write_tagged(o, type, v);
		return;
	}
	if (!strcmp(type->c_name, "v1_pod_spec"))
		o->pod = v;
	open_(o, '{');
	if (context)
		write_host_fields(o);
	write_fields(o, type, v, !context);
	close_(o, '}', type->n_fields == 0);
}

static struct str go_json_text(
	struct arena *a, const struct schema_type *type, const void *v, bool indent)
{
	struct out o = {.indent = indent};
	struct str text;

	buf_init(&o.b, JSON_MAX);
	write_struct(&o, type, v);
	text = arena_str(a, buf_str(&o.b));
	buf_release(&o.b);
	return text;
}

struct str go_json(struct arena *a, const struct schema_type *type, const void *v)
{
	return go_json_text(a, type, v, false);
}

struct str go_diff(
	struct arena *a, const struct schema_type *type, const void *old, const void *now)
{
	return unified_diff(a, go_json_text(a, type, old, true), go_json_text(a, type, now, true));
}

struct str str_vec_json(struct arena *a, const struct str_vec *v)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (!v->v)
		return S("null");
	buf_init(&b, JSON_MAX);
	buf_add_char(&b, '[');
	for (size_t i = 0; i < v->n; i++) {
		if (i)
			buf_add_char(&b, ',');
		json_write_string(&b, v->v[i]);
	}
	buf_add_char(&b, ']');
	return arena_str(a, buf_str(&b));
}

struct str str_map_json(struct arena *a, const struct str_map *m)
{
	struct buf b CLEANUP(buf_release) = {0};

	if (!m->v)
		return S("null");
	buf_init(&b, JSON_MAX);
	buf_add_char(&b, '{');
	for (size_t i = 0; i < m->n; i++) {
		if (i)
			buf_add_char(&b, ',');
		json_write_string(&b, m->v[i].key);
		buf_add_char(&b, ':');
		json_write_string(&b, m->v[i].value);
	}
	buf_add_char(&b, '}');
	return arena_str(a, buf_str(&b));
}

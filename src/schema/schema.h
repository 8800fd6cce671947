/*
 * schema.h: every API type as data, and the walker over it.
 *
 * schema files (schema/ *.schema) describe each group-version: types, fields, JSON names, protobuf
 * numbers, defaults, formats, enums, list types and merge keys; and each resource: names, scope,
 * verbs, subresources, table columns, selectable fields. tools/schemagen.py turns them into C
 * structs (schema/types.gen.h) and these tables (schema/tables.gen.c). Nothing else is generated.
 *
 * How a type looks in C (what schemagen writes):
 *   message core/v1 Pod             struct v1_pod            group-versions: core -> v1_, apps/v1
 * -> apps_v1_, discovery.k8s.io/v1 Endpoint… struct discovery_v1_endpoint_slice; meta/v1 -> struct
 * meta_v1_object_meta; first label of the group name + version; CamelCase -> snake_case JSON field
 * camelCase            member snake_case (podIP -> pod_ip, clusterIPs -> cluster_ips); a C keyword
 * or stdlib macro gets a trailing underscore (default_, static_…) string, quantity, bytes (base64
 * text decoded), duration struct str; {NULL,0} absent bool, int32, int64, double      by value; Go
 * pointer fields ("optional" in the schema): T *, NULL absent time, micro time struct k8s_time;
 * .set tells presence int-or-string                   struct int_or_string; a pointer where
 * optional any JSON (RawExtension, JSON, FieldsV1)   struct str, the compact JSON text message by
 * value; optional: pointer list of T                       struct { T *v; size_t n; } (struct
 * str_vec for strings; lists of messages are struct <type>_vec, declared for every message type); v
 * == NULL: absent map of string to string         struct str_map (sorted); to quantity: also struct
 * str_map (struct str values); to bytes: struct str_map; to a message: struct <type>_map {struct
 * str key; T value}* to a time: struct k8s_time_map A zeroed struct is the empty object. Embedded
 * Go structs ("inline" in the schema: TypeMeta, VolumeSource) have no struct of their own around
 * them: their fields are members of the outer struct (volume->config_map). For each message there
 * is `extern const struct schema_type <type>_schema;` (v1_pod_schema) and for each resource `extern
 * const struct schema_resource <type>_resource;` (v1_pod_resource). Typed read: struct v1_pod *pod
 * = object_decode(o, arena);
 */
#ifndef SAMPAN_SCHEMA_H
#define SAMPAN_SCHEMA_H

#include "base/base.h"

enum schema_kind {
	SCHEMA_BOOL,
	SCHEMA_INT32,
	SCHEMA_INT64,
	SCHEMA_DOUBLE,
	SCHEMA_STRING,
	SCHEMA_BYTES,
	SCHEMA_QUANTITY,
	SCHEMA_INT_OR_STRING,
	SCHEMA_TIME,
	SCHEMA_MICRO_TIME,
	SCHEMA_DURATION,
	SCHEMA_RAW,
	SCHEMA_MESSAGE,
};

enum schema_shape { SCHEMA_ONE, SCHEMA_LIST, SCHEMA_MAP };

enum schema_list_type { SCHEMA_LIST_NONE, SCHEMA_LIST_ATOMIC, SCHEMA_LIST_SET, SCHEMA_LIST_MAP };

enum schema_flags {
	SCHEMA_OPTIONAL = 1 << 0,      /* a Go pointer: presence is kept */
	SCHEMA_OMITEMPTY = 1 << 1,     /* the empty value is not written */
	SCHEMA_REQUIRED = 1 << 2,      /* in OpenAPI's `required` */
	SCHEMA_INLINE = 1 << 3,        /* from an embedded struct: see schema_field.number */
	SCHEMA_ATOMIC = 1 << 4,        /* x-kubernetes-map-type atomic */
	SCHEMA_PATCH_MERGE = 1 << 5,   /* x-kubernetes-patch-strategy holds "merge" */
	SCHEMA_PATCH_REPLACE = 1 << 6, /* … "replace" */
	SCHEMA_PATCH_RETAIN_KEYS = 1 << 7,
	SCHEMA_OMITZERO = 1 << 8, /* Go's omitzero: a struct or time that is zero is not written */
	/* of types */
	SCHEMA_BARE = 1 << 9,     /* its JSON is that of its only field (ExtraValue: a list) */
	SCHEMA_VARIANT = 1 << 10, /* its JSON is that of the one field that fits: {} message, []
				     list, true/false bool */
};

struct k8s_time {
	bool set;
	int32_t nsec;
	int64_t sec; /* Unix */
};

struct int_or_string {
	bool is_string;
	int32_t i;
	struct str s;
};

struct bool_vec {
	bool *v;
	size_t n;
};
struct int32_vec {
	int32_t *v;
	size_t n;
};
struct int64_vec {
	int64_t *v;
	size_t n;
};
struct double_vec {
	double *v;
	size_t n;
};
struct int_or_string_vec {
	struct int_or_string *v;
	size_t n;
};
struct k8s_time_vec {
	struct k8s_time *v;
	size_t n;
};
struct k8s_time_pair {
	struct str key;
	struct k8s_time value;
};
struct k8s_time_map {
	struct k8s_time_pair *v;
	size_t n;
};

struct schema_type;

/* What few fields have; NULL in most. */
struct schema_extra {
	const char *dflt;             /* default, as JSON text */
	const char *const *enums;     /* NULL-terminated */
	const char *const *list_keys; /* x-kubernetes-list-map-keys, NULL-terminated */
	const char *merge_key;        /* x-kubernetes-patch-merge-key */
	const char *go_type;  /* Go's name of the whole type where kind and shape do not give it:
				 "v1.Protocol" */
	const char *embedded; /* names of the embedded Go structs it comes from:
				 "RuleWithOperations.Rule" */
	const char *description;
};

struct schema_field {
	const char *name; /* JSON name */
	uint16_t name_len;
	uint16_t offset;   /* in the C struct */
	uint32_t number;   /* protobuf; 0: not on the wire. The field of an embedded struct has the
			      numbers of the   structs around it in the bytes above its own */
	uint16_t flags;    /* enum schema_flags */
	uint8_t kind;      /* enum schema_kind: of the value, the list's item or the map's value */
	uint8_t shape;     /* enum schema_shape */
	uint8_t list_type; /* enum schema_list_type */
	const struct schema_type *type; /* for SCHEMA_MESSAGE */
	const struct schema_extra *extra;
};

struct schema_type {
	const char *name;                /* OpenAPI definition: "io.k8s.api.core.v1.Pod" */
	const char *go_name;             /* "v1.Pod", as decode errors say */
	const char *c_name;              /* "v1_pod" */
	const char *union_discriminator; /* or NULL */
	const char *description;         /* or NULL */
	uint32_t size;
	uint16_t n_fields;
	uint16_t flags; /* SCHEMA_ATOMIC when the whole struct is atomic; SCHEMA_BARE,
			   SCHEMA_VARIANT */
	const struct schema_field *fields; /* in the order they are written */
	const uint16_t *by_name;           /* indices of fields, sorted by name */
};

enum schema_verb {
	VERB_GET = 1 << 0,
	VERB_LIST = 1 << 1,
	VERB_WATCH = 1 << 2,
	VERB_CREATE = 1 << 3,
	VERB_UPDATE = 1 << 4,
	VERB_PATCH = 1 << 5,
	VERB_DELETE = 1 << 6,
	VERB_DELETECOLLECTION = 1 << 7,
};

struct schema_column { /* a column of kubectl get */
	const char *name, *type, *format, *description;
	int priority;
};

struct schema_subresource {
	const char *name;                   /* "status", "scale", "log" … */
	const char *kind, *group, *version; /* of what it speaks; NULL = the resource's own */
	const struct schema_type *type;     /* of its body; NULL: none (log, exec …) */
	uint32_t verbs;                     /* of discovery */
};

struct schema_resource {
	const char *group;   /* "" for core */
	const char *version; /* "v1" */
	const char *kind, *list_kind;
	const char *plural, *singular;
	const char *const *short_names, *const *categories; /* NULL-terminated or NULL */
	bool namespaced;
	bool lazy;       /* may be acknowledged from memory (Lease, Event) */
	bool has_status; /* status is written by the status subresource only */
	bool storage; /* false: another version's view of a stored resource, see storage_resource; or
			 virtual, never stored: then storage_resource is itself, too */
	uint32_t verbs;
	const struct schema_type *type, *list_type;
	const struct schema_resource *storage_resource; /* itself when storage */
	const struct schema_subresource *subresources;
	size_t n_subresources;
	const struct schema_column *columns;
	size_t n_columns;
	const char *const *selectable; /* field selectors beyond metadata.name and
					  metadata.namespace; NULL-terminated */
	uint16_t index;                /* its place in schema_resources */
};

extern const struct schema_resource *const schema_resources[];
extern const size_t schema_n_resources;
extern const struct schema_type *const schema_types[]; /* sorted by name */
extern const size_t schema_n_types;

/* Lookups in the compiled-in tables; NULL when there is none. */
const struct schema_resource *schema_resource_find(
	struct str group, struct str version, struct str plural);
const struct schema_resource *schema_resource_by_kind(
	struct str group, struct str version, struct str kind);
const struct schema_type *schema_type_by_name(struct str openapi_name);
const struct schema_field *schema_field_find(const struct schema_type *t, struct str json_name);

/* How a field lies in memory, for code that walks any struct: a list is {T *v; size_t n}, a map a
 * list of pairs (struct str, then the value). */
size_t schema_value_size(const struct schema_field *f); /* of one value, item or map value */
size_t schema_pair_size(const struct schema_field *f);  /* of a map's pair */
bool schema_is_boxed(const struct schema_field *f);     /* the member is a pointer to one value */

/* Whether JSON has nothing of a member (at its place in the struct), as Go's omitempty and omitzero
 * have it; and whether it has null there. */
bool schema_is_omitted(const struct schema_field *f, const void *at);
bool schema_is_null(const struct schema_field *f, const void *at);

/* --- the walker --- */

enum schema_decode_flags {
	SCHEMA_DECODE_STRICT =
		1 << 0, /* unknown and duplicate fields are collected in `warnings` */
};

struct schema_decode_opts {
	uint32_t flags;
	/* out: one per unknown or duplicate field, worded as upstream: 'unknown field "spec.foo"',
	 * 'duplicate field "metadata.name"'; allocated in the arena */
	struct str_vec warnings;
};

/* JSON text -> struct of `type` in the arena. 400 with upstream's words on syntax and type errors:
 * `err->message` is Go's ("json: cannot unmarshal string into Go struct field
 * PodSpec.spec.containers of type []v1.Container"); the API server wraps it. Strings stay views
 * into `json` where no escape forces a copy: json must live as long as the arena needs. */
int schema_decode_json(const struct schema_type *type, struct str json, struct arena *a,
	struct schema_decode_opts *opts, void **ret, struct err *err);
/* Canonical JSON: fields in schema order, omitempty as Go. */
void schema_encode_json(const struct schema_type *type, const void *v, struct buf *out);
/* YAML (its first document) -> JSON text in the arena with sorted keys, with YAML 1.1 typing as
 * Go's sigs.k8s.io/yaml. Alias, depth and size limits. Errors: 400 "yaml: line 5: did not find
 * expected ',' or '}'". Keys that stand twice (the last counts) are added to *duplicates, which may
 * be NULL: 'line 5: key "a" already set in map'. */
int yaml_to_json(struct str yaml, struct arena *a, struct str *ret, struct str_vec *duplicates,
	struct err *err);
void json_to_yaml(struct str json, struct buf *out);

/* Fills the defaults that the schema states (OpenAPI/Go defaults that are constants). What depends
 * on other fields is in the kind's own file. */
void schema_default(const struct schema_type *type, void *v, struct arena *a);
bool schema_equal(const struct schema_type *type, const void *a,
	const void *b); /* semantic DeepEqual: nil == empty */
void *schema_copy(const struct schema_type *type, const void *v, struct arena *a); /* deep */

/* protobuf on the wire, with the contracts of the JSON pair. kind and apiVersion are not part of a
 * message: they stand in the envelope (runtime.Unknown behind "k8s\0"), which the second pair
 * writes and reads. Errors: 400. */
int schema_decode_proto(const struct schema_type *type, struct str bytes, struct arena *a,
	void **ret, struct err *err);
void schema_encode_proto(const struct schema_type *type, const void *v, struct buf *out);
int schema_unwrap_proto(struct str bytes, struct str *ret_api_version, struct str *ret_kind,
	struct str *ret_message, struct err *err); /* views into bytes */
void schema_wrap_proto(struct str api_version, struct str kind, const struct schema_type *type,
	const void *v, struct buf *out);

/* Messages written piece by piece (lists, watch events): what is written between open and close is
 * field `number`; open returns what its close needs. The second pair is the envelope. */
size_t schema_proto_open(struct buf *out, uint32_t number);
void schema_proto_close(struct buf *out, size_t from);
void schema_proto_bytes(struct buf *out, uint32_t number, struct str bytes);
void schema_proto_int(struct buf *out, uint32_t number, int64_t v); /* bool, int32, int64 */
size_t schema_wrap_open(struct str api_version, struct str kind, struct buf *out);
void schema_wrap_close(struct buf *out, size_t from);

#endif

/*
 * env.h: a container's environment: values, $(VAR) expansion, fields, resources, config maps,
 * secrets, service variables. Pure: what it refers to was read before.
 */
#ifndef SAMPAN_NODE_ENV_H
#define SAMPAN_NODE_ENV_H

#include "node/cri.h"
#include "types.gen.h"

struct env_ref { /* a config map or secret that the environment needs */
	bool secret;
	struct str name;
	bool optional;
	/* filled in by the caller */
	const struct str_map *data; /* NULL: it is not there */
};
struct env_refs {
	struct env_ref *v;
	size_t n;
};

/* What must be read first; each name once (optional only if all mentions are). */
struct env_refs env_references(const struct v1_container *c, struct arena *a);

/* The pod as the downward API shows it. */
struct pod_facts {
	const struct v1_pod *pod;
	struct str_vec pod_ips, host_ips;
	const struct str_map *allocatable; /* the node's: stands in for absent limits */
};

struct env_input {
	struct pod_facts facts;
	const struct v1_container *container;
	struct env_refs refs;
	const struct v1_service_vec
		*services; /* of the pod's namespace, and kubernetes of "default" */
};

/* Errors: a required object, key or field is missing; upstream's words. */
int env_make(
	const struct env_input *in, struct arena *a, struct cri_key_values *ret, struct err *err);
/* $(VAR) and $$ in a string. `strict`: a reference that cannot be resolved is an error, else it
 * stays. */
int env_expand(struct str s, const struct cri_key_values *env, bool strict, struct arena *a,
	struct str *ret, struct err *err);

/* The downward API: fieldRef and resourceFieldRef. */
int downward_field(const struct pod_facts *f, struct str path, struct arena *a, struct str *ret,
	struct err *err);
int downward_resource(const struct pod_facts *f, const struct v1_container *c,
	const struct v1_resource_field_selector *sel, struct arena *a, struct str *ret,
	struct err *err);

#endif

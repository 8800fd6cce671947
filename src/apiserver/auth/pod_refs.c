#include "apiserver/auth/pod_refs.h"

#include <stdio.h>

struct walk {
	bool (*visit)(void *state, enum pod_ref kind, struct str name);
	void *state;
};

static bool see(const struct walk *w, enum pod_ref kind, struct str name)
{
	return name.n && w->visit(w->state, kind, name);
}

static bool see_env(const struct walk *w, const struct v1_env_var_vec *env,
	const struct v1_env_from_source_vec *from)
{
	for (size_t i = 0; i < from->n; i++) {
		const struct v1_env_from_source *f = &from->v[i];

		if ((f->secret_ref && see(w, REF_SECRET, f->secret_ref->name)) ||
			(f->config_map_ref && see(w, REF_CONFIG_MAP, f->config_map_ref->name)))
			return true;
	}
	for (size_t i = 0; i < env->n; i++) {
		const struct v1_env_var_source *f = env->v[i].value_from;

		if (f && ((f->secret_key_ref && see(w, REF_SECRET, f->secret_key_ref->name)) ||
				 (f->config_map_key_ref &&
					 see(w, REF_CONFIG_MAP, f->config_map_key_ref->name))))
			return true;
	}
	return false;
}

static bool see_projected(const struct walk *w, const struct v1_projected_volume_source *p)
{
	for (size_t i = 0; i < p->sources.n; i++) {
		const struct v1_volume_projection *s = &p->sources.v[i];

		if ((s->secret && see(w, REF_SECRET, s->secret->name)) ||
			(s->config_map && see(w, REF_CONFIG_MAP, s->config_map->name)))
			return true;
	}
	return false;
}

#define SEE_SECRET(source, member)                                                                 \
	((source) && (source)->member && see(w, REF_SECRET, (source)->member->name))

static bool see_volume(const struct walk *w, const struct v1_pod *pod, const struct v1_volume *v)
{
	if (v->ephemeral) {
		char claim[512]; /* both names are at most 253 long */
		int n = snprintf(claim, sizeof(claim), STR_FMT "-" STR_FMT,
			STR_ARG(pod->metadata.name), STR_ARG(v->name));

		if (n < (int)sizeof(claim) && see(w, REF_CLAIM, str_n(claim, n)))
			return true;
	}
	return (v->persistent_volume_claim &&
		       see(w, REF_CLAIM, v->persistent_volume_claim->claim_name)) ||
	       (v->secret && see(w, REF_SECRET, v->secret->secret_name)) ||
	       (v->config_map && see(w, REF_CONFIG_MAP, v->config_map->name)) ||
	       (v->azure_file && see(w, REF_SECRET, v->azure_file->secret_name)) ||
	       (v->projected && see_projected(w, v->projected)) ||
	       SEE_SECRET(v->cephfs, secret_ref) || SEE_SECRET(v->cinder, secret_ref) ||
	       SEE_SECRET(v->flex_volume, secret_ref) || SEE_SECRET(v->rbd, secret_ref) ||
	       SEE_SECRET(v->scale_io, secret_ref) || SEE_SECRET(v->iscsi, secret_ref) ||
	       SEE_SECRET(v->storageos, secret_ref) || SEE_SECRET(v->csi, node_publish_secret_ref);
}

static bool see_containers(const struct walk *w, const struct v1_pod_spec *s)
{
	for (size_t i = 0; i < s->init_containers.n; i++)
		if (see_env(w, &s->init_containers.v[i].env, &s->init_containers.v[i].env_from))
			return true;
	for (size_t i = 0; i < s->containers.n; i++)
		if (see_env(w, &s->containers.v[i].env, &s->containers.v[i].env_from))
			return true;
	for (size_t i = 0; i < s->ephemeral_containers.n; i++)
		if (see_env(w, &s->ephemeral_containers.v[i].env,
			    &s->ephemeral_containers.v[i].env_from))
			return true;
	return false;
}

static bool see_resource_claims(const struct walk *w, const struct v1_pod *pod)
{
	const struct v1_pod_extended_resource_claim_status *ext =
		pod->status.extended_resource_claim_status;

	for (size_t i = 0; i < pod->spec.resource_claims.n; i++)
		if (see(w, REF_RESOURCE_CLAIM, pod->spec.resource_claims.v[i].resource_claim_name))
			return true;
	for (size_t i = 0; i < pod->status.resource_claim_statuses.n; i++)
		if (see(w, REF_RESOURCE_CLAIM,
			    pod->status.resource_claim_statuses.v[i].resource_claim_name))
			return true;
	return ext && see(w, REF_RESOURCE_CLAIM, ext->resource_claim_name);
}

bool pod_refs(const struct v1_pod *pod,
	bool (*visit)(void *state, enum pod_ref kind, struct str name), void *state)
{
	const struct walk w = {visit, state};

	if (see(&w, REF_SERVICE_ACCOUNT, pod->spec.service_account_name))
		return true;
	for (size_t i = 0; i < pod->spec.image_pull_secrets.n; i++)
		if (see(&w, REF_SECRET, pod->spec.image_pull_secrets.v[i].name))
			return true;
	if (see_containers(&w, &pod->spec))
		return true;
	for (size_t i = 0; i < pod->spec.volumes.n; i++)
		if (see_volume(&w, pod, &pod->spec.volumes.v[i]))
			return true;
	return see_resource_claims(&w, pod);
}

struct wanted {
	enum pod_ref kind;
	struct str name;
};

static bool is_wanted(void *state, enum pod_ref kind, struct str name)
{
	const struct wanted *w = state;

	return kind == w->kind && str_eq(name, w->name);
}

bool pod_refers_to(const struct v1_pod *pod, enum pod_ref kind, struct str name)
{
	struct wanted w = {kind, name};

	return pod_refs(pod, is_wanted, &w);
}

static bool same(const struct v1_secret_reference *r, struct str ns, struct str name)
{
	return r && str_eq(r->namespace, ns) && str_eq(r->name, name);
}

/* A reference without a namespace means that of the claim. */
static bool same_or_claim(const struct v1_persistent_volume *pv,
	const struct v1_secret_reference *r, struct str ns, struct str name)
{
	struct str in = r && r->namespace.n  ? r->namespace
			: pv->spec.claim_ref ? pv->spec.claim_ref->namespace
					     : S("");

	return r && str_eq(in, ns) && str_eq(r->name, name);
}

bool volume_refers_to_secret(const struct v1_persistent_volume *pv, struct str ns, struct str name)
{
	const struct v1_persistent_volume_spec *s = &pv->spec;
	const struct v1_csi_persistent_volume_source *csi = s->csi;

	if (s->azure_file) {
		const struct v1_secret_reference r = {
			s->azure_file->secret_name, s->azure_file->secret_namespace};

		return same_or_claim(pv, &r, ns, name);
	}
	if (s->storageos && s->storageos->secret_ref)
		return str_eq(s->storageos->secret_ref->namespace, ns) &&
		       str_eq(s->storageos->secret_ref->name, name);
	return (s->cephfs && same_or_claim(pv, s->cephfs->secret_ref, ns, name)) ||
	       (s->cinder && same(s->cinder->secret_ref, ns, name)) ||
	       (s->flex_volume && same_or_claim(pv, s->flex_volume->secret_ref, ns, name)) ||
	       (s->rbd && same_or_claim(pv, s->rbd->secret_ref, ns, name)) ||
	       (s->scale_io && same_or_claim(pv, s->scale_io->secret_ref, ns, name)) ||
	       (s->iscsi && same_or_claim(pv, s->iscsi->secret_ref, ns, name)) ||
	       (csi && (same(csi->node_publish_secret_ref, ns, name) ||
			       same(csi->node_stage_secret_ref, ns, name) ||
			       same(csi->node_expand_secret_ref, ns, name)));
}

/* util.h: small things that several planners need: pods, owner references, conditions. */
#ifndef SAMPAN_CONTROLLERS_UTIL_H
#define SAMPAN_CONTROLLERS_UTIL_H

#include "controllers/planner.h"
#include "types.gen.h"

/* --- pods, from the object's header alone --- */
struct str pod_phase(const struct object *pod);
struct str pod_node(const struct object *pod);
bool pod_finished(const struct object *pod); /* Succeeded or Failed */
bool pod_active(const struct object *pod);   /* neither finished nor being deleted */

/* --- decoded pods --- */
const struct v1_pod_condition *pod_condition_get(const struct v1_pod *pod, const char *type);
bool pod_ready(const struct v1_pod *pod);
/* Ready for at least min_ready_s. When not yet, *ret_wait_ms (may be NULL) is after how long it may
 * be. */
bool pod_available(
	const struct v1_pod *pod, int32_t min_ready_s, int64_t now_ns, int64_t *ret_wait_ms);

/* Says in the pod's status why it is going to be deleted; phase NULL: stays as it is. */
void plan_disruption(struct view *v, struct plan *p, const struct object *pod, const char *phase,
	const char *reason, const char *message);

/* --- owner references --- */
struct meta_v1_owner_reference owner_ref(
	const struct schema_resource *res, const struct meta_v1_object_meta *meta, struct arena *a);
const struct meta_v1_owner_reference *controller_of(const struct meta_v1_object_meta *meta);
struct str api_version_of(const struct schema_resource *res, struct arena *a);
/* Patches of an object's owner references: take control, let go. */
void plan_adopt(struct plan *p, const struct object *o, const struct meta_v1_owner_reference *ref);
void plan_release(struct plan *p, const struct object *o, struct str owner_uid);
/* Of all objects of `res` in the owner's namespace: those it controls that match, plus the orphans
 * that match, which are adopted; what it controls and does not match is released (neither of both
 * when the owner is being deleted or `wanted`, unless NULL, says no). */
struct object_vec claim(struct view *v, struct plan *p, const struct schema_resource *res,
	const struct object *owner, const struct meta_v1_owner_reference *ref,
	const struct meta_v1_label_selector *selector, bool (*wanted)(const struct object *o));

/* --- text --- */
struct str random_suffix(
	struct view *v, size_t n); /* letters and digits that form no words, as names get */
/* "name-" cut to fit and a random suffix of 5. */
struct str generate_name(struct view *v, struct str prefix);
struct str time_format(struct k8s_time t, struct arena *a); /* RFC 3339 */
/* A copy with the key set. */
struct str_map str_map_with(struct str_map m, struct str key, struct str value, struct arena *a);
struct str_map str_map_without(struct str_map m, struct str key, struct arena *a);
struct str str_map_value(const struct str_map *m, struct str key); /* {NULL,0} when absent */
bool str_map_subset(const struct str_map *sub, const struct str_map *of);

/* A number, or a percentage of `of`; 0 when absent. */
int32_t int_or_percent(const struct int_or_string *v, int32_t of, bool round_up);

static inline bool time_equal(struct k8s_time a, struct k8s_time b)
{
	return a.set == b.set && a.sec == b.sec && a.nsec == b.nsec;
}

#endif

/* services.h: services and the pods they select, for endpoints and endpoint slices. */
#ifndef SAMPAN_CONTROLLERS_SERVICES_H
#define SAMPAN_CONTROLLERS_SERVICES_H

#include "controllers/util.h"

#define LABEL_HEADLESS "service.kubernetes.io/headless"

/* A planner's state: the selectors of all services, so that a pod's event finds its services
 * without decoding them. */
void *service_cache_new(const struct controllers_opts *opts);
void service_cache_free(void *state);
void service_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data);
void service_pod_keys(
	struct view *v, const struct store_event *ev, plan_enqueue_fn *enqueue, void *user_data);

struct pod_vec {
	struct v1_pod **v;
	size_t n;
};

/* The selected pods that have an address and have not finished, by name. */
struct pod_vec service_pods(struct view *v, const struct v1_service *svc, bool with_terminating);
bool service_has_ip(const struct v1_service *svc);
/* Whether the controllers keep this service's endpoints. */
bool service_is_managed(const struct v1_service *svc);
/* The number of the port that the service's port means in this pod; 0: it has none of that name. */
int32_t service_target_port(const struct v1_pod *pod, const struct v1_service_port *port);
bool pod_hostname_counts(const struct v1_pod *pod, const struct v1_service *svc);
bool ip_is_v6(struct str ip);
/* The pod's address of one family; {NULL,0} when it has none. */
struct str pod_ip(const struct v1_pod *pod, bool v6);
struct v1_object_reference *pod_reference(const struct v1_pod *pod, struct arena *a);

#endif

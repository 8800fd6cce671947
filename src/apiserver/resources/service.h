/* service.h: what the files about services share. */
#ifndef SAMPAN_RESOURCES_SERVICE_H
#define SAMPAN_RESOURCES_SERVICE_H

#include "apiserver/resources/rules.h"

bool service_is(const struct v1_service *s, const char *type);
bool service_is_headless(const struct v1_service *s);
bool service_has_cluster_ip(const struct v1_service *s);   /* its type has one, be it None */
bool service_has_node_ports(const struct v1_service *s);   /* NodePort or LoadBalancer */
bool service_wants_node_ports(const struct v1_service *s); /* and they are to be allocated */
bool service_needs_health_check(const struct v1_service *s);
bool service_is_external(const struct v1_service *s);
bool str_vecs_equal(const struct str_vec *a, const struct str_vec *b);

/* service_validate.c */
void validate_service(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e);
void validate_service_update(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e);
void validate_cluster_ips(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e);
void validate_load_balancer_status(
	const struct v1_service *s, const struct v1_service *old, struct field_errors *e);

/* service_alloc.c */
int service_allocate(struct strategy_ctx *ctx, void *obj, const void *old,
	struct field_errors *errs, struct err *err);
void service_release(struct strategy_ctx *ctx, const void *obj, const void *old);
/* The IPAddress by which s has an address (in its canonical text); in the arena. */
struct networking_v1_ip_address *service_ip_address(
	struct arena *a, const struct v1_service *s, struct str ip);
/* Of NULL: no. */
bool service_uses_ip(const struct v1_service *s, struct str ip);
bool service_uses_port(const struct v1_service *s, int port); /* as a node port */
void service_along(
	struct strategy_ctx *ctx, const void *obj, const void *old, struct write_along *ret);
void service_committed(struct strategy_ctx *ctx, const void *obj, const void *old);

#endif

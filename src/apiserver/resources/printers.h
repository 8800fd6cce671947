/*
 * printers.h: rows of `kubectl get` (pkg/printers/internalversion): the cells of one object, in the
 * order of the resource's columns, as JSON values with commas between them.
 */
#ifndef SAMPAN_RESOURCES_PRINTERS_H
#define SAMPAN_RESOURCES_PRINTERS_H

#include "apiserver/table.h"
#include "base/base.h"

typedef void table_row_fn(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells);

table_row_fn print_config_map, print_priority_class, print_runtime_class, print_storage_class,
	print_ingress, print_ingress_class, print_network_policy, print_persistent_volume,
	print_persistent_volume_claim, print_pod_disruption_budget, print_cron_job,
	print_daemon_set, print_job, print_stateful_set, print_deployment, print_endpoint_slice,
	print_endpoints, print_event, print_lease, print_namespace, print_node, print_pod,
	print_pod_template, print_replica_set, print_replication_controller, print_resource_quota,
	print_secret, print_service, print_service_account, print_role, print_cluster_role,
	print_role_binding, print_cluster_role_binding, print_ip_address, print_service_cidr;

/* One cell after another. */
struct row {
	struct arena *a;
	struct buf *out;
	size_t n;
	int64_t now_ns;
};
void row_str(struct row *r, struct str s);
void row_strc(struct row *r, const char *s);
void row_int(struct row *r, int64_t v);
void row_bool(struct row *r, bool v);
void row_age(struct row *r, const struct k8s_time *since);
void row_fmt(struct row *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "a,b,c"; "<none>" when empty. */
struct str join_list(struct arena *a, const struct str_vec *v, const char *sep);
/* "k=v,k=v" of a map; "<none>". */
struct str labels_text(struct arena *a, const struct str_map *m);

struct v1_container_vec;
void row_containers(
	struct row *r, const struct v1_container_vec *list); /* names, images: two cells */
struct meta_v1_label_selector;
struct str selector_text(struct arena *a, const struct meta_v1_label_selector *s);
/* "5m", "<unknown>" */
struct str age_text(struct arena *a, const struct k8s_time *since, int64_t now_ns);

#endif

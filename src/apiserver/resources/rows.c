/* rows.c: kinds that have nothing of their own but how `kubectl get` shows them,
 * and who may overwrite what he has not seen. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"

#define ROW(a_, cells_, now_) ((struct row){.a = (a_), .out = (cells_), .now_ns = (now_)})

static void row_flag(struct row *r, const bool *v, bool otherwise)
{
	row_bool(r, v ? *v : otherwise);
}

static void print_csi_driver(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_csi_driver *d = obj;
	struct row r = ROW(a, cells, now_ns);
	struct str_vec audiences = {0};

	for (size_t i = 0; i < d->spec.token_requests.n; i++)
		ARENA_PUSH(a, &audiences, d->spec.token_requests.v[i].audience);
	row_str(&r, d->metadata.name);
	row_flag(&r, d->spec.attach_required, true);
	row_flag(&r, d->spec.pod_info_on_mount, false);
	row_flag(&r, d->spec.storage_capacity, false);
	row_str(&r, audiences.n ? join_list(a, &audiences, ",") : S("<unset>"));
	row_flag(&r, d->spec.requires_republish, false);
	row_str(&r, join_list(a, &d->spec.volume_lifecycle_modes, ","));
	row_age(&r, &d->metadata.creation_timestamp);
}

static void print_csi_node(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_csi_node *n = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, n->metadata.name);
	row_int(&r, (int64_t)n->spec.drivers.n);
	row_age(&r, &n->metadata.creation_timestamp);
}

static void print_csi_storage_capacity(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_csi_storage_capacity *c = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, c->metadata.name);
	row_str(&r, c->storage_class_name);
	row_str(&r, c->capacity.p ? c->capacity : S("<unset>"));
}

static void print_volume_attachment(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_volume_attachment *v = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, v->metadata.name);
	row_str(&r, v->spec.attacher);
	row_str(&r, v->spec.source.persistent_volume_name);
	row_str(&r, v->spec.node_name);
	row_bool(&r, v->status.attached);
	row_age(&r, &v->metadata.creation_timestamp);
}

static void print_volume_attributes_class(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct storage_v1_volume_attributes_class *c = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, c->metadata.name);
	row_str(&r, c->driver_name);
	row_age(&r, &c->metadata.creation_timestamp);
}

static void print_flow_schema(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct flowcontrol_v1_flow_schema *f = obj;
	struct row r = ROW(a, cells, now_ns);
	struct str dangling = S("?");

	for (size_t i = f->status.conditions.n; i-- > 0;)
		if (str_eqc(f->status.conditions.v[i].type, "Dangling"))
			dangling = f->status.conditions.v[i].status;
	row_str(&r, f->metadata.name);
	row_str(&r, f->spec.priority_level_configuration.name);
	row_int(&r, f->spec.matching_precedence);
	row_str(&r,
		f->spec.distinguisher_method ? f->spec.distinguisher_method->type : S("<none>"));
	row_age(&r, &f->metadata.creation_timestamp);
	row_str(&r, dangling);
}

static void row_count(struct row *r, const int32_t *v)
{
	if (v)
		row_int(r, *v);
	else
		row_strc(r, "<none>");
}

static void print_priority_level(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct flowcontrol_v1_priority_level_configuration *p = obj;
	const struct flowcontrol_v1_limited_priority_level_configuration *limited = p->spec.limited;
	const struct flowcontrol_v1_queuing_configuration *q =
		limited ? limited->limit_response.queuing : NULL;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, p->metadata.name);
	row_str(&r, p->spec.type);
	row_count(&r, limited ? limited->nominal_concurrency_shares : NULL);
	row_count(&r, q ? &q->queues : NULL);
	row_count(&r, q ? &q->hand_size : NULL);
	row_count(&r, q ? &q->queue_length_limit : NULL);
	row_age(&r, &p->metadata.creation_timestamp);
}

const struct strategy csi_driver_strategy = {
	.resource = &storage_v1_csi_driver_resource,
	.no_unconditional_update = true,
	.table_row = print_csi_driver,
};

const struct strategy csi_node_strategy = {
	.resource = &storage_v1_csi_node_resource,
	.no_unconditional_update = true,
	.table_row = print_csi_node,
};

const struct strategy csi_storage_capacity_strategy = {
	.resource = &storage_v1_csi_storage_capacity_resource,
	.no_unconditional_update = true,
	.table_row = print_csi_storage_capacity,
};

const struct strategy volume_attachment_strategy = {
	.resource = &storage_v1_volume_attachment_resource,
	.no_unconditional_update = true,
	.table_row = print_volume_attachment,
};

const struct strategy volume_attributes_class_strategy = {
	.resource = &storage_v1_volume_attributes_class_resource,
	.table_row = print_volume_attributes_class,
};

const struct strategy flow_schema_strategy = {
	.resource = &flowcontrol_v1_flow_schema_resource,
	.generate_generation = true,
	.table_row = print_flow_schema,
};

const struct strategy priority_level_configuration_strategy = {
	.resource = &flowcontrol_v1_priority_level_configuration_resource,
	.generate_generation = true,
	.table_row = print_priority_level,
};

/* metrics.c: rows of NodeMetrics and PodMetrics, as metrics-server prints them. */
#include "apiserver/resources/printers.h"
#include "apiserver/resources/rules.h"
#include "schema/quantity.h"

static struct str value(const struct str_map *usage, const char *name)
{
	const struct str *v = str_map_get(usage, str_c(name));

	return v ? *v : S("0");
}

static void print_node_metrics(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct metrics_v1beta1_node_metrics *m = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, m->metadata.name);
	row_str(&r, value(&m->usage, "cpu"));
	row_str(&r, value(&m->usage, "memory"));
	row_str(&r, m->window);
}

static void print_pod_metrics(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	static const char *const names[] = {"cpu", "memory"};
	const struct metrics_v1beta1_pod_metrics *m = obj;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	row_str(&r, m->metadata.name);
	for (size_t n = 0; n < ARRAY_SIZE(names); n++) {
		struct quantity sum = {0};

		for (size_t i = 0; i < m->containers.n; i++) {
			struct quantity q = quantity_of(value(&m->containers.v[i].usage, names[n]));

			quantity_add(&sum, &q);
		}
		row_str(&r, quantity_text(&sum, a));
	}
	row_str(&r, m->window);
}

static void print_component_status(
	struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct v1_component_status *s = obj;
	const struct v1_component_condition *c = NULL;
	struct row r = {.a = a, .out = cells, .now_ns = now_ns};

	for (size_t i = 0; !c && i < s->conditions.n; i++)
		if (str_eqc(s->conditions.v[i].type, "Healthy"))
			c = &s->conditions.v[i];
	row_str(&r, s->metadata.name);
	row_strc(&r, !c ? "Unknown" : str_eqc(c->status, "True") ? "Healthy" : "Unhealthy");
	row_str(&r, c ? c->message : S(""));
	row_str(&r, c ? c->error : S(""));
}

const struct strategy component_status_strategy = {
	.resource = &v1_component_status_resource,
	.table_row = print_component_status,
};

const struct strategy node_metrics_strategy = {
	.resource = &metrics_v1beta1_node_metrics_resource,
	.table_row = print_node_metrics,
};

const struct strategy pod_metrics_strategy = {
	.resource = &metrics_v1beta1_pod_metrics_resource,
	.table_row = print_pod_metrics,
};

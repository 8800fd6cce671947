/* csr_cleaner.c: certificatesigningrequest-cleaner-controller: removes requests that are done with:
 * an hour after they were answered, a day after they were made and nobody answered, or when the
 * certificate has ended. */
#include "controllers/csr.h"
#include "schema/time.h"

enum { HOUR_MS = 3600 * 1000, DAY_MS = 24 * HOUR_MS };

/* Unix ms after which it goes; the earliest of all reasons wins. */
static void at_latest(int64_t *end_ms, struct k8s_time since, int64_t after_ms)
{
	if (since.set)
		*end_ms = MIN(*end_ms, k8s_time_ms(&since) + after_ms);
}

static int64_t end_of(const csr_t *csr, struct arena *a)
{
	bool issued = csr->status.certificate.n > 0;
	int64_t end = INT64_MAX;
	struct x509_info info;

	if (csr->status.conditions.n == 0)
		at_latest(&end, csr->metadata.creation_timestamp, DAY_MS);
	for (size_t i = 0; i < csr->status.conditions.n; i++) {
		const csr_condition_t *c = &csr->status.conditions.v[i];
		bool approved = str_eqc(c->type, "Approved");

		if (approved || str_eqc(c->type, "Denied") || str_eqc(c->type, "Failed"))
			at_latest(
				&end, c->last_update_time, approved && !issued ? DAY_MS : HOUR_MS);
	}
	if (issued && csr_condition(csr, "Approved") &&
		x509_info_read(csr->status.certificate, a, &info, NULL) == 0)
		end = MIN(end, info.not_after_s * 1000);
	return end;
}

static int reconcile(struct view *v, struct plan_key key, struct plan *p, struct err *err)
{
	const struct schema_resource *res = &certificates_v1_certificate_signing_request_resource;
	const csr_t *csr = view_decode(v, res, S(""), key.name);
	int64_t now_ms = v->now_ns / 1000000, end_ms;
	struct plan_write *w;

	if (!csr || csr->metadata.deletion_timestamp.set)
		return 0;
	end_ms = end_of(csr, v->arena);
	if (end_ms == INT64_MAX)
		return 0;
	if (end_ms >= now_ms) {
		plan_requeue(p, end_ms - now_ms + 1);
		return 0;
	}
	w = plan_add(p, PLAN_DELETE, res, S(""), key.name);
	w->uid = csr->metadata.uid;
	w->grace_s = -1;
	w->ignore_not_found = true;
	return 0;
}

static const struct plan_watch watches[] = {
	{.resource = &certificates_v1_certificate_signing_request_resource},
	{0},
};

const struct planner csr_cleaner_planner = {
	.name = "certificatesigningrequest-cleaner-controller",
	.user = "certificate-controller",
	.watches = watches,
	.reconcile = reconcile,
};

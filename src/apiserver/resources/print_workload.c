/* print_workload.c: the cells of daemon sets, stateful sets, jobs and cron jobs. */
#include "apiserver/resources/printers.h"
#include "types.gen.h"

#define ROW(a_, cells_, now_) ((struct row){.a = (a_), .out = (cells_), .now_ns = (now_)})

void print_daemon_set(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct apps_v1_daemon_set *ds = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, ds->metadata.name);
	row_int(&r, ds->status.desired_number_scheduled);
	row_int(&r, ds->status.current_number_scheduled);
	row_int(&r, ds->status.number_ready);
	row_int(&r, ds->status.updated_number_scheduled);
	row_int(&r, ds->status.number_available);
	row_str(&r, labels_text(a, &ds->spec.template.spec.node_selector));
	row_age(&r, &ds->metadata.creation_timestamp);
	row_containers(&r, &ds->spec.template.spec.containers);
	row_str(&r, selector_text(a, ds->spec.selector));
}

void print_stateful_set(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct apps_v1_stateful_set *set = obj;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, set->metadata.name);
	row_fmt(&r, "%d/%d", set->status.ready_replicas,
		set->spec.replicas ? *set->spec.replicas : 0);
	row_age(&r, &set->metadata.creation_timestamp);
	row_containers(&r, &set->spec.template.spec.containers);
}

static bool has_condition(const struct batch_v1_job *job, const char *type)
{
	for (size_t i = 0; i < job->status.conditions.n; i++)
		if (str_eqc(job->status.conditions.v[i].type, type))
			return str_eqc(job->status.conditions.v[i].status, "True");
	return false;
}

static struct str job_status(const struct batch_v1_job *job)
{
	static const char *const first[] = {"Complete", "Failed"}, *const last[] = {"Suspended",
									   "FailureTarget",
									   "SuccessCriteriaMet"};

	for (size_t i = 0; i < ARRAY_SIZE(first); i++)
		if (has_condition(job, first[i]))
			return str_c(first[i]);
	if (job->metadata.deletion_timestamp.set)
		return S("Terminating");
	for (size_t i = 0; i < ARRAY_SIZE(last); i++)
		if (has_condition(job, last[i]))
			return str_c(last[i]);
	return S("Running");
}

static struct str job_duration(struct arena *a, const struct batch_v1_job *job, int64_t now_ns)
{
	const struct batch_v1_job_status *s = &job->status;

	if (!s->start_time.set)
		return S("");
	return age_text(a, &s->start_time,
		s->completion_time.set ? s->completion_time.sec * 1000000000 : now_ns);
}

void print_job(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct batch_v1_job *job = obj;
	struct row r = ROW(a, cells, now_ns);
	int32_t parallelism = job->spec.parallelism ? *job->spec.parallelism : 0;

	row_str(&r, job->metadata.name);
	row_str(&r, job_status(job));
	if (job->spec.completions)
		row_fmt(&r, "%d/%d", job->status.succeeded, *job->spec.completions);
	else if (parallelism > 1)
		row_fmt(&r, "%d/1 of %d", job->status.succeeded, parallelism);
	else
		row_fmt(&r, "%d/1", job->status.succeeded);
	row_str(&r, job_duration(a, job, now_ns));
	row_age(&r, &job->metadata.creation_timestamp);
	row_containers(&r, &job->spec.template.spec.containers);
	row_str(&r, selector_text(a, job->spec.selector));
}

void print_cron_job(struct arena *a, const void *obj, int64_t now_ns, struct buf *cells)
{
	const struct batch_v1_cron_job *cj = obj;
	const struct batch_v1_job_spec *job = &cj->spec.job_template.spec;
	struct row r = ROW(a, cells, now_ns);

	row_str(&r, cj->metadata.name);
	row_str(&r, cj->spec.schedule);
	row_str(&r, cj->spec.time_zone.p ? cj->spec.time_zone : S("<none>"));
	row_strc(&r, !cj->spec.suspend ? "<unset>" : *cj->spec.suspend ? "True" : "False");
	row_int(&r, (int64_t)cj->status.active.n);
	if (cj->status.last_schedule_time.set)
		row_age(&r, &cj->status.last_schedule_time);
	else
		row_strc(&r, "<none>");
	row_age(&r, &cj->metadata.creation_timestamp);
	row_containers(&r, &job->template.spec.containers);
	row_str(&r, selector_text(a, job->selector));
}

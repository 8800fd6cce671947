/* job.h: what jobs and cron jobs share. */
#ifndef SAMPAN_RESOURCES_JOB_H
#define SAMPAN_RESOURCES_JOB_H

#include "apiserver/resources/workload.h"

/* job_validate.c: all of a job's spec but its selector, which a cron job's template does not have
 */
void validate_job_spec(struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec,
	const struct field_path *p, struct field_errors *e);
/* job.c */
void warn_job_spec(
	struct strategy_ctx *ctx, const struct batch_v1_job_spec *spec, const struct field_path *p);
/* job_policy.c */
void validate_pod_failure_policy(
	const struct batch_v1_job_spec *spec, const struct field_path *p, struct field_errors *e);
void validate_success_policy(
	const struct batch_v1_job_spec *spec, const struct field_path *p, struct field_errors *e);
/* "0,2-4": how many indexes there are; *wrong.n: what is wrong. */
int32_t count_indexes(struct str text, int32_t completions, struct arena *a, struct str *wrong);
/* job_status.c */
void validate_job_status(
	const struct batch_v1_job *job, const struct batch_v1_job *old, struct field_errors *e);
bool job_condition_true(const struct batch_v1_job *job, const char *type);

#endif

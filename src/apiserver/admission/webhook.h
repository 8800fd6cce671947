/*
 * webhook.h: webhooks, mutating and validating ones alike: which of them a write concerns, what
 * they are sent, and what they answered (apiserver pkg/admission/plugin/webhook).
 *
 * webhook_match.c  configurations -> struct webhook; rules and selectors
 * webhook_review.c AdmissionReview: out and in
 * webhook_call.c   one HTTPS call on the request's loop
 * webhooks.c       the two plugins: in what order, what failures mean, patches
 */
#ifndef SAMPAN_ADMISSION_WEBHOOK_H
#define SAMPAN_ADMISSION_WEBHOOK_H

#include "apiserver/admission.h"
#include "apiserver/admission/derived.h"
#include "apiserver/admission/evaluate.h"
#include "apiserver/admission/match.h"
#include "apiserver/server.h"

struct webhook {
	struct str configuration, name; /* the object's name, the webhook's in it */
	struct admissionregistration_v1_webhook_client_config client;
	struct match_criteria match;
	struct conditions conditions;
	struct str_vec versions; /* of AdmissionReview */
	struct str side_effects;
	int timeout_s;
	bool ignore; /* failurePolicy */
	bool again;  /* reinvocationPolicy IfNeeded */
};

struct webhooks {
	struct webhook *v;
	size_t n;
};

/* What the plugins keep as their state: the webhooks of each configuration. */
struct derived *webhooks_new(struct store *store, bool mutating);
/* All of them, by the name of their configuration. As long as attrs->arena. */
struct webhooks webhooks_all(struct admission_attrs *attrs);
/* 1: to be called, with *ret_as the version of the resource that its rules name; 0; or negative:
 * it cannot be said (a broken selector, a condition that fails). */
int webhook_matches(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource **ret_as, struct err *err);

/* The body to send; uid: a new one. Fails when the webhook speaks no version that we do. */
int webhook_review(struct admission_attrs *attrs, const struct webhook *w,
	const struct schema_resource *as, struct str uid, struct str *ret, struct err *err);
/* request.options; no state of a webhook. */
void webhook_options(struct buf *b, const struct admission_attrs *attrs);
/* The object of the request as the webhook saw it: what its patch applies to. */
int webhook_object(struct admission_attrs *attrs, const struct schema_resource *as,
	struct str *ret_json, struct err *err);

/* The object becomes what `json` says in the version `as`, with defaults. With `unknown`, fields
 * that nobody knows are added to it; without, they are dropped. */
int webhook_set_object(struct admission_attrs *attrs, const struct schema_resource *as,
	struct str json, struct str_vec *unknown, struct err *err);

struct webhook_answer {
	bool allowed;
	struct meta_v1_status *status; /* or NULL */
	struct str patch;              /* a JSON patch; empty: none */
};
/* Reads an answer; its warnings and audit annotations go to attrs. err->message is why it is none.
 */
int webhook_answer(struct admission_attrs *attrs, const struct webhook *w, bool mutating,
	struct str uid, struct str body, struct webhook_answer *ret, struct err *err);
/* What a webhook that says no makes of the write: its own Status. */
int webhook_denied(const struct admission_attrs *attrs, const struct webhook *w,
	const struct meta_v1_status *status, struct err *err);

/* One call. `done` comes once, on a later turn: body, or err with why ('failed to call webhook:
 * …'). */
typedef void webhook_done_fn(void *user_data, struct str body, struct err *err);
int webhook_call(struct admission_attrs *attrs, const struct webhook *w, struct str review,
	webhook_done_fn *done, void *user_data, struct err *err);

#endif

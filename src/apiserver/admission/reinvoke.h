/*
 * reinvoke.h: what mutating webhooks and policies remember from the first pass over a write for the
 * second one (apiserver pkg/admission/plugin/webhook/mutating reinvocationcontext.go).
 *
 * Once one has changed the object, those that asked for it (reinvocationPolicy IfNeeded) and ran
 * before shall run again. In the request's arena.
 */
#ifndef SAMPAN_ADMISSION_REINVOKE_H
#define SAMPAN_ADMISSION_REINVOKE_H

#include "apiserver/admission.h"

struct reinvoke {
	struct str output;      /* the object when they were done */
	struct str_vec invoked; /* the keys of those that asked and ran */
	struct str_vec again;   /* those of them that shall run again */
};

/* At the beginning of a pass, with the object as JSON: whether others changed it since. */
void reinvoke_begin(struct reinvoke *m, const struct admission_run *run, struct str object);
/* Somebody has changed the object. */
void reinvoke_changed(struct reinvoke *m, struct admission_run *run);
bool reinvoke_wanted(const struct reinvoke *m, const struct admission_run *run, struct str key);
/* `key` ran and asks to run again; key lives as long as the request. */
void reinvoke_ran(struct reinvoke *m, struct admission_run *run, struct str key);

#endif
